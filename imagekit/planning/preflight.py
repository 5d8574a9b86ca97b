"""Preflight: what would go wrong in the build and can be seen before it."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator

from imagekit.docker.dockerfile import declared_args
from imagekit.errors import Problem, counted, did_you_mean
from imagekit.planning.plan import Plan


def dockerfiles(plan: Plan, read: Callable[[str], str]) -> Iterator[Problem]:
    """Warnings of Dockerfiles that are not in the context, and of build args they do not declare.

    `read` gives a Dockerfile's text by its path, and raises OSError or ValueError where it cannot.
    docker ignores an undeclared build arg: the image would not be what its tag says.
    """
    users = collections.Counter(image.dockerfile for image in plan.images)
    for name, number in users.items():
        try:
            declared = declared_args(read(name))
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
