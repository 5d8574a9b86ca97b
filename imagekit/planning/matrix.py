"""The matrix: every combination of the axes, and whether it is built."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import msgspec

from imagekit.config.schema import (
    AXES,
    SECTION,
    Axis,
    Combination,
    Config,
    Entry,
    Exclude,
    names_an_axis,
)
from imagekit.errors import Path, Problem
from imagekit.planning.recipes import Recipes, ancestors, ancestry, identity, narrow, with_recipe

Status = Literal["built", "excluded", "not listed"]
NOT_LISTED = "no entry in 'images' names it"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One combination and whether it is built."""

    combination: Combination
    """The combination, with its recipe."""
    status: Status
    """Whether it is built."""
    reason: str = ""
    """Why it is not built."""
    path: Path = ()
    """The entry of the config that lists it; empty if none does."""
    build_args: dict[str, str] = {}
    """The build args of that entry."""


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """All cells of a config."""

    config: Config
    """The config."""
    recipes: Recipes
    """The recipes by name, built-in ones included."""
    cells: tuple[Cell, ...]
    """The listed cells in the order of the config, then those that are not listed."""

    def built(self) -> tuple[Cell, ...]:
        """Return the cells that are built."""
        return tuple(cell for cell in self.cells if cell.status == "built")


def expand(config: Config, recipes: Recipes) -> tuple[Matrix, list[Problem]]:
    """Return the matrix of a config, and the problems of its combinations."""
    cells = tuple(_named(config))
    matrix = Matrix(
        config=config, recipes=recipes, cells=(*cells, *_not_listed(config, recipes, cells))
    )
    return matrix, list(_check(matrix))


def _named(config: Config) -> Iterator[Cell]:
    for index, entry in enumerate(config.images):
        for combination in _product(entry):
            rule = _first_match(config.exclude, combination)
            yield Cell(
                combination=combination,
                status="built" if rule is None else "excluded",
                reason="" if rule is None else rule.reason,
                path=("images", index),
                build_args=entry.build_args,
            )


def _product(entry: Entry) -> Iterator[Combination]:
    choices = [getattr(entry, axis) or (None,) for axis in AXES]
    for values in itertools.product(*choices, entry.recipe or (None,)):
        *names, recipe = values
        chosen = dict(zip(AXES, names, strict=True))
        yield with_recipe(Combination(recipe=recipe, **chosen))


def _first_match(rules: tuple[Exclude, ...], combination: Combination) -> Exclude | None:
    return next((rule for rule in rules if matches(rule, combination)), None)


def matches(rule: Exclude, combination: Combination) -> bool:
    """Whether a combination matches a rule on every axis that the rule names."""
    choices = {name: getattr(rule, name) for name in (*AXES, "recipe")}
    return names_an_axis(rule) and all(
        choice is None or getattr(combination, name) in choice for name, choice in choices.items()
    )


def _not_listed(config: Config, recipes: Recipes, named: tuple[Cell, ...]) -> Iterator[Cell]:
    listed = {_values(cell.combination) for cell in named}
    seen = {cell.combination for cell in named}
    bases: list[str | None] = [*config.base_images] or [None]
    pythons: list[str | None] = [*config.python_versions] or [None]
    for values in itertools.product(bases, pythons, [None, *config.gpu_versions]):
        chosen = dict(zip(AXES, values, strict=True))
        whole = with_recipe(Combination(**chosen))
        recipe = str(whole.recipe)
        # A recipe may not use every axis.
        combination = narrow(whole, recipe, identity(recipe, recipes, config))
        is_known = _values(whole) in listed or combination in seen
        if not is_known and combination.values():
            seen.add(combination)
            yield Cell(combination=combination, status="not listed", reason=NOT_LISTED)


def _values(combination: Combination) -> tuple[str | None, ...]:
    return tuple(getattr(combination, axis) for axis in AXES)


# ---- checks

