"""`imagekit matrix`: what is built, and what is not and why."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any

import click

from imagekit.cli import table
from imagekit.cli.options import config_options, grid_options, planned
from imagekit.errors import counted, one_line
from imagekit.planning.grid import Grid, Place, as_markdown, grid
from imagekit.planning.rows import WORDS, Row, Status, counts, label, plain, rows
from imagekit.support.json_text import dumps
from imagekit.support.terminal import echo, emit

STYLES: dict[Status, str] = {
    "built": "green",
    "excluded": "yellow",
    "not listed": "dim",
    "not selected": "dim",
}
"""The style of each status on a terminal."""

LONG = 40
"""Characters of a reason above which it is a note below the table."""

MAX_ROWS = 1_000_000
"""The most combinations that no entry names and that are listed on request."""

FIT = table.Fit(below=("why", "aliases", "parent"))

BY_WORD = {WORDS[status]: status for status in WORDS} | {"built": "built"}
"""The statuses by the words that `--status` takes: those of the table, and that of the JSON."""


@click.command()
@config_options
@click.option("--grid", "as_grid", is_flag=True, help="Show a grid: some axes down, others across.")
@grid_options
@click.option("--markdown", is_flag=True, help="Print the grid as Markdown.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(list(BY_WORD)),
    help="Only the combinations with this status; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="List the combinations that no entry names, however many there are.",
)
def matrix(
    config: str,
    as_grid: bool,
    statuses: tuple[str, ...],
    as_json: bool,
    every: bool,
    **options: Any,
) -> None:
    """Show what is built, and what is not and why."""
    shape = {side: options.pop(side) for side in ("rows", "columns")}
    markdown = options.pop("markdown")
    if as_grid and (as_json or every or statuses):
        raise click.UsageError("--grid cannot be combined with --json, --all or --status")
    if not as_grid and (markdown or any(shape.values())):
        raise click.UsageError("--rows, --columns and --markdown belong to --grid; add it")
    checked, plan = planned(config, **options)
    if as_grid:
        _print_grid(grid(checked.matrix, plan, **shape, versions=markdown), markdown=markdown)
        return
    if every and checked.matrix.more > MAX_ROWS:
        number = counted(checked.matrix.more, "combination")
        raise click.UsageError(f"--all would list {number}, and lists at most {MAX_ROWS}")
    chosen = {BY_WORD[word] for word in statuses} or {*WORDS}
    lines = [row for row in rows(checked.matrix, plan, every=every) if row.status in chosen]
    more = 0 if every or "not listed" not in chosen else checked.matrix.more
    if as_json:
        document: dict[str, Any] = {
            "repository": plan.repository,
            "rows": plain(lines, checked.matrix.recipes.axes),
        }
        if more:
            document["not_listed"] = more
        emit(dumps(document))
    else:
        if lines:
            _print_table(lines)
        echo(
            (counts(lines, more) or "no combination has this status")
            + (" (show them with --all)" if more else "")
        )


def _print_table(lines: list[Row]) -> None:
    times = collections.Counter(row.reason for row in lines if row.status != "built")
    apart = (why for why, number in times.items() if why and (number > 1 or len(why) > LONG))
    notes = {reason: f"({number})" for number, reason in enumerate(apart, start=1)}

    def cells(row: Row) -> Sequence[str]:
        note = notes.get(row.reason, "") if row.status != "built" else ""
        status = f"{label(row.status)} {note}".rstrip()
        return status, row.tag, ", ".join(row.aliases), row.parent or "", "" if note else row.reason

    columns = ("status", "tag", "aliases", "parent", "why")
    styles = {**STYLES, "built": ""}
    table.show(columns, ((cells(row), styles[row.status]) for row in lines), fit=FIT)
    _print_notes(notes)


def _print_grid(shown: Grid, *, markdown: bool) -> None:
    if markdown:
        emit(as_markdown(shown), nl=False)
        return
    for section in shown.sections:
        if section.name:
            echo(f"{section.name}:")
        heads = [*shown.rows, *(" ".join(filter(None, words)) for words in section.columns)]
        lines = ([*line.names, *map(_cell, line.places)] for line in section.lines)
        table.show(heads, ((line, "") for line in lines), repeated=len(shown.rows))
    _print_notes({reason: f"({number})" for number, reason in enumerate(shown.notes, start=1)})
    for sentence in shown.more:
        echo(sentence)


def _cell(place: Place | None) -> str:
    return table.Styled(str(place), STYLES[place.status]) if place else ""


def _print_notes(notes: dict[str, str]) -> None:
    """Print the reasons that cells name by their numbers."""
    for reason, number in notes.items():
        echo(f" {number} {one_line(reason)}")
