"""The matrix as rows for the CLI and the notebooks."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Literal

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


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One combination of the matrix."""

    status: Status
    """Whether it is built."""
    tag: str
    """The short tag that it has or would have."""
    base_image: str | None
    """The base image, by name."""
    python: str | None
    """The Python version, by name."""
    gpu: str | None
    """The GPU version, by name."""
    recipe: str | None
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


def rows(matrix: Matrix, plan: Plan) -> list[Row]:
    """Return the images of the plan in build order, then the combinations that are not built.

    `plan` may be a selection; images outside it are "not selected".
    """
    everything, _ = build_plan(matrix)
    selected = {image.tag for image in plan.images}
    left_out = [image for image in everything.images if image.tag not in selected]
    return [
        *(_row(image, "built", why) for image, why in _with_reasons(plan)),
        *(_row(image, "not selected", "left out by --only or --skip") for image in left_out),
        *(_not_built(matrix, cell) for cell in matrix.cells if cell.status != "built"),
    ]


def _with_reasons(plan: Plan) -> Iterator[tuple[Image, str]]:
    children = collections.Counter(image.parent for image in plan.images)
    for image in plan.images:
        number = children[image.tag]
        yield image, "" if image.listed else f"parent of {counted(number, 'image')}"


def _row(image: Image, status: Status, reason: str) -> Row:
    return Row(
        status=status,
        tag=image.tag,
        base_image=image.combination.base_image,
        python=image.combination.python,
        gpu=image.combination.gpu,
        recipe=image.combination.recipe,
        parent=image.parent,
        aliases=image.aliases,
        dockerfile=image.dockerfile,
        build_args=image.build_args,
        test=image.test,
        reason=reason,
    )


def _not_built(matrix: Matrix, cell: Cell) -> Row:
    return Row(
        status=cell.status,
        tag=tag_of(matrix, cell.combination),
        base_image=cell.combination.base_image,
        python=cell.combination.python,
        gpu=cell.combination.gpu,
        recipe=cell.combination.recipe,
        reason=cell.reason,
    )


def counts(lines: list[Row]) -> str:
    """The number of rows of each status that occurs: `45 included, 25 excluded`."""
    number = collections.Counter(row.status for row in lines)
    return ", ".join(f"{number[status]} {WORDS[status]}" for status in MARKS if number[status])
