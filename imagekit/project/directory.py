"""Read the files of a code directory; collect problems and messages for the user."""

from __future__ import annotations

import codecs
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from imagekit.errors import ConfigError, Place, Problem
from imagekit.project import dockerignore
from imagekit.project.settings import load_toml

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks that both pip and uv understand (pip.pypa.io/en/stable/reference/
requirements-file-format/#encoding). PowerShell's `>` writes UTF-16."""


class Directory:
    """A code directory: its files by name, and what was found out about them."""

    def __init__(self, root: pathlib.Path, ignored: Sequence[str] = ()) -> None:
        self.root, self.ignored = root, tuple(ignored)
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.used: set[str] = set()
        """The files whose content has an effect on the image, or a message of its own."""
        self.declares_nothing: set[str] = set()
        """Files that only configure tools."""
        self._tables: dict[str, dict[str, Any]] = {}

    def has_file(self, name: str) -> bool:
        """Return whether a file exists and is not ignored; report links that cannot be copied."""
        path = self.root / name
        if name in self.ignored:
            return False
        if path.is_symlink() and not path.exists():
            self.add_problem(name, f"{name} is a broken link")
            return False
        if path.is_symlink() and not self.is_inside(name):
            self.add_problem(name, f"{name} links outside the directory; replace it with a copy")
            return False
        return path.is_file()

    def is_inside(self, name: str) -> bool:
        """Return whether a path, with links resolved, is inside the directory."""
        return "\0" not in name and dockerignore.is_inside(self.root / name, self.root)

    def names(self, *patterns: str) -> list[str]:
        """Return the files that match a glob and are not ignored, sorted."""
        found = {
            path.relative_to(self.root).as_posix() for p in patterns for path in _glob(self, p)
        }
        return sorted(name for name in found if self.has_file(name))

    def text_of(self, name: str) -> str:
        """Return the text of a file; if it cannot be read, report it and return an empty text."""
        self.used.add(name)
        try:
            content = (self.root / name).read_bytes()
            marks = (encoding for mark, encoding in BYTE_ORDER_MARKS if content.startswith(mark))
            return content.decode(next(marks, "utf-8"))
        except UnicodeDecodeError:
            self.add_problem(name, f"{name} is not valid UTF-8; save it as UTF-8")
        except OSError as error:
            self.add_problem(name, f"{name} cannot be read: {error.strerror}")
        return ""

    def toml_of(self, name: str) -> dict[str, Any]:
        """Return the content of a TOML file; if it is invalid, report it and return no content."""
        self.used.add(name)
        if name not in self._tables:
            try:
                self._tables[name] = load_toml(self.root / name)
            except ConfigError as error:
                self._tables[name] = {}
                self.problems += error.problems
        return self._tables[name]

    def add_problem(self, name: str, message: str, line: int = 1, column: int = 1) -> None:
        """Record a problem of a file."""
        place = Place(str(self.root / name), line, column)
        self.problems.append(Problem(message=message, place=place))

    def check_secret(self, name: str, line: int, text: str) -> None:
        """Report credentials in a URL, which a layer or the image's history would store."""
        if re.search(r"://[^/\s@$]+@", text) and not re.search(r"(ssh|git)(\+\w+)?://git@", text):
            message = (
                "the URL contains credentials, which would be stored in the image; move them to a "
                "netrc file and pass it to the build: --secret id=netrc,src=$HOME/.netrc"
            )
            self.add_problem(name, message, line)


def _glob(directory: Directory, pattern: str) -> list[pathlib.Path]:
    try:
        return list(directory.root.glob(pattern))
    except OSError:
        return []


def table(value: Any, *keys: str) -> dict[str, Any]:
    """Return a table within a TOML value; an empty one where something else is, or nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def tables(value: Any, *keys: str) -> list[dict[str, Any]]:
    """Return an array of tables within a TOML value; without what is no table."""
    array = table(value, *keys[:-1]).get(keys[-1])
    return [item for item in array if isinstance(item, dict)] if isinstance(array, list) else []


def strings(value: Any) -> list[str]:
    """Return the texts of an array; without what is no text."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def text(value: Any) -> str:
    """Return a text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""
