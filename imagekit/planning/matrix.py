"""The matrix: every combination of the axes, and whether it is built."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Literal

import msgspec

from imagekit.config.schema import Alias, Choice, Config, Entry
from imagekit.errors import Path, Problem, listed
from imagekit.planning.excludes import Excludes, ancestors
from imagekit.planning.recipes import Recipes, Values, Variant, used_recipes

Status = Literal["built", "excluded", "not listed"]
NOT_LISTED = "no entry in 'images' names it"
MAX_NOT_LISTED = 1_000
"""The most combinations that no entry names and that a matrix lists; more are only counted."""


class Combination(msgspec.Struct, frozen=True, gc=False):
    """At most one value of each axis, and a recipe."""

    values: Values
    """A value of each axis, in the order of the axes; None for an axis that is not used."""
    recipe: str
    """The name of the recipe."""

    def __str__(self) -> str:
        return f"{' × '.join(v for v in self.values if v is not None)} ({self.recipe})".lstrip()


class Cell(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One combination and whether it is built."""

    combination: Combination
    """The combination."""
    status: Status
    """Whether it is built."""
    variant: Variant | None
    """How it is made; None if the recipe cannot be built from these axes and values."""
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
    """The recipes, built-in ones included."""
    cells: tuple[Cell, ...]
    """The listed cells in the order of the config, then those that are not listed, if few."""
    more: int = 0
    """The number of combinations that are not listed and not in `cells`."""

    def not_listed(self) -> Iterator[Cell]:
        """Yield every combination that no entry names, however many there are."""
        listed = tuple(cell for cell in self.cells if cell.path)
        shapes = _shapes(self.recipes, listed)
        _add_parents(self.recipes, shapes, listed)
        return _not_listed(self.config, self.recipes, shapes)


def expand(config: Config, recipes: Recipes) -> tuple[Matrix, list[Problem]]:
    """Return the matrix of a config, and the problems of its combinations."""
    excludes = Excludes(config, recipes)
    cells = tuple(_listed(config, recipes, excludes))
    shapes = _shapes(recipes, cells)
    # Most configs list no values twice, and then no combination.
    may_repeat = sum(map(len, shapes.values())) < len(cells)
    _add_parents(recipes, shapes, cells)
    number = sum(_count(config, recipes, shapes))
    few = number <= MAX_NOT_LISTED
    others = tuple(_not_listed(config, recipes, shapes)) if number and few else ()
    matrix = Matrix(config=config, recipes=recipes, cells=cells + others, more=0 if few else number)
    problems = _check(matrix, cells, may_repeat=may_repeat)
    return matrix, [*problems, *excludes.check(cells)]


def combination_of(alias: Alias, recipes: Recipes) -> Combination:
    """Return the combination that an alias stands for."""
    values = tuple(alias.axes.get(axis) for axis in recipes.axes)
    recipe = alias.recipe or recipes.default(recipes.mask(values)) or ""
    return Combination(values, recipe)


def _listed(config: Config, recipes: Recipes, excludes: Excludes) -> Iterator[Cell]:
    known = {axis: config.axis(axis) for axis in recipes.axes}
    for index, entry in enumerate(config.images):
        path: Path = ("images", index)
        names_exist = _names_exist(entry, known)
        for values, variants in _product(entry, recipes):
            for recipe, variant in variants:
                rule = excludes.first(values, recipe) if excludes.rules else None
                yield Cell(
                    combination=Combination(values, recipe),
                    status="built" if rule is None else "excluded",
                    variant=variant if names_exist else None,
                    reason="" if rule is None else rule.reason,
                    path=path,
                    build_args=entry.build_args,
                )


def _names_exist(entry: Entry, known: Mapping[str, Mapping[str, object]]) -> bool:
    for axis, choice in entry.axes.items():
        names = known.get(axis)
        for name in choice if names is not None else ():
            if name is not None and name not in names:  # type: ignore[operator]
                return False
    return True


