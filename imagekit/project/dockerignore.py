"""What of a code directory is sent to the builder: `.dockerignore`, and how much is left."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Iterator

from imagekit.docker import patterns
from imagekit.errors import BuildFileError, Problem

NAME = ".dockerignore"
LARGEST = 1_000_000_000
"""Bytes of a context above which something is in it that was not meant to be."""

DEFAULT = """\
# What is not sent to the builder, and so in no image. Written by imagekit; add what is yours.
**/.git
.dockerignore
**/.venv
**/venv
**/.tox
**/.nox
**/__pycache__
**/*.pyc
**/*.egg-info
**/.ipynb_checkpoints
**/.mypy_cache
**/.pytest_cache
**/.ruff_cache

# Credentials
**/.env
**/.env.*
**/.aws
**/.config/gcloud
**/.git-credentials
**/.kube
**/.boto
**/.docker/config.json
**/.huggingface
**/.netrc
**/.npmrc
**/.pgpass
**/.pypirc
**/.ssh
**/*.key
**/*.p12
**/*.pem
**/client_secret*.json
**/application_default_credentials.json
**/credentials.json
**/id_ecdsa
**/id_ed25519
**/id_rsa
**/kaggle.json
**/pip.conf
**/service-account*.json
**/service_account*.json
**/token.json
"""


def missing(text: str, directory: pathlib.Path) -> list[str]:
    """What is in a directory, should stay out of an image, and is let through by its ignore file.

    `text` is that of its .dockerignore. Each is a path, a folder as a whole.
    """
    own, ours = patterns.ignore(text), patterns.ignore(DEFAULT)
    found: list[str] = []
    for path in _walk(directory):
        if any(path.startswith(f"{above}/") for above in found):
            continue
        parts = tuple(path.split("/"))
        # Of .git, too, only its rules count for the builder.
        if ours.leaves_out(parts) and not own.names(parts):
            found.append(path)
    return [path for path in found if path != NAME]


def _walk(directory: pathlib.Path) -> Iterator[str]:
    for folder, folders, files in os.walk(directory):
        here = pathlib.Path(folder).relative_to(directory)
        folders.sort()
        for name in folders:
            yield (here / name).as_posix()
        for name in sorted(files):
            yield (here / name).as_posix()
        if here == pathlib.Path():
            # Nobody needs to be told of what lies in there.
            folders[:] = [name for name in folders if name not in (".git", ".venv", "venv")]


def check(text: str, directory: pathlib.Path) -> int:
    """The bytes of a context. Raises BuildFileError, with the largest parts, for too many."""
    ignore = patterns.ignore(text)
    sizes: dict[str, int] = {}
    for folder, folders, files in os.walk(directory):
        here = pathlib.Path(folder).relative_to(directory)
        if not ignore.has_exceptions:
            folders[:] = [f for f in folders if not ignore.names((*here.parts, f))]
        for name in files:
            path = (*here.parts, name)
            if not ignore.names(path):
                sizes[path[0]] = sizes.get(path[0], 0) + _size(pathlib.Path(folder, name))
    total = sum(sizes.values())
    if total > LARGEST:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        large = [name for name in largest if sizes[name] * 20 > total]
        named = ", ".join(f"{name} ({sizes[name] / 1e9:.1f} GB)" for name in large)
        message = (
            f"{directory}: {total / 1e9:.1f} GB would be sent to the builder and copied into the "
            f"image, most of it in {named}; name what is no code in {NAME}, and mount it when the "
            "container runs"
        )
        raise BuildFileError([Problem(message=message)])
    return total


def is_inside(path: pathlib.Path, root: pathlib.Path) -> bool:
    """Whether a path leads into a folder, through whatever links; one that loops does not."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def left_out(text: str, names: Iterable[str]) -> list[str]:
    """Which of the paths that a Dockerfile copies a .dockerignore keeps from the builder."""
    ignore = patterns.ignore(text)
    return [name for name in names if ignore.names(tuple(name.split("/")))]


def _size(path: pathlib.Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def leading_out(text: str, directory: pathlib.Path) -> list[str]:
    """The links of a context that lead out of it, and so lead nowhere in the image."""
    ignore, root = patterns.ignore(text), directory.resolve()
    found = []
    for path in _walk(directory):
        link = directory / path
        if not link.is_symlink() or ignore.leaves_out(tuple(path.split("/"))):
            continue
        if not is_inside(link, root):
            found.append(path)
    return found
