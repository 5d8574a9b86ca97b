"""Print tables: fitted to the width of a terminal, else one line per row."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec

from imagekit.cli import color
from imagekit.errors import one_line

GAP, INDENT = "   ", "     "
"""The text between two columns, and before the lines below a row."""
MINIMUM_WIDTH = 20
"""The smallest width of the lines below a row."""
NARROW = 120
"""Terminals with fewer columns hide the `wide_only` columns of a table."""


class Fit(msgspec.Struct, frozen=True):
    """How a table is shortened if the terminal is too narrow."""

    below: str
    """The column that is moved first, to lines of its own below each row."""
    drop: tuple[str, ...]
    """The columns that are hidden next, in this order, until the rest fits."""


def show(
    columns: Sequence[str],
    lines: Iterable[tuple[Sequence[str], str]],
    *,
    unbroken: str = "",
    wide_only: Sequence[str] = (),
    fit: Fit | None = None,
) -> None:
    """Print lines of cells, each with a rich style. The `unbroken` column is never wrapped.

    With `fit`, no cell is wrapped on a terminal: columns are hidden or moved below the row instead.
    """
    console = color.console()
    # Imported here because rich takes a tenth of a second to load.
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if fit is not None and console.is_terminal:
        _print_fitted(console, columns, [*lines], fit)
        return
    narrow = console.width < NARROW
    kept = [column for column in columns if not (narrow and column in wide_only)]
    if not console.is_terminal:
        _print_lines(console, columns, lines)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in kept:
        table.add_column(column, no_wrap=column == unbroken, overflow="fold")
    for values, style in lines:
        named: Mapping[str, str] = dict(zip(columns, values, strict=True))
        # rich would interpret brackets and colons in a str as markup.
        table.add_row(*(Text(one_line(named[column])) for column in kept), style=style)
    console.print(table)


def _print_lines(
    console: Any, columns: Sequence[str], lines: Iterable[tuple[Sequence[str], str]]
) -> None:
    """Print one line per row without trailing spaces, for grep and diff."""
    lines = [*lines]
    rows = [dict(zip(columns, map(one_line, values), strict=True)) for values, _ in lines]
    widths = _widths(columns, rows)
    head = dict(zip(columns, columns, strict=True))
    printed = [
        _joined(head, columns, widths),
        " " + "─" * (_total(columns, widths) - 1),
        *(_joined(row, columns, widths) for row in rows),
    ]
    if console.color_system is None:
        click.echo("\n".join(line for line in printed if line.strip()))
        return
    from rich.text import Text

    for line, style in zip(printed, ["bold", "", *(style for _, style in lines)], strict=True):
        _print_unwrapped(console, Text(line, style))


def _print_fitted(
    console: Any, columns: Sequence[str], lines: Sequence[tuple[Sequence[str], str]], fit: Fit
) -> None:
    from rich.text import Text

    rows = [dict(zip(columns, map(one_line, values), strict=True)) for values, _ in lines]
    widths = _widths(columns, rows)
    kept = _fitting(widths, fit, console.width)
    head = dict(zip(columns, columns, strict=True))
    _print_unwrapped(console, Text(_joined(head, kept, widths), "bold"))
    _print_unwrapped(console, Text(" " + "─" * (_total(kept, widths) - 1)))
    for row, (_, style) in zip(rows, lines, strict=True):
        _print_unwrapped(console, Text(_joined(row, kept, widths), style))
        text = "" if fit.below in kept else row[fit.below]
        width = max(console.width - len(INDENT), MINIMUM_WIDTH)
        # Long words are wrapped by the terminal, so that paths can be copied.
        for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False):
            _print_unwrapped(console, Text(INDENT + line, style))


def _print_unwrapped(console: Any, text: Any) -> None:
    console.print(text, soft_wrap=True)


def _widths(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> dict[str, int]:
    from rich.cells import cell_len

    widths = {column: cell_len(column) for column in columns}
    for row in rows:
        for column, text in row.items():
            width = len(text) if text.isascii() else cell_len(text)
            widths[column] = max(widths[column], width)
    return widths


def _fitting(widths: Mapping[str, int], fit: Fit, width: int) -> list[str]:
    """The columns to show: all of them, or as many as fit."""
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

    cells = (
        text.ljust(width) if (text := line[column]).isascii() else set_cell_size(text, width)
        for column in kept
        for width in (widths[column],)
    )
    return f" {GAP.join(cells)}".rstrip()
