"""Read text files and replace files atomically."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator

from imagekit.errors import UsageError
from imagekit.support import log


def replace_file(path: pathlib.Path, data: bytes) -> None:
    """Replace a file atomically, so that no reader sees a partial file.

    A symbolic link is followed, and the file keeps its mode. A path that is not a regular file,
    such as /dev/stdout or a pipe, is written to directly. Raises UsageError if it cannot be
    written.
    """
    target = pathlib.Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.urandom(4).hex()}.tmp")
    log.debug("writing %s", path)
    try:
        if is_special(target):
            target.write_bytes(data)
            return
        mode = target.stat().st_mode & 0o7777 if target.exists() else None
        with _removed_on_failure(temporary), temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            temporary.replace(target)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def is_special(path: pathlib.Path) -> bool:
    """Whether a path exists and is not a regular file: a device, a pipe or a folder."""
    return path.exists() and not path.is_file()


@contextlib.contextmanager
def _removed_on_failure(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_text(path: str | pathlib.Path) -> str:
    """Return a file's text. Raises UsageError if it cannot be read."""
    text = read_if_there(pathlib.Path(path))
    if text is None:
        raise UsageError(f"{path}: cannot be read: no such file")
    return text


def read_if_there(path: pathlib.Path) -> str | None:
    """Return a file's text, or None if it does not exist or is a device or a pipe.

    Raises UsageError if it cannot be read.
    """
    if is_special(path) and not path.is_dir():
        # A device or a pipe has no content to compare a new document with.
        return None
    log.debug("reading %s", path)
    try:
        # A file that is not UTF-8 was not generated here; it only has to differ.
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def read_utf8(path: str) -> str:
    """Return a file's text. Raises OSError or UnicodeDecodeError if it cannot be read."""
    log.debug("reading %s", path)
    return pathlib.Path(path).read_text(encoding="utf-8")


def sha256(path: str | pathlib.Path) -> str | None:
    """Return a file's SHA-256 in hexadecimal, or None if it cannot be read."""
    import hashlib

    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
