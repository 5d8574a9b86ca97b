"""`imagekit diff`: print the differences between two builds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from imagekit.cli import completion, sides, table
from imagekit.cli.common import keep
from imagekit.cli.options import (
    Command,
    config_option,
    open_store,
    selection_options,
    store_option,
)
from imagekit.compare import report as differences
from imagekit.compare.inventory import Known
from imagekit.compare.selection import selected
from imagekit.support.terminal import echo, emit

STYLES = {"added": "green", "removed": "red", "changed": "yellow", "rebuilt": "dim", "build": ""}
"""The style of each kind of change."""

_formats = (
    selection_options,
    click.option("--markdown", is_flag=True, help="Print Markdown for a pull request."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option("--exit-code", is_flag=True, help="Exit 1 if there are differences."),
)


def diff_options(command: Command) -> Command:
    """Add the options of the commands that print changes."""
    for option in reversed(_formats):
        command = option(command)
    return command


@click.command()
@click.argument("before", metavar="[A]", required=False, shell_complete=completion.sides)
@click.argument("after", metavar="[B]", required=False, shell_complete=completion.sides)
@config_option
@diff_options
@store_option
@click.pass_context
def diff(
    context: click.Context,
    /,
    before: str | None,
    after: str | None,
    config: str,
    runs: str | None,
    **options: Any,
) -> None:
    """Show the differences between two builds.

    Without A and B, the config in the working tree is compared with that of the last commit (HEAD).

    A and B are each a config, any Cloud Build file, the output of "imagekit matrix --json", one of
    these in a git revision such as HEAD~1:config/images.yaml, or as it is staged, such as
    :config/images.yaml, or a recorded run: its name, a unique prefix of it, "latest" or "latest~1";
    - is standard input. Without B, the file of a revision is compared with the current file.
    """
    if before is None:
        before, after = sides.at_head(config), config
    elif context.get_parameter_source("config") is not ParameterSource.DEFAULT:
        raise click.UsageError(
            "--config is the file to compare with HEAD; leave out A, or --config"
        )
    elif before == after == "-":
        raise click.UsageError("only one of A and B can be standard input")
    store = open_store(runs)
    known = Known()
    old = sides.read(before, store, known)
    new = sides.read(after if after is not None else sides.other_side(before), store, known)
    keep(old, new, known)
    print_changes(old, new, **options)


def print_changes(
    old: sides.Side,
    new: sides.Side,
    *,
    markdown: bool,
    as_json: bool,
    exit_code: bool,
    **selection: Sequence[str],
) -> None:
    """Print the changes between two sides as a table, Markdown or JSON.

    `selection` is that of `compare.selection.selected`. Exits with 1 if `exit_code` and there are
    changes.
    """
    if markdown and as_json:
        raise click.UsageError("--markdown and --json cannot be combined")
    changes = old.changes_to(new)
    if any(selection.values()):
        changes = selected(changes, old.inventory(), new.inventory(), **selection)
    before, after = old.name, new.name
    if markdown:
        emit(differences.markdown(changes, before, after), nl=False)
    elif as_json:
        emit(differences.as_json(changes, before, after))
    elif not changes:
        echo(differences.nothing(before, after, changes.unknown))
    else:
        lines = [
            ((row.mark, row.image, row.what, row.before, row.after), STYLES[row.kind])
            for row in differences.rows(changes)
        ]
        keep(lines, changes)
        columns = ("change", "image", "what", "before", "after")
        table.show(columns, lines, unbroken="image")
        echo(changes.summary())
        if changes.unknown:
            echo(differences.not_known(changes.unknown))
    if exit_code and changes:
        sys.exit(1)
