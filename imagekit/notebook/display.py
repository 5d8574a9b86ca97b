"""Objects that Jupyter displays: styled DataFrames, pictures and the result of a run."""

from __future__ import annotations

import hashlib
import html
import json
import pathlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from imagekit.errors import counted
from imagekit.notebook.session import is_interactive
from imagekit.notebook.sortable import send_library
from imagekit.runs.record import RESULT_TYPE

CSS = pathlib.Path(__file__).with_name("display.css").read_text(encoding="utf-8")
"""The style of tables and pictures. It follows the theme of the page, light or dark."""
TINTS = {"✓": "good", "=": "good", "✗": "bad", "⊘": "bad", "!": "bad", "○": "off", "·": "off"}
"""The class of a cell by its first glyph; glyph and word have the same meaning as the colour."""
FILTERED = 25
"""Tables with more rows get a filter for each column with few values."""
FEW, SHORT = 8, 30
"""The most distinct values of a column with a filter, and the most characters of one."""
MOST_ROWS = 500
"""The most rows of a displayed table; a note says how many more its frame has."""
UNBROKEN = 60
"""The most characters of a cell that is never wrapped: a broken tag is hard to read and copy."""

Format = Callable[[Any], str]
"""Gives the displayed text of a value."""


class Table:
    """A DataFrame with a style: a caption, footnotes, and words for its values.

    `frame` has the values, with types; its index is the first column. `formats` gives the
    displayed text of a column's values, `prose` names the columns whose text is wrapped, and
    `more` says what was left out. `markup` are cells that are HTML already, in place of the text.
    `links` gives the address that each cell of a column links to; an empty one is no link.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are keywords
        self,
        frame: pd.DataFrame,
        caption: str,
        notes: tuple[str, ...] = (),
        *,
        formats: Mapping[str, Format] | None = None,
        prose: tuple[str, ...] = (),
        markup: pd.DataFrame | None = None,
        links: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.frame = frame
        self.caption = caption
        self.notes = notes
        self.formats = formats or {}
        self.prose = prose
        self.markup = markup
        self.links = links or {}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        sortable = self.markup is None and is_interactive() and send_library() is not None
        return {"text/html": self.html(sortable=sortable), "text/plain": str(self)}

    def __str__(self) -> str:
        body = ["", _left_aligned(self.texts())] if len(self.frame) else []
        return "\n".join([self.caption, *body, *self._notes()])

    def texts(self) -> pd.DataFrame:
        """The displayed rows as text."""
        shown = self.frame.head(MOST_ROWS)
        columns = {
            name: _texts(shown.iloc[:, place], self.formats.get(str(name)))
            for place, name in enumerate(shown.columns)
        }
        frame = pd.DataFrame(columns, index=shown.index, columns=shown.columns, dtype=object)
        if shown.index.nlevels == 1:
            frame.index = pd.Index(_texts(shown.index.to_series(), None), name=shown.index.name)
        return frame

    def html(self, *, sortable: bool = False) -> str:
        """The table as static HTML; if `sortable`, with the attributes that `tables.js` reads.

        These are the number of rows, the columns to filter by, and the sort keys of columns
        that do not sort alphabetically.
        """
        if self.frame.empty:
            return f"<p>{escaped(self.caption)}</p>"
        texts = self.texts()
        cells = self._linked(texts) if self.markup is None else self.markup.head(MOST_ROWS)
        labels: list[str] = []
        if cells.index.nlevels == 1:
            # Styler wants unique rows, and several may have the same name.
            labels = [escaped(str(label)) for label in texts.index]
            cells = cells.set_axis(pd.RangeIndex(len(cells), name=cells.index.name))
        # The names of the index's levels get a row of their own unless the columns have the name.
        if cells.index.nlevels == cells.columns.nlevels == 1:
            cells = cells.rename_axis(index=None, columns=cells.index.name)
        # Styler's ids would differ each time, and its cells have no need of one.
        name = hashlib.sha256(f"{self.caption}{texts.to_csv()}".encode()).hexdigest()[:8]
        style = cells.style.set_uuid(name)
        style.cell_ids = False
        style.set_caption(escaped(self.caption))
        style.set_table_attributes(self._attributes(texts) if sortable else "")
        style.set_td_classes(self._classes(texts, cells, sortable=sortable))
        style.format_index(escape="html", axis=1)
        if labels:
            style.relabel_index(labels, axis=0)
        else:
            style.format_index(escape="html", axis=0)
        table = style.to_html()
        # A screen reader reads the heads of a cell (pandas-dev/pandas#61350).
        for kind, scope in (("col_heading", "col"), ("index_name", "col"), ("row_heading", "row")):
            table = table.replace(f'<th class="{kind}', f'<th scope="{scope}" class="{kind}')
        notes = "".join(f"<p><small>{escaped(note)}</small></p>" for note in self._notes())
        label = html.escape(self.caption)
        return (
            f"<style>{CSS}</style>"
            f'<div class="imagekit-table" role="region" tabindex="0" aria-label="{label}">'
            f"{table.partition('</style>')[2].strip()}</div>"
            f'<div class="imagekit-notes">{notes}</div>'
        )

    def _linked(self, texts: pd.DataFrame) -> pd.DataFrame:
        """The text of each cell as HTML, with its link."""
        cells = texts.map(escaped)
        for name, addresses in self.links.items():
            cells[name] = [
                f'<a href="{html.escape(address)}">{text}</a>' if address else text
                for address, text in zip(addresses, cells[name], strict=False)
            ]
        return cells

    def _notes(self) -> tuple[str, ...]:
        more = len(self.frame) - MOST_ROWS
        return (*self.notes, f"… and {counted(more, 'more row')}") if more > 0 else self.notes

    def _attributes(self, texts: pd.DataFrame) -> str:
        columns = texts.columns if len(texts) > FILTERED else ()
        few = [str(name) for name in columns if _has_few(texts[name].tolist())]
        return f'data-rows="{len(texts)}" data-filters="{html.escape(json.dumps(few))}"'

    def _classes(self, texts: pd.DataFrame, cells: pd.DataFrame, *, sortable: bool) -> pd.DataFrame:
        """The classes of each cell: its meaning, whether it wraps, and its place in the order."""
        classes = {}
        for place, name in enumerate(texts.columns):
            wraps = name in self.prose
            column = [
                [TINTS.get(text.partition(" ")[0], ""), "prose" if wraps else _width(text)]
                for text in texts.iloc[:, place]
            ]
            keys = _sort_keys(self.frame.iloc[: len(texts), place]) if sortable else None
            for key, names in zip(keys or (), column, strict=bool(keys)):
                names.append(f"order-{key}")
            classes[place] = [" ".join(filter(None, names)) for names in column]
        frame = pd.DataFrame(classes, index=cells.index, dtype=object)
        frame.columns = cells.columns
        return frame


def escaped(text: str) -> str:
    """A text as HTML. JupyterLab would take what is between two dollar signs for mathematics."""
    return html.escape(text).replace("$", "<span>$</span>")


def _width(text: str) -> str:
    return "line" if len(text) <= UNBROKEN else ""


def _texts(column: pd.Series, form: Format | None) -> list[str]:
    values = column.astype(object).where(column.notna(), None).tolist()
    return ["" if value is None else (form or _text)(value) for value in values]


def _text(value: Any) -> str:
    """The text of a value without a format of its own."""
    if isinstance(value, bool):
        return "✓ yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)


def marked(marks: Mapping[Any, str], words: Mapping[Any, str] | None = None) -> Format:
    """A format of states: a glyph before the word, so that no meaning is in the colour alone."""
    return lambda state: f"{marks[state]} {(words or {}).get(state, state)}"


def _has_few(values: list[str]) -> bool:
    """Whether a column has few, short values and most rows have one, so that a filter is useful."""
    texts = [value for value in values if value]
    distinct = set(texts)
    fits = 2 <= len(distinct) <= FEW and max(map(len, distinct)) <= SHORT
    return fits and len(texts) * 2 > len(values)


def _sort_keys(column: pd.Series) -> list[Any] | None:
    """The sort keys of a column whose text does not sort like its values; None for text."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [int(code) for code in column.cat.codes]
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return [0 if pd.isna(value) else int(value.timestamp() * 1000) for value in column]
    if pd.api.types.is_numeric_dtype(column.dtype):
        return [-1 if pd.isna(value) else float(value) for value in column]
    return None


