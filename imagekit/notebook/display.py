"""Objects that Jupyter shows: a table that a screen reader can read, a picture, a run's result."""

from __future__ import annotations

import html
import json
from typing import Any

import pandas as pd

RESULT_TYPE = "application/vnd.imagekit.run+json"
"""The media type under which a notebook keeps what it computed, for machines to read."""

CELL_STYLE = "text-align: left; vertical-align: top"
CAPTION_STYLE = "text-align: left; white-space: nowrap"
CHARACTER = 7.3
"""Pixels: the width of a character in the 12-pixel monospaced font of the pictures, at most."""
UNBROKEN = 60
"""Characters up to which a cell stays on one line: a tag that breaks is hard to read and copy."""


class Table:
    """A DataFrame (`frame`) with a caption and footnotes.

    pandas' own HTML has no header scopes (pandas-dev/pandas#61350), and its text cuts columns.
    """

    def __init__(self, frame: pd.DataFrame, caption: str, notes: tuple[str, ...] = ()) -> None:
        self.frame = frame
        self.caption = caption
        self.notes = notes

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._html(), "text/plain": str(self)}

    def __str__(self) -> str:
        body = ["", _left_aligned(self.frame)] if len(self.frame) else []
        return "\n".join([self.caption, *body, *self.notes])

    def _html(self) -> str:
        if self.frame.empty:
            return f"<p>{html.escape(self.caption)}</p>"
        head = [*self.frame.index.names, *self.frame.columns]
        rows = "".join(map(self._row, _index_rows(self.frame), self.frame.to_numpy().tolist()))
        notes = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in self.notes)
        return (
            '<div style="overflow-x: auto"><table>'
            f'<caption style="{CAPTION_STYLE}">{html.escape(self.caption)}</caption>'
            f"<thead><tr>{''.join(_cell('th', name, 'col') for name in head)}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{notes}</div>"
        )

    def _row(self, names: list[Any], values: list[Any]) -> str:
        heads = "".join(_cell("th", name, "row") for name in names)
        return f"<tr>{heads}{''.join(_cell('td', value) for value in values)}</tr>"


def _cell(kind: str, value: Any, scope: str = "") -> str:
    attribute = f' scope="{scope}"' if scope else ""
    text = "<br>".join(html.escape(line) for line in str(value).split("\n"))
    wrap = "; white-space: nowrap" if len(str(value)) <= UNBROKEN else ""
    return f'<{kind}{attribute} style="{CELL_STYLE}{wrap}">{text}</{kind}>'


def _index_rows(frame: pd.DataFrame) -> list[list[Any]]:
    return [list(key) if isinstance(key, tuple) else [key] for key in frame.index]


def _left_aligned(frame: pd.DataFrame) -> str:
    """A frame as text, one line a row, whatever the width of the reader's terminal."""
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
    """An SVG of its parts, in a monospaced font and the colour of the text around it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="monospace" font-size="12" fill="none" stroke="currentColor">'
        f"<title>{html.escape(title)}</title>{''.join(parts)}</svg>"
    )


class Picture:
    """An SVG with a text that says the same."""

    def __init__(self, svg: str, text: str) -> None:
        self.svg = svg
        self.text = text

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def __str__(self) -> str:
        return self.text


class Result:
    """What a run computed: a mapping for machines, and the same for people."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown = html.escape(str(self))
        return {
            RESULT_TYPE: self.values,
            "text/html": f"<pre>{shown}</pre>",
            "text/plain": str(self),
        }

    def __str__(self) -> str:
        return json.dumps(self.values, indent=2, ensure_ascii=False)
