"""Text in Markdown."""

from __future__ import annotations

import re

from imagekit.errors import one_line

BEGIN, END = "<!-- begin: imagekit readme -->", "<!-- end: imagekit readme -->"
"""The lines around what `imagekit readme` writes."""


SPECIAL = re.compile(r"[\\`*_\[\]~]|!(?=\[)|^[#+-](?=\s)")
"""What has a meaning within a line of Markdown (spec.commonmark.org, github.github.com/gfm)."""


def text(plain: str) -> str:
    """Escape a text for a table cell or a line of Markdown."""
    import html  # Not at the top: few commands write Markdown, and it takes a while to load.

    escaped = html.escape(one_line(plain), quote=False)
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", escaped).replace("|", "\\|")


def code(plain: str) -> str:
    """Return a text as a code span, in which nothing has a meaning; empty for an empty text."""
    if not plain:
        return ""
    # Only a pipe has one, in a table's cell.
    line = one_line(plain).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    # A space at each end is not shown.
    pad = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table of texts that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
