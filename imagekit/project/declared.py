"""The dependencies that a code directory declares, whatever files it declares them in."""

from __future__ import annotations

import pathlib
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
import yaml

from imagekit.errors import ConfigError, Place, Problem, counted, did_you_mean
from imagekit.project import context, packages
from imagekit.project.settings import load_toml, place_of

Lock = Literal["uv.lock", "pylock.toml"]

DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[\w.+:~-]+)?")
"""A Debian package, perhaps with architecture and version
(debian.org/doc/debian-policy/ch-controlfields.html#source)."""

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


class _Reader:
    """Goes through the files of a directory, and gathers what they say and what is wrong."""

    def __init__(
        self, directory: pathlib.Path, extras: Sequence[str], mode: str, ignored: Sequence[str]
    ) -> None:
        self.directory = directory
        self.ignored = ignored
        self.extras, self.mode = extras, mode
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.files: list[str] = []
        self.folders: set[str] = set()
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
        if self._is_there("pyproject.toml"):
            self._pyproject(self.directory / "pyproject.toml")
        elif self._is_there("pylock.toml"):
            self._locked("pylock.toml")
        if self._is_there("setup.py") and not self.project:
            self._setup()
        if self._is_there("requirements.txt"):
            self._requirement_file("requirements.txt")
        for name in ("environment.yml", "environment.yaml"):
            if self._is_there(name):
                self._environment(self.directory / name)
        if self._is_there("apt.txt"):
            self._apt()
        if self._is_there(".python-version") and not self.python:
            found = re.match(r"(\d+\.\d+)", self._text(".python-version").strip())
            self.python = f"=={found[1]}.*" if found else ""
        for text in self.requirements:
            self._check_secret("pyproject.toml", 1, text)
        self._hint()
        self._check_extras()

    def _apt(self) -> None:
        for number, line in enumerate(self._text("apt.txt").splitlines(), start=1):
            for name in line.partition("#")[0].split():
                self.apt.append(name)
                if not DEBIAN.fullmatch(name):
                    self._wrong("apt.txt", f"{name!r} is no Debian package", number)
        self.notes.append(f"apt.txt: {counted(len(self.apt), 'Debian package')}")

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

    def _check_secret(self, name: str, line: int, text: str) -> None:
        """A login in an address would be in a layer, with the file or in the layer's history."""
        if re.search(r"://[^/\s@$]+@", text) and not re.search(r"(ssh|git)(\+\w+)?://git@", text):
            message = (
                "the address holds a login, which would be in a layer of the image; put it into "
                "a netrc and give that to the build: --secret id=netrc,src=$HOME/.netrc"
            )
            self._wrong(name, message, line)

    def _is_there(self, name: str) -> bool:
        path = self.directory / name
        if path.is_symlink() and not path.exists():
            self._wrong(name, f"{name} is a link that leads nowhere")
            return False
        if path.is_symlink() and not self._is_inside(path):
            self._wrong(name, f"{name} is a link that leads out of the directory; copy the file in")
            return False
        return path.is_file() and name not in self.ignored

    def _is_inside(self, path: pathlib.Path) -> bool:
        return context.is_inside(path, self.directory)

    def _text(self, name: str) -> str:
        try:
            return (self.directory / name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self._wrong(name, f"{name} is no UTF-8; save it as that")
        except OSError as error:
            self._wrong(name, f"{name} cannot be read: {error.strerror}")
        return ""

    def _wrong(self, name: str, message: str, line: int = 1, column: int = 1) -> None:
        place = Place(str(self.directory / name), line, column)
        self.problems.append(Problem(message=message, place=place))

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
            self._wrong(path.name, f"{key}: {reason}".lower(), place.line, place.column)
            return
        self.python = about.requires_python
        self.project = "build-system" in tables
        groups = about.optional_dependencies
        self.known |= groups.keys()
        self._choose(groups)
        locks: tuple[Lock, ...] = ("uv.lock", "pylock.toml")
        for name in locks:
            if self._is_there(name):
                self._locked(name)
                return
        sources = tables.get("tool", {}).get("uv", {}).get("sources")
        if sources:
            place = place_of(path, "sources", "tool.uv")
            message = (
                f"only uv knows where to get {', '.join(sources)}; run uv lock, so that the image "
                "gets what uv.lock says"
            )
            self._wrong(path.name, message, place.line, place.column)
        dynamic = set(about.dynamic) & {"dependencies", "optional-dependencies"}
        if dynamic or ("project" not in tables and self.project):
            self.whole = True
            self.notes.append("pyproject.toml: a package whose dependencies only its build knows")
            return
        self.requirements += about.dependencies
        self.requirements += packages.expanded(about.name, groups, self.chosen)
        if "project" not in tables:
            return
        what = "a package" if self.project else "no package, its code is used where it lies"
        self.notes.append(f"pyproject.toml: {packages.number(self.requirements)}; {what}")

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
                    self._local(name, 1, f"./{source[kind]}")

    def _choose(self, groups: Iterable[str]) -> None:
        """The extras that are wanted: those that were named, and the mode's own."""
        wanted = [*self.extras, self.mode]
        self.chosen += [name for name in dict.fromkeys(wanted) if name in set(groups)]

    def _setup(self) -> None:
        """setup.cfg and setup.py, as far as they say it without being run."""
        self.project = True
        config = self._text("setup.cfg") if self._is_there("setup.cfg") else ""
        found = packages.from_cfg(config) or packages.from_setup(self._text("setup.py"))
        if found is None:
            self.whole = True
            self.chosen += [*self.extras]
            self.known |= {*self.extras}
            self.notes.append("setup.py: a package whose dependencies only its build knows")
            return
        required, groups = found
        self.known |= groups.keys()
        self._choose(groups)
        self.requirements += required
        self.requirements += [text for extra in self.chosen for text in groups[extra]]
        self.notes.append(f"setup.py: {packages.number(required)}; a package")

    # ---- requirement files

    def _requirement_file(self, name: str) -> None:
        before = len(self.problems)
        needs_code = self._included(name, [])
        if len(self.problems) > before:
            return
        if needs_code:
            self.late.append(name)
            why = "; it names the directory itself, so it is installed with the code"
        else:
            self.requirement_files.append(name)
            why = ""
        self.notes.append(f"{name}: dependencies{why}")

    def _included(self, name: str, above: list[str]) -> bool:
        """Take over a requirement file and those that it includes. Whether it needs the code."""
        if name in above:
            return False
        text = self._text(name)
        needs_code = False
        for number, line in packages.logical_lines(text):
            match = re.match(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S.*)", line)
            if match:
                needs_code |= self._include(name, number, match[1].strip(), [*above, name])
                continue
            self._check_secret(name, number, line)
            needs_code |= self._local(name, number, line)
        self.files.append(name)
        return needs_code

    def _include(self, name: str, line: int, target: str, above: list[str]) -> bool:
        if re.match(r"\w+://", target):
            return False
        path = (self.directory / name).parent / target
        if not self._is_inside(path):
            self._wrong(name, f"{target} lies outside the directory; copy it in", line)
        elif not path.is_file():
            self._wrong(name, f"{target}: there is no such file", line)
        else:
            inside = path.resolve().relative_to(self.directory.resolve()).as_posix()
            return self._included(inside, above)
        return False

    def _local(self, name: str, number: int, line: str) -> bool:
        """A requirement that is a path: the folder is copied, or it is the directory itself."""
        target = re.sub(r"^(?:-e|--editable|-f|--find-links)[\s=]+", "", line)
        target = target.removeprefix("file:")
        bare = target.split("[")[0].split(" ;")[0].strip()
        path = (self.directory / name).parent / bare
        is_archive = bare.endswith((".whl", ".tar.gz", ".zip")) and path.is_file()
        is_links = target != line and not line.startswith(("-e", "--editable")) and path.is_dir()
        is_path = bare.startswith(("./", "../", "/")) or bare in (".", "..")
        if not (is_path or is_archive or is_links):
            return False
        if not self._is_inside(path):
            message = f"{target} lies outside the directory; copy it in, or name a repository"
            self._wrong(name, message, number)
        elif path.resolve() == self.directory.resolve():
            return True
        elif not path.exists():
            self._wrong(name, f"{target}: there is no such file or folder", number)
        else:
            inside = path.resolve().relative_to(self.directory.resolve()).as_posix()
            if path.is_dir():
                self.folders.add(inside)
            else:
                self.files.append(inside)
        return False

    # ---- conda

    def _environment(self, path: pathlib.Path) -> None:
        """An environment.yml: its pip part, and the version of Python."""
        try:
            root = yaml.compose(self._text(path.name), Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self._wrong(path.name, f"not well-formed: {error.problem}", line, column)
            return
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        for key, value in pairs:
            if key.value == "dependencies" and isinstance(value, yaml.SequenceNode):
                for node in value.value:
                    self._conda_entry(path.name, node)
            elif key.value == "dependencies":
                line, column = value.start_mark.line + 1, value.start_mark.column + 1
                self._wrong(path.name, "'dependencies' is no list", line, column)
        self.notes.append("environment.yml: its pip part")

    def _conda_entry(self, name: str, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            for _, part in node.value:
                for requirement in part.value if isinstance(part, yaml.SequenceNode) else ():
                    self._pip_entry(name, requirement)
            return
        package = str(node.value).split("::")[-1].strip()
        match = re.match(r"([\w.-]+)\s*(.*)", package)
        bare, version = match.groups() if match else (package, "")
        if bare == "python" and version:
            self.python = packages.specifier(version)
        if bare not in FREE_CONDA:
            message = (
                f"conda's package {package!r} cannot be installed here; name it in the pip part, a "
                "Debian package in apt.txt, or a base image of your own that has it (--base); or "
                f"leave the file aside: --ignore {name}"
            )
            self._wrong(name, message, node.start_mark.line + 1, node.start_mark.column + 1)

    def _pip_entry(self, name: str, node: yaml.Node) -> None:
        text = str(node.value)
        match = re.match(r"-r\s*(\S.*)", text)
        if match and (self.directory / match[1]).is_file():
            self._requirement_file(match[1])
        elif self._local(name, node.start_mark.line + 1, text):
            self.project = self.whole = True
        elif text.startswith("-"):
            words = shlex.split(text)
            message = f"the option {words[0]} is not read here; put it into a requirements.txt"
            self._wrong(name, message, node.start_mark.line + 1, node.start_mark.column + 1)
        else:
            self.requirements.append(text)
