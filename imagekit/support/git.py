"""Run git in a checkout: for image labels, run records and diffs.

What runs programs is imported where it is used: most diffs run none, and it takes a while to load.
"""

from __future__ import annotations

import os
import pathlib
import re

from imagekit.support import log

GUARDED = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
"""A checkout may be somebody else's, and its configuration name programs that git would run
(git-scm.com/docs/git-config, core.fsmonitor and core.hooksPath)."""


def installed() -> bool:
    """Whether git is installed. The other functions treat its absence like that of a repository."""
    import shutil

    return shutil.which("git") is not None


def output(directory: pathlib.Path, *args: str) -> str | None:
    """Return git's stripped standard output, or None if git fails or is not installed."""
    printed = _run(directory, *args)
    return None if printed is None else printed.decode(errors="replace").strip()


def blob(directory: pathlib.Path, name: str) -> bytes | None:
    """Return a blob's bytes, by object name or `REVISION:PATH`; None if it does not exist."""
    # No revision begins so, and git would take it for an option.
    if name.startswith("-") or "\0" in name:
        return None
    return _run(directory, "cat-file", "blob", name)


def _run(directory: pathlib.Path, *args: str) -> bytes | None:
    import shlex
    import subprocess

    command = ["git", *GUARDED, "-C", str(directory), *args]
    log.debug("running %s", shlex.join(command))
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
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


def repository_name(address: str, *, whole: bool = False) -> str:
    """The name of the repository at an address, with its owner if `whole`."""
    path = re.sub(r"^([a-z+]+://[^/]*/|[^/:]*:)", "", address).strip("/").removesuffix(".git")
    return path if whole else path.rpartition("/")[2]


def merge(mine: bytes, base: bytes, theirs: bytes, labels: tuple[str, str, str]) -> Merged | None:
    """Merge the changes from `base` to `theirs` into `mine`, like `git merge`.

    Return the text, with marks around each conflict, and the number of conflicts; None if git is
    not installed or the texts cannot be merged, such as binary files.
    """
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, name) for name in ("mine", "base", "theirs")]
        for path, text in zip(paths, (mine, base, theirs), strict=True):
            path.write_bytes(text)
        named = [word for label in labels for word in ("-L", label)]
        command = ["git", "merge-file", "-p", *named, *map(str, paths)]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return None
    # A larger exit code is an error, not a number of conflicts.
    return (done.stdout, done.returncode) if 0 <= done.returncode <= MAX_CONFLICTS else None


Merged = tuple[bytes, int]
"""A merged text and the number of its conflicts."""
MAX_CONFLICTS = 127
"""The highest number of conflicts that `git merge-file` reports."""
