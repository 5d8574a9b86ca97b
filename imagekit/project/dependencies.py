"""The dependencies that a code directory declares, whatever files it declares them in."""

from __future__ import annotations

import pathlib
import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from imagekit.errors import ConfigError, Problem, counted, did_you_mean, one_line
from imagekit.project import setup_files
from imagekit.project.requirement_files import RequirementFiles
from imagekit.project.settings import load_toml, place_of

Lock = Literal["uv.lock", "pylock.toml"]

DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[\w.+:~-]+)?")
"""A Debian package, perhaps with architecture and version
(debian.org/doc/debian-policy/ch-controlfields.html#source)."""

SETUP = "from setuptools import setup\nsetup()\n"
"""What a setup.cfg without a setup.py is built with."""
DECLARING = ("pyproject.toml", "setup.py", "environment.yml", "environment.yaml")
"""Files whose requirements stand one by one in the Dockerfile."""

UNREAD = ("Pipfile", "poetry.lock", "conda-lock.yml", "requirements-gpu.txt", "requirements")
"""What may stand beside what is read, and says what other tools install."""

FREE_CONDA = ("python", "pip", "setuptools", "wheel")
"""What an environment.yml may name of conda's: the image has it, or needs none."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be installed.

    files: read by the installer before the code is there, requirement files last. folders: local
    packages that requirement files name. requirement_files: those that are installed from.
    requirements: each as pip reads it. late: requirement files that need the code itself. lock:
    a lock file that says everything. project: whether the directory is a package; extras: those
    of the package that are wanted, where the package itself says what they are. whole: whether
    the package's dependencies are known only when it is built. apt: Debian packages. python:
    what versions of Python will do, as a specifier. notes: what was found where.
    """

    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    requirement_files: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    lock: Lock | None = None
    project: bool = False
    extras: tuple[str, ...] = ()
    whole: bool = False
    apt: tuple[str, ...] = ()
    python: str = ""
    notes: tuple[str, ...] = ()


def read(
    directory: pathlib.Path, extras: Sequence[str], mode: str, ignored: Sequence[str] = ()
) -> Declared:
    """What a directory declares, with these extras, and those called like the mode.

    `ignored` are files that are left aside. Raises ConfigError with everything that is wrong,
    or cannot be installed here.
    """
    reader = _Reader(directory, extras, mode, ignored)
    reader.read()
    if reader.problems:
        raise ConfigError(reader.problems)
    return Declared(
        files=tuple(dict.fromkeys(reader.files)),
        folders=tuple(sorted(reader.folders)),
        requirement_files=tuple(reader.requirement_files),
        requirements=tuple(dict.fromkeys(reader.requirements)),
        late=tuple(reader.late),
        lock=reader.lock,
        project=reader.project,
        extras=tuple(reader.chosen),
        whole=reader.whole,
        apt=tuple(dict.fromkeys(reader.apt)),
        python=reader.python,
        notes=tuple(reader.notes),
    )


class Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """What of a pyproject.toml's `[project]` is read.

    Source: packaging.python.org/en/latest/specifications/pyproject-toml.
    """

    name: str = ""
    requires_python: str = ""
    dependencies: list[str] = []
    optional_dependencies: dict[str, list[str]] = {}
    dynamic: list[str] = []


