"""Recipes: how each kind of image is made. The built-in ones, and those of a config."""

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
"""The base of CPU images if a config has no base images, as in the original generator."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind of image is made."""

    dockerfile: str
    """The path of the Dockerfile in the build context."""
    tag: str
    """The pattern of the tags, with axes in braces."""
    axes: tuple[Axis, ...] = ()
    """The axes whose build args the Dockerfile gets."""
    parent: str | None = None
    """The recipe of the parent image."""
    parent_arg: str = "BASE_IMAGE"
    """The build arg that gets the parent's reference."""
    omit: tuple[str, ...] = ()
    """Build args of the axes that this recipe ignores."""
    build_args: dict[str, str] = {}
    """The recipe's own build args; those of the axes override them."""
    test: tuple[str, ...] = ()
    """container-structure-test files that an image must pass before it is pushed."""


Recipes = dict[str, Recipe]


def built_in(with_base_images: bool) -> Recipes:
    """Return the built-in recipes, with the tags of the original system's two generations."""
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
    """Return the recipes of a config by name, and the problems of its `recipes` section."""
    recipes = built_in(bool(config.base_images))
    problems: list[Problem] = []
    for name, change in config.recipes.items():
        values = {
            field: getattr(change, field)
            for field in msgspec.structs.asdict(change)
            if getattr(change, field) is not (UNSET if field == "parent" else None)
        }
        missing = [f for f in ("dockerfile", "tag") if f not in values and name not in recipes]
        if missing:
            which = " and ".join(repr(field) for field in missing)
            near = did_you_mean(name, recipes)
            message = f"recipe {name!r} is not built in, so it requires {which}{near}"
            problems.append(Problem(message=message, path=("recipes", name), on_key=True))
        elif name in recipes:
            values["build_args"] = recipes[name].build_args | change.build_args
            recipes[name] = msgspec.structs.replace(recipes[name], **values)
        else:
            recipes[name] = Recipe(**values)
    for name in config.recipes:
        if name in recipes:
            problems += _check(name, recipes, config)
    checks = (*_check_names(config, recipes), *_check_sections(config, recipes))
    return recipes, [*problems, *checks]


def default_recipe(gpu: str | None) -> str:
    """Return the recipe of a combination that names none: `cpu` without a GPU, else `gpu`."""
    return "cpu" if gpu is None else "gpu"


def with_recipe(combination: Combination) -> Combination:
    """Return the combination with its recipe, or the default one."""
    recipe = combination.recipe or default_recipe(combination.gpu)
    return msgspec.structs.replace(combination, recipe=recipe)


def _check_sections(config: Config, recipes: Recipes) -> Iterator[Problem]:
    """Yield problems for axes that a used recipe reads and that have no values.

    Base images are optional, as in the first original configs.
    """
    named = [(name, entry.gpu) for entry in config.images for name in entry.recipe or (None,)]
    used = {name or default_recipe(gpu[0] if gpu else None) for name, gpu in named}
    for recipe in sorted(used & set(recipes)):
        kinds = (recipe, *ancestry(recipe, recipes))
        for axis in ("python", "gpu"):
            if any(axis in recipes[kind].axes for kind in kinds) and not config.axis(axis):
                section = SECTION[axis]
                message = f"{section!r} is missing or empty, but recipe {recipe!r} reads it"
                # If an entry names a value of it, that is already reported as unknown.
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
    # Report a cycle once, at its first recipe in the config.
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
    """Return the names of a recipe's ancestors, nearest first; a cycle is cut."""
    line: list[str] = []
    parent = recipes[name].parent
    while parent is not None and parent in recipes and parent not in (name, *line):
        line.append(parent)
        parent = recipes[parent].parent
    return line


def identity(name: str, recipes: Recipes, config: Config) -> tuple[Axis, ...]:
    """Return the axes with values that a recipe or one of its ancestors reads."""
    own = {axis for kind in (name, *ancestry(name, recipes)) for axis in recipes[kind].axes}
    return tuple(axis for axis in AXES if axis in own and config.axis(axis))


def ancestors(combination: Combination, recipes: Recipes, config: Config) -> list[Combination]:
    """Return the combinations of an image's ancestors, nearest first."""
    return [
        narrow(combination, name, identity(name, recipes, config))
        for name in ancestry(str(combination.recipe), recipes)
    ]


def narrow(combination: Combination, recipe: str, axes: tuple[Axis, ...]) -> Combination:
    """Return the combination for another recipe, with only its axes."""
    return Combination(recipe=recipe, **{axis: getattr(combination, axis) for axis in axes})
