"""Asking git about a checkout; for the labels of images and the records of runs."""

from __future__ import annotations

import pathlib
import subprocess


def ask(directory: pathlib.Path, *args: str) -> str | None:
    """What git prints, without the line break; None where it fails or is not there."""
    command = ["git", "-C", str(directory), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
