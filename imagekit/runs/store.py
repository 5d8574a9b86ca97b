"""A run store: the files of runs in a folder or at an address that fsspec supports."""

from __future__ import annotations

import contextlib
import datetime
import glob
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from imagekit.errors import StoreError, UsageError
from imagekit.support import extras
from imagekit.support.files import read_bytes, replace_file


class State(NamedTuple):
    """The state of a file in a store."""

    mark: str
    """A text that differs if the file has changed."""
    modified: str = ""
    """The time of the last change, ISO 8601 in UTC; empty if unknown."""


class Store:
    """The files of runs at an address. Every file is written in one step.

    `address` is the path of a folder or a URL such as `gs://bucket/runs`. Raises UsageError for an
    unsupported address, and StoreError if a remote store does not answer.
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
        """The JSON files and notebooks by path in the store, without hidden ones.

        A folder that cannot be read has a name that ends with a slash, and the reason as its
        mark. A store that does not exist yet is empty.
        """
        listed = self._local() if self.folder is not None else self._remote_files()
        kept = {
            _as_text(name): (name, state)
            for name, state in listed
            if name.endswith((".json", ".ipynb", "/"))
            and not any(part.startswith(".") for part in name.split("/"))
        }
        self._names = {written: name for written, (name, _) in kept.items()}
        return {written: state for written, (_, state) in kept.items()}

    def read(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | OSError]]:
        """The bytes of files, or the error for each; remote files are fetched concurrently."""
        if self.folder is None:
            yield from self._fetch(list(names))
            return
        for name in names:
            try:
                yield name, read_bytes(self.folder / self._names.get(name, name))
            except OSError as error:
                yield name, error

    def _fetch(self, names: list[str]) -> Iterator[tuple[str, bytes | OSError]]:
        paths = {f"{self.root}/{self._names.get(name, name)}": name for name in names}
        # fsspec expands globs in names, except in requests for a single file.
        plain = [path for path in paths if not glob.has_magic(path)]
        with self._store_errors():
            contents = self.system.cat(plain, on_error="return") if plain else {}
        for path in paths.keys() - set(plain):
            try:
                contents[path] = self.system.cat_file(path)
            except Exception as error:
                contents[path] = error
        for path, data in contents.items():
            name = paths.get(path) or paths[f"/{path.lstrip('/')}"]
            yield name, data if isinstance(data, bytes) else OSError(str(data))

    def write(self, name: str, data: bytes) -> None:
        """Write a file to the store in one step."""
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                message = f"{self.address}: cannot create the run store: {error.strerror}"
                raise UsageError(message) from None
            replace_file(self.folder / name, data)
            return
        with self._store_errors():
            self.system.makedirs(self.root, exist_ok=True)
            self.system.pipe_file(f"{self.root}/{name}", data)

    @contextlib.contextmanager
    def local_folder(self) -> Iterator[pathlib.Path]:
        """A local folder for the notebook while it is executed.

        It is the store itself if that is a folder, and a temporary folder for a remote store.
        """
        if self.folder is not None:
            yield self.folder
            return
        import tempfile  # Not at the top: few stores are remote, and it takes a while to load.

        with tempfile.TemporaryDirectory(prefix="imagekit-run-") as folder:
            yield pathlib.Path(folder)

    def path(self, name: str) -> str:
        """The address of a file for display, relative if it is below the working directory."""
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
                    # Files that are being written are hidden, and may vanish.
                    visible = [entry for entry in entries if not entry.name.startswith(".")]
            except FileNotFoundError:
                continue
            except OSError as error:
                if folder:
                    yield f"{folder}/", State(str(error.strerror), _modified(path))
                    continue
                raise UsageError(
                    f"{self.address}: cannot read the run store: {error.strerror}"
                ) from None
            for entry in visible:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if _is_folder(entry):
                    folders.append(name)
                elif state := _state(entry):
                    yield name, state

    def _remote_files(self) -> Iterator[tuple[str, State]]:
        with self._store_errors():
            try:
                details = self.system.find(self.root, detail=True)
            except FileNotFoundError:
                return
        for path, about in details.items():
            name = path.lstrip("/").removeprefix(self.root.strip("/") + "/")
            marks = (about.get(key) for key in ("size", "etag", "ETag", "mtime", "created"))
            mark = ":".join(str(mark) for mark in marks if mark is not None)
            yield name, State(mark, _remote_modified(about))

    @contextlib.contextmanager
    def _store_errors(self) -> Iterator[None]:
        """Turn any error of a remote store into a StoreError."""
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
    """The state of a file; None if it is not a file or no longer exists.

    A file without access has the reason as its mark; reading it raises the same error.
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


def _remote_modified(about: Mapping[str, Any]) -> str:
    """When a remote file was changed; each kind of store has its own key for it."""
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


def _as_text(name: str) -> str:
    """The name of a file as valid text, with escapes for bytes that are not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def existing(address: str) -> Store:
    """The store at an address from the user. Raises UsageError if the folder does not exist.

    Only the default store may not exist yet; any other missing folder is a misspelling.
    """
    store = Store(address)
    if store.folder is not None and not store.folder.exists():
        message = f"{address}: folder not found; name a folder of runs, or omit it"
        raise UsageError(f"{message} to use the project's own")
    return store


def _remote(address: str) -> tuple[Any, str]:
    # Imported here because most stores are folders, and fsspec is slow to load.
    with extras.needed(f"the run store {address}", "run"):
        import fsspec
    try:
        system, root = fsspec.core.url_to_fs(address.rstrip("/"))
    except (ValueError, ImportError) as error:
        raise UsageError(f"{address}: no run store can be reached: {error}") from None
    except Exception as error:
        raise StoreError(f"{address}: the run store does not answer: {error}") from None
    return system, root.rstrip("/")