Variants = list[tuple[str, Variant | None]]
"""Recipes by name, each with its variant for a set of axes."""


def _product(entry: Entry, recipes: Recipes) -> Iterator[tuple[Values, Variants]]:
    """Yield each combination of an entry's values with its recipes."""
    choices: list[Choice] = []
    mask, is_mixed = 0, False
    for index, axis in enumerate(recipes.axes):
        choice = entry.axes.get(axis) or WITHOUT
        choices.append(choice)
        if len(choice) > 1 and None in choice:
            is_mixed = True
        elif choice[0] is not None:
            mask |= 1 << index
    found = _variants(entry, recipes, mask)
    for values in itertools.product(*choices):
        yield values, _variants(entry, recipes, recipes.mask(values)) if is_mixed else found


def _variants(entry: Entry, recipes: Recipes, mask: int) -> Variants:
    return [(name, recipes.find(name, mask)) for name in _recipes(entry, recipes, mask)]


WITHOUT: Choice = (None,)


def _recipes(entry: Entry, recipes: Recipes, mask: int) -> tuple[str, ...]:
    if entry.recipe is None:
        return recipes.default_names(mask)
    return tuple(name or recipes.default(mask) or "" for name in entry.recipe or ())


# ---- combinations that no entry names


Shape = tuple[int, str]
"""A set of axes and a recipe that is built for it."""


def _shapes(recipes: Recipes, cells: Iterable[Cell]) -> dict[Shape, set[Values]]:
    """The recipes and axes of the entries, each with the combinations that are listed.

    With built-in recipes, they are also those of `cpu` and `gpu`.
    """
    # Without values of the axis `gpu`, both have the same axes.
    built_in = [name for name in ("gpu", "cpu") if name in recipes.built_in]
    names = {mask: name for name in built_in for mask in recipes.variants[name] if mask}
    shapes: dict[Shape, set[Values]] = {shape: set() for shape in names.items()}
    of_variants: dict[int, set[Values]] = {}
    for cell in cells:
        variant = cell.variant
        if variant is None:
            # It is an error, with which no matrix is shown.
            continue
        seen = of_variants.get(id(variant))
        if seen is None:
            seen = shapes.setdefault((variant.mask, variant.name), set())
            of_variants[id(variant)] = seen
        seen.add(cell.combination.values)
    return shapes


def _add_parents(
    recipes: Recipes, shapes: Mapping[Shape, set[Values]], cells: Iterable[Cell]
) -> None:
    """Add the combinations that are built as parents, and so need not be listed."""
    variants = [variant for mask, name in shapes if (variant := recipes.find(name, mask))]
    above = (one.parent for variant in variants for one in variant.line())
    if any(parent is not None and (parent.mask, parent.name) in shapes for parent in above):
        for _, parent, values in ancestors(cell for cell in cells if cell.status == "built"):
            if (seen := shapes.get((parent.mask, parent.name))) is not None:
                seen.add(values)


def _count(config: Config, recipes: Recipes, seen: Mapping[Shape, set[Values]]) -> Iterator[int]:
    for (mask, _), known in seen.items():
        number = 1
        for axis in recipes.names(mask):
            number *= len(config.axis(axis))
        # A value that does not exist is an error, and counted as if it did.
        yield max(0, number - len(known))


def _not_listed(
    config: Config, recipes: Recipes, shapes: Mapping[Shape, set[Values]]
) -> Iterator[Cell]:
    import heapq  # Not at the top: often nothing is left.

    # One set of axes after the other, since most combinations of all axes have none of these sets.
    of_shapes = (
        _of_shape(config, recipes, mask, seen, number)
        for number, ((mask, _), seen) in enumerate(shapes.items())
    )
    names = [*shapes]
    for _, number, values in heapq.merge(*of_shapes):
        mask, recipe = names[number]
        yield Cell(
            combination=Combination(values, recipe),
            status="not listed",
            variant=recipes.find(recipe, mask),
            reason=NOT_LISTED,
        )


