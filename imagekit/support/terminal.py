"""The one place where text leaves for a terminal.

Names, paths and messages may be anybody's, and a terminal executes what it takes for an escape
sequence: it sets the window's title, hides lines, or answers as if somebody had typed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec

import click

from imagekit.errors import one_line

Arguments = ParamSpec("Arguments")


class Clean(str):
    """Text that is clean already, and may have escape sequences of imagekit's own."""

    __slots__ = ()


def clean(text: str) -> str:
    """Return a text with all that is not printable escaped, except line breaks and tabs."""
    if text.isprintable():
        return text
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in text.split("\n"))


def echo(text: str = "", *, err: bool = False, nl: bool = True, color: bool | None = None) -> None:
    """Print a text on standard output or standard error, cleaned unless it is `Clean`."""
    click.echo(text if isinstance(text, Clean) else clean(text), err=err, nl=nl, color=color)


def emit(text: str, *, nl: bool = True) -> None:
    """Print a document on standard output: as it is to a file or a pipe, cleaned on a terminal."""
    # click would remove what it takes for colors.
    click.echo(clean(text) if sys.stdout.isatty() else text, nl=nl, color=True)


def harmless(show: Callable[Arguments, object]) -> Callable[Arguments, None]:
    """Return a function that displays something, with all of its errors suppressed.

    A display must not end what it shows: a terminal may be closed, and a pipe's reader be gone.
    """

    @functools.wraps(show)
    def shown(*args: Arguments.args, **options: Arguments.kwargs) -> None:
        try:
            show(*args, **options)
        except OSError:
            # Python would fail once more when it writes what is left at its end.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception:
            # What is to be shown may be anything.
            return

    return shown
