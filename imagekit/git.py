"""Asking git about a checkout; for the labels of images, the records of runs, and diffs."""

from __future__ import annotations

import pathlib
import subprocess


def ask(directory: pathlib.Path, *args: str) -> str | None:
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
