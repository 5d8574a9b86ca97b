"""Writing a file: compared with what is there, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator

from imagekit.changes import Changes, compare_files
from imagekit.errors import DriftError, UsageError


def write(text: str, path: str | pathlib.Path, *, check: bool = False) -> Changes:
    """Make a file hold a text, and tell what that changed.

    With `check`, nothing is written, and DriftError says what is out of date.
    Raises UsageError where the file cannot be read or written.
    """
    target = pathlib.Path(path)
    if target.is_dir():
        raise UsageError(f"{path}: cannot be written: it is a folder")
    before = _read(target)
    changes = compare_files(before, text)
    if check and before is None:
        raise DriftError(f"{target} does not exist. Generate it and commit it.")
    if check and changes:
        difference = "\n".join(f"  {line}" for line in changes.lines())
        raise DriftError(
            f"{target} is out of date ({changes.summary()}):\n{difference}\n"
            "Generate it again and commit it."
        )
    if before != text:
        replace(target, text.encode())
    return changes


def replace(path: pathlib.Path, data: bytes) -> None:
    """Put a whole file in place of another in one step, so that nobody ever sees half of it.

    A link keeps pointing where it points, and the file keeps its mode. What is no file, such as
    /dev/stdout or a pipe, is written to as it is.
    """
    target = pathlib.Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        if _is_special(target):
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


def _is_special(path: pathlib.Path) -> bool:
    return path.exists() and not path.is_file()


@contextlib.contextmanager
def _removed_on_failure(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read(path: str | pathlib.Path) -> str:
    """A file's text. Raises UsageError where it cannot be read."""
    text = _read(pathlib.Path(path))
    if text is None:
        raise UsageError(f"{path}: cannot be read: there is no such file")
    return text


def _read(path: pathlib.Path) -> str | None:
    if _is_special(path) and not path.is_dir():
        # Nothing stays in a device or a pipe that a new document could be compared with.
        return None
    try:
        # What is no UTF-8 is no document of ours; it only has to differ.
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
