"""The choice of a person who explores a matrix, and what comes of it."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Collection, Mapping, Sequence

import msgspec
import pandas as pd

from imagekit.config.schema import AXES, Axis
from imagekit.errors import ConfigError, ImagekitError, Problem
from imagekit.notebook import graph, tables
from imagekit.notebook.display import Table
from imagekit.notebook.tables import NO_GPU
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan, build_plan, not_built, select_images
from imagekit.planning.rows import MARKS, Row, counts, rows

SUFFIXES = (".yaml", ".yml", ".json")


def values_of(matrix: Matrix, axis: Axis) -> list[tuple[str | None, str]]:
    """An axis's values in the config's order, each with the words for it.

    None, "no GPU", is one where a combination goes without.
    """
    without = any(getattr(cell.combination, axis) is None for cell in matrix.cells)
    none: list[tuple[str | None, str]] = [(None, NO_GPU)] if axis == "gpu" and without else []
    return none + [(name, name) for name in matrix.config.axis(axis)]


def narrow(matrix: Matrix, choice: Mapping[Axis, Collection[str | None]]) -> Matrix:
    """The matrix without the combinations of values that are not chosen.

    Rules and aliases are not asked again: they have decided already, of each combination.
    """
    offered = {axis: [name for name, _ in values_of(matrix, axis)] for axis in AXES}
    left = tuple(
        cell
        for cell in matrix.cells
        if all(
            getattr(cell.combination, axis) in choice[axis]
            or not offered[axis]
            # An image is not told apart by what its recipe does not read.
            or (getattr(cell.combination, axis) is None and None not in offered[axis])
            for axis in AXES
        )
    )
    return msgspec.structs.replace(matrix, cells=left)


def chosen_of(
    matrix: Matrix,
    choice: Mapping[Axis, Collection[str | None]],
    only: Sequence[str],
    skip: Sequence[str],
) -> tuple[Matrix, Plan]:
    """The matrix of the chosen values, and what the globs select of its images.

    Raises ConfigError where nothing is left, and where a glob matches nothing.
    """
    narrowed = narrow(matrix, choice)
    if not narrowed.built():
        message = "nothing is built of this choice; choose at least one value on each axis"
        raise ConfigError([Problem(message=message)])
    # What arranging finds wrong is not new: the whole matrix was checked when it was read.
    plan, _ = build_plan(narrowed)
    return narrowed, select_images(plan, only, skip, not_built(matrix))


def by_value(matrix: Matrix, plan: Plan) -> Table:
    """For every value of every axis, how many combinations with it are built, and are not."""
    found = rows(matrix, plan)
    columns = [status for status in MARKS if any(row.status == status for row in found)]
    lines = [
        (axis, words, *_numbers(found, axis, name, columns))
        for axis in AXES
        for name, words in values_of(matrix, axis)
    ]
    names = [f"{MARKS[status]} {status}" for status in columns]
    frame = pd.DataFrame(lines, columns=["axis", "value", *names])
    return Table(frame.set_index(["axis", "value"]), f"What each value brings: {counts(found)}")


def _numbers(found: list[Row], axis: Axis, name: str | None, columns: Sequence[str]) -> list[int]:
    number = collections.Counter(row.status for row in found if getattr(row, axis) == name)
    return [number[status] for status in columns]  # type: ignore[index]


def beside(config: str) -> list[str]:
    """The configuration files in a file's folder, that file among them."""
    folder = pathlib.Path(config).parent
    found = {str(path) for path in folder.iterdir() if path.suffix in SUFFIXES}
    return sorted(found | {str(pathlib.Path(config))})


class View(msgspec.Struct, frozen=True):
    """What is to be seen of a choice: HTML, or the message of what is wrong with it."""

    counts: str = ""
    grid: str = ""
    graph: str = ""
    message: str = ""


def view(
    matrix: Matrix, choice: Mapping[Axis, Collection[str | None]], only: str, skip: str
) -> View:
    """A choice's counts, grid and build graph. `only` and `skip` are globs between blanks."""
    try:
        narrowed, plan = chosen_of(matrix, choice, _globs(only), _globs(skip))
        return View(
            counts=counts(rows(narrowed, plan)),
            grid=tables.grid(narrowed, plan).html(),
            graph=graph.build_graph(plan).svg,
        )
    except ImagekitError as error:
        return View(message=str(error))


def _globs(text: str) -> list[str]:
    return text.replace(",", " ").split()
