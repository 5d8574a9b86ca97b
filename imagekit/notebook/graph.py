"""The build graph as SVG: a column for each generation, a colour for each recipe; deterministic."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import msgspec

from imagekit.errors import counted
from imagekit.notebook import charts
from imagekit.notebook.display import Picture, svg
from imagekit.planning.plan import Image, Plan

CHARACTER = 7.3
"""The maximum width of a character in the 12-pixel monospaced font of the pictures, in pixels."""
ROW, BOX, GAP, PAD = 26, 20, 70, 8
"""Height of a row, height of a box, space between columns and padding, in pixels."""
CHIP, CHIPS = 12, 20
"""The size of an image in a group, in pixels, and the most of them side by side."""
FEW = 60
"""The most images that each have a box of their own."""
COLOURS = (
    *(charts.BLUE, charts.ORANGE, charts.GREEN, charts.PINK, charts.RED),
    *("#56b4e9", "#999999"),
)
"""Colours that colour-blind people tell apart (Okabe and Ito, 2008)."""
DASHES = ("", "5 2", "2 2")
"""Further recipes have the colours again, with other lines."""


class _Node(msgspec.Struct, eq=False, kw_only=True):
    """A box: an image, or the images of a recipe with the same parent and without children."""

    images: list[Image]
    parent: _Node | None = None
    depth: int = 0
    top: float = 0.0
    """Its upper edge, in pixels."""
    below: list[_Node] = []

    @property
    def grouped(self) -> bool:
        return len(self.images) > 1

    @property
    def label(self) -> str:
        first = self.images[0]
        return f"{first.recipe}: {len(self.images)} images" if self.grouped else first.tag

    @property
    def width(self) -> float:
        chips = min(len(self.images), CHIPS) * CHIP if self.grouped else 0
        return max(len(self.label) * CHARACTER, chips) + 2 * PAD

    @property
    def height(self) -> float:
        return BOX + (-(-len(self.images) // CHIPS) * CHIP + PAD / 2 if self.grouped else 0)


def build_graph(plan: Plan) -> Picture:
    """The graph of images, left to right; an arrow leads from a parent to its child.

    Many images without children are one box for each parent and recipe, with a square for each.
    """
    children: dict[str | None, list[Image]] = {}
    for image in plan.images:
        children.setdefault(image.parent, []).append(image)
    own = {image.tag for image in plan.images}
    # The parents of a part of a plan may not be in it.
    roots = [image for image in plan.images if image.parent is None or image.parent not in own]
    title = f"Build graph: {counted(len(plan.images), 'image')}, {len(roots)} without a parent"
    grouped = len(plan.images) > FEW
    nodes = list(_nodes(roots, None, children, grouped=grouped))
    text = "\n".join([title, *_tree(roots, children)])
    return Picture(_svg(title, nodes, plan), text)


def _tree(
    images: Sequence[Image], children: dict[str | None, list[Image]], indent: str = ""
) -> Iterator[str]:
    for image in images:
        yield f"{indent}{image.tag}"
        yield from _tree(children.get(image.tag, []), children, indent + "  → ")


def _nodes(
    images: Sequence[Image],
    parent: _Node | None,
    children: dict[str | None, list[Image]],
    *,
    grouped: bool,
) -> Iterator[_Node]:
    """The boxes of some siblings, each followed by those below it."""
    depth = parent.depth + 1 if parent else 0
    groups: dict[str, _Node] = {}
    for image in images:
        alone = not grouped or image.tag in children
        if not alone and image.recipe in groups:
            groups[image.recipe].images.append(image)
            continue
        node = _Node(images=[image], parent=parent, depth=depth, below=[])
        if parent:
            parent.below.append(node)
        if not alone:
            groups[image.recipe] = node
        yield node
        yield from _nodes(children.get(image.tag, []), node, children, grouped=grouped)


def _place(nodes: Sequence[_Node], top: float) -> float:
    """Give each node its place; a parent is in the middle of its children. Returns the end."""
    for node in nodes:
        end = _place(node.below, top)
        if node.below:
            first, last = node.below[0], node.below[-1]
            node.top = (first.top + last.top + last.height - node.height) / 2
        else:
            node.top = top
        top = max(end, node.top + node.height + ROW - BOX)
    return top


def _svg(title: str, nodes: list[_Node], plan: Plan) -> str:
    recipes = dict.fromkeys(image.recipe for image in plan.images)
    styles = {recipe: _style(number) for number, recipe in enumerate(recipes)}
    legend = _legend(styles)
    height = _place([node for node in nodes if node.parent is None], PAD + ROW)
    columns = max((node.depth for node in nodes), default=-1) + 1
    widths = [max(n.width for n in nodes if n.depth == column) for column in range(columns)]
    left = [PAD + sum(widths[:column]) + GAP * column for column in range(columns)]
    width = PAD * 2 + sum(widths) + GAP * max(columns - 1, 0)
    parts, below = list(legend), dependants(plan)
    for node in nodes:
        x = left[node.depth]
        if node.parent is not None:
            start = left[node.depth - 1] + node.parent.width
            parts.append(_arrow(start, _middle(node.parent), x, _middle(node)))
        parts.append(_box(node, x, styles[node.images[0].recipe], below))
    words = sum(len(recipe) * CHARACTER + CHIP + 3 * PAD for recipe in recipes)
    return svg(title, max(width, words + PAD), height + PAD, parts)


def _middle(node: _Node) -> float:
    return node.top + BOX / 2


def _style(number: int) -> str:
    colour = COLOURS[number % len(COLOURS)]
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    lines = f' stroke-dasharray="{dash}"' if dash else ""
    return f'fill="{colour}" fill-opacity="0.22" stroke="{colour}" stroke-width="1.5"{lines}'


def _legend(styles: dict[str, str]) -> Iterator[str]:
    x = float(PAD)
    for recipe, style in styles.items():
        yield f'<rect x="{x:.1f}" y="{PAD}" width="{CHIP}" height="{CHIP}" rx="2" {style}/>'
        yield _text(x + CHIP + PAD / 2, PAD + CHIP - 2, recipe)
        x += len(recipe) * CHARACTER + CHIP + 3 * PAD


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = (x1 + x2) / 2
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{bend:.1f} {y1:.1f} {bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}" '
        'opacity="0.6"/>'
        f'<path d="M{x2 - 6:.1f} {y2 - 3:.1f}L{x2:.1f} {y2:.1f}L{x2 - 6:.1f} {y2 + 3:.1f}z" '
        'fill="currentColor"/>'
    )


def _box(node: _Node, x: float, style: str, below: dict[str, int]) -> str:
    y, label = node.top, node.label
    frame = f'width="{node.width:.1f}" height="{node.height:.1f}" rx="4"'
    box = f'<rect x="{x:.1f}" y="{y:.1f}" {frame} {style}/>'
    box += _text(x + PAD, y + BOX / 2 + 4, label)
    if not node.grouped:
        return _of_image(node.images[0], box, below)
    chips = (
        _of_image(
            image,
            f'<rect x="{x + PAD + number % CHIPS * CHIP:.1f}" '
            f'y="{y + BOX + number // CHIPS * CHIP:.1f}" '
            f'width="{CHIP - 2}" height="{CHIP - 2}" rx="2" {style}/>',
            below,
        )
        for number, image in enumerate(node.images)
    )
    return box + "".join(chips)


def _of_image(image: Image, drawn: str, below: dict[str, int]) -> str:
    """What is drawn of an image, with its details for whoever points at it."""
    tag = html.escape(image.tag)
    words = html.escape("\n".join(details(image, below.get(image.tag, 0))))
    return f'<g class="node" data-tag="{tag}"><title>{words}</title>{drawn}</g>'


def details(image: Image, dependants: int) -> Iterator[str]:
    """What there is to say of an image, as lines; `dependants` is the number of its descendants."""
    yield image.tag
    yield f"recipe: {image.recipe} ({image.dockerfile})"
    if image.parent:
        yield f"parent: {image.parent}"
    if dependants:
        yield f"a change also rebuilds {counted(dependants, 'image')}"
    for name, value in image.build_args.items():
        yield f"{name}={value}"


def dependants(plan: Plan) -> dict[str, int]:
    """The number of images that are built on each image, directly or not, if there are any."""
    number: dict[str, int] = {}
    # Parents come first, so that from the end every image is complete before its parent.
    for image in reversed(plan.images):
        if image.parent is not None:
            number[image.parent] = number.get(image.parent, 0) + number.get(image.tag, 0) + 1
    return number


def _text(x: float, y: float, words: str) -> str:
    shown = html.escape(words)
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="currentColor" stroke="none">{shown}</text>'
