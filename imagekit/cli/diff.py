"""`imagekit diff`: print the differences between two builds."""

from __future__ import annotations

import sys

import click

from imagekit.cli import sides, table
from imagekit.cli.options import Command, open_store, store_option
from imagekit.compare import report as differences
from imagekit.compare.changes import Changes, compare

STYLES = {"added": "green", "removed": "red", "changed": "yellow", "rebuilt": "dim", "build": ""}
"""The style of each kind of change."""

_formats = (
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
@click.argument("before", metavar="A")
@click.argument("after", metavar="[B]", required=False)
@diff_options
@store_option
def diff(before: str, after: str | None, runs: str | None, **options: bool) -> None:
    """Show the differences between two builds.

    A and B are each a config, any Cloud Build file, the output of "imagekit matrix --json", one of
    these in a git revision such as HEAD~1:config/images.yaml, or a recorded run: its name, a
    unique prefix of it, "latest" or "latest~1". Without B, the file of a revision is compared with
    the current file.
    """
    store = open_store(runs)
    old = sides.read(before, store)
    new = sides.read(after if after is not None else sides.other_side(before), store)
    changes = compare(old.inventory, new.inventory)
    print_changes(changes, old.name, new.name, **options)


def print_changes(
    changes: Changes,
    before: str,
    after: str,
    *,
    markdown: bool,
    as_json: bool,
    exit_code: bool,
) -> None:
    """Print changes as a table, Markdown or JSON. Exits with 1 if `exit_code` and there are any."""
    if markdown and as_json:
        raise click.UsageError("--markdown and --json cannot be combined")
    if markdown:
        click.echo(differences.markdown(changes, before, after), nl=False)
    elif as_json:
        click.echo(differences.as_json(changes, before, after))
    elif not changes:
        click.echo(differences.nothing(before, after))
    else:
        lines = (
            ((row.mark, row.image, row.what, row.before, row.after), STYLES[row.kind])
            for row in differences.rows(changes)
        )
        columns = ("change", "image", "what", "before", "after")
        table.show(columns, lines, unbroken="image")
        click.echo(changes.summary())
    if exit_code and changes:
        sys.exit(1)
