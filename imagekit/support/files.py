"""Read and write files: regular files only, up to a size, and replaced atomically."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import io
import os
import pathlib
import re
import stat
from collections.abc import Callable, Iterator, Mapping

from imagekit.errors import UsageError, one_line
from imagekit.support import log, workspace

MB = 1_000_000
DOCKERFILE = 4 * MB
"""The maximum size of a Dockerfile, a .dockerignore or a requirements file, in bytes."""
SETTINGS = 4 * MB
"""The maximum size of settings, such as pyproject.toml or gcloud's."""
CONFIG = 64 * MB
"""The maximum size of a config."""
RECORD = 64 * MB
"""The maximum size of a report, a run record or a state file."""
LOCK = 32 * MB
"""The maximum size of a lock file of a project, or of other TOML of one."""
DOCUMENT = 512 * MB
"""The maximum size of a build file or a notebook."""

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
"""The names of files that are being written; see `replace_file`."""
SHELL = re.compile(r"/dev/(stdin|fd/\d+)|/proc/self/fd/\d+")
"""Paths that a shell gives for a pipe, as in `--config <(command)`."""
MAX_NAME = 50
"""The characters of a file's name in that of its temporary file; 255 bytes are possible."""


def read_bytes(
    path: str | pathlib.Path, limit: int = DOCUMENT, *, within: pathlib.Path | None = None
) -> bytes:
    """Return a file's bytes.

    Only a regular file is read, or a pipe that a shell made for the command, up to `limit` bytes.
    With `within`, the file must be in that folder, also after its links have been followed.
    Raises OSError, whose `strerror` is the reason, for anything else.
    """
    with open_file(path, within=within) as file:
        data = file.read(limit + 1)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"larger than {limit // MB} MB", str(path))
        return data


@contextlib.contextmanager
def open_file(
    path: str | pathlib.Path, *, within: pathlib.Path | None = None
) -> Iterator[io.BufferedReader]:
    """Open a file for reading, under the conditions of `read_bytes`."""
    log.debug("reading %s", path)
    name = str(path)
    try:
        if within is not None and not is_inside(pathlib.Path(path), within):
            raise OSError(errno.EXDEV, "a link leads out of the folder", name)
        # Opening a pipe would wait for its other end.
        number = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        # A NUL character, or half of a surrogate pair.
        raise OSError(errno.EINVAL, "not a valid path", one_line(name)) from None
    with open(number, "rb") as file:  # noqa: PTH123 - a descriptor
        mode = os.fstat(number).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and SHELL.fullmatch(name)):
            os.set_blocking(number, True)
            yield file
            return
        raise OSError(errno.EINVAL, "not a regular file", name)


def is_inside(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a path is in a folder after all links have been followed."""
    return pathlib.Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def tail(path: pathlib.Path, lines: int, limit: int = 64_000) -> list[str]:
    """Return the last lines of a text file, of at most `limit` bytes; empty if it cannot be read.

    The rest of the file is not read.
    """
    with contextlib.suppress(OSError), open_file(path) as file:
        start = max(0, file.seek(0, os.SEEK_END) - limit)
        file.seek(start)
        found = file.read(limit).decode(errors="replace").splitlines()
        # The first line may have lost its beginning.
        return found[1 if start and len(found) > 1 else 0 :][-lines:]
    return []


def create(path: pathlib.Path) -> io.BufferedWriter:
    """Create a file for writing, in place of one that may be there.

    A link is replaced and not followed: in a checkout of somebody else's, it may lead anywhere.
    """
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o666), "wb")  # noqa: PTH123 - for the caller


def append(path: pathlib.Path) -> io.BufferedWriter:
    """Open a file for writing at its end; it is created if it does not exist, no link followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(path, flags, 0o666), "ab")  # noqa: PTH123 - for the caller


def replace_file(path: pathlib.Path, data: bytes, *, follow: bool = True) -> None:
    """Replace a file atomically, so that no reader sees a partial file.

    A symbolic link is followed, and the file keeps its mode; without `follow`, the link itself is
    replaced. A link of the project that leads out of it is refused. A path that is not a regular
    file, such as /dev/stdout or a pipe, is written to directly. Raises UsageError if it cannot be
    written.
    """
    with staged({path: data}, follow=follow) as put:
        put(path)


