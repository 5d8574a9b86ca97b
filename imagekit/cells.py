"""The matrix: every combination of the axes, each kept or not built, with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import msgspec

from imagekit.config import AXES, SECTION, Axis, Combination, Config, Entry, Exclude
from imagekit.errors import Path, Problem, did_you_mean
from imagekit.recipes import Recipes, identity, recipes_of

Status = Literal["built", "excluded", "not listed"]
NOT_LISTED = "no entry in 'images' names it"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One combination: built, or not built for a reason.

    `path` is the entry of the config that names it, `rule` the number of the exclude rule.
    """

    combination: Combination
    status: Status
    reason: str = ""
    path: Path = ()
    rule: int | None = None
    build_args: dict[str, str] = {}


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """All cells, those that the config names first and in its order."""

    config: Config
    recipes: Recipes
    cells: tuple[Cell, ...]

    def built(self) -> tuple[Cell, ...]:
        """The cells that become images."""
        return tuple(cell for cell in self.cells if cell.status == "built")


def expand(config: Config) -> tuple[Matrix, list[Problem]]:
    """A config's cells, and what is wrong with the combinations it names."""
    recipes, problems = recipes_of(config)
    cells = tuple(_named(config, recipes))
    matrix = Matrix(config=config, recipes=recipes, cells=(*cells, *_not_listed(config, cells)))
    return matrix, [*problems, *_check(matrix)]


def _named(config: Config, recipes: Recipes) -> Iterator[Cell]:
    for index, entry in enumerate(config.images):
        for combination in _product(entry):
            rule = _first_match(config.exclude, combination)
            yield Cell(
                combination=combination,
                status="built" if rule is None else "excluded",
                reason="" if rule is None else config.exclude[rule].reason,
                path=("images", index),
                rule=rule,
                build_args=entry.build_args,
            )


def _product(entry: Entry) -> Iterator[Combination]:
    choices = [getattr(entry, axis) or (None,) for axis in AXES]
    for values in itertools.product(*choices, entry.recipe or (None,)):
        *names, recipe = values
        chosen = dict(zip(AXES, names, strict=True))
        yield Combination(recipe=recipe or default_recipe(chosen["gpu"]), **chosen)


def default_recipe(gpu: str | None) -> str:
    """What a combination is built with that names no recipe: no `gpu` means CPU-only."""
    return "cpu" if gpu is None else "gpu"


def _first_match(rules: tuple[Exclude, ...], combination: Combination) -> int | None:
    return next((i for i, rule in enumerate(rules) if matches(rule, combination)), None)


def matches(rule: Exclude, combination: Combination) -> bool:
    """Whether a combination has one of the values that a rule names, on each axis it names."""
    choices = {name: getattr(rule, name) for name in (*AXES, "recipe")}
    return all(
        choice is None or getattr(combination, name) in choice for name, choice in choices.items()
    )


def _not_listed(config: Config, named: tuple[Cell, ...]) -> Iterator[Cell]:
    seen = {_values(cell.combination) for cell in named}
    bases: list[str | None] = [*config.base_images] or [None]
    pythons: list[str | None] = [*config.python_versions] or [None]
    for values in itertools.product(bases, pythons, [None, *config.gpu_versions]):
        if values not in seen and any(values):
            chosen = dict(zip(AXES, values, strict=True))
            combination = Combination(recipe=default_recipe(chosen["gpu"]), **chosen)
            yield Cell(combination=combination, status="not listed", reason=NOT_LISTED)


def _values(combination: Combination) -> tuple[str | None, ...]:
    return tuple(getattr(combination, axis) for axis in AXES)


# ---- what must hold


def _check(matrix: Matrix) -> Iterator[Problem]:
    for cell in matrix.cells:
        if cell.path:
            yield from _check_axes(matrix, cell)
    yield from _check_recipe_names(matrix)
    yield from _check_twice(matrix)
    yield from _check_rules(matrix)
    yield from _check_unused(matrix)
    if matrix.config.images and not matrix.built():
        message = "every image is excluded, so nothing would be built"
        yield Problem(message=message, path=("exclude",))


def _check_axes(matrix: Matrix, cell: Cell) -> Iterator[Problem]:
    combination = cell.combination
    recipe = str(combination.recipe)
    if recipe not in matrix.recipes:
        return
    needed = identity(recipe, matrix.recipes, matrix.config)
    given: dict[Axis, str] = combination.values()
    for axis in needed:
        if axis not in given:
            message = f"recipe {recipe!r} needs a {axis!r} here: {_names(matrix.config, axis)}"
            yield Problem(message=message, path=cell.path)
    for axis in given:
        # An axis without any values is a name that does not exist, which is said elsewhere.
        if axis not in needed and matrix.config.axis(axis):
            message = f"recipe {recipe!r} does not read the axis {axis!r}; leave it out"
            yield Problem(message=message, path=(*cell.path, axis))


def _names(config: Config, axis: Axis) -> str:
    return f"one or more of {', '.join(config.axis(axis))}"


def _check_recipe_names(matrix: Matrix) -> Iterator[Problem]:
    config = matrix.config
    places: list[tuple[Path, tuple[str | None, ...]]] = [
        *((("images", i, "recipe"), entry.recipe or ()) for i, entry in enumerate(config.images)),
        *((("exclude", i, "recipe"), rule.recipe or ()) for i, rule in enumerate(config.exclude)),
        *((("aliases", n, "recipe"), (alias.recipe,)) for n, alias in config.aliases.items()),
    ]
    for path, names in places:
        for index, name in enumerate(names):
            if name is not None and name not in matrix.recipes and name not in config.recipes:
                near = did_you_mean(name, matrix.recipes)
                message = (
                    f"no recipe is called {name!r}{near}; there is {', '.join(matrix.recipes)}"
                )
                yield Problem(message=message, path=(*path, index))


def _check_twice(matrix: Matrix) -> Iterator[Problem]:
    first: dict[Combination, Path] = {}
    for cell in matrix.cells:
        if cell.combination in first:
            where = f"images[{first[cell.combination][1]}]"
            message = f"{cell.combination} is named twice, first in {where}; remove one"
            yield Problem(message=message, path=cell.path)
        first.setdefault(cell.combination, cell.path)


def _check_rules(matrix: Matrix) -> Iterator[Problem]:
    named = [cell.combination for cell in matrix.cells if cell.path]
    for index, rule in enumerate(matrix.config.exclude):
        if not rule.reason.strip():
            message = "'reason' is empty: say why, it is shown in the matrix"
            yield Problem(message=message, path=("exclude", index, "reason"))
        if not any(matches(rule, combination) for combination in named):
            message = "this rule matches no combination in 'images'; remove it or mend it"
            yield Problem(message=message, path=("exclude", index))


def _check_unused(matrix: Matrix) -> Iterator[Problem]:
    for axis in AXES:
        used = {getattr(cell.combination, axis) for cell in matrix.built()}
        for name in matrix.config.axis(axis):
            if name not in used:
                message = f"no image uses {name!r}; remove it from '{SECTION[axis]}' or build it"
                path = (SECTION[axis], name)
                yield Problem(message=message, path=path, on_key=True, severity="warning")