def _of_shape(
    config: Config, recipes: Recipes, mask: int, seen: Set[Values], number: int
) -> Iterator[tuple[tuple[int, ...], int, Values]]:
    """Yield the other combinations of a set of axes in the order of the config, with their ranks.

    `number` is that of the shape, in whose order combinations with the same values are.
    """
    choices: list[list[str | None]] = [
        [*config.axis(axis)] if mask >> i & 1 else [None] for i, axis in enumerate(recipes.axes)
    ]
    ranks: list[dict[str | None, int]] = [
        {None: 0} | {value: rank for rank, value in enumerate(config.axis(axis), start=1)}
        for axis in recipes.axes
    ]
    for values in itertools.product(*choices):
        if values not in seen:
            rank = [of_axis[value] for of_axis, value in zip(ranks, values, strict=True)]
            yield tuple(rank), number, values


# ---- checks


def sections(config: Config) -> tuple[Path, ...]:
    """Return the sections of the axes; a problem in one may cause problems of combinations."""
    return tuple(config.section(axis) for axis in config.axis_names())


def _check(matrix: Matrix, cells: tuple[Cell, ...], *, may_repeat: bool) -> Iterator[Problem]:
    config, recipes = matrix.config, matrix.recipes
    checked: set[tuple[Path, str, int]] = set()
    for cell in cells:
        if cell.variant is None or recipes.unclear:
            mask = recipes.mask(cell.combination.values)
            key = (cell.path, cell.combination.recipe, mask)
            if key not in checked:
                checked.add(key)
                yield from _check_axes(matrix, cell.combination, cell.path)
    for _, alias, path in config.each_alias():
        yield from _check_axes(matrix, combination_of(alias, recipes), path)
    if may_repeat:
        yield from _check_twice(cells)
    yield from _check_unused(matrix, cells)
    if config.images and cells and all(cell.status != "built" for cell in cells):
        message = "every image is excluded, so there is nothing to build"
        yield Problem(message=message, path=("exclude",), caused_by=(("exclude",), ("images",)))


def _check_axes(matrix: Matrix, combination: Combination, path: Path) -> Iterator[Problem]:
    config, recipes, name = matrix.config, matrix.recipes, combination.recipe
    mask = recipes.mask(combination.values)
    given: tuple[Path, ...] = tuple((*path, axis) for axis in recipes.axes)
    if not name:
        yield Problem(
            message=_no_default(recipes, mask),
            path=path,
            caused_by=(path, *given, ("recipes",), *sections(config)),
        )
        return
    variants = recipes.variants.get(name, {})
    for variant in variants[mask].line() if mask in variants and recipes.unclear else ():
        if why := recipes.unclear.get((variant.name, variant.mask)):
            message = f"recipe {variant.name!r} {why}"
            yield Problem(message=message, path=("recipes", variant.name, "parent"))
    if mask in variants or not variants:
        return
    if len(variants) > 1:
        choices = " or ".join(_axes(recipes, other) for other in variants)
        message = (
            f"recipe {name!r} cannot be built for {_axes(recipes, mask)}, only for {choices}; "
            f"{_change(recipes, mask, _nearest(mask, variants))}"
        )
        yield Problem(message=message, path=path, caused_by=(*given, ("recipes",)))
        return
    needed = next(iter(variants))
    for i, axis in enumerate(recipes.axes):
        if needed >> i & 1 and not mask >> i & 1:
            message = f"recipe {name!r} requires {axis!r}, one of: {listed(config.axis(axis))}"
            yield Problem(message=message, path=path, caused_by=((*path, axis), ("recipes",)))
        # An axis without values means an unknown name, which config/check reports.
        if mask >> i & 1 and not needed >> i & 1 and config.axis(axis):
            message = f"recipe {name!r} does not read the axis {axis!r}; remove it"
            yield Problem(message=message, path=(*path, axis), caused_by=(("recipes",),))


