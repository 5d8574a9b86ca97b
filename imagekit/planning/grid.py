"""The matrix as a grid: some axes down, others across, and what is built where they meet."""

from __future__ import annotations

import collections
import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from imagekit.config.schema import Config
from imagekit.errors import UsageError, counted, did_you_mean, listed
from imagekit.planning.matrix import Cell, Matrix
from imagekit.planning.plan import Plan, tag_of
from imagekit.planning.rows import LEFT_OUT, MARKS, Status, named, without
from imagekit.support import markdown

RECIPE = "recipe"
"""The word for the recipes among the axes; no axis can have this name."""
MAX_COLUMNS = 10
"""The most columns that a grid has by default, so that it fits a page."""
MAX_CHOSEN_COLUMNS = 200
"""The most columns that a grid has, so that it stays linear in the number of combinations."""
MAX_VERSION = 30
"""The longest build arg that is shown beside the name of a value."""
ABSENT = "—"
"""The name of a row that has no value of an axis."""

NOWHERE = (-1, -1)
"""The place of what has no value of an axis: before all values."""

Dimension = tuple[str, ...]
"""An axis; or several that no combination has together, which can share a column."""
Key = tuple[str | None, ...]
"""A value of each axis of some dimensions."""


class Place(msgspec.Struct, frozen=True):
    """A combination in the grid."""

    status: Status
    """Whether it is built."""
    tag: str
    """The short tag that it has or would have."""
    note: int = 0
    """The number of the reason in the grid's notes, starting at 1; 0 for an image."""
    aliases: tuple[str, ...] = ()
    """The additional tags, without those that only the build knows."""

    def __str__(self) -> str:
        words = [MARKS[self.status], *self.aliases]
        return " ".join([*words, f"({self.note})"] if self.note else words)


class Line(msgspec.Struct, frozen=True):
    """A row of the grid."""

    names: tuple[str, ...]
    """The value of each dimension of the rows."""
    places: tuple[Place | None, ...]
    """What is in each column; None if there is no such combination, or if it is only counted."""


class Section(msgspec.Struct, frozen=True):
    """A part of the grid with columns of its own."""

    name: str
    """The recipe; empty if the grid has one section."""
    columns: tuple[tuple[str, ...], ...]
    """The words at the head of each column, from the outer to the inner."""
    lines: tuple[Line, ...]
    """The rows."""


class Grid(msgspec.Struct, frozen=True):
    """A matrix as a grid."""

    rows: tuple[str, ...]
    """The head of each dimension of the rows."""
    sections: tuple[Section, ...]
    """The sections; only one unless it takes one for each recipe."""
    notes: tuple[str, ...]
    """The reasons that places refer to."""
    more: tuple[str, ...]
    """Sentences about what the grid does not show."""


class _Layout(msgspec.Struct, frozen=True):
    rows: tuple[Dimension, ...]
    columns: tuple[Dimension, ...]
    by_recipe: bool
    """Whether each recipe has a section."""


def grid(
    matrix: Matrix,
    plan: Plan,
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    versions: bool = False,
) -> Grid:
    """Return the combinations of a matrix as a grid.

    Without `rows` and `columns`, the last axis with few values is across, and the others are down.
    Axes that no combination has together share a column, and recipes with the same axes have
    columns, or sections if there are too many. With `versions`, a value is named with its build
    arg. Images that are only parents are counted. Raises UsageError if `rows` or `columns` name an
    axis that does not exist or that is named twice, or if there would be too many columns.
    """
    return _Maker(matrix, plan, rows, columns, versions).grid()


