"""Print tables: fitted to the width of a terminal, else one line per row."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from imagekit.cli import color
from imagekit.errors import one_line
from imagekit.support.terminal import Clean, echo

GAP, INDENT = "   ", "     "
"""The text between two columns, and before the lines below a row."""
NARROW = str.maketrans(dict.fromkeys("─↻→…·", "-"))
"""Symbols that imagekit prints, each of which takes one column: rich, which knows of all others,
need not be loaded for them."""
MINIMUM_WIDTH = 20
"""The smallest width of the lines below a row."""


class Fit(msgspec.Struct, frozen=True):
    """How a table is shortened if the terminal is too narrow."""

    below: tuple[str, ...]
    """The columns that are moved first, in this order, to lines of their own below each row."""
    drop: tuple[str, ...] = ()
    """The columns that are hidden next, in this order, until the rest fits."""


class Styled(str):
    """A cell with a rich style of its own."""

    __slots__ = ("style",)

    def __new__(cls, text: str, style: str = "") -> Styled:
        """A text in a style."""
        cell = super().__new__(cls, text)
        cell.style = style
        return cell

    style: str


def show(
    columns: Sequence[str],
    lines: Iterable[tuple[Sequence[str], str]],
    *,
    unbroken: str = "",
    fit: Fit | None = None,
    repeated: int = 0,
) -> None:
    """Print lines of cells, each with a rich style. The `unbroken` column is never wrapped.

    With `fit`, no cell is wrapped on a terminal: columns are hidden or moved below the row instead.
    With `repeated`, a table that is too wide is printed in parts, each with so many columns of the
    beginning, and only heads are wrapped.
    """
    if not sys.stdout.isatty():
        _print_lines(columns, lines)
        return
    console = color.console()
    if fit is not None:
        _print_fitted(console, columns, [*lines], fit)
        return
    if not repeated:
        _print_wrapped(console, columns, lines, [0 if c != unbroken else None for c in columns])
        return
    rows = [*lines]
    widths = [
        max(*map(_length, head.split()), *(_length(one_line(values[n])) for values, _ in rows), 0)
        for n, head in enumerate(columns)
    ]
    for part in _parts(widths, repeated, console.width):
        some = [([values[n] for n in part], style) for values, style in rows]
        _print_wrapped(console, [columns[n] for n in part], some, [widths[n] for n in part])


def _parts(widths: Sequence[int], repeated: int, width: int) -> Iterator[list[int]]:
    """The columns of each part: the repeated ones, and as many others as fit."""
    part = first = [*range(repeated)]
    for column in range(repeated, len(widths)):
        total = 1 + sum(widths[n] + len(GAP) for n in (*part, column))
        if total > width and part != first:
            yield part
            part = first
        part = [*part, column]
    yield part


def _print_wrapped(
    console: Any,
    columns: Sequence[str],
    lines: Iterable[tuple[Sequence[str], str]],
    widths: Sequence[int | None],
) -> None:
    """Print a table whose columns have at least these widths; None for one that is not wrapped."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            Text(one_line(column)), no_wrap=width is None, min_width=width, overflow="fold"
        )
    for values, style in lines:
        # rich would interpret brackets and colons in a str as markup.
        cells = (Text(one_line(v), v.style if isinstance(v, Styled) else "") for v in values)
        table.add_row(*cells, style=style)
    console.print(table)


def _print_lines(columns: Sequence[str], lines: Iterable[tuple[Sequence[str], str]]) -> None:
    """Print one line per row without trailing spaces, for grep and diff."""
    rows = [(columns, "bold"), *lines]
    padded = [_padded(values) for values in zip(*[values for values, _ in rows], strict=True)]
    printed = [f" {GAP.join(cells)}".rstrip() for cells in zip(*padded, strict=True)]
    printed.insert(1, " " + "─" * _length(GAP.join(column[0] for column in padded)))
    if not color.is_wanted(sys.stdout):
        # Nothing is left to be removed by click, either.
        echo(Clean("\n".join(line for line in printed if line)), color=True)
        return
    from rich.text import Text

    console = color.console()
    styles = ["bold", "", *(style for _, style in rows[1:])]
    for line, style in zip(printed, styles, strict=True):
        _print_unwrapped(console, Text(line, style))


WIDEST = 1_000
"""Characters above which a cell does not make its column as wide as itself."""


def _padded(values: Sequence[str]) -> list[str]:
    """The cells of a column, as wide as the widest."""
    # Many cells of a column have the same text.
    unique = dict.fromkeys(values)
    together = "".join(unique)
    if together.isascii() and together.isprintable():
        width = _width(map(len, unique))
        cells = {value: value.ljust(width) for value in unique}
    else:
        texts = {value: one_line(value) for value in unique}
        lengths = {value: _length(text) for value, text in texts.items()}
        width = _width(lengths.values())
        cells = {value: text + " " * (width - lengths[value]) for value, text in texts.items()}
    return [cells[value] for value in values]


def _width(lengths: Iterable[int]) -> int:
    return max((length for length in lengths if length <= WIDEST), default=0)


def _length(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii() or text.translate(NARROW).isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


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
    width = max(console.width - len(INDENT), MINIMUM_WIDTH)
    for row, (_, style) in zip(rows, lines, strict=True):
        _print_unwrapped(console, Text(_joined(row, kept, widths), style))
        for column in fit.below:
            text = "" if column in kept else row[column]
            # Of several columns, a line has to tell which it is of.
            text = f"{column}: {text}" if text and len(fit.below) > 1 else text
            # Long words are wrapped by the terminal, so that paths can be copied.
            for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False):
                _print_unwrapped(console, Text(INDENT + line, style))


def _print_unwrapped(console: Any, text: Any) -> None:
    console.print(text, soft_wrap=True)


def _widths(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> dict[str, int]:
    widths = {column: _length(column) for column in columns}
    for row in rows:
        for column, text in row.items():
            widths[column] = max(widths[column], _length(text))
    return widths


def _fitting(widths: Mapping[str, int], fit: Fit, width: int) -> list[str]:
    """The columns to show: all of them, or as many as fit."""
    kept = [*widths]
    for column in (*fit.below, *fit.drop):
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
