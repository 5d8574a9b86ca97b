"""The matrix: every combination of the axes, each kept or not built, with the reason."""

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
    """One combination: built, or not built for a reason.

    `path` is the entry of the config that names it.
    """

    combination: Combination
    status: Status
    reason: str = ""
    path: Path = ()
    build_args: dict[str, str] = {}


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """All cells, those that the config names first and in its order."""

    config: Config
    recipes: Recipes
    cells: tuple[Cell, ...]

    def built(self) -> tuple[Cell, ...]:
        """The cells that become images."""
        return tuple(cell for cell in self.cells if cell.status == "built")


def expand(config: Config, recipes: Recipes) -> tuple[Matrix, list[Problem]]:
    """A config's cells, and what is wrong with the combinations it names."""
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
    """Whether a combination has one of the values that a rule names, on each axis it names."""
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
        # Not every recipe is told apart by every axis.
        combination = narrow(whole, recipe, identity(recipe, recipes, config))
        given = _values(whole) in listed or combination in seen
        if not given and combination.values():
            seen.add(combination)
            yield Cell(combination=combination, status="not listed", reason=NOT_LISTED)


def _values(combination: Combination) -> tuple[str | None, ...]:
    return tuple(getattr(combination, axis) for axis in AXES)


# ---- what must hold

SECTIONS: tuple[Path, ...] = tuple((section,) for section in SECTION.values())
"""What a combination is made of; where one of these is broken, much does not fit."""


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
    given: dict[Axis, str] = combination.values()
    for axis in needed:
        if axis not in given:
            names = ", ".join(matrix.config.axis(axis))
            message = f"recipe {recipe!r} requires {axis!r}, one of: {names}"
            yield Problem(message=message, path=path, caused_by=((*path, axis), ("recipes",)))
    for axis in given:
        # An axis without any values is a name that does not exist, which is said elsewhere.
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
    standing = {n for r in recipes & set(matrix.recipes) for n in ancestry(r, matrix.recipes)}
    for name in matrix.config.recipes:
        if name not in recipes | standing:
            message = f"no image uses recipe {name!r}; remove it or use it in 'images'"
            path = ("recipes", name)
            yield Problem(message=message, path=path, on_key=True, severity="warning")