class _Maker:
    """Makes a grid; values are found by the place of their axis, the recipe is the last one."""

    def __init__(
        self,
        matrix: Matrix,
        plan: Plan,
        rows: Sequence[str],
        columns: Sequence[str],
        versions: bool,
    ) -> None:
        self.matrix, self.plan, self.versions = matrix, plan, versions
        self.axes = (*matrix.recipes.axes, RECIPE)
        self.ranks: list[Mapping[str, int]] = [
            *({name: n for n, name in enumerate(matrix.config.axis(a))} for a in self.axes[:-1]),
            {name: rank for rank, name in enumerate(matrix.recipes.by_name)},
        ]
        self.cells = [((*c.combination.values, c.combination.recipe), c) for c in matrix.cells]
        self.layout = self._layout(rows, columns)
        self.aliases = {image.tag: image.aliases for image in plan.images}
        """Those of the selected images."""
        self.notes: dict[str, int] = {}
        self.name = functools.cache(self._name)

    def grid(self) -> Grid:
        groups: dict[str, list[tuple[Key, Cell]]] = {}
        for values, cell in self.cells:
            name = cell.combination.recipe if self.layout.by_recipe else ""
            groups.setdefault(name, []).append((values, cell))
        order = sorted(groups, key=lambda name: self.ranks[-1].get(name, -1))
        sections = tuple(self._section(name, groups[name]) for name in order)
        heads = tuple(" / ".join(map(named, dimension)) for dimension in self.layout.rows)
        return Grid(heads, sections, tuple(self.notes), tuple(self._more()))

    def _more(self) -> Iterator[str]:
        if parents := sum(not image.listed for image in self.plan.images):
            are = "is built only as a parent" if parents == 1 else "are built only as parents"
            yield f"{counted(parents, 'more image')} {are} of these."
        if self.matrix.more:
            number = counted(self.matrix.more, "combination")
            yield f"{number} that no entry in 'images' names: not shown."

    # ---- layout

    def _layout(self, rows: Sequence[str], columns: Sequence[str]) -> _Layout:
        needs_recipe = len({cell.combination.values for _, cell in self.cells}) < len(self.cells)
        masks = {tuple(value is not None for value in values) for values, _ in self.cells}
        used = [axis for i, axis in enumerate(self.axes[:-1]) if any(mask[i] for mask in masks)]
        if rows or columns:
            return self._chosen(rows, columns, used, needs_recipe)
        dimensions = _dimensions(used, self.axes, masks)
        recipes: tuple[Dimension, ...] = ((RECIPE,),) if needs_recipe else ()
        for before in dict.fromkeys((recipes, ())):
            for dimension in reversed(dimensions) if len(dimensions) > 1 or recipes else ():
                across = (*before, dimension)
                if self._number((dimension,)) > 1 and self._number(across) <= MAX_COLUMNS:
                    down = tuple(other for other in dimensions if other != dimension)
                    return _Layout(down, across, needs_recipe and not before)
        return _Layout(tuple(dimensions), (), needs_recipe)

    def _chosen(
        self, rows: Sequence[str], columns: Sequence[str], used: list[str], needs_recipe: bool
    ) -> _Layout:
        seen: set[str] = set()
        for axis in (*rows, *columns):
            if axis not in self.axes:
                near = did_you_mean(axis, self.axes)
                raise UsageError(f"{axis!r} is not an axis{near or f': {listed(self.axes)}'}")
            if axis in seen:
                raise UsageError(f"{axis!r} is named twice; name it in --rows or in --columns")
            seen.add(axis)
        left = [axis for axis in used if axis not in seen]
        down, across = [*rows], [*columns]
        (down if columns else across).extend(left)
        shown = {*used, RECIPE}
        layout = _Layout(
            tuple((axis,) for axis in down if axis in shown),
            tuple((axis,) for axis in across if axis in shown),
            needs_recipe and RECIPE not in seen,
        )
        if (number := self._number(layout.columns)) > MAX_CHOSEN_COLUMNS:
            message = f"{listed(across)} across would make {number} columns"
            raise UsageError(f"{message}, and a grid has at most {MAX_CHOSEN_COLUMNS}")
        return layout

    def _number(self, dimensions: Iterable[Dimension]) -> int:
        key = self._key(dimensions)
        return len({key(values) for values, _ in self.cells})

    def _key(self, dimensions: Iterable[Dimension]) -> Callable[[Key], Key]:
        places = [self.axes.index(axis) for dimension in dimensions for axis in dimension]
        if len(places) > 1:
            return operator.itemgetter(*places)
        return lambda values: tuple(values[place] for place in places)

    # ---- sections

    def _section(self, name: str, cells: Iterable[tuple[Key, Cell]]) -> Section:
        down, across = self._key(self.layout.rows), self._key(self.layout.columns)
        lines: dict[Key, dict[Key, Cell]] = collections.defaultdict(dict)
        columns: set[Key] = set()
        for values, cell in cells:
            key = across(values)
            columns.add(key)
            lines[down(values)][key] = cell
        keys = sorted(columns, key=self._rank(self.layout.columns))
        return Section(
            name,
            tuple(self._heads(keys)),
            tuple(
                Line(self._names(row), tuple(self._place(lines[row].get(key)) for key in keys))
                for row in sorted(lines, key=self._rank(self.layout.rows))
            ),
        )

    def _rank(self, dimensions: Sequence[Dimension]) -> Callable[[Key], list[tuple[int, int]]]:
        """Keys in the order of the config; first what has no value, then one axis after another."""

        @functools.cache
        def place(dimension: Dimension, values: Key) -> tuple[int, int]:
            for n, (axis, value) in enumerate(zip(dimension, values, strict=True)):
                if value is not None:
                    return n, self.ranks[self.axes.index(axis)].get(value, -1)
            return NOWHERE

        return lambda key: [place(*part) for part in _parts(dimensions, key)]

    def _place(self, cell: Cell | None) -> Place | None:
        if cell is None:
            return None
        status: Status = cell.status
        tag, reason = tag_of(self.matrix, cell), cell.reason
        if status == "built" and tag in self.aliases:
            aliases = (a.rpartition(":")[2] for a in self.aliases[tag] if "{" not in a)
            return Place(status, tag, aliases=tuple(aliases))
        if status == "built":
            status, reason = "not selected", LEFT_OUT
        return Place(status, tag, self.notes.setdefault(reason, len(self.notes) + 1))

    # ---- words

    def _names(self, key: Key) -> tuple[str, ...]:
        return tuple(self.name(*part) or ABSENT for part in _parts(self.layout.rows, key))

    def _heads(self, keys: Iterable[Key]) -> Iterator[tuple[str, ...]]:
        """The words of each column; those of a recipe that never has an axis do not name it."""
        if not self.layout.columns:
            yield ("image",)
            return
        split = [[*_parts(self.layout.columns, key)] for key in keys]
        has = {(_recipe(parts), d) for parts in split for d, values in parts if any(values)}
        for parts in split:
            recipe = _recipe(parts)
            yield tuple(
                self.name(dimension, values)
                or (without(*dimension) if (recipe, dimension) in has or len(parts) == 1 else "")
                for dimension, values in parts
            )

    def _name(self, dimension: Dimension, values: Key) -> str:
        """The value that there is among the axes of a dimension; an empty text if none."""
        for axis, value in zip(dimension, values, strict=True):
            if value is not None:
                shown = value if axis == RECIPE else self._value(axis, value)
                twice = sum(value in self.matrix.config.axis(other) for other in dimension) > 1
                return f"{named(axis)} {shown}" if twice else shown
        return ""

    def _value(self, axis: str, value: str) -> str:
        return with_version(self.matrix.config, axis, value) if self.versions else value


