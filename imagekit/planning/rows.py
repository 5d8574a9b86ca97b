"""The matrix as rows for the CLI and the notebooks."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from imagekit.errors import counted
from imagekit.planning.matrix import Cell, Matrix
from imagekit.planning.plan import Image, Plan, build_plan, tag_of

Status = Literal["built", "excluded", "not listed", "not selected"]

MARKS: dict[Status, str] = {"built": "✓", "excluded": "✗", "not listed": "·", "not selected": "○"}
"""The symbol of each status, so that no information is in color alone."""

WORDS: dict[Status, str] = {
    "built": "included",
    "excluded": "excluded",
    "not listed": "not listed",
    "not selected": "not selected",
}
"""The displayed word of each status; JSON keeps the status itself."""

LEFT_OUT = "left out by --only or --skip"
"""Why an image is not selected."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One combination of the matrix."""

    status: Status
    """Whether it is built."""
    tag: str
    """The short tag that it has or would have."""
    values: dict[str, str]
    """The value of each axis that the combination has."""
    recipe: str
    """The recipe, by name."""
    parent: str | None = None
    """The short tag of the parent image."""
    aliases: tuple[str, ...] = ()
    """Additional short tags."""
    dockerfile: str | None = None
    """The path of the Dockerfile; None if it is not built."""
    build_args: dict[str, str] = {}
    """The build args."""
    test: tuple[str, ...] = ()
    """The container-structure-test files."""
    reason: str = ""
    """Why it is not built, or why it is built without being listed."""


def label(status: Status) -> str:
    """The glyph and the word of a status: `✓ included`."""
    return f"{MARKS[status]} {WORDS[status]}"


def rows(matrix: Matrix, plan: Plan, *, every: bool = False) -> list[Row]:
    """Return the images of the plan in build order, then the combinations that are not built.

    `plan` may be a selection; images outside it are "not selected". With `every`, combinations
    that no entry names are included however many there are.
    """
    others = matrix.not_listed() if every and matrix.more else ()
    not_built = (cell for cell in matrix.cells if cell.status != "built")
    return [
        *(_row(image, "built", why) for image, why in _with_reasons(plan)),
        *(_row(i, "not selected", LEFT_OUT) for i in _left_out(matrix, plan)),
        *(_not_built(matrix, cell) for cell in itertools.chain(not_built, others)),
    ]


def _left_out(matrix: Matrix, plan: Plan) -> list[Image]:
    number = sum(image.listed for image in plan.images)
    if number == sum(cell.status == "built" for cell in matrix.cells):
        return []
    everything, _ = build_plan(matrix)
    selected = {image.tag for image in plan.images}
    return [image for image in everything.images if image.tag not in selected]


def _with_reasons(plan: Plan) -> Iterator[tuple[Image, str]]:
    children = collections.Counter(image.parent for image in plan.images)
    for image in plan.images:
        number = children[image.tag]
        yield image, "" if image.listed else f"parent of {counted(number, 'image')}"


def _row(image: Image, status: Status, reason: str) -> Row:
    return Row(
        status=status,
        tag=image.tag,
        values=image.values,
        recipe=image.recipe,
        parent=image.parent,
        aliases=image.aliases,
        dockerfile=image.dockerfile,
        build_args=image.build_args,
        test=image.test,
        reason=reason,
    )


def _not_built(matrix: Matrix, cell: Cell) -> Row:
    values = zip(matrix.recipes.axes, cell.combination.values, strict=True)
    return Row(
        status=cell.status,
        tag=tag_of(matrix, cell),
        values={axis: value for axis, value in values if value is not None},
        recipe=cell.combination.recipe,
        reason=cell.reason,
    )


def plain(rows: Iterable[Row], axes: Iterable[str]) -> list[dict[str, Any]]:
    """Return rows as plain values, with a key for each axis; null if a row does not have it."""
    names = list(axes)
    plain_rows = []
    for row in rows:
        values = msgspec.structs.asdict(row)
        chosen = values.pop("values")
        first = {name: values.pop(name) for name in ("status", "tag")}
        plain_rows.append({**first, **{axis: chosen.get(axis) for axis in names}, **values})
    return plain_rows


def counts(lines: list[Row], more: int = 0) -> str:
    """The number of rows of each status that occurs: `45 included, 25 excluded`.

    `more` is the number of combinations that are not listed and have no row.
    """
    number = collections.Counter(row.status for row in lines)
    number["not listed"] += more
    return ", ".join(f"{number[status]} {WORDS[status]}" for status in MARKS if number[status])


def named(axis: str) -> str:
    """The word for an axis: `GPU`, `base image`."""
    # A name of up to three letters is an abbreviation.
    return axis.upper() if len(axis) <= MAX_ABBREVIATION else axis.replace("_", " ")


def without(*axes: str) -> str:
    """The words for a combination that has none of some axes: `no GPU`, `no torch`."""
    return f"no {'/'.join(map(named, axes))}"


MAX_ABBREVIATION = 3
"""The most letters of an axis that is an abbreviation."""
