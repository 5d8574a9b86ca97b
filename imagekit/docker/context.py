"""The inputs of an image: its Dockerfile and the context files it copies."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from imagekit.docker import patterns
from imagekit.docker.dockerfile import context_sources
from imagekit.docker.patterns import Ignore, Parts, Source
from imagekit.support.tree import Tree, content_hash

WORKSPACE = "/workspace"
"""The root folder of a build in Cloud Build."""


def made_of(tree: Tree, dockerfile: str, context: str) -> dict[str, str]:
    """Return the hashes of an image's inputs by path: the Dockerfile and the files it copies.

    Empty if the Dockerfile does not exist, or if it or the context is outside the tree.
    """
    path, root = inside(dockerfile), inside(context)
    data = None if path is None else tree.read(path)
    if data is None or path is None or root is None:
        return {}
    words = context_sources(data.decode(errors="replace"))
    sources = [source for word in words if (source := patterns.source(word))]
    copied = _copied(tree, root, sources, _ignore(tree, path, root))
    hashes = ((name, tree.hash(name)) for name in sorted(copied))
    # Of the Dockerfile only the content matters, even if it is a symbolic link.
    own = {path: content_hash(data, executable=False)}
    return own | {name: value for name, value in hashes if value is not None} | own


def inside(path: str) -> str | None:
    """Return a path relative to the tree's root ("."); None if it is outside the tree."""
    clean = posixpath.normpath(path)
    if clean == WORKSPACE or clean.startswith(f"{WORKSPACE}/"):
        clean = clean[len(WORKSPACE) + 1 :] or "."
    outside = clean.startswith("/") or clean.split("/")[0] == ".."
    return None if outside or "\0" in clean else clean


def ignore_file(tree: Tree, dockerfile: str, context: str) -> Iterator[str]:
    """Yield the path of the .dockerignore in effect, if there is one.

    One that belongs to the Dockerfile replaces the one in the context.
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
    """Yield the context files that are copied and not ignored, relative to the tree's root."""
    waiting: list[Parts] = [()] if sources else []
    while waiting:
        folder = waiting.pop()
        for name, kind in tree.entries(posixpath.join(context, *folder)):
            path = (*folder, name)
            named = any(source.names(path) for source in sources)
            if not named and not any(source.leads_to(path) for source in sources):
                continue
            left_out = ignore.leaves_out(path)
            # A symbolic link is copied as a link, unless a copied path leads through it.
            if kind == "folder" or (kind == "link" and not named):
                waiting += [path] if not left_out or ignore.has_exceptions else []
            elif named and not left_out:
                yield posixpath.normpath(posixpath.join(context, *path))


def is_inside_context(path: str) -> bool:
    """Whether a path is inside the build context."""
    normal = posixpath.normpath(path)
    # Docker takes a path that starts with "-" for an option; backslashes are not supported.
    outside = path.startswith(("/", "-")) or normal.startswith("..") or "\\" in path
    return normal != "." and not outside
