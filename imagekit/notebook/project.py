"""The project around a notebook: its root folder, its commit, the hashes of its files."""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess

MARKERS = (".git", "pyproject.toml")


def root(start: pathlib.Path | None = None) -> pathlib.Path:
    """The nearest folder at or above `start` that is a project's, else `start` itself.

    `start` is the working directory by default.
    """
    here = (start or pathlib.Path.cwd()).resolve()
    above = (here, *here.parents)
    return next((d for d in above if any((d / name).exists() for name in MARKERS)), here)


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
    head = _git(directory, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head


def _git(directory: pathlib.Path, *args: str) -> str | None:
    command = ["git", "-C", str(directory), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def sha256(path: str | pathlib.Path) -> str | None:
    """A file's hash in hexadecimal; None where it cannot be read."""
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    except OSError:
        return None
