"""Objects that Jupyter displays: accessible tables, pictures and the result of a run."""

from __future__ import annotations

import html
import json
from typing import Any

import pandas as pd

from imagekit.notebook.session import is_interactive
from imagekit.notebook.sortable import send_library
from imagekit.runs.record import RESULT_TYPE

CELL_STYLE = "text-align: left; vertical-align: top"
CAPTION_STYLE = "text-align: left; white-space: nowrap"
PROSE_STYLE = "; min-width: 14em; max-width: 24em; overflow-wrap: anywhere"
"""The style of a column of prose; long words, such as paths, may break."""
CHARACTER = 7.3
"""The maximum width of a character in the 12-pixel monospaced font of the pictures, in pixels."""
UNBROKEN = 60
"""The most characters of a cell that is never wrapped: a broken tag is hard to read and copy."""
BLUE, ORANGE = "rgba(0, 114, 178, 0.18)", "rgba(230, 159, 0, 0.22)"
"""Colour-blind safe tints (Okabe and Ito, 2008), for light and dark themes."""
TINTS = {"✓": BLUE, "=": BLUE, "✗": ORANGE, "⊘": ORANGE, "!": ORANGE}
"""The tint of a cell by its first glyph; glyph and word have the same meaning as the tint."""
FILTERED = 25
"""Tables with more rows get a filter for each column with few values."""
FEW, SHORT = 8, 30
"""The most distinct values of a column with a filter, and the most characters of one."""


class Table:
    """A DataFrame (`frame`) with a caption and footnotes.

    The text of the columns in `prose` is wrapped, so that later columns stay visible.

    The HTML of pandas lacks header scopes (pandas-dev/pandas#61350), and its text truncates
    columns.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        caption: str,
        notes: tuple[str, ...] = (),
        *,
        prose: tuple[str, ...] = (),
    ) -> None:
        self.frame = frame
        self.caption = caption
        self.notes = notes
        self.prose = prose

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        sortable = is_interactive() and send_library() is not None
        return {"text/html": self.html(sortable=sortable), "text/plain": str(self)}

    def __str__(self) -> str:
        body = ["", _left_aligned(self.frame)] if len(self.frame) else []
        return "\n".join([self.caption, *body, *self.notes])

    def html(self, *, sortable: bool = False) -> str:
        """The table as static HTML; if `sortable`, with the attributes that `tables.js` reads.

        These are the number of rows, the columns to filter by, and the sort keys of columns
        that do not sort alphabetically.
        """
        if self.frame.empty:
            return f"<p>{html.escape(self.caption)}</p>"
        head = [*self.frame.index.names, *self.frame.columns]
        names, values = _index_rows(self.frame), self.frame.to_numpy().tolist()
        no_keys: list[list[int | None]] = [[None] * len(head) for _ in values]
        sort_keys = _sort_keys(self.frame) if sortable else no_keys
        wrapped = [name in self.prose for name in head]
        rows = "".join(
            _row(row_names, row, keys, wrapped)
            for row_names, row, keys in zip(names, values, sort_keys, strict=True)
        )
        notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in self.notes)
        return (
            f'<div style="overflow-x: auto"><table{self._data() if sortable else ""}>'
            f'<caption style="{CAPTION_STYLE}">{html.escape(self.caption)}</caption>'
            f"<thead><tr>{''.join(_cell('th', name, 'col') for name in head)}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{notes}</div>"
        )

    def _data(self) -> str:
        columns = self.frame.columns if len(self.frame) > FILTERED else ()
        few = [str(name) for name in columns if _has_few(self.frame[name].tolist())]
        return f' data-rows="{len(self.frame)}" data-filters="{html.escape(json.dumps(few))}"'


def _has_few(values: list[Any]) -> bool:
    """Whether a column has few, short values and most rows have one, so that a filter is useful."""
    texts = [str(value) for value in values if value != ""]
    distinct = set(texts)
    fits = 2 <= len(distinct) <= FEW and max(map(len, distinct)) <= SHORT
    return fits and len(texts) * 2 > len(values)


def _row(names: list[Any], values: list[Any], keys: list[int | None], wrapped: list[bool]) -> str:
    kinds = ["th"] * len(names) + ["td"] * len(values)
    cells = "".join(
        _cell(kind, value, "row" if kind == "th" else "", key, wraps=wraps)
        for kind, value, key, wraps in zip(kinds, [*names, *values], keys, wrapped, strict=True)
    )
    return f"<tr>{cells}</tr>"


def _cell(
    kind: str, value: Any, scope: str = "", sort_key: int | None = None, *, wraps: bool = False
) -> str:
    attributes = f' scope="{scope}"' if scope else ""
    attributes += f' data-order="{sort_key}"' if sort_key is not None else ""
    text = "<br>".join(html.escape(line) for line in str(value).split("\n"))
    style = CELL_STYLE
    if wraps:
        style += PROSE_STYLE if value else ""
    elif len(str(value)) <= UNBROKEN:
        style += "; white-space: nowrap"
    glyph, blank, _ = str(value).partition(" ")
    if blank and glyph in TINTS:
        style += f"; background-color: {TINTS[glyph]}"
    return f'<{kind}{attributes} style="{style}">{text}</{kind}>'


def _sort_keys(frame: pd.DataFrame) -> list[list[int | None]]:
    """The sort key of each cell, by row: the code of a categorical, None for other columns."""
    index = [frame.index.get_level_values(level) for level in range(frame.index.nlevels)]
    columns = [pd.Index(frame[name]) for name in frame.columns]
    lists = [
        column.codes.tolist() if isinstance(column, pd.CategoricalIndex) else [None] * len(frame)
        for column in (*index, *columns)
    ]
    return [list(row) for row in zip(*lists, strict=True)]


def _index_rows(frame: pd.DataFrame) -> list[list[Any]]:
    return [list(key) if isinstance(key, tuple) else [key] for key in frame.index]


def _left_aligned(frame: pd.DataFrame) -> str:
    """A frame as text, one line per row, independent of the terminal's width."""
    head = [str(name) for name in (*frame.index.names, *frame.columns)]
    body = [
        [str(value).replace("\n", " ") for value in (*names, *values)]
        for names, values in zip(_index_rows(frame), frame.to_numpy().tolist(), strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = ["─" * width for width in widths]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, rule, *body)
    )
    return "\n".join(lines)


def svg(title: str, width: float, height: float, parts: list[str]) -> str:
    """An SVG of `parts`, in a monospaced font and the colour of the surrounding text."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="monospace" font-size="12" fill="none" stroke="currentColor">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


class Picture:
    """An SVG with a text alternative."""

    def __init__(self, svg: str, text: str) -> None:
        self.svg = svg
        self.text = text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def __str__(self) -> str:
        return self.text


class Result:
    """The result of a run, as data and as text.

    `more` is only in the data, because it is too long to display.
    """

    def __init__(self, values: dict[str, Any], more: dict[str, Any] | None = None) -> None:
        self.values = values
        self.more = more or {}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = html.escape(str(self))
        return {
            RESULT_TYPE: self.values | self.more,
            "text/html": f"<pre>{shown}</pre>",
            "text/plain": str(self),
        }

    def __str__(self) -> str:
        return json.dumps(self.values, indent=2, ensure_ascii=False)
