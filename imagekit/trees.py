"""The files that images are made of, in a folder or in a git revision, each with its hash."""

from __future__ import annotations

import hashlib
import pathlib
import re
from collections.abc import Iterator
from typing import Protocol

import msgspec

from imagekit import git
from imagekit.dockerfile import context_sources
from imagekit.inventory import Inventory


class Tree(Protocol):
    """Files by their path from the root. A hash is SHA-256 behind "x" or "-" for executable."""

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""

    def hashes(self, context: str, sources: list[str]) -> dict[str, str]:
        """The hash of every file that paths or globs in a context name."""


def made_of(tree: Tree, dockerfile: str, context: str) -> dict[str, str]:
    """What an image is made of: the Dockerfile and the files that it copies, each with its hash.

    Empty where there is no such Dockerfile.
    """
    data = tree.read(dockerfile)
    if data is None:
        return {}
    sources = context_sources(data.decode(errors="replace"))
    return {**tree.hashes(".", [dockerfile]), **tree.hashes(context, sources)}


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
    tests = sorted({name for made in inventory.images.values() for name in made.test})
    return msgspec.structs.replace(inventory, images=images, files=hashes | tree.hashes(".", tests))


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

    def hashes(self, context: str, sources: list[str]) -> dict[str, str]:
        """The hash of every file that paths or globs in a context name."""
        return {
            path.relative_to(self.root).as_posix(): self._hash(path)
            for path in sorted(self._named(self.root / context, sources))
            if path.is_symlink() or path.is_file()
        }

    def _named(self, context: pathlib.Path, sources: list[str]) -> set[pathlib.Path]:
        found: set[pathlib.Path] = set()
        for source in sources:
            for path in [context] if source in (".", "./") else context.glob(source.rstrip("/")):
                found |= {path} if path.is_symlink() or not path.is_dir() else set(path.rglob("*"))
        return found

    def _hash(self, path: pathlib.Path) -> str:
        if path.is_symlink():
            return f"link to {path.readlink()}"
        return _hash(path.read_bytes(), executable=bool(path.stat().st_mode & 0o111))


class Revision:
    """The files of a git revision, below the folder that git is asked in."""

    def __init__(self, directory: pathlib.Path, revision: str) -> None:
        self.directory = directory
        self.revision = revision
        lines = (git.ask(directory, "ls-tree", "-r", "-z", revision) or "").split("\0")
        parts = (line.partition("\t") for line in lines if line)
        self.objects = {path: tuple(about.split()) for about, _, path in parts}

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""
        if path not in self.objects:
            return None
        return git.blob(self.directory, self.objects[path][2])

    def hashes(self, context: str, sources: list[str]) -> dict[str, str]:
        """The hash of every file that paths or globs in a context name."""
        patterns = [_pattern(context, source) for source in sources]
        named = (path for path in self.objects if any(p.match(path) for p in patterns))
        return dict(self._hashes(sorted(named)))

    def _hashes(self, paths: list[str]) -> Iterator[tuple[str, str]]:
        for path in paths:
            mode, kind, _ = self.objects[path]
            data = self.read(path) if kind == "blob" else None
            if data is not None and mode == "120000":
                yield path, f"link to {data.decode(errors='replace')}"
            elif data is not None:
                yield path, _hash(data, executable=mode == "100755")


def _hash(data: bytes, *, executable: bool) -> str:
    return ("x" if executable else "-") + hashlib.sha256(data).hexdigest()


def _pattern(context: str, source: str) -> re.Pattern[str]:
    """What a path must begin with to be the file, or in the folder, that a glob names."""
    parts = [part for part in (*context.split("/"), *source.split("/")) if part not in ("", ".")]
    translated = "/".join(_part(part) for part in parts)
    return re.compile(f"{translated}(/|$)" if translated else "")


def _part(glob: str) -> str:
    marks = {"*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*|\?|\[[^\]]*\])", glob)
    return "".join(p if p.startswith("[") else marks.get(p) or re.escape(p) for p in pieces)
