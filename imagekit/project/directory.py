"""Read the files of a code directory; collect problems and messages for the user."""

from __future__ import annotations

import codecs
import contextlib
import fnmatch
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from imagekit.errors import ConfigError, Place, Problem
from imagekit.project import parsing
from imagekit.project.settings import load_toml
from imagekit.support import aliases, files, json_text, yaml_reader

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks that both pip and uv understand (pip.pypa.io/en/stable/reference/
requirements-file-format/#encoding). PowerShell's `>` writes UTF-16."""


MAX_VALUES = 10_000
"""The number of values that a YAML file may stand for; or as many as it has bytes."""


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
        self._kinds: dict[str, str] = {}
        self._names: list[str] | None = None
        self._reals: dict[str, pathlib.PurePath | None] = {}

    def has_file(self, name: str) -> bool:
        """Return whether a file exists and is not ignored; report links that cannot be copied."""
        if name in self.ignored:
            return False
        kind = self._kind(name)
        if kind == "link":
            self.add_problem(name, f"{name} is a broken link")
        elif kind and (wrong := parsing.not_one_line(name)):
            self.add_problem(name, f"the name of this file cannot be used: {wrong}")
        elif kind and not self.is_inside(name):
            self.add_problem(name, f"{name} links outside the directory; replace it with a copy")
        else:
            return kind == "file"
        return False

    def _kind(self, name: str) -> str:
        """Return what has a name, after links: a file, a folder, a broken link, or nothing."""
        if name not in self._kinds:
            self._kinds[name] = _kind(self.root / name)
        return self._kinds[name]

    def is_file(self, name: str) -> bool:
        """Return whether a path is a regular file."""
        return self._kind(name) == "file"

    def is_folder(self, name: str) -> bool:
        """Return whether a path is a folder."""
        return self._kind(name) == "folder"

    def exists(self, name: str) -> bool:
        """Return whether a path is a file or a folder; nothing else can be copied."""
        return self._kind(name) in ("file", "folder")

    def is_root(self, name: str) -> bool:
        """Return whether a path is the directory itself."""
        return self.is_folder(name) and self._real(name) == self._real(".")

    def is_inside(self, name: str) -> bool:
        """Return whether a path, with links resolved, is inside the directory."""
        real = self._real(name)
        return real is not None and real.is_relative_to(self._real(".") or self.root)

    def _real(self, name: str) -> pathlib.PurePath | None:
        """Return a path without links; None if it is not a valid one."""
        if name not in self._reals:
            try:
                # A loop of links is a broken link, which `has_file` reports.
                self._reals[name] = pathlib.PurePath(os.path.realpath(self.root / name))
            except (OSError, ValueError):
                self._reals[name] = None
        return self._reals[name]

    def names(self, *patterns: str) -> list[str]:
        """Return the files that match a glob and are not ignored, sorted."""
        found: set[str] = set()
        for pattern in patterns:
            if "/" in pattern:
                found.update(_glob(self.root, pattern))
            else:
                found.update(fnmatch.filter(self._listed(), pattern))
        return sorted(name for name in found if self.has_file(name))

    def _listed(self) -> list[str]:
        """Return the names in the directory itself."""
        if self._names is None:
            self._names = []
            with contextlib.suppress(OSError):
                self._names = os.listdir(self.root)  # noqa: PTH208 - only names are needed
        return self._names

    def text_of(self, name: str, limit: int = files.DOCKERFILE) -> str:
        """Return the text of a file; if it cannot be read, report it and return an empty text."""
        self.used.add(name)
        try:
            content = files.read_bytes(self.root / name, limit, within=self.root)
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
                self._tables[name] = load_toml(self.root / name, within=self.root)
            except ConfigError as error:
                self._tables[name] = {}
                self.problems += error.problems
        return self._tables[name]

    def yaml_of(self, name: str, form: yaml_reader.Form) -> yaml_reader.Source | None:
        """Return the content of a YAML file; if it is invalid, report it and return None."""
        before = len(self.problems)
        data = self.text_of(name).encode()
        if len(self.problems) == before:
            try:
                source = yaml_reader.parse(data, str(self.root / name), form)
            except ConfigError as error:
                self.problems += error.problems
                return None
            if aliases.stands_for(source.value) <= max(MAX_VALUES, len(data)):
                return source
            self.add_problem(name, "the aliases of this file stand for too many values")
        return None

    def json_of(self, name: str, hint: str) -> dict[str, Any]:
        """Return the content of a JSON file; if it is invalid, report it and return no content."""
        before = len(self.problems)
        content = self.text_of(name, files.LOCK)
        try:
            return json_text.decode(content, dict[str, Any])
        except ValueError as error:
            if len(self.problems) == before:
                at = re.search(r" \(byte (\d+)\)$", str(error))
                line = content.encode()[: int(at[1])].count(b"\n") + 1 if at else 1
                self.add_problem(name, f"invalid JSON; {hint} ({error})", line)
            return {}

    def check_name(self, kind: str, name: str, file: str, line: int = 1, column: int = 1) -> bool:
        """Return whether a name is valid; report one that is not. `kind` is what it names."""
        if parsing.is_name(name):
            return True
        self.add_problem(
            file, f"{parsing.short(name)!r} is not a valid name of {kind}", line, column
        )
        return False

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


def _kind(path: pathlib.Path) -> str:
    try:
        if path.is_file():
            return "file"
        if path.is_dir():
            return "folder"
        return "link" if path.is_symlink() and not path.exists() else ""
    except OSError:
        # Such as a name that is too long, or a folder that may not be entered.
        return ""


def _glob(root: pathlib.Path, pattern: str) -> list[str]:
    try:
        return [path.relative_to(root).as_posix() for path in root.glob(pattern)]
    except (OSError, ValueError, NotImplementedError, RecursionError):
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
