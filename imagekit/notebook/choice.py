"""The values and globs selected in the explorer, and the plan that results."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Collection, Mapping, Sequence

import msgspec
import pandas as pd

from imagekit.errors import ConfigError, ImagekitError, Problem
from imagekit.notebook import graph, tables
from imagekit.notebook.display import Table
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan, build_plan
from imagekit.planning.rows import MARKS, Row, counts, label, rows, without
from imagekit.planning.select import not_built, select_images

SUFFIXES = (".yaml", ".yml", ".json")


def values_of(matrix: Matrix, axis: str) -> list[tuple[str | None, str]]:
    """The values of an axis in the order of the config, each with its displayed name.

    If an entry lists a combination without the axis beside others with it, None is the first,
    displayed like "no GPU".
    """
    index = matrix.recipes.axes.index(axis)
    lacking = {cell.combination.values[index] is None for cell in matrix.cells}
    none: list[tuple[str | None, str]] = [(None, without(axis))] if lacking == {True, False} else []
    return none + [(name, name) for name in matrix.config.axis(axis)]


def all_values(matrix: Matrix) -> dict[str, list[str | None]]:
    """Every value of every axis."""
    return {axis: [name for name, _ in values_of(matrix, axis)] for axis in matrix.recipes.axes}


def narrow(matrix: Matrix, choice: Mapping[str, Collection[str | None]]) -> Matrix:
    """The matrix without the combinations of unselected values.

    Rules and aliases are not applied again: each combination already has its status.
    """
    chosen = [
        (index, {*choice[axis]}, offered)
        for index, (axis, offered) in enumerate(all_values(matrix).items())
        if offered
    ]
    left = tuple(
        cell
        for cell in matrix.cells
        if all(
            cell.combination.values[index] in names
            # Axes that the recipe does not read do not distinguish images.
            or (cell.combination.values[index] is None and None not in offered)
            for index, names, offered in chosen
        )
    )
    return msgspec.structs.replace(matrix, cells=left)


def select(
    matrix: Matrix,
    choice: Mapping[str, Collection[str | None]],
    only: Sequence[str],
    skip: Sequence[str],
) -> tuple[Matrix, Plan]:
    """The matrix of the selected values, and the plan of the images that the globs select.

    Raises ConfigError if no image remains or a glob matches no image.
    """
    narrowed = narrow(matrix, choice)
    if not narrowed.built():
        message = "the selection contains no image; select at least one value of each axis"
        raise ConfigError([Problem(message=message)])
    # Problems are ignored here: the whole matrix was checked when it was loaded.
    plan, _ = build_plan(narrowed)
    return narrowed, select_images(plan, only, skip, not_built(matrix))


def by_value(matrix: Matrix, plan: Plan) -> Table:
    """The number of combinations of each status, for every value of every axis."""
    matrix_rows = rows(matrix, plan)
    columns = [status for status in MARKS if any(row.status == status for row in matrix_rows)]
    lines = [
        (axis, words, *_numbers(matrix_rows, axis, name, columns))
        for axis in matrix.recipes.axes
        for name, words in values_of(matrix, axis)
    ]
    frame = pd.DataFrame(lines, columns=["axis", "value", *map(label, columns)])
    return Table(
        frame.set_index(["axis", "value"]), f"Combinations by axis value: {counts(matrix_rows)}"
    )


def _numbers(lines: list[Row], axis: str, name: str | None, columns: Sequence[str]) -> list[int]:
    number = collections.Counter(row.status for row in lines if row.values.get(axis) == name)
    return [number[status] for status in columns]  # type: ignore[index]


def configs_beside(config: str) -> list[str]:
    """The configuration files in the folder of `config`, including `config` itself."""
    folder = pathlib.Path(config).parent
    paths = {str(path) for path in folder.iterdir() if path.suffix in SUFFIXES}
    return sorted(paths | {str(pathlib.Path(config))})


class View(msgspec.Struct, frozen=True):
    """The display of a selection, or the message if it is invalid."""

    counts: str = ""
    """The number of combinations of each status, as text."""
    grid: str = ""
    """The grid of tags, as HTML."""
    graph: str = ""
    """The build graph, as SVG."""
    message: str = ""
    """What is wrong with the selection; empty if it is valid."""


def view(
    matrix: Matrix, choice: Mapping[str, Collection[str | None]], only: str, skip: str
) -> View:
    """The counts, grid and build graph of a selection.

    `only` and `skip` are globs separated by spaces or commas.
    """
    try:
        narrowed, plan = select(matrix, choice, _globs(only), _globs(skip))
        return View(
            counts=counts(rows(narrowed, plan)),
            grid=tables.grid(narrowed, plan).html(),
            graph=graph.build_graph(plan).svg,
        )
    except ImagekitError as error:
        return View(message=str(error))


def _globs(text: str) -> list[str]:
    return text.replace(",", " ").split()
