"""The site's pictures, drawn from configs by imagekit itself, so that they cannot be out of date.

A page shows one with the directive `picture` and a name of `PICTURES`. Colors are classes of
`_static/site.css`, which follow the theme. All of them can be read on a phone.
"""

import html
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator

import imagekit
from imagekit.errors import counted
from imagekit.planning.grid import Grid, Line, Place, grid
from imagekit.planning.load import Checked
from imagekit.planning.plan import Image
from imagekit.planning.rows import MARKS, WORDS

CHARACTER = 7.3
"""The width of a character of a tag, which is monospaced."""
MAX_ROWS = 24
"""The most rows of a grid that are drawn."""
SMALL = pathlib.Path(imagekit.__file__).parent / "scaffold/templates/images.yaml"
"""What `imagekit init` writes: the config of the tutorial."""


class Drawing:
    """An SVG that grows as wide and as tall as what is drawn."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[str] = []
        self.width = self.height = 0.0

    def box(self, x: float, y: float, w: float, h: float, kind: str = "box") -> None:
        """Draw a rectangle with round corners."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="5"/>'
        )
        self._reach(x + w, y + h)

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Write a text at its baseline."""
        self.parts.append(
            f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">'
            f"{html.escape(text)}</text>"
        )
        self._reach(x, y)

    def line(self, *points: tuple[float, float], arrow: bool = True) -> None:
        """Draw a line from point to point."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self.parts.append(f'<polyline class="line" points="{path}"{end}/>')

    def _reach(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, x), max(self.height, y)

    def svg(self) -> str:
        """Return the picture."""
        w, h = self.width + 2, self.height + 2
        name = html.escape(self.title, quote=True)
        return (
            f'<svg role="img" aria-label="{name}" viewBox="-1 -1 {w:g} {h:g}" '
            f'style="max-width: {w * 1.25:g}px" xmlns="http://www.w3.org/2000/svg">'
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path class="head" d="M0,0 L8,4 L0,8 Z"/></marker>'
            f"</defs>{''.join(self.parts)}</svg>"
        )


def figure(drawing: Drawing, caption: str) -> str:
    """Return a picture with what it says in words, which is HTML."""
    return f'<figure class="drawing">{drawing.svg()}<figcaption>{caption}</figcaption></figure>\n'


# ---- the matrix as a grid


def matrix(root: pathlib.Path) -> str:
    """The grid of `config/images.yaml`, with the reasons below it."""
    shown = _grid(imagekit.api.check(root / "config/images.yaml"))
    section = shown.sections[0]
    drawing = Drawing(f"The matrix of config/images.yaml: {' × '.join(shown.rows)} and columns")
    names = len(shown.rows)
    widths = [
        20 + CHARACTER * max(len(line.names[n]) for line in section.lines) for n in range(names)
    ]
    starts = [sum(widths[:n]) for n in range(names)]
    left, cell, row = sum(widths), 66, 25
    for n, head in enumerate(shown.rows):
        drawing.text(starts[n], 30, head, "small")
    for n, words in enumerate(section.columns):
        middle = left + n * cell + cell / 2
        name, _, version = " ".join(words).partition(" (")
        drawing.text(middle, 14 if version else 30, name, "tag", "middle")
        if version:
            drawing.text(middle, 30, version.rstrip(")"), "small", "middle")
    y = 40.0
    before = ""
    for line in section.lines[:MAX_ROWS]:
        if before and line.names[0] != before:
            y += 6
        _row(drawing, line, before, [*starts, left], y, cell)
        before = line.names[0]
        y += row
    if len(section.lines) > MAX_ROWS:
        drawing.text(0, y + 16, f"and {len(section.lines) - MAX_ROWS} more rows", "small")
    reasons = "".join(f"<li>{html.escape(note)}</li>" for note in shown.notes)
    return figure(
        drawing,
        f"{_legend(shown)}"
        + (f"<ol>{reasons}</ol>" if reasons else "")
        + "".join(f"<p>{html.escape(text)}</p>" for text in shown.more),
    )


def _grid(checked: Checked) -> Grid:
    return grid(checked.matrix, checked.plan, versions=True)


