"""Read the dependencies that a code directory declares, in any of the supported files."""

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
"""A Debian package, with optional architecture and version
(debian.org/doc/debian-policy/ch-controlfields.html#source)."""

SETUP = "from setuptools import setup\nsetup()\n"
"""The setup.py assumed for a setup.cfg that has none."""
DECLARING = ("pyproject.toml", "setup.py", "environment.yml", "environment.yaml")
"""Files whose requirements are listed one by one in the Dockerfile."""

UNSUPPORTED = ("Pipfile", "poetry.lock", "conda-lock.yml", "requirements-gpu.txt", "requirements")
"""Dependency files that are not supported; the user gets a warning."""

FREE_CONDA = ("python", "pip", "setuptools", "wheel")
"""Conda packages that an environment.yml may list: the image has them or does not need them."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """The dependencies of a code directory."""

    files: tuple[str, ...] = ()
    """Files to copy before the code, for the installer; requirement files come last."""
    folders: tuple[str, ...] = ()
    """Folders of local packages that requirement files list."""
    requirement_files: tuple[str, ...] = ()
    """Requirement files to install before the code is copied."""
    requirements: tuple[str, ...] = ()
    """Requirements in pip's syntax."""
    late_requirement_files: tuple[str, ...] = ()
    """Requirement files to install after the code is copied."""
    lock: Lock | None = None
    """The lock file, if there is one; it replaces requirements.txt."""
    project: bool = False
    """Whether the directory is a package."""
    extras: tuple[str, ...] = ()
    """The extras of the package to install."""
    dynamic: bool = False
    """Whether the dependencies of the package are known only when it is built."""
    apt: tuple[str, ...] = ()
    """Debian packages."""
    python: str = ""
    """The supported Python versions, as a specifier; empty for any."""
    notes: tuple[str, ...] = ()
    """Messages for the user: what was read from which file."""


def read(
    directory: pathlib.Path, extras: Sequence[str], mode: str, ignored: Sequence[str] = ()
) -> Declared:
    """Read the dependencies of a directory, with `extras` and the extra named like the mode.

    Files in `ignored` are skipped. Raises ConfigError with all problems, including packages that
    cannot be installed.
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
        late_requirement_files=tuple(reader.late_requirement_files),
        lock=reader.lock,
        project=reader.project,
        extras=tuple(reader.chosen_extras),
        dynamic=reader.dynamic,
        apt=tuple(dict.fromkeys(reader.apt)),
        python=reader.python,
        notes=tuple(reader.notes),
    )


class Table(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The keys of pyproject.toml's `[project]` that are read.

    Source: packaging.python.org/en/latest/specifications/pyproject-toml.
    """

    name: str = ""
    """The name of the package."""
    requires_python: str = ""
    """The supported Python versions, as a specifier."""
    dependencies: list[str] = []
    """The requirements of the package."""
    optional_dependencies: dict[str, list[str]] = {}
    """The requirements of each extra."""
    dynamic: list[str] = []
    """Keys whose values only the build computes."""


