"""The build graph as an inline SVG, without external programs or JavaScript; deterministic."""

from __future__ import annotations

import html
from collections.abc import Iterator

from imagekit.errors import counted
from imagekit.notebook.display import CHARACTER, Picture, svg
from imagekit.planning.plan import Image, Plan

ROW, BOX, GAP, PAD = 26, 20, 70, 8
"""Height of a row, height of a box, space between columns and padding, in pixels."""


def build_graph(plan: Plan) -> Picture:
    """The graph of images, left to right; an arrow leads from a parent to its child."""
    children: dict[str | None, list[Image]] = {}
    for image in plan.images:
        children.setdefault(image.parent, []).append(image)
    roots = children.get(None, [])
    title = f"Build graph: {counted(len(plan.images), 'image')}, {len(roots)} without a parent"
    return Picture(_svg(title, roots, children), "\n".join([title, *_tree(roots, children)]))


def _tree(
    images: list[Image], children: dict[str | None, list[Image]], indent: str = ""
) -> Iterator[str]:
    for image in images:
        yield f"{indent}{image.tag}"
        yield from _tree(children.get(image.tag, []), children, indent + "  → ")


def _place(
    images: list[Image], children: dict[str | None, list[Image]], row: float = 0, depth: int = 0
) -> Iterator[tuple[Image, int, float]]:
    """The column and row of each image; a parent is centred on its children."""
    for image in images:
        below = list(_place(children.get(image.tag, []), children, row, depth + 1))
        own = [at for _, column, at in below if column == depth + 1]
        yield image, depth, (own[0] + own[-1]) / 2 if own else row
        yield from below
        row = max([row, *(at for _, _, at in below)]) + 1


def _svg(title: str, roots: list[Image], children: dict[str | None, list[Image]]) -> str:
    placed = list(_place(roots, children))
    columns = max((depth for _, depth, _ in placed), default=0) + 1
    widths = [
        max(len(image.tag) for image, depth, _ in placed if depth == column) * CHARACTER + 2 * PAD
        for column in range(columns)
        if placed
    ]
    left = [PAD + sum(widths[:column]) + GAP * column for column in range(columns)]
    middle = {image.tag: row * ROW + PAD + BOX / 2 for image, _, row in placed}
    width = PAD * 2 + sum(widths) + GAP * (columns - 1)
    height = PAD * 2 + ROW * (max((row for _, _, row in placed), default=0) + 1)
    parts = []
    for image, depth, _ in placed:
        x, y = left[depth], middle[image.tag]
        if image.parent is not None:
            start, above = left[depth - 1] + widths[depth - 1], middle[image.parent]
            parts.append(_arrow(start, above, x, y))
        parts.append(_box(image, x, y, widths[depth]))
    return svg(title, width, height, parts)


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x1 + x2) / 2
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}" '
        'opacity="0.6"/>'
        f'<path d="M{x2 - 6:.1f} {y2 - 3:.1f}L{x2:.1f} {y2:.1f}L{x2 - 6:.1f} {y2 + 3:.1f}z" '
        'fill="currentColor"/>'
    )


def _box(image: Image, x: float, y: float, width: float) -> str:
    tag = html.escape(image.tag)
    return (
        f'<rect x="{x:.1f}" y="{y - BOX / 2:.1f}" width="{width:.1f}" height="{BOX}" rx="4"/>'
        f'<text x="{x + PAD:.1f}" y="{y + 4:.1f}" fill="currentColor" stroke="none">{tag}</text>'
    )
