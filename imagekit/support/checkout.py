"""The files below a folder, and those of a git revision, as trees that can be asked alike."""

from __future__ import annotations

import collections
import os
import pathlib
import posixpath
from collections.abc import Iterable

from imagekit.support import git
from imagekit.support.tree import Kind, content_hash


class Folder:
    """The files under a folder, as they are now."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""
        try:
            return (self.root / path).read_bytes()
        except OSError:
            return None

    def hash(self, path: str) -> str | None:
        """SHA-256 behind "x" or "-" for executable; None where there is no such file."""
        file = self.root / path
        try:
            if file.is_symlink():
                return f"link to {file.readlink()}"
            return content_hash(file.read_bytes(), executable=bool(file.stat().st_mode & 0o111))
        except OSError:
            return None

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """What is in a folder, by name; nothing where there is no such folder."""
        try:
            with os.scandir(self.root / folder) as found:
                return [(entry.name, kind) for entry in found if (kind := _kind(entry))]
        except OSError:
            return []


def _kind(entry: os.DirEntry[str]) -> Kind | None:
    """What an entry is; None for devices, sockets and pipes, of which nothing can be said."""
    if entry.is_symlink():
        return "link"
    if entry.is_dir():
        return "folder"
    return "file" if entry.is_file() else None


class Revision:
    """The files of a git revision, below the folder that git is asked in."""

    def __init__(self, directory: pathlib.Path, revision: str) -> None:
        self.directory = directory
        self.revision = revision
        lines = (git.output(directory, "ls-tree", "-r", "-z", revision) or "").split("\0")
        parts = (line.partition("\t") for line in lines if line)
        self.objects = {path: tuple(about.split()) for about, _, path in parts}
        self.folders: dict[str, dict[str, Kind]] = collections.defaultdict(dict)
        for path, (mode, kind, _) in self.objects.items():
            if kind == "blob":
                self._file(path, "link" if mode == "120000" else "file")

    def _file(self, path: str, kind: Kind) -> None:
        folder, _, name = path.rpartition("/")
        self.folders[folder][name] = kind
        while folder:
            above, _, name = folder.rpartition("/")
            self.folders[above][name] = "folder"
            folder = above

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""
        if path not in self.objects:
            return None
        return git.blob(self.directory, self.objects[path][2])

    def hash(self, path: str) -> str | None:
        """SHA-256 behind "x" or "-" for executable; None where there is no such file."""
        data = self.read(path)
        if data is None:
            return None
        mode = self.objects[path][0]
        if mode == "120000":
            return f"link to {data.decode(errors='replace')}"
        return content_hash(data, executable=mode == "100755")

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """What is in a folder, by name; nothing where there is no such folder."""
        path = posixpath.normpath(folder)
        return self.folders.get("" if path == "." else path, {}).items()
