"""Files by path and hash, wherever they are: what `imagekit.support.checkout` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, Protocol

Kind = Literal["file", "folder", "link"]


class Tree(Protocol):
    """Files by their path from the root."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""

    def hash(self, path: str) -> str | None:
        """SHA-256 behind "x" or "-" for executable; None where there is no such file."""

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """What is in a folder, by name; nothing where there is no such folder."""


def content_hash(data: bytes, *, executable: bool) -> str:
    """A file's SHA-256 in hexadecimal, behind "x" or "-" for executable."""
    return ("x" if executable else "-") + hashlib.sha256(data).hexdigest()