def _row(
    drawing: Drawing, line: Line, before: str, starts: list[float], y: float, cell: float
) -> None:
    for n, name in enumerate(line.names):
        if n or name != before:
            drawing.text(starts[n], y + 15.5, name, "tag")
    for n, place in enumerate(line.places):
        if place is None:
            continue
        x = starts[-1] + n * cell
        kind = "yes" if place.status == "built" else "no"
        drawing.box(x + 1.5, y, cell - 3, 22, kind)
        drawing.text(x + cell / 2, y + 15.5, _words(place), f"on-{kind}", "middle")


def _words(place: Place) -> str:
    note = str(place.note) if place.note else ""
    return " ".join(filter(None, [MARKS[place.status], *place.aliases, note]))


def _legend(shown: Grid) -> str:
    places = (p for s in shown.sections for line in s.lines for p in line.places if p)
    statuses = {place.status for place in places}
    words = (f"{MARKS[status]} {word}" for status, word in WORDS.items() if status in statuses)
    return f"<p>{', '.join(words)}. A number is that of the reason.</p>"


# ---- how it works


STEPS = {
    "config": ("axes, recipes,", "rules"),
    "matrix": ("each combination:", "built or not"),
    "plan": ("images, parents", "first"),
    "document": ("cloudbuild.json", ""),
    "build": ("Docker or Google", "Cloud Build"),
    "record": ("notebook and", "its data"),
}


def pipeline(_root: pathlib.Path) -> str:
    """From a config to the record of a build."""
    drawing = Drawing(" → ".join(STEPS))
    width, height, gap = 122, 66, 26
    for n, (name, lines) in enumerate(STEPS.items()):
        line, column = divmod(n, 3)
        x, y = column * (width + gap), line * (height + gap)
        drawing.box(x, y, width, height)
        drawing.text(x + width / 2, y + 22, name, "strong", "middle")
        for m, text in enumerate(filter(None, lines)):
            drawing.text(x + width / 2, y + 40 + 15 * m, text, "small", "middle")
        if column:
            drawing.line((x - gap + 2, y + height / 2), (x - 2, y + height / 2))
    middle, right = height + gap / 2, 2 * (width + gap) + width / 2
    drawing.line(
        (right, height + 2), (right, middle), (width / 2, middle), (width / 2, height + gap - 2)
    )
    return figure(
        drawing, "<p>Each part is made from the one before it, and from nothing else.</p>"
    )


def axes(_root: pathlib.Path) -> str:
    """The axes of a small config, with the build args of each value."""
    config = imagekit.load(SMALL)
    drawing = Drawing("The axes of a config: each has values, and each value has build args")
    y = 0.0
    for axis in config.axis_names():
        drawing.text(0, y + 16, axis, "strong")
        for name, args in config.axis(axis).items():
            told = ", ".join(f"{arg}={value}" for arg, value in args.items())
            drawing.box(92, y, 92, 24, "yes")
            drawing.text(138, y + 16, name, "on-yes tag", "middle")
            drawing.box(194, y, CHARACTER * len(told), 24, "none")
            drawing.text(194, y + 16, told, "small tag")
            y += 30
        y += 8
    return figure(
        drawing,
        "<p>The axes of the config that <code>imagekit init</code> writes. The name of a value is "
        "part of tags; its build args go to the Dockerfile.</p>",
    )


def plan(_root: pathlib.Path) -> str:
    """The plan of a small config as a tree: each image below the one that it is built on."""
    images = imagekit.plan(imagekit.load(SMALL)).images
    drawing = Drawing("A plan: an image below another is built on it")
    y: dict[str, float] = {}
    for n, (depth, image) in enumerate(_tree(images)):
        x, y[image.tag] = depth * 30, n * 34
        drawing.box(x, y[image.tag], 20 + CHARACTER * len(image.tag), 26, _kind(image))
        drawing.text(x + 10, y[image.tag] + 17, image.tag, f"tag on-{_kind(image)}")
        if image.parent:
            top = y[image.parent] + 28
            drawing.line((x - 16, top), (x - 16, y[image.tag] + 13), (x - 2, y[image.tag] + 13))
    return figure(
        drawing,
        "<p>The plan of the config that <code>imagekit init</code> writes. An image is built on "
        "the one above it. The gray one is in no entry of <code>images</code>: it is built because "
        "another image needs it.</p>",
    )


