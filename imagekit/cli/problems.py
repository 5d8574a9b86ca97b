"""Print problems: place, message, and the line of the file with the problem marked below it."""

from __future__ import annotations

import os

import click

from imagekit.errors import Problem


def show(problem: Problem) -> None:
    """Print a problem on standard error, in color on a terminal."""
    # NO_COLOR: no-color.org. Where no terminal is, click removes colors by itself.
    color = False if os.environ.get("NO_COLOR") else None
    text, excerpt = str(problem), problem.excerpt()
    place, colon, message = text.partition(": ") if problem.place else ("", "", text)
    begin = "warning: "
    tone = "yellow" if problem.severity == "warning" else "red"
    if message.startswith(begin):
        message = click.style(begin, fg=tone) + message.removeprefix(begin)
    click.echo(click.style(place + colon, bold=True) + message, err=True, color=color)
    if excerpt:
        line, mark = excerpt.split("\n")
        click.echo(line, err=True, color=color)
        click.echo(click.style(mark, fg=tone), err=True, color=color)