SECTIONS: tuple[Path, ...] = tuple((section,) for section in SECTION.values())
"""The sections of the axes; a problem in one may cause problems of combinations."""


def _check(matrix: Matrix) -> Iterator[Problem]:
    config = matrix.config
    for cell in matrix.cells:
        if cell.path:
            yield from _check_axes(matrix, cell.combination, cell.path)
    for name, alias in config.aliases.items():
        yield from _check_axes(matrix, with_recipe(alias), ("aliases", name))
    yield from _check_twice(matrix)
    yield from _check_rules(matrix)
    yield from _check_unused(matrix)
    if config.images and not matrix.built():
        message = "every image is excluded, so there is nothing to build"
        yield Problem(message=message, path=("exclude",), caused_by=(("exclude",), ("images",)))


def _check_axes(matrix: Matrix, combination: Combination, path: Path) -> Iterator[Problem]:
    recipe = str(combination.recipe)
    if recipe not in matrix.recipes:
        return
    needed = identity(recipe, matrix.recipes, matrix.config)
    values: dict[Axis, str] = combination.values()
    for axis in needed:
        if axis not in values:
            names = ", ".join(matrix.config.axis(axis))
            message = f"recipe {recipe!r} requires {axis!r}, one of: {names}"
            yield Problem(message=message, path=path, caused_by=((*path, axis), ("recipes",)))
    for axis in values:
        # An axis without values means an unknown name, which config/check reports.
        if axis not in needed and matrix.config.axis(axis):
            message = f"recipe {recipe!r} does not read the axis {axis!r}; remove it"
            yield Problem(message=message, path=(*path, axis), caused_by=(("recipes",),))


def _check_twice(matrix: Matrix) -> Iterator[Problem]:
    first: dict[Combination, Path] = {}
    for cell in matrix.cells:
        if cell.combination in first:
            message = f"{cell.combination} is listed twice; remove one"
            see = first[cell.combination]
            yield Problem(message=message, path=cell.path, see=see, caused_by=(cell.path,))
        first.setdefault(cell.combination, cell.path)


def _check_rules(matrix: Matrix) -> Iterator[Problem]:
    config = matrix.config
    listed = [cell.combination for cell in matrix.cells if cell.path]
    known = [combination for combination in listed if combination.recipe in matrix.recipes]
    below = [c for one in known for c in ancestors(one, matrix.recipes, config)]
    for index, rule in enumerate(config.exclude):
        at = ("exclude", index)
        if not rule.reason.strip():
            message = "'reason' must not be empty; it is shown in the matrix"
            yield Problem(message=message, path=(*at, "reason"), caused_by=((*at, "reason"),))
        if names_an_axis(rule) and not any(matches(rule, c) for c in (*listed, *below)):
            message = "this rule matches no combination in 'images'; fix or remove it"
            axes: list[Path] = [(*at, name) for name in (*AXES, "recipe")]
            caused_by = (*axes, ("images",), *SECTIONS)
            yield Problem(message=message, path=at, caused_by=caused_by)


def _check_unused(matrix: Matrix) -> Iterator[Problem]:
    listed = [cell.combination for cell in matrix.cells if cell.path]
    for axis in AXES:
        used = {getattr(combination, axis) for combination in listed}
        for name in matrix.config.axis(axis):
            if name not in used:
                message = f"no image uses {name!r}; remove it from '{SECTION[axis]}' or use it"
                path = (SECTION[axis], name)
                yield Problem(message=message, path=path, on_key=True, severity="warning")
    recipes = {str(combination.recipe) for combination in listed}
    parents = {n for r in recipes & set(matrix.recipes) for n in ancestry(r, matrix.recipes)}
    for name in matrix.config.recipes:
        if name not in recipes | parents:
            message = f"no image uses recipe {name!r}; remove it or use it in 'images'"
            path = ("recipes", name)
            yield Problem(message=message, path=path, on_key=True, severity="warning")
