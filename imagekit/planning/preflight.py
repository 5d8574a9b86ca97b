"""Preflight: problems of a build that can be found before it starts."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator

from imagekit.config.schema import Config
from imagekit.docker.dockerfile import Stage, declared_args, default_args, stages
from imagekit.errors import Problem, counted, did_you_mean
from imagekit.planning.plan import Image, Plan
from imagekit.planning.recipes import recipes_of


def dockerfiles(plan: Plan, config: Config, read: Callable[[str], str]) -> Iterator[Problem]:
    """Yield warnings for Dockerfiles that do not match their build args, and for missing files.

    Docker ignores a build arg that the Dockerfile does not declare, and uses the Dockerfile's
    default for one that is not set; either way, the image does not match its tag. `config` is
    the config of the plan. `read` returns a Dockerfile's text by its path, and raises OSError or
    ValueError if it cannot be read.
    """
    users: dict[str, list[Image]] = {}
    for image in plan.images:
        users.setdefault(image.dockerfile, []).append(image)
    for name, images in users.items():
        try:
            text = read(name)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "cannot be read"
            message = f"{name}: {why}; needed by {counted(len(images), 'image')}"
            yield Problem(message=message, severity="warning")
            continue
        yield from _undeclared(name, images, declared_args(text))
        yield from _stages(name, images, stages(text))
        yield from _defaults(name, images, config, default_args(text))
    yield from _missing_tests(plan, read)


def _missing_tests(plan: Plan, read: Callable[[str], str]) -> Iterator[Problem]:
    tests = (dict.fromkeys(image.test) for image in plan.images if image.test)
    users = collections.Counter(itertools.chain.from_iterable(tests))
    for name, number in users.items():
        try:
            read(name)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "cannot be read"
            message = f"{name}: {why}; {counted(number, 'image')} must pass this test"
            yield Problem(message=message, severity="warning")


def _undeclared(name: str, images: list[Image], declared: set[str]) -> Iterator[Problem]:
    uses = collections.Counter(itertools.chain.from_iterable(image.build_args for image in images))
    for arg, number in uses.items():
        if arg not in declared:
            message = (
                f"{name} does not declare ARG {arg!r}, so Docker ignores it "
                f"({counted(number, 'image')}){did_you_mean(arg, declared)}"
            )
            yield Problem(message=message, severity="warning")


def _stages(name: str, images: list[Image], known: dict[str, Stage]) -> Iterator[Problem]:
    """Yield warnings for stages that do not exist, and for a base image that nothing names."""
    by_target: dict[str | None, list[Image]] = {}
    for image in images:
        by_target.setdefault(image.target, []).append(image)
    for target, users in by_target.items():
        last = next(reversed(known.values()), None)
        stage = last if target is None else known.get(target.lower())
        if stage is None and target is not None:
            near = did_you_mean(target, [one for one in known if not one.isdecimal()])
            message = f"{name} has no stage {target!r}; needed by {counted(len(users), 'image')}"
            yield Problem(message=message + near, severity="warning")
        elif stage is not None:
            yield from _base(name, users, stage)


def _base(name: str, images: list[Image], stage: Stage) -> Iterator[Problem]:
    for arg in sorted(stage.undeclared):
        message = f"{name} uses {arg} in FROM without 'ARG {arg}' before the first FROM"
        yield Problem(message=message, severity="warning")
    for arg in sorted(stage.without_default):
        if without := sum(not image.build_args.get(arg) for image in images):
            message = (
                f"{name} needs the build arg {arg} for FROM, which has no default and "
                f"no value for {counted(without, 'image')}"
            )
            yield Problem(message=message, severity="warning")


def _defaults(
    name: str, images: list[Image], config: Config, defaults: dict[str, str]
) -> Iterator[Problem]:
    """Yield warnings for axis values without build args if the Dockerfile has defaults."""
    without = {
        (a, v) for a in config.axis_names() for v, args in config.axis(a).items() if not args
    }
    recipes, _ = recipes_of(config)
    users: dict[tuple[str, str], list[Image]] = {}
    for image in images if without else ():
        recipe = recipes.by_name[image.recipe]
        read = (*recipe.axes, *recipe.optional_axes)
        for axis, value in image.values.items():
            if axis in read and (axis, value) in without:
                users.setdefault((axis, value), []).append(image)
    for axis in config.axis_names() if users else ():
        # The other values of the axis show which build args belong to it.
        usual = {arg for args in config.axis(axis).values() for arg in args}
        for value in config.axis(axis):
            taken = users.get((axis, value), [])
            set_args = {arg for image in taken for arg in image.build_args}
            left = [arg for arg in defaults if arg in (usual or defaults) and arg not in set_args]
            if taken and left:
                defaults_left = ", ".join(f"{arg}={defaults[arg]}" for arg in left)
                message = (
                    f"{value!r} has no build args, so {name} uses its default "
                    f"{defaults_left} ({counted(len(taken), 'image')}); set the build args"
                )
                path = (*config.section(axis), value)
                yield Problem(message=message, path=path, on_key=True, severity="warning")