def _axes(recipes: Recipes, mask: int) -> str:
    return " × ".join(recipes.names(mask)) or "no axis"


def _no_default(recipes: Recipes, mask: int) -> str:
    """Why no recipe is clear from the axes of an entry, and what to do."""
    axes = _axes(recipes, mask)
    if several := recipes.defaults.get(mask):
        names = " and ".join(map(repr, several))
        are = "are both"
        if len(several) > 2:
            names, are = listed(map(repr, several)), "are"
        return f"recipes {names} {are} built for {axes}; name one with 'recipe'"
    if not recipes.by_name:
        return "the config has no recipe; add one to 'recipes'"
    if all(recipe.parent_only for recipe in recipes.by_name.values()):
        return "every recipe is 'parent_only'; name one with 'recipe'"
    if not recipes.defaults:
        return "every recipe reads an axis that has no values; add values, or a recipe"

    nearest = _nearest(mask, recipes.defaults)
    message = f"no recipe is built for {axes}; for {recipes.defaults[nearest][0]!r}, "
    message += _change(recipes, mask, nearest)
    named = [name for name, variants in recipes.variants.items() if mask in variants]
    if named:
        message += f"; recipe {named[0]!r} is 'parent_only', so that it has to be named"
    return message


def _nearest(mask: int, others: Iterable[int]) -> int:
    """The axes that differ least; rather those with one more, as one is easily forgotten."""
    return min(others, key=lambda other: ((mask ^ other).bit_count(), (mask & ~other).bit_count()))


def _change(recipes: Recipes, mask: int, wanted: int) -> str:
    """What to change in an entry for other axes."""
    missing, extra = recipes.names(wanted & ~mask), recipes.names(mask & ~wanted)
    remedy = [f"add {' and '.join(map(repr, missing))}"] if missing else []
    remedy += [f"remove {' and '.join(map(repr, extra))}"] if extra else []
    return " and ".join(remedy)


def _check_twice(cells: Iterable[Cell]) -> Iterator[Problem]:
    first: dict[Combination, Path] = {}
    number = 0
    for cell in cells:
        see = first.setdefault(cell.combination, cell.path)
        if len(first) > number:
            number += 1
        elif see is not cell.path and cell.combination.recipe:
            message = f"{cell.combination} is listed twice; remove one"
            yield Problem(message=message, path=cell.path, see=see, caused_by=(cell.path,))
        elif cell.combination.recipe:
            at: Path = (*cell.path, "recipe")
            message = (
                f"{cell.combination} is listed twice: by the recipe's name, and by null, which "
                "stands for the same recipe; remove one"
            )
            yield Problem(message=message, path=at, caused_by=(cell.path,))


def _check_unused(matrix: Matrix, cells: Iterable[Cell]) -> Iterator[Problem]:
    config = matrix.config
    used: set[tuple[int, str | None]] = set()
    for entry in config.images:
        for i, axis in enumerate(matrix.recipes.axes):
            used.update((i, name) for name in entry.axes.get(axis, ()))
    for i, axis in enumerate(matrix.recipes.axes):
        section = config.section(axis)
        shown = section[0] if len(section) == 1 else f"axes.{axis}"
        for name in config.axis(axis):
            if (i, name) not in used:
                message = f"no image uses {name!r}; remove it from '{shown}' or use it"
                path = (*section, name)
                yield Problem(message=message, path=path, on_key=True, severity="warning")
    distinct = {id(cell.variant): cell.variant for cell in cells if cell.variant is not None}
    used_or_named = set(used_recipes(list(distinct.values())))
    used_or_named |= {cell.combination.recipe for cell in cells if cell.variant is None}
    for name in config.recipes:
        if name not in used_or_named:
            message = f"no image uses recipe {name!r}; remove it or use it in 'images'"
            path = ("recipes", name)
            yield Problem(message=message, path=path, on_key=True, severity="warning")
