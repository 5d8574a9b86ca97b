"""The matrix, the plan and the document as pandas tables."""

from __future__ import annotations

import html
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from imagekit import api
from imagekit.compare import report
from imagekit.compare.changes import Changes
from imagekit.config.cloudbuild import Limits
from imagekit.config.schema import Config
from imagekit.document import build_files, limits
from imagekit.errors import counted
from imagekit.notebook import estimate, frames
from imagekit.notebook.display import Table, escaped, marked
from imagekit.planning import grid as grids
from imagekit.planning import preflight
from imagekit.planning.grid import Grid, Place, Section
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan
from imagekit.planning.rows import MARKS, WORDS, counts, label, named, rows, without
from imagekit.support.files import read_text, read_utf8
from imagekit.support.json_text import loads

NUMBERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def axes(config: Config) -> Table:
    """All axis values with their build args, in the order of the config."""
    lines = [
        (named(axis), name, " ".join(f"{key}={value}" for key, value in args.items()))
        for axis in config.axis_names()
        for name, args in config.axis(axis).items()
    ]
    frame = pd.DataFrame(lines, columns=["axis", "value", "build args"])
    return Table(frame.set_index("value"), f"Axes of {config.repository}")


def by_value(matrix: Matrix, plan: Plan) -> Table:
    """For every value of every axis: the combinations of each status, and the images it brings.

    These are the images that would go if the value went; parents that are not listed count.
    """
    lines = rows(matrix, plan)
    columns = [status for status in MARKS if any(row.status == status for row in lines)]
    number: dict[tuple[str, str | None, str], int] = {}
    for row in lines:
        for axis in matrix.recipes.axes:
            key = axis, row.values.get(axis), row.status
            number[key] = number.get(key, 0) + 1
    seconds = estimate.seconds_of(plan, estimate.last_build())
    shares = _shares(plan, seconds)
    table = [
        (
            named(axis),
            words,
            *(number.get((axis, name, status), 0) for status in columns),
            shares.get((axis, name), 0.0) / 60,
        )
        for axis in matrix.recipes.axes
        for name, words in values_of(matrix, axis)
    ]
    heads = ["axis", "value", *map(label, columns), "build (min)"]
    frame = pd.DataFrame(table, columns=heads)
    frame["axis"] = frames.ordered(frame["axis"].tolist(), dict.fromkeys(frame["axis"]))
    if not seconds:
        frame = frame.drop(columns="build (min)")
    return Table(frame.set_index("value"), f"What each value brings: {counts(lines, matrix.more)}")


def values_of(matrix: Matrix, axis: str) -> list[tuple[str | None, str]]:
    """The values of an axis in the order of the config, each with its displayed name.

    If an entry lists a combination without the axis beside others with it, None is the first,
    displayed like "no GPU".
    """
    index = matrix.recipes.axes.index(axis)
    lacking = {cell.combination.values[index] is None for cell in matrix.cells}
    none: list[tuple[str | None, str]] = [(None, without(axis))] if lacking == {True, False} else []
    return none + [(name, name) for name in matrix.config.axis(axis)]


def _shares(plan: Plan, seconds: Mapping[str, float]) -> dict[tuple[str, str | None], float]:
    total: dict[tuple[str, str | None], float] = {}
    for image in plan.images:
        for axis in plan.axes:
            key = axis, image.values.get(axis)
            total[key] = total.get(key, 0.0) + seconds.get(image.tag, 0.0)
    return total


def cells(matrix: Matrix, plan: Plan) -> Table:
    """All combinations: first the images in build order, then the rest, each with the reason."""
    lines = rows(matrix, plan)
    frame = frames.combinations(matrix, lines).drop(columns=["built", "recipe"])
    empty = [axis for axis in matrix.recipes.axes if not matrix.config.axis(axis)]
    return Table(
        frame.drop(columns=empty),
        f"Build matrix: {counts(lines, matrix.more)}",
        formats={"status": marked({WORDS[status]: mark for status, mark in MARKS.items()})},
        prose=("reason",),
    )


