"""The files of a folder and of a git revision, behind the same interface (`Tree`)."""

from __future__ import annotations

import collections
import os
import pathlib
import posixpath
from collections.abc import Iterable

from imagekit.support import files, git
from imagekit.support.tree import Kind, content_hash, file_hash


class Folder:
    """The current files of a folder."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None if it does not exist or a link leads out of the folder."""
        try:
            return files.read_bytes(self.root / path, within=self.root)
        except OSError:
            return None

    def hash(self, path: str) -> str | None:
        """Return "x" (executable) or "-", then the SHA-256; None if the file does not exist."""
        file = self.root / path
        try:
            if file.is_symlink():
                return f"link to {file.readlink()}"
            with files.open_file(file) as opened:
                mode = os.fstat(opened.fileno()).st_mode
                return file_hash(opened, executable=bool(mode & 0o111))
        except (OSError, ValueError):
            return None

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """Return the names and kinds of a folder's entries.

        Empty if it does not exist, or if a link leads out of the root.
        """
        try:
            if not files.is_inside(self.root / folder, self.root):
                return []
            with os.scandir(self.root / folder) as entries:
                return [(entry.name, kind) for entry in entries if (kind := _kind(entry))]
        except (OSError, ValueError):
            return []


def _kind(entry: os.DirEntry[str]) -> Kind | None:
    """Return the kind of an entry; None for devices, sockets and pipes."""
    if entry.is_symlink():
        return "link"
    if entry.is_dir():
        return "folder"
    return "file" if entry.is_file() else None


LINK, SUBMODULE = "120000", "160000"
"""Modes of git."""


def _objects(directory: pathlib.Path, revision: str) -> dict[str, tuple[str, str]]:
    """The mode and the object of each file of a revision, by its path."""
    command = ("ls-tree", "-r", "-z", revision) if revision else ("ls-files", "-s", "-z")
    lines = (git.output(directory, *command) or "").split("\0")
    found = {}
    for about, _, path in (line.partition("\t") for line in lines if line):
        # The mode, and then the kind and the object, or the object and the number of its version:
        # of a file in conflict, there are several, and none is the file.
        mode, *both = about.split()
        name = both[1] if revision else both[0]
        if mode != SUBMODULE and (revision or both[1] == "0"):
            found[path] = mode, name
    return found


class Revision:
    """The files of a git revision, below `directory`; "" is what is staged for the next commit."""

    def __init__(self, directory: pathlib.Path, revision: str) -> None:
        self.directory = directory
        self.revision = revision
        self.objects = _objects(directory, revision)
        self.folders: dict[str, dict[str, Kind]] = collections.defaultdict(dict)
        for path, (mode, _) in self.objects.items():
            self._file(path, "link" if mode == LINK else "file")

    def _file(self, path: str, kind: Kind) -> None:
        folder, _, name = path.rpartition("/")
        self.folders[folder][name] = kind
        while folder:
            above, _, name = folder.rpartition("/")
            self.folders[above][name] = "folder"
            folder = above

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None if the file does not exist."""
        if path not in self.objects:
            return None
        return git.blob(self.directory, self.objects[path][1])

    def hash(self, path: str) -> str | None:
        """Return "x" (executable) or "-", then the SHA-256; None if the file does not exist."""
        data = self.read(path)
        if data is None:
            return None
        mode = self.objects[path][0]
        if mode == LINK:
            return f"link to {data.decode(errors='replace')}"
        return content_hash(data, executable=mode == "100755")

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """Return the names and kinds of a folder's entries; empty if it does not exist."""
        path = posixpath.normpath(folder)
        return self.folders.get("" if path == "." else path, {}).items()
