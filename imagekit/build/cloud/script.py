"""A shell script that submits build files, for people who run it themselves."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def script(commands: Sequence[Sequence[str]]) -> str:
    """A POSIX shell script that runs commands, each after the previous one has succeeded.

    It can be pasted into a terminal: the parentheses keep `set -e` from closing the shell, and
    there are no comments, which zsh does not accept there.
    """
    return "\n".join(["(", "set -e", *map(shlex.join, commands), ")", ""])
