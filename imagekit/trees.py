"""The files that images are made of, in a folder or in a git revision, each with its hash."""

from __future__ import annotations

import collections
import hashlib
import os
import pathlib
import posixpath
from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import msgspec

from imagekit import git, globs
from imagekit.dockerfile import context_sources
from imagekit.globs import Ignore, Parts, Source
from imagekit.inventory import Inventory

WORKSPACE = "/workspace"
"""Where a build's root lies in Cloud Build."""

Kind = Literal["file", "folder", "link"]


class Tree(Protocol):
    """Files by their path from the root."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""

    def hash(self, path: str) -> str | None:
        """SHA-256 behind "x" or "-" for executable; None where there is no such file."""

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """What is in a folder, by name; nothing where there is no such folder."""


def made_of(tree: Tree, dockerfile: str, context: str) -> dict[str, str]:
    """What an image is made of: the Dockerfile and the files that it copies, each with its hash.

    Empty where there is no such Dockerfile, or where one of the two lies outside the tree.
    """
    path, root = inside(dockerfile), inside(context)
    data = None if path is None else tree.read(path)
    if data is None or path is None or root is None:
        return {}
    words = context_sources(data.decode(errors="replace"))
    sources = [source for word in words if (source := globs.source(word))]
    copied = _copied(tree, root, sources, _ignore(tree, path, root))
    hashes = ((name, tree.hash(name)) for name in sorted(copied))
    # What counts of the Dockerfile is what it says, wherever it is linked to.
    own = {path: _hash(data, executable=False)}
    return own | {name: found for name, found in hashes if found is not None} | own


def with_files(inventory: Inventory, tree: Tree) -> Inventory:
    """The same inventory with the hashes of what its images are made of and tested by."""
    images, hashes = {}, dict(inventory.files)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, made in inventory.images.items():
        key = made.dockerfile, (made.options or {}).get("context", ".")
        if key not in found:
            found[key] = made_of(tree, *key)
            hashes |= found[key]
        images[name] = msgspec.structs.replace(made, files=tuple(found[key]))
    for name in sorted({name for made in inventory.images.values() for name in made.test}):
        path = inside(name)
        if path is not None and (hashed := tree.hash(path)) is not None:
            hashes[name] = hashed
    return msgspec.structs.replace(inventory, images=images, files=hashes)


def inside(path: str) -> str | None:
    """A path from the tree's root, "." for that; None where it leads out of the tree."""
    clean = posixpath.normpath(path)
    if clean == WORKSPACE or clean.startswith(f"{WORKSPACE}/"):
        clean = clean[len(WORKSPACE) + 1 :] or "."
    outside = clean.startswith("/") or clean.split("/")[0] == ".."
    return None if outside or "\0" in clean else clean


def ignore_file(tree: Tree, dockerfile: str, context: str) -> Iterator[str]:
    """The file that says what is not sent to the builder, if there is one.

    A Dockerfile's own stands in for the context's.
    """
    path, root = inside(dockerfile), inside(context)
    names = [] if path is None else [f"{path}.dockerignore"]
    names += [] if root is None else [posixpath.normpath(posixpath.join(root, ".dockerignore"))]
    yield from [name for name in names if tree.read(name) is not None][:1]


def _ignore(tree: Tree, dockerfile: str, context: str) -> Ignore:
    for name in ignore_file(tree, dockerfile, context):
        return globs.ignore((tree.read(name) or b"").decode(errors="replace"))
    return Ignore()


def _copied(tree: Tree, context: str, sources: list[Source], ignore: Ignore) -> Iterator[str]:
    """The files in a context that are named and not ignored, by path from the tree's root."""
    waiting: list[Parts] = [()] if sources else []
    while waiting:
        folder = waiting.pop()
        for name, kind in tree.entries(posixpath.join(context, *folder)):
            path = (*folder, name)
            named = any(source.names(path) for source in sources)
            if not named and not any(source.leads_to(path) for source in sources):
                continue
            left_out = ignore.leaves_out(path)
            # A link is copied as it is, except on the way to what is named.
            if kind == "folder" or (kind == "link" and not named):
                waiting += [path] if not left_out or ignore.has_exceptions else []
            elif named and not left_out:
                yield posixpath.normpath(posixpath.join(context, *path))


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
            return _hash(file.read_bytes(), executable=bool(file.stat().st_mode & 0o111))
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
        lines = (git.ask(directory, "ls-tree", "-r", "-z", revision) or "").split("\0")
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
        return _hash(data, executable=mode == "100755")

    def entries(self, folder: str) -> Iterable[tuple[str, Kind]]:
        """What is in a folder, by name; nothing where there is no such folder."""
        path = posixpath.normpath(folder)
        return self.folders.get("" if path == "." else path, {}).items()


def _hash(data: bytes, *, executable: bool) -> str:
    return ("x" if executable else "-") + hashlib.sha256(data).hexdigest()
