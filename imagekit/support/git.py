"""Asking git about a checkout; for the labels of images, the records of runs, and diffs."""

from __future__ import annotations

import pathlib
import subprocess


def output(directory: pathlib.Path, *args: str) -> str | None:
    """What git prints, without the line break; None where it fails or is not there."""
    found = _run(directory, *args)
    return None if found is None else found.decode(errors="replace").strip()


def blob(directory: pathlib.Path, name: str) -> bytes | None:
    """A file's bytes by its object name, or by `REVISION:PATH`; None where there is none."""
    return _run(directory, "cat-file", "blob", name)


def _run(directory: pathlib.Path, *args: str) -> bytes | None:
    command = ["git", "-C", str(directory), *args]
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def commit(directory: pathlib.Path) -> str | None:
    """The git commit that is checked out, with "-dirty" behind where tracked files differ from it.

    None outside a repository, before the first commit, and without git.
    """
    head = output(directory, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = output(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head
