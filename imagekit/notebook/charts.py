"""Charts as static SVG in the colours of the page: altair draws, vl-convert writes them."""

from __future__ import annotations

import collections
import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from imagekit.notebook.display import Picture

FONT = "Liberation Mono"
"""The font that comes with vl-convert, so that texts have the same place on every machine."""
BLUE, ORANGE, GREEN, PINK, RED = "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"
"""Colours that colour-blind people tell apart (Okabe and Ito, 2008), legible on light and dark."""
SIZE = 11
"""The size of text, in pixels."""
VEGA_LITE = "6.1"
"""The version of Vega-Lite that altair 6 writes and every vl-convert of it can draw."""
MARK = re.compile(r'<path aria-label="([^"]*)"([^>]*)/>')
"""A mark with a description, in the SVG of vl-convert."""
PLACES = re.compile(r' (?:d|transform|x1|x2|y1|y2)="[^"]*"')
"""The attributes that say where something is."""
ROLES = re.compile(r' (?:role|aria-roledescription|aria-label|aria-hidden)="[^"]*"')
"""What vl-convert says of each part for screen readers."""
NUMBER = re.compile(r"-?\d+\.\d{3,}")
"""A number with many decimals."""


def picture(chart: Any, title: str, lines: Iterable[str]) -> Picture:
    """A chart of altair as a picture; a mark's `description` is shown to whoever points at it.

    `lines` say in words what the chart shows. The same chart always gives the same bytes.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(_themed(chart).to_dict(validate=False), vl_version=VEGA_LITE)
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


def _themed(chart: Any) -> Any:
    """The chart without a background, and with axes in the colour of the surrounding text."""
    ink = "currentColor"
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": SIZE, "titleFontSize": SIZE}
    lines = {"domainColor": ink, "tickColor": ink, "gridColor": ink, "gridOpacity": 0.15}
    plain = {"labelFontWeight": "normal", "titleFontWeight": "normal"}
    return (
        chart.configure(background="transparent", font=FONT, padding=8)
        .configure_view(stroke=None)
        .configure_axis(**text, **lines, **plain)
        .configure_header(**text, **plain)
        .configure_legend(**text, **plain)
        .configure_text(color=ink, fontSize=SIZE)
    )


def labels(names: Sequence[str], most: int = 36) -> list[str]:
    """Names that fit beside a chart, each another one; a long one keeps its end, like a path."""
    short = [name if len(name) <= most else f"…{name[1 - most :]}" for name in names]
    times = collections.Counter(short)
    # Two bars with one name would be drawn as one.
    return [name if times[word] > 1 else word for name, word in zip(names, short, strict=True)]