def _kind(image: Image) -> str:
    return "yes" if image.listed else "no"


def _tree(
    images: Iterable[Image], parent: str | None = None, depth: int = 0
) -> Iterator[tuple[int, Image]]:
    every = list(images)
    for image in every:
        if image.parent == parent:
            yield depth, image
            yield from _tree(every, image.tag, depth + 1)


def document(_root: pathlib.Path) -> str:
    """The steps of a small config's build file, for each image in its order."""
    config = imagekit.load(SMALL)
    planned = imagekit.plan(config)
    steps = json.loads(imagekit.render(planned, config))["steps"]
    drawing = Drawing("A build file: for each image a step that builds, tests and pushes it")
    left = 22 + CHARACTER * max(len(image.tag) for image in planned.images)
    for n, image in enumerate(planned.images):
        y = n * 36.0
        drawing.text(0, y + 17, image.tag, "tag")
        own = [s["id"] for s in steps if _of(s["id"], image.tag)]
        for m, name in enumerate(_verbs(own)):
            x = left + m * 78
            drawing.box(x, y, 54, 26, "yes")
            drawing.text(x + 27, y + 17, name, "on-yes small", "middle")
            if m:
                drawing.line((x - 22, y + 13), (x - 2, y + 13))
    aliases = sum(len(image.aliases) for image in planned.images)
    return figure(
        drawing,
        f"<p>The steps of that plan in <code>cloudbuild.json</code>. {aliases} more push the "
        "aliases. An image that fails its test is not pushed.</p>",
    )


def _of(step: str, tag: str) -> bool:
    name = step.rpartition(":")[2]
    return name.removesuffix("-push").removesuffix("-test") == tag


def _verbs(steps: Iterable[str]) -> list[str]:
    found = {step.rpartition("-")[2] for step in steps}
    return ["build", *(word for word in ("test", "push") if word in found)]


# ---- a worked example


def layers(root: pathlib.Path) -> str:
    """The recipes of `config/layers.yaml`, each on those that it is built on."""
    images = imagekit.plan(imagekit.load(root / "config/layers.yaml")).images
    by_tag = {image.tag: image for image in images}
    parents: dict[str, set[str]] = {}
    number: dict[str, int] = {}
    for image in images:
        number[image.recipe] = number.get(image.recipe, 0) + 1
        known = parents.setdefault(image.recipe, set())
        if image.parent:
            known.add(by_tag[image.parent].recipe)
    depth: dict[str, int] = {}
    while len(depth) < len(parents):
        for recipe, below in parents.items():
            if below <= depth.keys():
                depth[recipe] = 1 + max((depth[name] for name in below), default=-1)
    drawing = Drawing("The recipes of config/layers.yaml, each above those that it is built on")
    width, height, gap, rise = 118, 46, 20, 34
    deepest = max(depth.values())
    rows = [[r for r in parents if depth[r] == level] for level in range(deepest + 1)]
    whole = max(len(row) * (width + gap) - gap for row in rows)
    place: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        start = (whole - (len(row) * (width + gap) - gap)) / 2
        for n, recipe in enumerate(row):
            x, y = start + n * (width + gap), (deepest - level) * (height + rise)
            place[recipe] = x + width / 2, y
            drawing.box(x, y, width, height, "yes" if level == deepest else "box")
            drawing.text(x + width / 2, y + 19, recipe, "strong", "middle")
            drawing.text(x + width / 2, y + 35, counted(number[recipe], "image"), "small", "middle")
    for recipe, below in parents.items():
        x, y = place[recipe]
        for name in sorted(below):
            from_x, from_y = place[name]
            aside = max(-40.0, min(40.0, (from_x - x) / 4))
            drawing.line((from_x, from_y - 2), (x + aside, y + height + 2))
    return figure(
        drawing,
        f"<p>{len(images)} images of {len(parents)} recipes. An arrow leads from a parent to the "
        "images that are built on it.</p>",
    )


PICTURES: dict[str, Callable[[pathlib.Path], str]] = {
    "matrix": matrix,
    "pipeline": pipeline,
    "axes": axes,
    "plan": plan,
    "document": document,
    "layers": layers,
}
"""What draws each picture, as HTML, from the root of a checkout."""