@contextlib.contextmanager
def staged(
    files: Mapping[pathlib.Path, bytes | str], *, follow: bool = True
) -> Iterator[Callable[[pathlib.Path], None]]:
    """Write several files to the disk, and yield a function that puts one of them in its place.

    A text is written as UTF-8. A full disk thus replaces none of them. What is not put in its place
    is removed at the end. Each is written and replaced as by `replace_file`.
    """
    with contextlib.ExitStack() as stack:
        places: dict[pathlib.Path, tuple[pathlib.Path, pathlib.Path | None]] = {}
        for path, data in files.items():
            with _write_errors(path):
                if follow and is_special(path):
                    # What is no file, such as a pipe, can only be written to.
                    places[path] = path, None
                    continue
                target = _target(path) if follow else path.absolute()
                sweep(target.parent)
                places[path] = target, stack.enter_context(_temporary(target, data))

        def put(path: pathlib.Path) -> None:
            target, temporary = places[path]
            log.debug("writing %s", path)
            with _write_errors(path):
                if temporary is None:
                    with target.open("wb") as file:
                        file.writelines(_chunks(files[path]))
                else:
                    temporary.replace(target)

        yield put


def _target(path: pathlib.Path) -> pathlib.Path:
    """The file that a path leads to. A link in a checkout may lead out of it, to any file."""
    target = pathlib.Path(os.path.realpath(path))
    if path.is_symlink():
        root = workspace.root()
        if is_inside(path.parent, root) and not is_inside(target, root):
            reason = (
                f"it is a link that leads out of the project; name {target}, or remove the link"
            )
            raise OSError(errno.EXDEV, reason)
    return target


@contextlib.contextmanager
def _write_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except ValueError:
        raise UsageError(f"{one_line(str(path))}: cannot be written: not a valid path") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _chunks(data: bytes | str) -> Iterator[bytes]:
    """Bytes, or a text as UTF-8 in parts, since a copy of a long one would take time and memory."""
    if isinstance(data, bytes):
        yield data
        return
    for start in range(0, len(data), MB):
        yield data[start : start + MB].encode()


@contextlib.contextmanager
def _temporary(target: pathlib.Path, data: bytes | str) -> Iterator[pathlib.Path]:
    """A file beside `target` with the data, which is removed if it is still there at the end.

    It is locked for as long, so that `sweep` can tell it from one that a killed process left.
    """
    with contextlib.ExitStack() as stack:
        while True:
            temporary = target.with_name(f".{target.name[:MAX_NAME]}.{os.urandom(4).hex()}.tmp")
            file = stack.enter_context(create(temporary))
            stack.callback(temporary.unlink, missing_ok=True)
            with contextlib.suppress(OSError):
                # Some file systems have no locks.
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            # Before the lock, another process may have taken it for one that nobody writes.
            if os.fstat(file.fileno()).st_nlink:
                break
        file.writelines(_chunks(data))
        file.flush()
        os.fsync(file.fileno())
        if not target.is_symlink() and target.exists():
            os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
        yield temporary


@functools.lru_cache(maxsize=64)
def sweep(folder: pathlib.Path) -> None:
    """Remove what killed processes left in a folder while they wrote; once for each folder."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - only names are needed
            if TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_unlocked(folder / name)


def _remove_unlocked(path: pathlib.Path) -> None:
    """Remove a temporary file unless the process that writes it is still there."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(number)


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[None]:
    """Wait until no other process holds this lock on a folder, and hold it within.

    Where folders have no locks, or it cannot be read, nothing is waited for.
    """
    number = None
    with contextlib.suppress(OSError, ValueError):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(number, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if number is not None:
            os.close(number)


def is_special(path: pathlib.Path) -> bool:
    """Whether a path exists and is not a regular file: a device, a pipe or a folder."""
    return path.exists() and not path.is_file()


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
    try:
        if is_special(path) and not path.is_dir():
            # A device or a pipe has no content to compare a new document with.
            return None
        # A file that is not UTF-8 was not generated here; it only has to differ.
        return read_bytes(path).decode(errors="replace")
    except FileNotFoundError:
        return None
    except ValueError:
        raise UsageError(f"{one_line(str(path))}: cannot be read: not a valid path") from None
    except OSError as error:
        message = f"{one_line(str(path))}: cannot be read: {error.strerror}"
        raise UsageError(message) from None


def read_utf8(path: str) -> str:
    """Return a file's text. Raises OSError or UnicodeDecodeError if it cannot be read."""
    return read_bytes(path).decode()


def sha256(path: str | pathlib.Path) -> str | None:
    """Return a file's SHA-256 in hexadecimal, or None if it cannot be read."""
    import hashlib

    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
