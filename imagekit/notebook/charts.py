"""Charts as static SVG in the colours of the page: written in Vega-Lite, drawn by vl-convert.

A chart is plain data in the language of Vega-Lite (vega.github.io/vega-lite/docs); a library that
writes it takes longer to load than the chart to draw.
"""

from __future__ import annotations

import collections
import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from imagekit.notebook.display import Picture

FONT = "Liberation Mono"
"""The font that comes with vl-convert, so that texts have the same place on every machine."""
BLUE, ORANGE, GREEN, PINK, RED = "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"
"""Colours that colour-blind people tell apart (Okabe and Ito, 2008), legible on light and dark."""
SIZE = 11
"""The size of text, in pixels."""
VEGA_LITE = "6.1"
"""The version of Vega-Lite that charts are written in; every vl-convert since 1.8 can draw it."""
WORDS: dict[str, Any] = {"type": "text", "align": "left", "aria": False}
"""Text beside a mark, which its description says already."""
INK = "currentColor"
"""The colour of the surrounding text."""
MARK = re.compile(r'<path aria-label="([^"]*)"([^>]*)/>')
"""A mark with a description, in the SVG of vl-convert."""
PLACES = re.compile(r' (?:d|transform|x1|x2|y1|y2)="[^"]*"')
"""The attributes that say where something is."""
ROLES = re.compile(r' (?:role|aria-roledescription|aria-label|aria-hidden)="[^"]*"')
"""What vl-convert says of each part for screen readers."""
NUMBER = re.compile(r"-?\d+\.\d{3,}")
"""A number with many decimals."""


def nominal(field: str, **more: Any) -> dict[str, Any]:
    """A channel that shows a column of names or texts."""
    return {"field": field, "type": "nominal", **more}


def number(field: str, **axis: Any) -> dict[str, Any]:
    """A channel that shows a column of numbers, on an axis with these properties."""
    return {"field": field, "type": "quantitative", **({"axis": axis} if axis else {})}


def names(field: str) -> dict[str, Any]:
    """The names down the side of a chart of bars, in the order of the data."""
    axis = {"title": None, "labelLimit": 280, "labelPadding": 8, "ticks": False, "domain": False}
    return nominal(field, sort=None, axis=axis)


def picture(chart: Mapping[str, Any], title: str, lines: Iterable[str]) -> Picture:
    """A chart as a picture; a mark's `description` is shown to whoever points at it.

    `lines` say in words what the chart shows. The same chart always gives the same bytes.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg({**chart, "config": _theme()}, vl_version=VEGA_LITE)
    svg = svg.replace(f'font-family="{FONT}"', 'font-family="monospace"')
    # Two decimals are enough, and the same on every processor.
    svg = PLACES.sub(lambda found: NUMBER.sub(lambda n: f"{float(n[0]):.2f}", found[0]), svg)
    svg = MARK.sub(r"<path\2><title>\1</title></path>", svg)
    # The picture has one role and one title; its parts would be images without a name.
    svg = ROLES.sub("", svg)
    head, _, rest = svg.partition(">")
    return Picture(
        f'{head} role="img"><title>{html.escape(title)}</title>{rest}', "\n".join([title, *lines])
    )


def _theme() -> dict[str, Any]:
    """No background, and axes in the colour of the surrounding text."""
    plain = {"labelFontWeight": "normal", "titleFontWeight": "normal"}
    text = {"labelColor": INK, "titleColor": INK, "labelFontSize": SIZE, "titleFontSize": SIZE}
    lines = {"domainColor": INK, "tickColor": INK, "gridColor": INK, "gridOpacity": 0.15}
    return {
        "background": "transparent",
        "font": FONT,
        "padding": 8,
        "view": {"stroke": None},
        "axis": {**text, **lines, **plain},
        "header": {**text, **plain},
        "legend": {**text, **plain},
        "text": {"color": INK, "fontSize": SIZE},
    }


def labels(names: Sequence[str], most: int = 36) -> list[str]:
    """Names that fit beside a chart, each another one; a long one keeps its end, like a path."""
    short = [name if len(name) <= most else f"…{name[1 - most :]}" for name in names]
    times = collections.Counter(short)
    # Two bars with one name would be drawn as one.
    return [name if times[word] > 1 else word for name, word in zip(names, short, strict=True)]
