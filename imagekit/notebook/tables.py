"""The matrix, the plan and the document as pandas tables."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from imagekit import api
from imagekit.compare import report
from imagekit.compare.changes import Changes
from imagekit.config.cloudbuild import Limits
from imagekit.config.schema import Config
from imagekit.document import build_files, limits
from imagekit.errors import counted
from imagekit.notebook.display import Table
from imagekit.planning import preflight
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan
from imagekit.planning.rows import MARKS, Row, counts, label, rows, without
from imagekit.support.files import read_text, read_utf8


def axes(config: Config) -> Table:
    """All axis values with their build args, in the order of the config."""
    lines = [
        (axis, name, " ".join(f"{key}={value}" for key, value in args.items()))
        for axis in config.axis_names()
        for name, args in config.axis(axis).items()
    ]
    frame = pd.DataFrame(lines, columns=["axis", "value", "build args"])
    return Table(frame.set_index(["axis", "value"]), f"Axes of {config.repository}")


def cells(matrix: Matrix, plan: Plan) -> Table:
    """All combinations: first the images in build order, then the rest, each with the reason."""
    lines = rows(matrix, plan)
    columns: dict[str, Any] = {
        axis: _ordered(matrix.config, axis, lines) for axis in matrix.recipes.axes
    }
    frame = pd.DataFrame(
        {
            "status": [label(row.status) for row in lines],
            **columns,
            "aliases": [", ".join(row.aliases) for row in lines],
            "reason": [row.reason for row in lines],
        },
        index=pd.Index([row.tag for row in lines], name="tag"),
    )
    return Table(frame, f"Build matrix: {counts(lines, matrix.more)}")


def _ordered(config: Config, axis: str, lines: list[Row]) -> pd.Categorical:
    """A column of axis values that sorts in the order of the config: py310 after py39."""
    names = [row.values.get(axis, "") for row in lines]
    order = ["", *(name for name in config.axis(axis) if name)]
    return pd.Categorical(names, categories=order, ordered=True)


def grid(matrix: Matrix, plan: Plan) -> Table:
    """The tags by axis values: the last axis across, the others down.

    Where there is no image, the cell says why. Combinations without the axis across are in a
    column of their own; images that are only parents, and lack another axis, are left out.
    """
    config, axes = matrix.config, _grid_axes(matrix)
    *down, across = axes
    needed = _always(matrix)
    lines = [row for row in rows(matrix, plan) if all(axis in row.values for axis in needed)]
    numbers = {reason: n for n, reason in enumerate(dict.fromkeys(_reasons(lines)), start=1)}
    none = without(across)
    columns: dict[str, Any] = {a.replace("_", " "): _ordered(config, a, lines) for a in down}
    keys = list(columns)
    columns[across] = pd.Categorical(
        [row.values.get(across, none) for row in lines],
        categories=[none, *config.axis(across)],
        ordered=True,
    )
    columns[TEXT] = [_grid_text(row, numbers) for row in lines]
    groups = pd.DataFrame(columns).groupby([*keys, across], observed=True)[TEXT].agg("\n".join)
    frame = (groups.unstack(across) if keys else groups.to_frame().T).fillna("")
    notes = tuple(f"({number}) {reason}" for reason, number in numbers.items())
    return Table(frame.rename_axis(columns=None), _grid_caption(matrix), notes)


TEXT = "/text"
"""A column that is not an axis, whose names have no slash."""


def _grid_axes(matrix: Matrix) -> list[str]:
    """The axes of the grid: those with values, and the GPU's in any case, as the columns."""
    return [a for a in matrix.recipes.axes if matrix.config.axis(a) or a == "gpu"]


def _always(matrix: Matrix) -> list[str]:
    """The axes that every listed combination has."""
    listed = [cell.combination.values for cell in matrix.cells if cell.path]
    columns = zip(*listed, strict=True)
    return [a for a, names in zip(matrix.recipes.axes, columns, strict=False) if None not in names]


def _grid_caption(matrix: Matrix) -> str:
    if all(matrix.config.has_section(axis) for axis in matrix.recipes.axes):
        return "Supported combinations: Python × CUDA on each base image"
    return f"Supported combinations: {' × '.join(_grid_axes(matrix))}"


def _reasons(lines: list[Row]) -> Iterator[str]:
    return (row.reason for row in lines if row.status != "built")


def _grid_text(row: Row, numbers: Mapping[str, int]) -> str:
    if row.status == "built":
        return f"{MARKS['built']} {row.tag}"
    return f"{label(row.status)} ({numbers[row.reason]})"


def images(plan: Plan) -> Table:
    """The images in build order, each with its parent, Dockerfile and build args."""
    frame = pd.DataFrame(
        {
            "tag": [image.tag for image in plan.images],
            "parent": [image.parent or "" for image in plan.images],
            "Dockerfile": [image.dockerfile for image in plan.images],
            "build args": [
                " ".join(f"{key}={value}" for key, value in image.build_args.items())
                for image in plan.images
            ],
        },
        index=pd.RangeIndex(1, len(plan.images) + 1, name="order"),
    )
    return Table(frame, f"{counted(len(plan.images), 'image')} in build order")


def changes(differences: Changes, against: str = "the existing file") -> Table:
    """The differences from another build, by image, including images rebuilt as a consequence."""
    lines = [
        (row.mark, row.image, row.what, row.before, row.after) for row in report.rows(differences)
    ]
    columns = ["change", "image", "what", "before", "after"]
    frame = pd.DataFrame(lines, columns=columns).set_index("change")
    return Table(frame, f"Compared with {against}: {differences.summary()}")


def checks(path: str, plan: Plan, config: Config) -> Table:
    """The checks of the build file, or of each numbered file, as read back from disk.

    Raises LimitError if Cloud Build would reject one.
    """
    manifest = build_files.manifest_path(path)
    shown = manifest if pathlib.Path(manifest).exists() else path
    parts = api.parts_of(read_text(shown), shown) or [path]
    lines = [
        line
        for part in parts
        for line in _rules(part, config.cloudbuild.limits, several=len(parts) > 1)
    ]
    warnings = [problem.message for problem in preflight.dockerfiles(plan, config, read_utf8)]
    lines += [("Dockerfiles", "! warning", what) for what in warnings]
    if not warnings:
        lines.append(("Dockerfiles", "✓ passed", "all found; every build arg is declared"))
    frame = pd.DataFrame(lines, columns=["check", "result", "details"]).set_index("check")
    return Table(frame, f"{shown}: checks before the build")


def _rules(path: str, accepted: Limits, *, several: bool) -> list[tuple[str, str, str]]:
    build = json.loads(read_text(path))
    rules = limits.validate(build, accepted)
    begin = f"{pathlib.Path(path).name}: " if several else ""
    return [(f"{begin}{rule}", "✓ passed", what) for rule, what in rules.items()]