def _recipe(parts: Iterable[tuple[Dimension, Key]]) -> str | None:
    return next((values[0] for dimension, values in parts if dimension == (RECIPE,)), None)


def _parts(dimensions: Iterable[Dimension], key: Key) -> Iterator[tuple[Dimension, Key]]:
    start = 0
    for dimension in dimensions:
        yield dimension, key[start : start + len(dimension)]
        start += len(dimension)


def _dimensions(
    used: Iterable[str], axes: Sequence[str], masks: Iterable[tuple[bool, ...]]
) -> list[Dimension]:
    """The used axes; those that no combination has together are one dimension."""
    known = list(masks)
    dimensions: list[Dimension] = []
    for axis in used:
        at = [axes.index(other) for other in (*dimensions[-1], axis)] if dimensions else []
        if at and all(sum(mask[i] for i in at) <= 1 for mask in known):
            dimensions[-1] = (*dimensions[-1], axis)
        else:
            dimensions.append((axis,))
    return dimensions


def with_version(config: Config, axis: str, value: str) -> str:
    """Return a value's name, and its first build arg if that says more: `cuda126 (12.6.3)`."""
    text = next(iter(config.axis(axis).get(value, {}).values()), "")
    digits = "".join(filter(str.isdigit, text))
    if not digits or digits == "".join(filter(str.isdigit, value)) or len(text) > MAX_VERSION:
        return value
    return f"{value} ({text})"


# ---- Markdown


def as_markdown(grid: Grid) -> str:
    """Return a grid as tables in Markdown, with the reasons below them."""
    parts: list[str] = []
    for section in grid.sections:
        if section.name:
            parts.append(f"**{markdown.text(section.name)}**")
        heads = [*grid.rows, *(", ".join(filter(None, words)) for words in section.columns)]
        lines = [
            [*map(markdown.text, line.names), *(str(place or "") for place in line.places)]
            for line in section.lines
        ]
        parts.append(markdown.table([markdown.text(head) for head in heads], lines))
    notes = [f"{number}. {markdown.text(note)}" for number, note in enumerate(grid.notes, start=1)]
    parts += ["\n".join(notes)] if notes else []
    parts += map(markdown.text, grid.more)
    return "\n\n".join(parts) + "\n"
