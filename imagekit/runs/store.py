"""A run store: the files of runs in a folder or at any address that fsspec knows."""

from __future__ import annotations

import contextlib
import datetime
import glob
import os
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from imagekit.errors import StoreError, UsageError
from imagekit.support import extras
from imagekit.support.files import replace_file


class State(NamedTuple):
    """How a file lies in a store: a mark of its state, and when it was written (ISO 8601, UTC)."""

    mark: str
    modified: str = ""


class Store:
    """The files of runs at an address. Every file is written whole, in one step.

    `address` is a folder's path or a URL such as `gs://bucket/runs`. Raises UsageError for an
    address of a kind that cannot be read here, and StoreError where one does not answer.
    """

    def __init__(self, address: str | pathlib.Path) -> None:
        self.address = str(address)
        self.folder: pathlib.Path | None = None
        self._names: dict[str, str] = {}
        if "://" in self.address and not self.address.startswith("file://"):
            self.system, self.root = _remote(self.address)
        else:
            self.folder = pathlib.Path(self.address.removeprefix("file://")).resolve()
            self.address = str(self.folder)

    def files(self) -> dict[str, State]:
        """Every JSON file and notebook by its path in the store.

        What is hidden is left out. A folder that cannot be read has a slash behind its name, and
        the reason for a mark. A store that does not exist yet is empty.
        """
        found = self._local() if self.folder is not None else self._listed()
        kept = {
            _written(name): (name, state)
            for name, state in found
            if name.endswith((".json", ".ipynb", "/"))
            and not any(part.startswith(".") for part in name.split("/"))
        }
        self._names = {written: name for written, (name, _) in kept.items()}
        return {written: state for written, (_, state) in kept.items()}

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | OSError]]:
        """The bytes of files, or why they cannot be had; those far away all at once."""
        if self.folder is None:
            yield from self._fetched(list(names))
            return
        for name in names:
            try:
                yield name, (self.folder / self._names.get(name, name)).read_bytes()
            except OSError as error:
                yield name, error

    def _fetched(self, names: list[str]) -> Iterator[tuple[str, bytes | OSError]]:
        paths = {f"{self.root}/{self._names.get(name, name)}": name for name in names}
        # fsspec takes a bracket in a name for a glob, except where it is asked for one file.
        plain = [path for path in paths if not glob.has_magic(path)]
        with self._answering():
            found = self.system.cat(plain, on_error="return") if plain else {}
        for path in paths.keys() - set(plain):
            try:
                found[path] = self.system.cat_file(path)
            except Exception as error:
                found[path] = error
        for path, data in found.items():
            name = paths.get(path) or paths[f"/{path.lstrip('/')}"]
            yield name, data if isinstance(data, bytes) else OSError(str(data))

    def write(self, name: str, data: bytes) -> None:
        """Put a file into the store, whole."""
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                message = f"{self.address}: cannot be a run store: {error.strerror}"
                raise UsageError(message) from None
            replace_file(self.folder / name, data)
            return
        with self._answering():
            self.system.makedirs(self.root, exist_ok=True)
            self.system.pipe_file(f"{self.root}/{name}", data)

    @contextlib.contextmanager
    def workplace(self) -> Iterator[pathlib.Path]:
        """A folder on this machine in which a run's notebook can grow.

        It is the store itself if that is one, and a temporary one for a store far away.
        """
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="imagekit-run-") as folder:
            yield pathlib.Path(folder)

    def path(self, name: str) -> str:
        """A file's whole address, for people: short where it is below the working directory."""
        if self.folder is None:
            return f"{self.address.rstrip('/')}/{name}"
        short = os.path.relpath(self.folder / name)
        return str(self.folder / name) if short.startswith("..") else short

    def _local(self) -> Iterator[tuple[str, State]]:
        folders = [""]
        while folders:
            folder = folders.pop()
            path = f"{self.folder}/{folder}"
            try:
                with os.scandir(path) as entries:
                    # Files that are just being written vanish, and are hidden until then.
                    found = [entry for entry in entries if not entry.name.startswith(".")]
            except FileNotFoundError:
                continue
            except OSError as error:
                if folder:
                    yield f"{folder}/", State(str(error.strerror), _modified(path))
                    continue
                raise UsageError(f"{self.address}: cannot be read: {error.strerror}") from None
            for entry in found:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if _is_folder(entry):
                    folders.append(name)
                elif state := _state(entry):
                    yield name, state

    def _listed(self) -> Iterator[tuple[str, State]]:
        with self._answering():
            try:
                found = self.system.find(self.root, detail=True)
            except FileNotFoundError:
                return
        for path, about in found.items():
            name = path.lstrip("/").removeprefix(self.root.strip("/") + "/")
            marks = (about.get(key) for key in ("size", "etag", "ETag", "mtime", "created"))
            mark = ":".join(str(mark) for mark in marks if mark is not None)
            yield name, State(mark, _modified_far(about))

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Whatever a store far away raises, told as what it is to the user."""
        try:
            yield
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            message = f"{self.address}: the run store does not answer: {why}"
            raise StoreError(message) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _state(entry: os.DirEntry[str]) -> State | None:
    """A file's state; None for what is none, or no more.

    What is there and cannot be looked at has the reason for a mark; reading it will say it, too.
    """
    try:
        if not entry.is_file():
            return None
        about = entry.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return State(str(error.strerror), _modified(entry.path))
    return State(f"{about.st_size}:{about.st_mtime_ns}", _time(about.st_mtime))


def _modified(path: str) -> str:
    try:
        return _time(os.lstat(path).st_mtime)
    except OSError:
        return ""


def _modified_far(about: Mapping[str, Any]) -> str:
    """When a file far away was written; each kind of store has a word of its own for it."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = about.get(key)
        if isinstance(value, datetime.datetime):
            return value.isoformat()
        if isinstance(value, int | float):
            return _time(value)
        if isinstance(value, str):
            return value
    return ""


def _time(seconds: float) -> str:
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _written(name: str) -> str:
    """A file's name as text that can be kept and shown: not every name is UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def existing(address: str) -> Store:
    """The store at an address that a person gave. Raises UsageError for a folder that is not there.

    Only the default store may not exist yet; a name that was given and holds nothing is misspelt.
    """
    store = Store(address)
    if store.folder is not None and not store.folder.exists():
        message = f"{address}: there is no such folder; name one that holds runs, or leave it out"
        raise UsageError(f"{message} for the project's own")
    return store


def _remote(address: str) -> tuple[Any, str]:
    # Only who has such a store waits for it to load.
    with extras.needed(f"the run store {address}", "run"):
        import fsspec
    try:
        system, root = fsspec.core.url_to_fs(address.rstrip("/"))
    except (ValueError, ImportError) as error:
        raise UsageError(f"{address}: no run store can be reached: {error}") from None
    except Exception as error:
        raise StoreError(f"{address}: the run store does not answer: {error}") from None
    return system, root.rstrip("/")
