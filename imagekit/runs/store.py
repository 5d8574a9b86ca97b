"""A run store: the files of runs in a folder or at any address that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

from imagekit import output
from imagekit.errors import StoreError, UsageError

BATCH = 256
"""Files that are asked for at once, where a store is far away."""


class Store:
    """The files of runs at an address. Every file is written whole, in one step.

    `address` is a folder's path or a URL such as `gs://bucket/runs`. Raises UsageError for an
    address of a kind that cannot be read here, and StoreError where one does not answer.
    """

    def __init__(self, address: str | pathlib.Path) -> None:
        self.address = str(address)
        self.folder: pathlib.Path | None = None
        if "://" in self.address and not self.address.startswith("file://"):
            self.system, self.root = _remote(self.address)
        else:
            self.folder = pathlib.Path(self.address.removeprefix("file://")).resolve()
            self.address = str(self.folder)

    def files(self) -> dict[str, str]:
        """Every JSON file and notebook by its path in the store, with a mark of its state.

        Hidden folders are left out. A store that does not exist yet is empty.
        """
        found = self._local() if self.folder is not None else self._listed()
        return {
            name: mark
            for name, mark in found
            if name.endswith((".json", ".ipynb"))
            and not any(part.startswith(".") for part in name.split("/"))
        }

    def read(self, names: list[str]) -> Iterator[tuple[str, bytes | OSError]]:
        """The bytes of files, or why they cannot be had."""
        if self.folder is not None:
            for name in names:
                try:
                    yield name, (self.folder / name).read_bytes()
                except OSError as error:
                    yield name, error
            return
        for first in range(0, len(names), BATCH):
            paths = {f"{self.root}/{name}": name for name in names[first : first + BATCH]}
            with self._answering():
                found = self.system.cat(list(paths), on_error="return")
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
            output.replace(self.folder / name, data)
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

    def _local(self) -> Iterator[tuple[str, str]]:
        folders = [str(self.folder)]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            folders += [] if entry.name.startswith(".") else [entry.path]
                        elif entry.is_file():
                            about = entry.stat()
                            name = entry.path[len(str(self.folder)) + 1 :]
                            yield name, f"{about.st_size}:{about.st_mtime_ns}"
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UsageError(f"{self.address}: cannot be read: {error.strerror}") from None

    def _listed(self) -> Iterator[tuple[str, str]]:
        with self._answering():
            try:
                found = self.system.find(self.root, detail=True)
            except FileNotFoundError:
                return
        for path, about in found.items():
            name = path.lstrip("/").removeprefix(self.root.strip("/") + "/")
            marks = (about.get(key) for key in ("size", "etag", "ETag", "mtime", "created"))
            yield name, ":".join(str(mark) for mark in marks if mark is not None)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Whatever a store far away raises, told as what it is to the user."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            message = f"{self.address}: the run store does not answer: {why}"
            raise StoreError(message) from None


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
    try:
        import fsspec
    except ImportError:
        message = f"{address}: this needs fsspec; pip install 'imagekit[run]'"
        raise UsageError(message) from None
    try:
        system, root = fsspec.core.url_to_fs(address.rstrip("/"))
    except (ValueError, ImportError) as error:
        raise UsageError(f"{address}: no run store can be reached: {error}") from None
    except Exception as error:
        raise StoreError(f"{address}: the run store does not answer: {error}") from None
    return system, root.rstrip("/")
