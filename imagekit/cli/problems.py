"""Print problems: place, message, and the line of the file with the problem marked below it."""

from __future__ import annotations

import sys

import click

from imagekit.cli import color
from imagekit.cli.common import is_quiet
from imagekit.errors import Problem
from imagekit.support.terminal import Clean, clean, echo


def show(problem: Problem) -> None:
    """Print a problem on standard error, in color on a terminal; a warning not with --quiet."""
    if problem.severity == "warning" and is_quiet():
        return
    colors = color.is_wanted(sys.stderr)
    text, excerpt = clean(str(problem)), clean(problem.excerpt())
    place, colon, message = text.partition(": ") if problem.place else ("", "", text)
    begin = "warning: "
    tone = "yellow" if problem.severity == "warning" else "red"
    if message.startswith(begin):
        message = click.style(begin, fg=tone) + message.removeprefix(begin)
    where = click.style(place + colon, bold=True) if place else ""
    echo(Clean(where + message), err=True, color=colors)
    if excerpt:
        line, mark = excerpt.split("\n")
        echo(line, err=True, color=colors)
        echo(Clean(click.style(mark, fg=tone)), err=True, color=colors)
