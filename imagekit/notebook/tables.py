"""The matrix, the plan and the document as pandas tables."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pandas as pd

from imagekit import api
from imagekit.compare import report
from imagekit.compare.changes import Changes
from imagekit.config.cloudbuild import Limits
from imagekit.config.schema import AXES, Config
from imagekit.document import build_files, limits
from imagekit.errors import counted
from imagekit.notebook.display import Table
from imagekit.planning import preflight
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan
from imagekit.planning.rows import MARKS, Row, counts, label, rows
from imagekit.support.files import read_text, read_utf8

NO_GPU = "no GPU"


def axes(config: Config) -> Table:
    """All axis values with their build args, in the order of the config."""
    lines = [
        (axis, name, " ".join(f"{key}={value}" for key, value in args.items()))
        for axis in AXES
        for name, args in config.axis(axis).items()
    ]
    frame = pd.DataFrame(lines, columns=["axis", "value", "build args"])
    return Table(frame.set_index(["axis", "value"]), f"Axes of {config.repository}")


def cells(matrix: Matrix, plan: Plan) -> Table:
    """All combinations: first the images in build order, then the rest, each with the reason."""
    lines = rows(matrix, plan)
    columns: dict[str, Any] = {axis: _ordered(matrix.config, axis, lines) for axis in AXES}
    frame = pd.DataFrame(
        {
            "status": [label(row.status) for row in lines],
            **columns,
            "aliases": [", ".join(row.aliases) for row in lines],
            "reason": [row.reason for row in lines],
        },
        index=pd.Index([row.tag for row in lines], name="tag"),
    )
    return Table(frame, f"Build matrix: {counts(lines)}")


def _ordered(config: Config, axis: str, lines: list[Row]) -> pd.Categorical:
    """A column of axis values that sorts in the order of the config: py310 after py39."""
    names = [getattr(row, axis) or "" for row in lines]
    order = ["", *(name for name in config.axis(axis) if name)]
    return pd.Categorical(names, categories=order, ordered=True)


def grid(matrix: Matrix, plan: Plan) -> Table:
    """A row per base image and Python, a column per GPU value: the tag, or why there is none."""
    config = matrix.config
    found = [row for row in rows(matrix, plan) if row.python is not None]
    reasons = list(dict.fromkeys(row.reason for row in found if row.status != "built"))
    lines = pd.DataFrame(
        {
            "base image": _ordered(config, "base_image", found),
            "python": _ordered(config, "python", found),
            "gpu": pd.Categorical(
                [row.gpu or NO_GPU for row in found],
                categories=[NO_GPU, *config.axis("gpu")],
                ordered=True,
            ),
            "text": [_grid_text(row, reasons) for row in found],
        }
    )
    keys = ["base image", "python"] if config.base_images else ["python"]
    groups = lines.groupby([*keys, "gpu"], observed=True)["text"].agg("\n".join)
    frame = groups.unstack("gpu").fillna("").rename_axis(columns=None)
    notes = tuple(f"({number}) {reason}" for number, reason in enumerate(reasons, start=1))
    return Table(frame, "Supported combinations: Python × CUDA on each base image", notes)


def _grid_text(row: Row, reasons: list[str]) -> str:
    if row.status == "built":
        return f"{MARKS['built']} {row.tag}"
    return f"{label(row.status)} ({reasons.index(row.reason) + 1})"


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


def changes(found: Changes, against: str = "the existing file") -> Table:
    """The differences from another build, by image, including images rebuilt as a consequence."""
    lines = [(row.mark, row.image, row.what, row.before, row.after) for row in report.rows(found)]
    columns = ["change", "image", "what", "before", "after"]
    frame = pd.DataFrame(lines, columns=columns).set_index("change")
    return Table(frame, f"Compared with {against}: {found.summary()}")


def checks(path: str, plan: Plan, config: Config) -> Table:
    """The checks of the build file, or of each numbered file, as read back from disk.

    Raises LimitError if Cloud Build would reject one.
    """
    manifest = build_files.manifest_path(path)
    whole = manifest if pathlib.Path(manifest).exists() else path
    parts = api.parts_of(read_text(whole), whole) or [path]
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
    return Table(frame, f"{whole}: checks before the build")


def _rules(path: str, accepted: Limits, *, several: bool) -> list[tuple[str, str, str]]:
    build = json.loads(read_text(path))
    found = limits.validate(build, accepted)
    begin = f"{pathlib.Path(path).name}: " if several else ""
    return [(f"{begin}{rule}", "✓ passed", what) for rule, what in found.items()]
