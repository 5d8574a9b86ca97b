"""The dependencies that a code directory declares, whatever files it declares them in."""

from __future__ import annotations

import ast
import configparser
import pathlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import yaml

from imagekit.errors import ConfigError, Place, Problem, did_you_mean
from imagekit.project.settings import load_toml, place_of

Lock = Literal["uv.lock", "pylock.toml"]

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


def read(directory: pathlib.Path, extras: Sequence[str], mode: str) -> Declared:
    """What a directory declares, with these extras, and those called like the mode.

    Raises ConfigError with everything that is wrong, or cannot be installed here.
    """
    reader = _Reader(directory, extras, mode)
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


class _Reader:
    """Goes through the files of a directory, and gathers what they say and what is wrong."""

    def __init__(self, directory: pathlib.Path, extras: Sequence[str], mode: str) -> None:
        self.directory = directory
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
        if self._is_there("setup.py") and not self.project:
            self._setup()
        if self._is_there("requirements.txt"):
            self._requirement_file("requirements.txt")
        if self._is_there("environment.yml"):
            self._environment(self.directory / "environment.yml")
        if self._is_there("apt.txt"):
            lines = (self.directory / "apt.txt").read_text(encoding="utf-8").splitlines()
            self.apt += [word for line in lines for word in line.partition("#")[0].split()]
            self.notes.append(f"apt.txt: {len(self.apt)} Debian packages")
        for extra in self.extras:
            if extra not in self.known:
                near = did_you_mean(extra, self.known)
                has = near or (f"; there is {', '.join(sorted(self.known))}" if self.known else "")
                message = f"no extra is called {extra!r} in {self.directory}{has}"
                self.problems.append(Problem(message=message))

    def _is_there(self, name: str) -> bool:
        path = self.directory / name
        if path.is_symlink() and not self._is_inside(path):
            self._wrong(name, f"{name} is a link that leads out of the directory; copy the file in")
            return False
        return path.is_file()

    def _is_inside(self, path: pathlib.Path) -> bool:
        return path.resolve().is_relative_to(self.directory.resolve())

    def _wrong(self, name: str, message: str, line: int = 1, column: int = 1) -> None:
        place = Place(str(self.directory / name), line, column)
        self.problems.append(Problem(message=message, place=place))

    # ---- packages

    def _pyproject(self, path: pathlib.Path) -> None:
        tables = load_toml(path)
        about = tables.get("project", {})
        self.python = about.get("requires-python", "")
        self.project = "build-system" in tables
        groups = about.get("optional-dependencies", {})
        self.known |= groups.keys()
        self._choose(groups)
        locks: tuple[Lock, ...] = ("uv.lock", "pylock.toml")
        for name in locks:
            if self._is_there(name):
                self.lock = name
                self.files += [name, "pyproject.toml"] if name == "uv.lock" else [name]
                self.notes.append(f"{name}: the exact versions of everything")
                return
        dynamic = set(about.get("dynamic", ())) & {"dependencies", "optional-dependencies"}
        if dynamic or ("project" not in tables and self.project):
            self.whole = True
            self.notes.append("pyproject.toml: a package whose dependencies only its build knows")
            return
        self.requirements += about.get("dependencies", [])
        self.requirements += self._expanded(about.get("name", ""), groups, self.chosen)
        what = "a package" if self.project else "no package, its code is used where it lies"
        self.notes.append(f"pyproject.toml: {len(self.requirements)} dependencies; {what}")

    def _choose(self, groups: Iterable[str]) -> None:
        """The extras that are wanted: those that were named, and the mode's own."""
        wanted = [*self.extras, self.mode]
        self.chosen += [name for name in dict.fromkeys(wanted) if name in set(groups)]

    def _expanded(
        self, name: str, groups: Mapping[str, list[str]], wanted: Iterable[str]
    ) -> Iterator[str]:
        """The requirements of extras; one may name others of the same package."""
        own = re.compile(rf"{re.escape(_plain(name))}\[([^\]]*)\]\s*$") if name else None
        waiting, seen = list(wanted), set[str]()
        while waiting:
            extra = waiting.pop(0)
            if extra in seen:
                continue
            seen.add(extra)
            for text in groups.get(extra, ()):
                match = own.match(_plain(text)) if own else None
                if match:
                    waiting += [part.strip() for part in match[1].split(",")]
                else:
                    yield text

    def _setup(self) -> None:
        """setup.cfg and setup.py, as far as they say it without being run."""
        self.project = True
        found = _from_cfg(self.directory / "setup.cfg") or _from_setup(self.directory / "setup.py")
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
        self.notes.append(f"setup.py: {len(required)} dependencies; a package")

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
        text = (self.directory / name).read_text(encoding="utf-8-sig", errors="replace")
        needs_code = False
        for number, line in _logical_lines(text):
            match = re.match(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S.*)", line)
            if match:
                needs_code |= self._include(name, number, match[1].strip(), [*above, name])
                continue
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
        target = re.sub(r"^(?:-e|--editable)[\s=]+", "", line)
        target = target.removeprefix("file:")
        if not (target.startswith(("./", "../", "/")) or target.split("[")[0] in (".", "..")):
            return False
        path = (self.directory / name).parent / target.split("[")[0].split(" ;")[0].strip()
        if not self._is_inside(path):
            message = f"{target} lies outside the directory; copy it in, or name a repository"
            self._wrong(name, message, number)
        elif path.resolve() == self.directory.resolve():
            return True
        elif not path.exists():
            self._wrong(name, f"{target}: there is no such file or folder", number)
        else:
            self.folders.add(path.resolve().relative_to(self.directory.resolve()).as_posix())
        return False

    # ---- conda

    def _environment(self, path: pathlib.Path) -> None:
        """An environment.yml: its pip part, and the version of Python."""
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
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
        self.notes.append("environment.yml: its pip part")

    def _conda_entry(self, name: str, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            for _, part in node.value:
                for requirement in part.value if isinstance(part, yaml.SequenceNode) else ():
                    self._pip_entry(name, requirement)
            return
        package = str(node.value).split("::")[-1]
        bare, version = re.match(r"([\w.-]+)\s*=*\s*([\d.]*)", package).groups()  # type: ignore[union-attr]
        if bare == "python" and version:
            self.python = f"=={version}.*" if version.count(".") < 2 else f"=={version}"
        if bare not in FREE_CONDA:
            message = (
                f"conda's package {package!r} cannot be installed here; name it in the pip part, a "
                "Debian package in apt.txt, or a base image of your own that has it (--base)"
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


def _plain(name: str) -> str:
    """A package's name as PyPI compares it, at the beginning of a text."""
    head = re.match(r"[\w.-]*", name)
    bare = head[0] if head else ""
    return re.sub(r"[-_.]+", "-", bare).lower() + name[len(bare) :]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a requirement file as pip reads them, each with the number it begins at."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if joined else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line[:-1]
            continue
        whole = re.sub(r"(^|\s)#.*$", "", joined + line).strip()
        joined = ""
        if whole:
            yield first, whole


Required = tuple[list[str], dict[str, list[str]]]
"""What a package always needs, and what its extras need."""


def _from_cfg(path: pathlib.Path) -> Required | None:
    if not path.is_file():
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except configparser.Error:
        return None
    required = _lines(parser.get("options", "install_requires", fallback=""))
    section = "options.extras_require"
    extras = dict(parser.items(section)) if parser.has_section(section) else {}
    groups = {name: _lines(text) for name, text in extras.items()}
    says = required or groups
    return (required, groups) if says and "file:" not in str(says) else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _from_setup(path: pathlib.Path) -> Required | None:
    """The literal arguments of a `setup(…)` call; None where they are computed."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "setup" in ast.unparse(node.func).split("."):
            given = {word.arg: word.value for word in node.keywords}
            if None in given:
                return None
            return _literal(given.get("install_requires"), given.get("extras_require"))
    return None


def _literal(required: ast.expr | None, extras: ast.expr | None) -> Required | None:
    try:
        found: Any = [] if required is None else ast.literal_eval(required)
        groups: Any = {} if extras is None else ast.literal_eval(extras)
        return [str(text) for text in found], {str(k): [*map(str, v)] for k, v in groups.items()}
    except (ValueError, TypeError, AttributeError):
        return None


def requirement_place(directory: pathlib.Path) -> Place:
    """Where a project says which Python it needs."""
    return place_of(directory / "pyproject.toml", "requires-python", "project")