def _left_aligned(frame: pd.DataFrame) -> str:
    """A frame as text, one line per row, independent of the terminal's width."""
    index = [_names(key) for key in frame.index]
    head = [*map(_head, frame.index.names), *map(_head, frame.columns)]
    body = [
        [value.replace("\n", " ") for value in (*names, *values)]
        for names, values in zip(index, frame.to_numpy().tolist(), strict=True)
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    rule = ["─" * width for width in widths]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, rule, *body)
    )
    return "\n".join(lines)


def _names(key: Hashable) -> list[str]:
    return [str(part) for part in key] if isinstance(key, tuple) else [str(key)]


def _head(name: Hashable) -> str:
    return "" if name is None else " ".join(filter(None, _names(name)))


def svg(title: str, width: float, height: float, parts: list[str]) -> str:
    """An SVG of `parts`, in a monospaced font and the colour of the surrounding text."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="monospace" font-size="12" fill="none" stroke="currentColor">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


class Picture:
    """An SVG with a text alternative.

    It is part of the page, and not an image of its own, so that its colours follow the theme.
    """

    def __init__(self, svg: str, text: str) -> None:
        self.svg = svg
        self.text = text

    def html(self) -> str:
        """The picture as HTML; where it is wider than the page, it scrolls.

        JupyterLab removes styles and SVG from a notebook that it does not trust yet, but not the
        texts in the SVG: then only the words are shown.
        """
        title = self.text.partition("\n")[0]
        return (
            f"<style>{CSS}</style>"
            f'<div style="display: none" class="imagekit-picture" role="region" tabindex="0" '
            f'aria-label="{html.escape(title)}">{self.svg}</div>'
            f'<pre class="imagekit-words">{html.escape(self.text)}</pre>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.text}

    def __str__(self) -> str:
        return self.text


class Result:
    """The result of a run, as data and as text.

    `more` is only in the data, because it is too long to display. `folded` names the values that
    are shown on a click.
    """

    def __init__(
        self,
        values: dict[str, Any],
        more: dict[str, Any] | None = None,
        *,
        folded: tuple[str, ...] = (),
    ) -> None:
        self.values = values
        self.more = more or {}
        self.folded = folded

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        first = {name: value for name, value in self.values.items() if name not in self.folded}
        parts = [f"<pre>{html.escape(_json(first))}</pre>"]
        for name in self.folded:
            text = html.escape(_json(self.values[name]))
            parts.append(f"<details><summary>{name}</summary><pre>{text}</pre></details>")
        return {
            RESULT_TYPE: self.values | self.more,
            "text/html": "".join(parts),
            "text/plain": str(self),
        }

    def __str__(self) -> str:
        return _json(self.values)


def _json(values: Any) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False)
