"""Everything that imagekit knows, as tidy pandas DataFrames: `imagekit.to_pandas`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import pandas as pd

from imagekit.build import timing
from imagekit.build.report import Report, State
from imagekit.compare import report as compared
from imagekit.compare.changes import Changes
from imagekit.document.steps import Kind
from imagekit.errors import UsageError
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Image, Plan, build_plan
from imagekit.planning.rows import WORDS, Row, rows
from imagekit.runs.entry import OUTCOMES, Entry
from imagekit.runs.formatting import parameters_text, why
from imagekit.runs.history import History


@functools.singledispatch
def to_pandas(x: object) -> pd.DataFrame:
    """What imagekit knows as a tidy DataFrame, with a row for each thing and a type for each value.

    - a matrix: its combinations, with the status and reason of each;
    - a plan: its images in build order;
    - changes: the differences, by image;
    - a build report: its steps, with times in UTC and durations in seconds;
    - a history: its runs, the earliest first.

    Axes, statuses and kinds are ordered categoricals, in the order of the config; what there is
    not is missing (`pd.NA`). Raises UsageError for anything else.
    """
    names = "a matrix, a plan, changes, a build report or a history"
    raise UsageError(f"{type(x).__name__} is not {names}")


@to_pandas.register
def _(matrix: Matrix) -> pd.DataFrame:
    plan, _ = build_plan(matrix)
    return combinations(matrix, rows(matrix, plan))


def combinations(matrix: Matrix, lines: Sequence[Row]) -> pd.DataFrame:
    """The rows of a matrix, indexed by tag."""
    config = matrix.config
    order = {axis: tuple(config.axis(axis)) for axis in matrix.recipes.axes}
    columns: dict[str, Any] = {
        "status": ordered([WORDS[row.status] for row in lines], WORDS.values()),
        "recipe": ordered([row.recipe for row in lines], matrix.recipes.by_name),
        "built": [row.status == "built" for row in lines],
        "aliases": [row.aliases for row in lines],
        "reason": text(row.reason or None for row in lines),
    }
    return _frame(columns, 1, [row.values for row in lines], order, (row.tag for row in lines))


@to_pandas.register
def _(plan: Plan) -> pd.DataFrame:
    images = plan.images
    children: dict[str, int] = {}
    for image in images:
        if image.parent is not None:
            children[image.parent] = children.get(image.parent, 0) + 1
    columns: dict[str, Any] = {
        "recipe": ordered([i.recipe for i in images], dict.fromkeys(i.recipe for i in images)),
        "parent": text(image.parent for image in images),
        "children": [children.get(image.tag, 0) for image in images],
        "listed": [image.listed for image in images],
        "aliases": [image.aliases for image in images],
        "dockerfile": text(image.dockerfile for image in images),
        "build_args": [_pairs(image) for image in images],
        "tests": [len(image.test) for image in images],
        "reference": text(plan.reference(image.tag) for image in images),
    }
    values = [image.values for image in images]
    return _frame(columns, 0, values, plan.axes, (image.tag for image in images))


def _pairs(image: Image) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in image.build_args.items())


@to_pandas.register
def _(changes: Changes) -> pd.DataFrame:
    lines = list(compared.rows(changes))
    return pd.DataFrame(
        {
            "change": ordered([row.kind for row in lines], compared.MARKS),
            "image": text(row.image or None for row in lines),
            "what": text(row.what or None for row in lines),
            "before": text(row.before or None for row in lines),
            "after": text(row.after or None for row in lines),
        }
    )


@to_pandas.register
def _(report: Report) -> pd.DataFrame:
    critical = {entry.id for entry in timing.critical_path(report)}
    steps = report.steps
    columns = {
        "state": ordered([entry.state for entry in steps], get_args(State)),
        "kind": ordered([entry.kind for entry in steps], get_args(Kind)),
        "started": _moments(entry.started for entry in steps),
        "start": pd.array(
            [timing.offset(report, e) if e.started else None for e in steps], dtype="Float64"
        ),
        "seconds": pd.array(
            [timing.seconds(e) if e.finished and e.started else None for e in steps],
            dtype="Float64",
        ),
        "critical": [entry.id in critical for entry in steps],
        "images": [entry.images for entry in steps],
        "exit_code": pd.array([entry.exit_code for entry in steps], dtype="Int64"),
        "digest": text(entry.digest for entry in steps),
        "log": text(entry.log for entry in steps),
        "reason": text(entry.reason or None for entry in steps),
    }
    return pd.DataFrame(columns, index=_index("step", (entry.id for entry in steps)))


@to_pandas.register
def _(history: History) -> pd.DataFrame:
    return runs(history.entries, history.counts(history.entries))


def runs(entries: Sequence[Entry], counts: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """Runs, indexed by name, with the number of changes of those that can be compared."""
    numbers = [counts.get(entry.run, (None, None, None, None)) for entry in entries]
    kinds = ("added", "removed", "changed")
    columns = {
        "outcome": ordered([entry.outcome for entry in entries], OUTCOMES),
        "began": _moments(entry.started for entry in entries),
        "seconds": pd.array([entry.seconds for entry in entries], dtype="Float64"),
        "notebook": text(_stem(entry) for entry in entries),
        "images": pd.array([entry.images for entry in entries], dtype="Int64"),
        **{
            kind: pd.array([each[place] for each in numbers], dtype="Int64")
            for place, kind in enumerate(kinds)
        },
        "why": text(why(entry) or None for entry in entries),
        "parameters": text(parameters_text(entry) or None for entry in entries),
        "commit": text(entry.commit for entry in entries),
        "config": text(entry.config for entry in entries),
        "config_sha256": text(entry.config_sha256 for entry in entries),
    }
    return pd.DataFrame(columns, index=_index("run", (entry.run for entry in entries)))


def _stem(entry: Entry) -> str:
    return entry.notebook.rpartition("/")[2].removesuffix(".ipynb")


def _frame(
    columns: Mapping[str, Any],
    place: int,
    values: Sequence[Mapping[str, str]],
    order: Mapping[str, Iterable[str]],
    tags: Iterable[str],
) -> pd.DataFrame:
    """Columns, with one for each axis at a place; what an image does not have is missing."""
    frame = pd.DataFrame(columns, index=_index("tag", tags))
    for number, (axis, names) in enumerate(order.items(), start=place):
        # An axis may have the name of another column.
        name = f"{axis}_axis" if axis in columns else axis
        frame.insert(number, name, ordered([one.get(axis) for one in values], names))
    return frame


def ordered(values: Sequence[str | None], order: Iterable[str]) -> pd.Categorical:
    """A column that sorts in an order of its own: py310 after py39."""
    return pd.Categorical(values, categories=list(order), ordered=True)


def text(values: Iterable[str | None]) -> pd.Series:
    """A column of text, of which some may be missing."""
    return pd.array(list(values), dtype="string")


def _moments(values: Iterable[str | None]) -> pd.DatetimeIndex:
    given = [value or None for value in values]
    return pd.to_datetime(given, utc=True, format="ISO8601", errors="coerce")


def _index(name: str, values: Iterable[str]) -> pd.Index:
    return pd.Index(list(values), name=name, dtype="string")
