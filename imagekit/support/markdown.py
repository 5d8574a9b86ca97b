"""Text in Markdown."""

from __future__ import annotations

import html

from imagekit.errors import one_line

BEGIN, END = "<!-- begin: imagekit readme -->", "<!-- end: imagekit readme -->"
"""The lines around what `imagekit readme` writes."""


def text(plain: str) -> str:
    """Escape a text for a table cell or a line of Markdown."""
    return html.escape(one_line(plain), quote=False).replace("|", "\\|")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of texts that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
