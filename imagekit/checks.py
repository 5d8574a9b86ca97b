"""Preflight: what would go wrong in the build and can be seen before it."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterator

from imagekit.dockerfile import declared_args
from imagekit.errors import Problem, counted, did_you_mean
from imagekit.images import Plan


def dockerfiles(plan: Plan, directory: pathlib.Path) -> Iterator[Problem]:
    """Warnings of Dockerfiles that are not in the context, and of build args they do not declare.

    docker ignores an undeclared build arg: the image would not be what its tag says.
    """
    users = collections.Counter(image.dockerfile for image in plan.images)
    for name, number in users.items():
        try:
            declared = declared_args((directory / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it cannot be read"
            message = f"{name}: {why}; {counted(number, 'image')} would be built with it"
            yield Problem(message=message, severity="warning")
            continue
        yield from _undeclared(plan, name, declared)


def _undeclared(plan: Plan, name: str, declared: set[str]) -> Iterator[Problem]:
    images = [image for image in plan.images if image.dockerfile == name]
    given = collections.Counter(arg for image in images for arg in image.build_args)
    for arg, number in given.items():
        if arg not in declared:
            message = (
                f"{name} declares no ARG {arg!r}{did_you_mean(arg, declared)}; docker would "
                f"ignore it ({counted(number, 'image')})"
            )
            yield Problem(message=message, severity="warning")
