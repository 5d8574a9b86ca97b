"""Tables on a terminal: as wide as it is, or one plain line a row where no person looks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from imagekit.errors import one_line

GAP, BELOW = "   ", "     "
"""Between two columns, and before what stands under a row."""
NARROWEST = 20
"""Columns that a text under a row has in any case."""
NARROW = 120
"""Columns of a terminal under which a table leaves out what one can do without."""


class Fit(msgspec.Struct, frozen=True):
    """What a table does without on a terminal that is too narrow for all of it.

    `below` is the column whose text then stands on a line of its own under its row, and `drop`
    the columns that are left out one by one, the first first, until the rest fits.
    """

    below: str
    drop: tuple[str, ...]


def show(
    columns: Sequence[str],
    lines: Iterable[tuple[Sequence[str], str]],
    *,
    unbroken: str = "",
    wide_only: Sequence[str] = (),
    fit: Fit | None = None,
) -> None:
    """Print lines, each with a style of rich's. `unbroken` is the column to copy from.

    With `fit`, no cell is broken on a terminal: what does not fit is left out, or told below.
    """
    # rich takes a tenth of a second to load, which only who sees a table should pay for.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if fit is not None and console.is_terminal:
        _print_fitted(console, columns, [*lines], fit)
        return
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


def _print_fitted(
    console: Any, columns: Sequence[str], lines: Sequence[tuple[Sequence[str], str]], fit: Fit
) -> None:
    from rich.text import Text

    rows = [dict(zip(columns, map(one_line, values), strict=True)) for values, _ in lines]
    widths = _widths(columns, rows)
    kept = _fitting(widths, fit, console.width)
    head = dict(zip(columns, columns, strict=True))
    _print_whole(console, Text(_joined(head, kept, widths), "bold"))
    _print_whole(console, Text(" " + "─" * (_total(kept, widths) - 1)))
    for row, (_, style) in zip(rows, lines, strict=True):
        _print_whole(console, Text(_joined(row, kept, widths), style))
        told = "" if fit.below in kept else row[fit.below]
        width = max(console.width - len(BELOW), NARROWEST)
        # A path that is longer than the terminal is broken by that, and can still be copied.
        for line in textwrap.wrap(told, width, break_long_words=False, break_on_hyphens=False):
            _print_whole(console, Text(BELOW + line, style))


def _print_whole(console: Any, text: Any) -> None:
    console.print(text, soft_wrap=True)


def _widths(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> dict[str, int]:
    from rich.cells import cell_len

    lines = [dict(zip(columns, columns, strict=True)), *rows]
    return {column: max(cell_len(line[column]) for line in lines) for column in columns}


def _fitting(widths: Mapping[str, int], fit: Fit, width: int) -> list[str]:
    """The columns that are shown: all of them, or as many as fit."""
    kept = [*widths]
    for column in (fit.below, *fit.drop):
        if _total(kept, widths) <= width:
            break
        kept.remove(column)
    return kept


def _total(kept: Sequence[str], widths: Mapping[str, int]) -> int:
    return 1 + sum(widths[column] for column in kept) + len(GAP) * (len(kept) - 1)


def _joined(line: Mapping[str, str], kept: Sequence[str], widths: Mapping[str, int]) -> str:
    from rich.cells import set_cell_size

    return " " + GAP.join(set_cell_size(line[column], widths[column]) for column in kept).rstrip()
