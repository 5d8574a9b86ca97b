"""Tables on a terminal: as wide as it is, or one plain line a row where no person looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import click

from imagekit.errors import one_line

NARROW = 120
"""Columns of a terminal under which a table leaves out what one can do without."""


def show(
    columns: Sequence[str],
    lines: Iterable[tuple[Sequence[str], str]],
    *,
    unbroken: str = "",
    wide_only: Sequence[str] = (),
) -> None:
    """Print lines, each with a style of rich's. `unbroken` is the column to copy from."""
    # rich takes a tenth of a second to load, which only who sees a table should pay for.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    narrow = console.is_terminal and console.width < NARROW
    kept = [column for column in columns if not (narrow and column in wide_only)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in kept:
        table.add_column(column, no_wrap=column == unbroken, overflow="fold")
    for values, style in lines:
        named: Mapping[str, str] = dict(zip(columns, values, strict=True))
        # As Text, or rich would take brackets and colons in a value for markup.
        table.add_row(*(Text(one_line(named[column])) for column in kept), style=style)
    if console.is_terminal:
        console.print(table)
        return
    # A pipe has no width; a line a row, without blanks at its end, keeps grep and diff useful.
    console.width = 10_000
    with console.capture() as capture:
        console.print(table)
    printed = (line.rstrip() for line in capture.get().splitlines())
    click.echo("\n".join(line for line in printed if line))
