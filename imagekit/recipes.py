"""Recipes: how each kind of image is made. The built-in ones, and what a config makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from imagekit.config import AXES, Axis, Combination, Config, is_inside_context
from imagekit.errors import Path, Problem, did_you_mean

CPU_BASE_IMAGE = "ubuntu:18.04"
"""What CPU images stand on when a config names no base image, as in the original generator."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind of image is made.

    axes: whose values' build args the Dockerfile is given.
    parent: the recipe of the image that it stands on, which arrives as `parent_arg`.
    tag: the pattern of its tags, with axes in braces.
    omit: build args of its axes that are meant for other recipes.
    build_args: its own, which the axes' win over.
    """

    dockerfile: str
    tag: str
    axes: tuple[Axis, ...] = ()
    parent: str | None = None
    parent_arg: str = "BASE_IMAGE"
    omit: tuple[str, ...] = ()
    build_args: dict[str, str] = {}


Recipes = dict[str, Recipe]


def built_in(with_base_images: bool) -> Recipes:
    """The three recipes of the original system, in either generation's tags."""
    cpu = Recipe(
        dockerfile="dockerfiles/Dockerfile",
        axes=("base_image", "python"),
        tag="cpu-{base_image}-{python}" if with_base_images else "cpu-{python}",
        omit=("UBUNTU_VERSION",),
        build_args={} if with_base_images else {"BASE_IMAGE": CPU_BASE_IMAGE},
    )
    gpu_base = Recipe(
        dockerfile="dockerfiles/Dockerfile.gpu",
        axes=("base_image", "gpu"),
        tag="gpu-base-{base_image}-{gpu}" if with_base_images else "gpu-base-{gpu}",
        omit=("BASE_IMAGE",),
    )
    gpu = Recipe(
        dockerfile="dockerfiles/Dockerfile",
        axes=("python",),
        parent="gpu-base",
        tag="gpu-{base_image}-{python}-{gpu}" if with_base_images else "gpu-{gpu}-{python}",
    )
    return {"cpu": cpu, "gpu-base": gpu_base, "gpu": gpu}


def recipes_of(config: Config) -> tuple[Recipes, list[Problem]]:
    """The recipes that a config builds with, and what is wrong with what it says of them."""
    recipes = built_in(bool(config.base_images))
    problems: list[Problem] = []
    for name, change in config.recipes.items():
        given = {
            field: getattr(change, field)
            for field in msgspec.structs.asdict(change)
            if getattr(change, field) is not (UNSET if field == "parent" else None)
        }
        missing = [f for f in ("dockerfile", "tag") if f not in given and name not in recipes]
        if missing:
            which = " and ".join(repr(field) for field in missing)
            near = did_you_mean(name, recipes)
            message = f"recipe {name!r} is not built in and needs {which}{near}"
            problems.append(Problem(message=message, path=("recipes", name), on_key=True))
        elif name in recipes:
            given["build_args"] = recipes[name].build_args | change.build_args
            recipes[name] = msgspec.structs.replace(recipes[name], **given)
        else:
            recipes[name] = Recipe(**given)
    for name in config.recipes:
        if name in recipes:
            problems += _check(name, recipes, config)
    return recipes, problems


def _check(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    recipe, path = recipes[name], ("recipes", name)
    if not is_inside_context(recipe.dockerfile):
        message = (
            f"{recipe.dockerfile!r} lies outside the build context: give a path below the "
            "directory that the build is submitted from"
        )
        yield Problem(message=message, path=(*path, "dockerfile"))
    if recipe.parent is not None and recipe.parent not in recipes:
        message = f"no recipe is called {recipe.parent!r}{did_you_mean(recipe.parent, recipes)}"
        yield Problem(message=message, path=(*path, "parent"))
    line = [name, *ancestry(name, recipes)]
    if recipes[line[-1]].parent in line:
        message = f"a recipe cannot stand on itself: {' → '.join([*line, name])}"
        yield Problem(message=message, path=(*path, "parent"))
    yield from _check_pattern(recipe.tag, config, (*path, "tag"))


def _check_pattern(pattern: str, config: Config, path: Path) -> Iterator[Problem]:
    for name in re.findall(r"\{([^{}]*)\}", pattern):
        if name not in AXES:
            known = ", ".join(f"{{{axis}}}" for axis in AXES)
            message = f"{{{name}}} is no axis{did_you_mean(name, AXES)}; a tag may hold {known}"
            yield Problem(message=message, path=path)
        elif not config.axis(name):
            message = f"{{{name}}} has no values in this config; leave it out of the tag"
            yield Problem(message=message, path=path)


def ancestry(name: str, recipes: Recipes) -> list[str]:
    """A recipe's parent, its parent's parent and so on, up to one that repeats."""
    line: list[str] = []
    parent = recipes[name].parent
    while parent is not None and parent in recipes and parent not in (name, *line):
        line.append(parent)
        parent = recipes[parent].parent
    return line


def identity(name: str, recipes: Recipes, config: Config) -> tuple[Axis, ...]:
    """The axes that tell a recipe's images apart: its own and its ancestors', where they exist."""
    own = {axis for kind in (name, *ancestry(name, recipes)) for axis in recipes[kind].axes}
    return tuple(axis for axis in AXES if axis in own and config.axis(axis))


def narrow(combination: Combination, recipe: str, axes: tuple[Axis, ...]) -> Combination:
    """The same combination for another recipe, with only that recipe's axes."""
    return Combination(recipe=recipe, **{axis: getattr(combination, axis) for axis in axes})
