"""Aliases: the tags that single images have besides those of their recipe's patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagekit.errors import Path, Problem, did_you_mean, listed
from imagekit.planning.matrix import Cell, Combination, Matrix, combination_of
from imagekit.planning.patterns import NO_AXES, PLACEHOLDER, Pattern, misnamed
from imagekit.planning.recipes import Values, Variant


def aliases_of(
    matrix: Matrix, built: Mapping[Combination, Cell]
) -> tuple[dict[Combination, list[str]], list[Problem]]:
    """Return the aliases of each image as short names, and the problems of aliases.

    `built` are the cells of all images, by their combination.
    """
    problems: list[Problem] = []
    found: dict[Combination, list[str]] = {}
    given: set[tuple[str, Combination]] = set()
    absent: list[tuple[str, Combination, Path]] = []
    for name, alias, at in matrix.config.each_alias():
        combination = combination_of(alias, matrix.recipes)
        cell = built.get(combination)
        if cell is None or cell.variant is None:
            absent.append((name, combination, at))
        elif (name, combination) in given:
            message = f"alias {name!r} has {combination} twice; remove one"
            problems.append(Problem(message=message, path=at))
        elif wrong := [*_check_pattern(matrix, name, cell.variant, combination, at)]:
            problems += wrong
        else:
            tag = rendered(matrix, name, cell.variant, combination.values)
            repository = cell.variant.recipe.repository
            short = f"{repository}:{tag}" if repository else tag
            found.setdefault(combination, []).append(short)
        given.add((name, combination))
    return found, [*problems, *_not_built(matrix, absent)]


def _not_built(matrix: Matrix, absent: list[tuple[str, Combination, Path]]) -> Iterator[Problem]:
    """Yield a problem for each alias of an image that is not built."""
    cells = {cell.combination: cell for cell in reversed(matrix.cells)} if absent else {}
    for name, combination, at in absent:
        mask = matrix.recipes.mask(combination.values)
        if matrix.recipes.find(combination.recipe, mask) is None or not _exist(matrix, combination):
            # Other checks report it.
            continue
        cell = cells.get(combination)
        why = f": {cell.reason}" if cell else "; add it to 'images'"
        message = f"alias {name!r} refers to {combination}, which is not built{why}"
        caused_by: tuple[Path, ...] = (at, ("exclude",))
        if cell is None or cell.status != "excluded":
            caused_by += (("images",),)
        yield Problem(message=message, path=at, on_key=True, caused_by=caused_by)


def paths_of(matrix: Matrix) -> dict[tuple[Combination, str], Path]:
    """Return the config path of each alias, or of its combination, by the image and the tag."""
    paths: dict[tuple[Combination, str], Path] = {}
    for name, alias, at in matrix.config.each_alias():
        combination = combination_of(alias, matrix.recipes)
        mask = matrix.recipes.mask(combination.values)
        variant = matrix.recipes.find(combination.recipe, mask)
        if variant is not None and _exist(matrix, combination):
            tag = rendered(matrix, name, variant, combination.values)
            paths.setdefault((combination, tag), at)
    return paths


def rendered(matrix: Matrix, name: str, variant: Variant, values: Values) -> str:
    """Return the tag that an alias of the config gives an image; the name may be a pattern."""
    if "{" not in name:
        return name
    axes = matrix.recipes.axes
    pattern = Pattern.of(name, variant.name, "", axes, {*variant.axes}, matrix.config.axis)
    return pattern.fill(values)


def _check_pattern(
    matrix: Matrix, name: str, variant: Variant, combination: Combination, at: Path
) -> Iterator[Problem]:
    rest = PLACEHOLDER.sub("x", name)
    if "{" in rest or "}" in rest:
        message = f"unmatched brace in {name!r}; write an axis in braces, or {{date}} or {{commit}}"
        yield Problem(message=message, path=at[:2], on_key=True)
        return
    values = dict(zip(matrix.recipes.axes, combination.values, strict=True))
    for placeholder in PLACEHOLDER.findall(name):
        axis, dot, arg = placeholder.partition(".")
        message, path = misnamed(placeholder, matrix.recipes.axes, (*values, *NO_AXES)), at
        if message:
            path = at[:2]
        elif axis in NO_AXES:
            continue
        elif axis not in variant.axes:
            message = f"{combination} does not have the axis {axis!r}; remove {{{placeholder}}}"
        elif dot and arg not in (args := matrix.config.axis(axis)[values[axis] or ""]):
            available = f"; available: {listed(args) or 'none'}"
            message = f"{values[axis]!r} has no build arg {arg!r}"
            message += did_you_mean(arg, args) or available
        if message:
            yield Problem(message=message, path=path, on_key=True)


def _exist(matrix: Matrix, combination: Combination) -> bool:
    return all(
        value is None or value in matrix.config.axis(axis)
        for axis, value in zip(matrix.recipes.axes, combination.values, strict=True)
    )
