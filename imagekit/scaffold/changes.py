"""What `imagekit init` does to each file of a family, decided before anything is written."""

from __future__ import annotations

import contextlib
import difflib
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from imagekit.errors import UsageError
from imagekit.support.files import is_special, read_bytes, replace_file

Action = Literal["add", "replace", "remove", "merge", "conflict", "beside", "keep"]

SIGNS: dict[Action, str] = {
    "add": "+",
    "replace": "~",
    "remove": "-",
    "merge": "~",
    "conflict": "!",
    "beside": "!",
    "keep": "=",
}
"""What a list of files shows before each."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one file."""

    path: str
    """The file, relative to the root of the family."""
    action: Action
    """What happens."""
    why: str = ""
    """What the user should know of it."""
    before: bytes | None = None
    """The present text of `target`; None if it does not exist."""
    after: bytes | None = None
    """The text that is written to `target`; None to remove it."""
    target: str = ""
    """The file that is written, if it is not `path`; it lies beside it."""
    again: bool = False
    """Whether the next update has to try again what failed for a reason outside of the files."""

    @property
    def written(self) -> str | None:
        """The file that is written or removed; None if everything stays as it is."""
        return None if self.action == "keep" else self.target or self.path

    def line(self) -> str:
        """One line of a list of files."""
        return f"{SIGNS[self.action]} {self.path}{': ' if self.why else ''}{self.why}"

    def diff(self) -> Iterator[str]:
        """The lines of a unified diff; none if everything stays as it is."""
        if self.written is not None:
            old, new = (_lines(text) for text in (self.before, self.after))
            yield from difflib.unified_diff(old, new, self.path, self.written, lineterm="")


def _lines(text: bytes | None) -> list[str]:
    return (text or b"").decode(errors="replace").splitlines()


def present(root: pathlib.Path, path: str) -> bytes | None:
    """The text of a file; None if it does not exist. Raises UsageError if it cannot be read."""
    place = root / path
    try:
        return read_bytes(place)
    except (FileNotFoundError, NotADirectoryError):
        if place.is_symlink():
            raise UsageError(f"{place}: is a link to nothing; move it away") from None
        return None
    except OSError as error:
        raise UsageError(f"{root / path}: cannot be read: {error.strerror}") from None


def check_places(root: pathlib.Path, paths: Iterable[str]) -> None:
    """Raise UsageError, naming each file that cannot be written because of what is in its place."""
    wrong: dict[str, str] = {}
    for path in paths:
        place = root / path
        for above in place.parents:
            if above.is_dir():
                break
            if os.path.lexists(above):
                wrong[str(above)] = "is not a folder"
        if is_special(place):
            wrong[str(place)] = "is a folder" if place.is_dir() else "is not a regular file"
    if wrong:
        raise UsageError(
            "\n".join(f"{name}: {reason}; move it away" for name, reason in wrong.items())
        )


def write(root: pathlib.Path, texts: dict[str, bytes | None]) -> None:
    """Write files, or remove those whose text is None: all of them, or none if one fails.

    Raises UsageError if one cannot be written.
    """
    before = {path: present(root, path) for path in texts}
    folders: list[pathlib.Path] = []
    try:
        for path, text in texts.items():
            _make_folder((root / path).parent, folders)
            _put(root / path, text)
    except BaseException as error:
        for path, text in before.items():
            with contextlib.suppress(OSError, UsageError):
                if present(root, path) != text:
                    _put(root / path, text)
        for folder in reversed(folders):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from None
        raise


def _make_folder(folder: pathlib.Path, made: list[pathlib.Path]) -> None:
    """Make a folder and those above it, and add each to `made`."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir()
        made.append(place)


def _put(path: pathlib.Path, text: bytes | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        replace_file(path, text)
