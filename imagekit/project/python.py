"""Which versions of Python a project asks for, and in which files."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from imagekit.errors import Place, Problem
from imagekit.project import parsing
from imagekit.project.directory import Directory, table, tables, text
from imagekit.project.settings import place_of

VERSIONS = [
    f"{minor}.{micro}"
    for minor in ("2.7", *(f"3.{number}" for number in range(40)))
    for micro in range(40)
]
"""Versions of Python, to find out whether files agree on any."""


class PythonRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of Python that a file asks for."""

    file: str
    """The name of the file."""
    text: str
    """The versions: a specifier, such as `>=3.11`, or a constraint in Poetry's syntax."""
    syntax: Literal["specifier", "poetry"] = "specifier"
    """The syntax of `text`."""
    pinned: bool = False
    """Whether the file chooses a version among those that the project works with."""
    place: Place
    """The position of the text."""

    def allows(self, version: str) -> bool:
        """Return whether a version such as 3.11.4 is allowed."""
        if self.syntax == "specifier":
            return parsing.specifier(self.text).contains(version, prereleases=True)
        # Poetry's carets, tildes and alternatives; only for Poetry's projects.
        from poetry.core.constraints.version import Version

        return bool(parsing.poetry_constraint(self.text).allows(Version.parse(version)))

    def error(self) -> str | None:
        """Return why the text is invalid, or None if it is valid."""
        try:
            self.allows("3.13.0")
        except ValueError as error:
            return str(error)
        return None


class Pythons:
    """Collects the requests of a directory's files."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.requests: list[PythonRequest] = []

    def add(
        self, file: str, value: object, key: str = "", within: str = "", **more: object
    ) -> None:
        """Add a request of a file; without a text, nothing. Report one that is invalid."""
        asked = text(value).strip()
        if not asked or (more.get("syntax") == "poetry" and asked == "*"):
            return
        path = self.directory.root / file
        place = place_of(path, key, within) if key else Place(str(path), 1, 1)
        request = PythonRequest(file=file, text=asked, place=place, **more)  # type: ignore[arg-type]
        if error := request.error():
            message = f"{error}; write the versions of Python like '>=3.11'"
            self.directory.problems.append(Problem(message=message, place=place))
        else:
            self.requests.append(request)

    def pin(self, file: str, version: str) -> None:
        """Add the version that a file chooses; of 3.11.4, its minor version 3.11."""
        minor = re.match(r"(\d+(?:\.\d+)?)", version)
        if minor:
            self.add(file, f"=={minor[1]}.*", pinned=True)

    def files(self, folder: str = "") -> None:
        """Read the files that only choose a version of Python, in this folder."""
        readers = (
            (".python-version", r"(?:cpython-?|python-?)?(\d[\w.]*)|([<>=!~].*)"),
            ("runtime.txt", r"python-(\d[\w.]*)"),
            (".tool-versions", r"python\s+(\d[\w.]*)"),
        )
        for name, pattern in readers:
            if self.directory.has_file(f"{folder}{name}"):
                self._file(f"{folder}{name}", pattern)

    def _file(self, name: str, pattern: str) -> None:
        lines = (
            line.partition("#")[0].strip() for line in self.directory.text_of(name).split("\n")
        )
        named = [line for line in lines if line]
        if name.endswith(".tool-versions"):
            named = [line for line in named if line.startswith("python ")]
        if not named:
            return
        match = re.fullmatch(pattern, named[0])
        if match is None:
            message = (
                f"{named[0]!r} is not a version of CPython that an image can be chosen by; write "
                f"one like 3.13, or pass --ignore {name}"
            )
            self.directory.add_problem(name, message)
        elif match[1]:
            self.pin(name, match[1])
        else:
            self.add(name, match[2], pinned=True)


def locked(pythons: Pythons, name: str) -> None:
    """Read the versions that a lock file was made for."""
    toml = pythons.directory.toml_of(name)
    if name == "poetry.lock":
        asked = table(toml, "metadata").get("python-versions")
        pythons.add(name, asked, "python-versions", "metadata", syntax="poetry")
    elif name == "pdm.lock":
        targets = {text(t.get("requires_python")) for t in tables(toml, "metadata", "targets")}
        # Of several targets, any may be the image.
        if len(targets) == 1:
            pythons.add(name, targets.pop(), "requires_python", "metadata.targets")
    else:
        pythons.add(name, toml.get("requires-python"), "requires-python")


def of_setup(source: str) -> str:
    """Return the literal `python_requires` of a setup.py; empty if there is none."""
    value = keyword(source, "python_requires")
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def keyword(source: str, name: str) -> ast.expr | None:
    """Return the value of a keyword argument in Python code; None if there is none."""
    words = (node for node in ast.walk(parsing.python(source)) if isinstance(node, ast.keyword))
    return next((word.value for word in words if word.arg == name), None)


def disagreement(requests: Sequence[PythonRequest]) -> Iterable[Problem]:
    """Return a problem if no version of Python is allowed by all files that ask for one."""
    # Most agree, and on new versions: one is enough to know it.
    if any(all(request.allows(v) for request in requests) for v in reversed(VERSIONS)):
        return
    allowed = {request: {v for v in VERSIONS if request.allows(v)} for request in requests}
    if not all(allowed.values()):
        return
    pairs = itertools.combinations(requests, 2)
    apart = next((pair for pair in pairs if not allowed[pair[0]] & allowed[pair[1]]), requests)
    named = " and ".join(f"{request.file} ({request.text})" for request in apart)
    message = (
        f"{named} ask for different versions of Python; change one, or pass --ignore with the "
        "file that does not count"
    )
    yield Problem(message=message, place=apart[-1].place)
