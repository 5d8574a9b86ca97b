"""What an image is made of: its Dockerfile and the files that it copies from its context."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from imagekit.docker import patterns
from imagekit.docker.dockerfile import context_sources
from imagekit.docker.patterns import Ignore, Parts, Source
from imagekit.support.tree import Tree, content_hash

WORKSPACE = "/workspace"
"""Where a build's root lies in Cloud Build."""


def made_of(tree: Tree, dockerfile: str, context: str) -> dict[str, str]:
    """What an image is made of: the Dockerfile and the files that it copies, each with its hash.

    Empty where there is no such Dockerfile, or where one of the two lies outside the tree.
    """
    path, root = inside(dockerfile), inside(context)
    data = None if path is None else tree.read(path)
    if data is None or path is None or root is None:
        return {}
    words = context_sources(data.decode(errors="replace"))
    sources = [source for word in words if (source := patterns.source(word))]
    copied = _copied(tree, root, sources, _ignore(tree, path, root))
    hashes = ((name, tree.hash(name)) for name in sorted(copied))
    # What counts of the Dockerfile is what it says, wherever it is linked to.
    own = {path: content_hash(data, executable=False)}
    return own | {name: found for name, found in hashes if found is not None} | own


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
        return patterns.ignore((tree.read(name) or b"").decode(errors="replace"))
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


def is_inside_context(path: str) -> bool:
    """Whether a Dockerfile's path stays inside the directory that is sent to the builder."""
    normal = posixpath.normpath(path)
    # "-" and what starts with it are an option of docker's, and a backslash is part of no path.
    outside = path.startswith(("/", "-")) or normal.startswith("..") or "\\" in path
    return normal != "." and not outside
