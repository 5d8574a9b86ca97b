"""The `Tree` interface: files by path and hash. `imagekit.support.checkout` implements it."""

from __future__ import annotations

from collections.abc import Iterable
from io import BufferedReader
from typing import Literal, Protocol

Kind = Literal["file", "folder", "link"]


class Tree(Protocol):
    """Files by their path relative to the root."""

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None if the file does not exist."""

    def hash(self, path: str) -> str | None:
        """Return "x" (executable) or "-", then the SHA-256; None if the file does not exist."""

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """Return the names and kinds of a folder's entries; empty if it does not exist."""


def content_hash(data: bytes, *, executable: bool) -> str:
    """Return "x" (executable) or "-", then the SHA-256 in hexadecimal."""
    import hashlib  # Not at the top: only a few commands compare files.

    return ("x" if executable else "-") + hashlib.sha256(data).hexdigest()


def file_hash(file: BufferedReader, *, executable: bool) -> str:
    """Return the same of an open file, which is not read as a whole."""
    import hashlib

    return ("x" if executable else "-") + hashlib.file_digest(file, "sha256").hexdigest()