class _Reader(RequirementFiles):
    """Goes through the files of a directory, and gathers what they say and what is wrong."""

    def __init__(
        self, directory: pathlib.Path, extras: Sequence[str], mode: str, ignored: Sequence[str]
    ) -> None:
        super().__init__(directory, ignored)
        self.extras, self.mode = extras, mode
        self.notes: list[str] = []
        self.requirement_files: list[str] = []
        self.requirements: list[str] = []
        self.late: list[str] = []
        self.lock: Lock | None = None
        self.project = self.whole = False
        self.chosen: list[str] = []
        self.known: set[str] = set()
        self.apt: list[str] = []
        self.python = ""

    def read(self) -> None:
        if self.is_there("pyproject.toml"):
            self._pyproject(self.directory / "pyproject.toml")
        elif self.is_there("pylock.toml"):
            self._locked("pylock.toml")
        if self.is_there("setup.py") and not self.project and not self.lock:
            self._setup()
        if self.is_there("requirements.txt"):
            if self.lock:
                self.notes.append(f"requirements.txt: left aside, {self.lock} says everything")
            else:
                self._requirement_file("requirements.txt")
        for name in ("environment.yml", "environment.yaml"):
            if self.is_there(name):
                self._environment(self.directory / name)
        if self.is_there("apt.txt"):
            self._apt()
        if self.is_there(".python-version") and not self.python:
            found = re.match(r"(\d+\.\d+)", self.text_of(".python-version").strip())
            self.python = f"=={found[1]}.*" if found else ""
        self._check_requirements()
        self._check_python()
        self._hint()
        self._check_extras()

    def _apt(self) -> None:
        for number, line in enumerate(self.text_of("apt.txt").splitlines(), start=1):
            for name in line.partition("#")[0].split():
                self.apt.append(name)
                if not DEBIAN.fullmatch(name):
                    self.wrong("apt.txt", f"{name!r} is no Debian package", number)
        self.notes.append(f"apt.txt: {counted(len(self.apt), 'Debian package')}")

    def _check_requirements(self) -> None:
        name = self._declaring()
        for text in self.requirements:
            self.check_secret(name, 1, text)
            if wrong := setup_files.fault(text):
                self.wrong(name, one_line(f"{text!r} is no requirement: {wrong}"))

    def _declaring(self) -> str:
        return next((name for name in DECLARING if (self.directory / name).is_file()), "")

    def _check_python(self) -> None:
        try:
            SpecifierSet(self.python)
        except InvalidSpecifier as error:
            name = self._declaring()
            line, column = 1, 1
            if name == "pyproject.toml":
                place = place_of(self.directory / name, "requires-python", "project")
                line, column = place.line, place.column
            self.wrong(name, f"{error}; write requires-python like '>=3.11'", line, column)

    def _check_extras(self) -> None:
        for extra in self.extras:
            if extra not in self.known:
                near = did_you_mean(extra, self.known)
                has = near or (f"; there is {', '.join(sorted(self.known))}" if self.known else "")
                message = f"no extra is called {extra!r} in {self.directory}{has}"
                self.problems.append(Problem(message=message))

    def _hint(self) -> None:
        """What looks like dependencies and is none that is read."""
        unread = [name for name in UNREAD if (self.directory / name).exists()]
        if not self.notes and (self.directory / "setup.cfg").is_file():
            unread.append("setup.cfg (without a setup.py)")
        if not self.lock and (self.directory / "uv.lock").is_file():
            unread.append("uv.lock (without a pyproject.toml)")
        self.notes += [f"warning: {name} is not read" for name in unread]

    # ---- packages

    def _pyproject(self, path: pathlib.Path) -> None:
        tables = load_toml(path)
        try:
            about = msgspec.convert(tables.get("project", {}), Table)
        except msgspec.ValidationError as error:
            # As in "Expected `array`, got `str` - at `$.dependencies`".
            reason, _, where = str(error).partition(" - at ")
            key = where.strip("`$.").partition("[")[0].partition(".")[0]
            place = place_of(path, key, "project")
            self.wrong(path.name, f"{key}: {reason}".lower(), place.line, place.column)
            return
        self.python = about.requires_python
        self.project = "build-system" in tables
        groups = about.optional_dependencies
        self.known |= groups.keys()
        self._choose(groups)
        locks: tuple[Lock, ...] = ("uv.lock", "pylock.toml")
        for name in locks:
            if self.is_there(name):
                self._locked(name)
                return
        tool = tables.get("tool")
        uv = tool.get("uv") if isinstance(tool, dict) else None
        sources = uv.get("sources") if isinstance(uv, dict) else None
        if sources:
            place = place_of(path, "sources", "tool.uv")
            message = (
                f"only uv knows where to get {', '.join(sources)}; run uv lock, so that the image "
                "gets what uv.lock says"
            )
            self.wrong(path.name, message, place.line, place.column)
        dynamic = set(about.dynamic) & {"dependencies", "optional-dependencies"}
        if "project" not in tables and self.project:
            classic = [self.directory / name for name in ("setup.py", "setup.cfg")]
            if any(path.is_file() for path in classic):
                self._setup()
                return
        if dynamic or ("project" not in tables and self.project):
            self._unknown("pyproject.toml")
            return
        self.requirements += about.dependencies
        self.requirements += setup_files.expanded(about.name, groups, self.chosen)
        if "project" not in tables:
            return
        what = "a package" if self.project else "no package, its code is used where it lies"
        self.notes.append(f"pyproject.toml: {setup_files.number(self.requirements)}; {what}")

    def _locked(self, name: Lock) -> None:
        """A lock file, and the local packages that it names."""
        self.lock = name
        self.files += [name, "pyproject.toml"] if name == "uv.lock" else [name]
        self.notes.append(f"{name}: the exact versions of everything")
        locked = load_toml(self.directory / name).get("package", [])
        for package in locked if name == "uv.lock" else ():
            source = package.get("source", {})
            for kind in ("editable", "directory", "virtual", "path"):
                if kind in source and source[kind] != ".":
                    self.local(name, 1, f"./{source[kind]}")

    def _choose(self, groups: Iterable[str]) -> None:
        """The extras that are wanted: those that were named, and the mode's own."""
        wanted = [*self.extras, self.mode]
        self.chosen += [name for name in dict.fromkeys(wanted) if name in set(groups)]

    def _setup(self) -> None:
        """setup.cfg and setup.py, as far as they say it without being run."""
        self.project = True
        config = self.text_of("setup.cfg") if self.is_there("setup.cfg") else ""
        setup = self.text_of("setup.py") if self.is_there("setup.py") else SETUP
        found = setup_files.of_setup(config, setup)
        if found is None:
            self._unknown("setup.py")
            return
        self.python = found.python
        self.known |= found.extras.keys()
        self._choose(found.extras)
        self.requirements += found.required
        self.requirements += setup_files.expanded(found.name, found.extras, self.chosen)
        self.notes.append(f"setup.py: {setup_files.number(self.requirements)}; a package")

    def _unknown(self, name: str) -> None:
        """A package whose dependencies and extras nobody knows who does not build it."""
        self.project = self.whole = True
        self.known |= {*self.extras}
        self.chosen = list(dict.fromkeys([*self.extras, *self.chosen]))
        self.notes.append(f"{name}: a package whose dependencies only its build knows")

    def _requirement_file(self, name: str) -> None:
        before = len(self.problems)
        needs_code = self.included(name, [])
        if len(self.problems) > before:
            return
        if needs_code:
            self.late.append(name)
            why = "; it names the directory itself, so it is installed with the code"
        else:
            self.requirement_files.append(name)
            why = ""
        self.notes.append(f"{name}: dependencies{why}")

    # ---- conda

    def _environment(self, path: pathlib.Path) -> None:
        """An environment.yml: its pip part, and the version of Python."""
        try:
            root = yaml.compose(self.text_of(path.name), Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            self.wrong(path.name, f"not well-formed: {error.reason}")
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.wrong(path.name, f"not well-formed: {error.problem}", line, column)
            return
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        for key, value in pairs:
            if key.value == "dependencies" and isinstance(value, yaml.SequenceNode):
                for node in value.value:
                    self._conda_entry(path.name, node)
            elif key.value == "dependencies":
                line, column = value.start_mark.line + 1, value.start_mark.column + 1
                self.wrong(path.name, "'dependencies' is no list", line, column)
        self.notes.append("environment.yml: its pip part")

    def _conda_entry(self, name: str, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, part in node.value:
                line, column = part.start_mark.line + 1, part.start_mark.column + 1
                if key.value != "pip" or not isinstance(part, yaml.SequenceNode):
                    self.wrong(name, f"{key.value!r} is no list under 'pip'", line, column)
                    continue
                for requirement in part.value:
                    self._pip_entry(name, requirement)
            return
        package = str(node.value).split("::")[-1].strip()
        match = re.match(r"([\w.-]+)\s*(.*)", package)
        bare, version = match.groups() if match else (package, "")
        if bare == "python" and version:
            found = setup_files.specifier(version)
            self.python = f"{self.python},{found}" if self.python else found
        if bare not in FREE_CONDA:
            message = (
                f"conda's package {package!r} cannot be installed here; name it in the pip part, a "
                "Debian package in apt.txt, or a base image of your own that has it (--base); or "
                f"leave the file aside: --ignore {name}"
            )
            self.wrong(name, message, node.start_mark.line + 1, node.start_mark.column + 1)

    def _pip_entry(self, name: str, node: yaml.Node) -> None:
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        match = re.match(r"-r\s*(\S.*)", text)
        before = len(self.problems)
        if match:
            if not self.include(name, line, match[1], []) and len(self.problems) == before:
                self.requirement_files.append(posixpath.normpath(match[1]))
                self.notes.append(f"{match[1]}: dependencies")
        elif self.local(name, line, text):
            self.project = self.whole = True
        elif text.startswith("-") or not text:
            message = f"{text!r} is not read here; put it into a requirements.txt"
            self.wrong(name, message, line, column)
        else:
            self.requirements.append(text)
