"""The project around a notebook: its root folder, its commit, the hashes of its files."""

from __future__ import annotations

import hashlib
import os
import pathlib

from imagekit import git
from imagekit.place import root

__all__ = ["commit", "enter", "root", "sha256"]


def enter() -> None:
    """Work from the project's root.

    papermill starts a notebook in its caller's directory, JupyterLab in the notebook's; paths
    in a notebook mean the same in both when they start at the root.
    """
    os.chdir(root())


def commit(directory: pathlib.Path) -> str | None:
    """The git commit that is checked out, with "-dirty" behind where tracked files differ from it.

    None outside a repository, before the first commit, and without git.
    """
    head = git.ask(directory, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = git.ask(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


def sha256(path: str | pathlib.Path) -> str | None:
    """A file's hash in hexadecimal; None where it cannot be read."""
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
