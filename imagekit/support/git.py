"""Run git in a checkout: for image labels, run records and diffs."""

from __future__ import annotations

import logging
import pathlib
import shlex
import subprocess

LOGGER = logging.getLogger(__name__)


def output(directory: pathlib.Path, *args: str) -> str | None:
    """Return git's stripped standard output, or None if git fails or is not installed."""
    printed = _run(directory, *args)
    return None if printed is None else printed.decode(errors="replace").strip()


def blob(directory: pathlib.Path, name: str) -> bytes | None:
    """Return a blob's bytes, by object name or `REVISION:PATH`; None if it does not exist."""
    return _run(directory, "cat-file", "blob", name)


def _run(directory: pathlib.Path, *args: str) -> bytes | None:
    command = ["git", "-C", str(directory), *args]
    LOGGER.debug("running %s", shlex.join(command))
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def commit(directory: pathlib.Path) -> str | None:
    """Return the checked-out commit, followed by "-dirty" if tracked files are changed.

    None outside a repository, before the first commit, and without git.
    """
    head = output(directory, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = output(directory, "status", "--porcelain", "--untracked-files=no")
    return f"{head}-dirty" if changed else head
