"""Recipes: how each kind of image is made. The built-in ones, and what a config makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from imagekit.config.schema import AXES, SECTION, Axis, Combination, Config
from imagekit.docker.context import is_inside_context
from imagekit.docker.names import INVALID_TAG, is_tag
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
    test: container-structure-test files that every image of its must pass before it is pushed.
    """

    dockerfile: str
    tag: str
    axes: tuple[Axis, ...] = ()
    parent: str | None = None
    parent_arg: str = "BASE_IMAGE"
    omit: tuple[str, ...] = ()
    build_args: dict[str, str] = {}
    test: tuple[str, ...] = ()


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
            message = f"recipe {name!r} is not built in, so it requires {which}{near}"
            problems.append(Problem(message=message, path=("recipes", name), on_key=True))
        elif name in recipes:
            given["build_args"] = recipes[name].build_args | change.build_args
            recipes[name] = msgspec.structs.replace(recipes[name], **given)
        else:
            recipes[name] = Recipe(**given)
    for name in config.recipes:
        if name in recipes:
            problems += _check(name, recipes, config)
    checks = (*_check_names(config, recipes), *_check_sections(config, recipes))
    return recipes, [*problems, *checks]


def default_recipe(gpu: str | None) -> str:
    """What a combination is built with that names no recipe: no `gpu` means CPU-only."""
    return "cpu" if gpu is None else "gpu"


def with_recipe(combination: Combination) -> Combination:
    """The same combination with the recipe that it is built with."""
    recipe = combination.recipe or default_recipe(combination.gpu)
    return msgspec.structs.replace(combination, recipe=recipe)


def _check_sections(config: Config, recipes: Recipes) -> Iterator[Problem]:
    """Axes that recipes of the config's images read and that have no values.

    A config may do without base images, as the original's first ones do.
    """
    named = [(name, entry.gpu) for entry in config.images for name in entry.recipe or (None,)]
    used = {name or default_recipe(gpu[0] if gpu else None) for name, gpu in named}
    for recipe in sorted(used & set(recipes)):
        kinds = (recipe, *ancestry(recipe, recipes))
        for axis in ("python", "gpu"):
            if any(axis in recipes[kind].axes for kind in kinds) and not config.axis(axis):
                section = SECTION[axis]
                message = f"{section!r} is missing or empty, but recipe {recipe!r} reads it"
                # A value of it that an entry names is told to be missing already.
                entries: list[Path] = [("images", i, axis) for i in range(len(config.images))]
                caused_by: tuple[Path, ...] = ((section,), *entries)
                yield Problem(message=message, path=(section,), caused_by=caused_by)


def _check_names(config: Config, recipes: Recipes) -> Iterator[Problem]:
    places: list[tuple[Path, tuple[str | None, ...]]] = [
        *((("images", i, "recipe"), entry.recipe or ()) for i, entry in enumerate(config.images)),
        *((("exclude", i, "recipe"), rule.recipe or ()) for i, rule in enumerate(config.exclude)),
        *((("aliases", n, "recipe"), (alias.recipe,)) for n, alias in config.aliases.items()),
    ]
    for path, names in places:
        for index, name in enumerate(names):
            if name is not None and name not in recipes:
                listed = f"; available: {', '.join(recipes)}"
                near = did_you_mean(name, recipes) or listed
                message = f"unknown recipe {name!r}{near}"
                yield Problem(message=message, path=(*path, index), caused_by=(("recipes",),))


def _check(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    recipe, path = recipes[name], ("recipes", name)
    files = [("dockerfile", recipe.dockerfile), *(("test", name) for name in recipe.test)]
    for key, file in files:
        if not is_inside_context(file):
            message = (
                f"{file!r} is outside the build context; use a path below the "
                "directory that the build is submitted from"
            )
            yield Problem(message=message, path=(*path, key))
    if recipe.parent is not None and recipe.parent not in recipes:
        message = f"unknown recipe {recipe.parent!r}{did_you_mean(recipe.parent, recipes)}"
        at: Path = (*path, "parent")
        yield Problem(message=message, path=at, caused_by=(("recipes", recipe.parent),))
    line = [name, *ancestry(name, recipes)]
    # Every recipe of a circle meets it; the first in the config tells it.
    if recipes[line[-1]].parent in line and name == next(n for n in config.recipes if n in line):
        message = f"recipes must not form a cycle: {' → '.join([*line, name])}"
        yield Problem(message=message, path=(*path, "parent"))
    yield from _check_pattern(name, recipes, config)


def _check_pattern(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    path, rest = ("recipes", name, "tag"), recipes[name].tag
    line = [name, *ancestry(name, recipes)]
    broken: list[Path] = [("recipes", kind, key) for kind in line for key in ("axes", "parent")]
    broken.append(("recipes", recipes[line[-1]].parent or ""))
    for axis in re.findall(r"\{([^{}]*)\}", rest):
        rest = rest.replace(f"{{{axis}}}", "x")
        if axis not in AXES:
            known = ", ".join(f"{{{known}}}" for known in AXES)
            near = did_you_mean(axis, AXES) or f"; available: {known}"
            message = f"unknown axis {{{axis}}}{near}"
            yield Problem(message=message, path=path)
        elif not config.axis(axis):
            message = f"{{{axis}}} has no values in this config; remove it from the tag"
            yield Problem(message=message, path=path, caused_by=(*broken, (SECTION[axis],)))
        elif axis not in identity(name, recipes, config):
            message = (
                f"recipe {name!r} does not read the axis {axis!r}; remove {{{axis}}} from the tag"
            )
            yield Problem(message=message, path=path, caused_by=tuple(broken))
    if "{" in rest or "}" in rest:
        message = "unmatched brace; write an axis in braces, such as {python}"
        yield Problem(message=message, path=path)
    elif not is_tag(rest):
        yield Problem(message=f"{recipes[name].tag!r} {INVALID_TAG}", path=path)


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


def ancestors(combination: Combination, recipes: Recipes, config: Config) -> list[Combination]:
    """The combinations that one stands on, nearest first."""
    return [
        narrow(combination, name, identity(name, recipes, config))
        for name in ancestry(str(combination.recipe), recipes)
    ]


def narrow(combination: Combination, recipe: str, axes: tuple[Axis, ...]) -> Combination:
    """The same combination for another recipe, with only that recipe's axes."""
    return Combination(recipe=recipe, **{axis: getattr(combination, axis) for axis in axes})