class _Reader(RequirementFiles):
    """Reads the files of a directory; collects dependencies and problems."""

    def __init__(
        self, directory: pathlib.Path, extras: Sequence[str], mode: str, ignored: Sequence[str]
    ) -> None:
        super().__init__(directory, ignored)
        self.extras, self.mode = extras, mode
        self.notes: list[str] = []
        self.requirement_files: list[str] = []
        self.requirements: list[str] = []
        self.late_requirement_files: list[str] = []
        self.lock: Lock | None = None
        self.project = self.dynamic = False
        self.chosen_extras: list[str] = []
        self.known: set[str] = set()
        self.apt: list[str] = []
        self.python = ""

    def read(self) -> None:
        if self.has_file("pyproject.toml"):
            self._pyproject(self.directory / "pyproject.toml")
        elif self.has_file("pylock.toml"):
            self._locked("pylock.toml")
        if self.has_file("setup.py") and not self.project and not self.lock:
            self._setup()
        if self.has_file("requirements.txt"):
            if self.lock:
                self.notes.append(f"requirements.txt: skipped, {self.lock} lists all dependencies")
            else:
                self._requirement_file("requirements.txt")
        for name in ("environment.yml", "environment.yaml"):
            if self.has_file(name):
                self._environment(self.directory / name)
        if self.has_file("apt.txt"):
            self._apt()
        if self.has_file(".python-version") and not self.python:
            version = re.match(r"(\d+\.\d+)", self.text_of(".python-version").strip())
            self.python = f"=={version[1]}.*" if version else ""
        self._check_requirements()
        self._check_python()
        self._warn_unsupported()
        self._check_extras()

    def _apt(self) -> None:
        for number, line in enumerate(self.text_of("apt.txt").splitlines(), start=1):
            for name in line.partition("#")[0].split():
                self.apt.append(name)
                if not DEBIAN.fullmatch(name):
                    self.add_problem(
                        "apt.txt", f"{name!r} is not a valid Debian package name", number
                    )
        self.notes.append(f"apt.txt: {counted(len(self.apt), 'Debian package')}")

    def _check_requirements(self) -> None:
        name = self._declaring_file()
        for text in self.requirements:
            self.check_secret(name, 1, text)
            if error := setup_files.requirement_error(text):
                self.add_problem(name, one_line(f"{text!r} is not a valid requirement: {error}"))

    def _declaring_file(self) -> str:
        return next((name for name in DECLARING if (self.directory / name).is_file()), "")

    def _check_python(self) -> None:
        try:
            SpecifierSet(self.python)
        except InvalidSpecifier as error:
            name = self._declaring_file()
            line, column = 1, 1
            if name == "pyproject.toml":
                place = place_of(self.directory / name, "requires-python", "project")
                line, column = place.line, place.column
            self.add_problem(name, f"{error}; write requires-python like '>=3.11'", line, column)

    def _check_extras(self) -> None:
        for extra in self.extras:
            if extra not in self.known:
                near = did_you_mean(extra, self.known)
                hint = near or (
                    f"; available: {', '.join(sorted(self.known))}" if self.known else ""
                )
                message = f"no extra {extra!r} in {self.directory}{hint}"
                self.problems.append(Problem(message=message))

    def _warn_unsupported(self) -> None:
        """Warn about dependency files that are not read."""
        unsupported = [name for name in UNSUPPORTED if (self.directory / name).exists()]
        if not self.notes and (self.directory / "setup.cfg").is_file():
            unsupported.append("setup.cfg (without a setup.py)")
        if not self.lock and (self.directory / "uv.lock").is_file():
            unsupported.append("uv.lock (without a pyproject.toml)")
        self.notes += [f"warning: {name} is not read" for name in unsupported]

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
            self.add_problem(path.name, f"{key}: {reason}".lower(), place.line, place.column)
            return
        self.python = about.requires_python
        self.project = "build-system" in tables
        groups = about.optional_dependencies
        self.known |= groups.keys()
        self._choose(groups)
        locks: tuple[Lock, ...] = ("uv.lock", "pylock.toml")
        for name in locks:
            if self.has_file(name):
                self._locked(name)
                return
        tool = tables.get("tool")
        uv = tool.get("uv") if isinstance(tool, dict) else None
        sources = uv.get("sources") if isinstance(uv, dict) else None
        if sources:
            place = place_of(path, "sources", "tool.uv")
            message = (
                f"only uv can resolve the sources of {', '.join(sources)}; run uv lock, so that "
                "the image is installed from uv.lock"
            )
            self.add_problem(path.name, message, place.line, place.column)
        dynamic = set(about.dynamic) & {"dependencies", "optional-dependencies"}
        if "project" not in tables and self.project:
            classic = [self.directory / name for name in ("setup.py", "setup.cfg")]
            if any(path.is_file() for path in classic):
                self._setup()
                return
        if dynamic or ("project" not in tables and self.project):
            self._add_dynamic("pyproject.toml")
            return
        self.requirements += about.dependencies
        self.requirements += setup_files.expanded(about.name, groups, self.chosen_extras)
        if "project" not in tables:
            return
        what = "a package" if self.project else "not a package, the code runs from its directory"
        self.notes.append(f"pyproject.toml: {setup_files.number(self.requirements)}; {what}")

    def _locked(self, name: Lock) -> None:
        """Read a lock file and the local packages that it lists."""
        self.lock = name
        self.files += [name, "pyproject.toml"] if name == "uv.lock" else [name]
        self.notes.append(f"{name}: exact versions of all dependencies")
        locked = load_toml(self.directory / name).get("package", [])
        for package in locked if name == "uv.lock" else ():
            source = package.get("source", {})
            for kind in ("editable", "directory", "virtual", "path"):
                if kind in source and source[kind] != ".":
                    self.local(name, 1, f"./{source[kind]}")

    def _choose(self, groups: Iterable[str]) -> None:
        """Choose the requested extras and the extra named like the mode."""
        wanted = [*self.extras, self.mode]
        self.chosen_extras += [name for name in dict.fromkeys(wanted) if name in set(groups)]

    def _setup(self) -> None:
        """Read setup.cfg and setup.py without running them."""
        self.project = True
        config = self.text_of("setup.cfg") if self.has_file("setup.cfg") else ""
        setup = self.text_of("setup.py") if self.has_file("setup.py") else SETUP
        package = setup_files.of_setup(config, setup)
        if package is None:
            self._add_dynamic("setup.py")
            return
        self.python = package.python
        self.known |= package.extras.keys()
        self._choose(package.extras)
        self.requirements += package.required
        self.requirements += setup_files.expanded(package.name, package.extras, self.chosen_extras)
        self.notes.append(f"setup.py: {setup_files.number(self.requirements)}; a package")

    def _add_dynamic(self, name: str) -> None:
        """Record a package whose dependencies and extras are known only when it is built."""
        self.project = self.dynamic = True
        self.known |= {*self.extras}
        self.chosen_extras = list(dict.fromkeys([*self.extras, *self.chosen_extras]))
        self.notes.append(f"{name}: a package whose dependencies are known only when it is built")

    def _requirement_file(self, name: str) -> None:
        before = len(self.problems)
        needs_code = self.included(name, [])
        if len(self.problems) > before:
            return
        if needs_code:
            self.late_requirement_files.append(name)
            why = "; lists the directory itself, so it is installed after the code is copied"
        else:
            self.requirement_files.append(name)
            why = ""
        self.notes.append(f"{name}: dependencies{why}")

    # ---- conda

    def _environment(self, path: pathlib.Path) -> None:
        """Read an environment.yml: its pip section and the Python version."""
        try:
            root = yaml.compose(self.text_of(path.name), Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as error:
            self.add_problem(path.name, f"invalid YAML: {error.reason}")
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.add_problem(path.name, f"invalid YAML: {error.problem}", line, column)
            return
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        for key, value in pairs:
            if key.value == "dependencies" and isinstance(value, yaml.SequenceNode):
                for node in value.value:
                    self._conda_entry(path.name, node)
            elif key.value == "dependencies":
                line, column = value.start_mark.line + 1, value.start_mark.column + 1
                self.add_problem(path.name, "'dependencies' must be a list", line, column)
        self.notes.append("environment.yml: the pip section")

    def _conda_entry(self, name: str, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, part in node.value:
                line, column = part.start_mark.line + 1, part.start_mark.column + 1
                if key.value != "pip" or not isinstance(part, yaml.SequenceNode):
                    self.add_problem(
                        name,
                        f"{key.value!r} is invalid; only a list under 'pip' is allowed here",
                        line,
                        column,
                    )
                    continue
                for requirement in part.value:
                    self._pip_entry(name, requirement)
            return
        package = str(node.value).split("::")[-1].strip()
        match = re.match(r"([\w.-]+)\s*(.*)", package)
        bare, version = match.groups() if match else (package, "")
        if bare == "python" and version:
            specifier = setup_files.specifier(version)
            self.python = f"{self.python},{specifier}" if self.python else specifier
        if bare not in FREE_CONDA:
            message = (
                f"conda package {package!r} cannot be installed; add it to the pip section, add a "
                "Debian package to apt.txt, or use a base image that has it (--base); to skip the "
                f"file, pass --ignore {name}"
            )
            self.add_problem(name, message, node.start_mark.line + 1, node.start_mark.column + 1)

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
            self.project = self.dynamic = True
        elif text.startswith("-") or not text:
            message = f"{text!r} is not supported here; move it to a requirements.txt"
            self.add_problem(name, message, line, column)
        else:
            self.requirements.append(text)