def grid(
    matrix: Matrix, plan: Plan, *, rows: Sequence[str] = (), columns: Sequence[str] = ()
) -> Table:
    """The matrix as a grid: `✓` where an image is built, else a mark and the number of its reason.

    `rows` and `columns` name the axes down and across; by default they are chosen so that the grid
    fits the page. Raises UsageError if one does not exist or is named twice.
    """
    found = grids.grid(matrix, plan, rows=rows, columns=columns)
    texts = pd.concat([_frame(found, section, _words) for section in found.sections])
    markup = pd.concat([_frame(found, section, _markup) for section in found.sections])
    notes = (*(f"{n} {note}" for n, note in _numbered(found)), *found.more)
    return Table(texts.fillna(""), _grid_caption(matrix, plan), notes, markup=markup.fillna(""))


def _grid_caption(matrix: Matrix, plan: Plan) -> str:
    """The number of combinations of each status, and the axes of the matrix."""
    used = [axis for axis in matrix.recipes.axes if matrix.config.axis(axis)]
    return f"{counts(rows(matrix, plan), matrix.more)}: {' × '.join(map(named, used))}"


def _frame(grid: Grid, section: Section, text: object) -> pd.DataFrame:
    """A section as a wide frame: a row for each row of the grid, with `text` of each place."""
    several = len(grid.sections) > 1
    keys = [(*((section.name,) if several else ()), *line.names) for line in section.lines]
    heads = [*(("recipe",) if several else ()), *grid.rows]
    # Without an axis down, there is one row.
    index = pd.MultiIndex.from_tuples(keys, names=heads) if heads else pd.Index([""] * len(keys))
    if len(heads) == 1:
        index = index.get_level_values(0)
    columns = pd.MultiIndex.from_tuples(section.columns)
    if columns.nlevels == 1:
        columns = columns.get_level_values(0)
    values = [[text(place) for place in line.places] for line in section.lines]  # type: ignore[operator]
    return pd.DataFrame(values, index=index, columns=columns, dtype=object)


def _numbered(grid: Grid) -> Iterator[tuple[str, str]]:
    for number, note in enumerate(grid.notes, start=1):
        yield str(number).translate(NUMBERS), note


def _words(place: Place | None) -> str:
    if place is None:
        return ""
    number = str(place.note).translate(NUMBERS) if place.note else ""
    return " ".join(filter(None, (MARKS[place.status], *place.aliases, number)))


def _markup(place: Place | None) -> str:
    """A place that shows its tag when pointed at and when clicked, also by keyboard."""
    if place is None:
        return ""
    words, tag = escaped(_words(place)), html.escape(place.tag)
    what = f"{label(place.status)}: {tag}"
    return (
        f'<details data-tag="{tag}"><summary title="{what}" aria-label="{what}">{words}</summary>'
        f"<code>{tag}</code></details>"
    )


def images(plan: Plan) -> Table:
    """The images in build order, each with its parent, Dockerfile and build args."""
    frame = frames.to_pandas(plan)[["parent", "dockerfile", "build_args"]]
    return Table(
        frame,
        f"{counted(len(plan.images), 'image')} in build order",
        formats={"build_args": " ".join},
    )


def changes(differences: Changes, against: str = "the existing file") -> Table:
    """The differences from another build, by image, including images rebuilt as a consequence."""
    frame = frames.to_pandas(differences).set_index("image")
    caption = f"Compared with {against}: {differences.summary()}"
    return Table(frame, caption, formats={"change": marked(report.MARKS)})


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
    lines += [("Dockerfiles", "warning", what) for what in warnings]
    if not warnings:
        lines.append(("Dockerfiles", "passed", "all found; every build arg is declared"))
    frame = pd.DataFrame(lines, columns=["check", "result", "details"]).set_index("check")
    marks = {"passed": "✓", "warning": "!"}
    return Table(frame, f"{shown}: checks before the build", formats={"result": marked(marks)})


def _rules(path: str, accepted: Limits, *, several: bool) -> Iterable[tuple[str, str, str]]:
    build = loads(read_text(path))
    rules = limits.validate(build, accepted)
    begin = f"{pathlib.Path(path).name}: " if several else ""
    return [(f"{begin}{rule}", "passed", what) for rule, what in rules.items()]
