"""Aliases: the tags that single images have besides those of their recipe's patterns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagekit.errors import Path, Problem, did_you_mean, listed
from imagekit.planning.matrix import Cell, Combination, Matrix, combination_of
from imagekit.planning.patterns import AT_BUILD, PLACEHOLDER, Pattern
from imagekit.planning.recipes import Values, Variant


def aliases_of(
    matrix: Matrix, built: Mapping[Combination, Cell]
) -> tuple[dict[Combination, list[str]], list[Problem]]:
    """Return the aliases of each image as short names, and the problems of aliases.

    `built` are the cells of all images, by their combination.
    """
    problems: list[Problem] = []
    reasons: dict[Combination, str] | None = None
    found: dict[Combination, list[str]] = {}
    for name, alias, at in matrix.config.each_alias():
        combination = combination_of(alias, matrix.recipes)
        cell = built.get(combination)
        if cell is not None and cell.variant is not None:
            wrong = [*_check_pattern(matrix, name, cell.variant, combination, at)]
            problems += wrong
            if wrong:
                continue
            tag = tag_of(matrix, name, cell.variant, combination.values)
            repository = cell.variant.recipe.repository
            short = f"{repository}:{tag}" if repository else tag
            names = found.setdefault(combination, [])
            # The combinations of an alias come after one another.
            if names[-1:] == [short]:
                message = f"alias {name!r} has {combination} twice; remove one"
                problems.append(Problem(message=message, path=at))
            else:
                names.append(short)
            continue
        mask = matrix.recipes.mask(combination.values)
        if matrix.recipes.find(combination.recipe, mask) is None or not _exist(matrix, combination):
            # Other checks report it.
            continue
        if reasons is None:
            reasons = {cell.combination: cell.reason for cell in reversed(matrix.cells)}
        why = f": {reasons[combination]}" if combination in reasons else "; add it to 'images'"
        message = f"alias {name!r} refers to {combination}, which is not built{why}"
        caused_by = (at, ("images",), ("exclude",))
        problems.append(Problem(message=message, path=at, on_key=True, caused_by=caused_by))
    return found, problems


def tag_of(matrix: Matrix, name: str, variant: Variant, values: Values) -> str:
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
        yield Problem(message=message, path=at, on_key=True)
        return
    values = dict(zip(matrix.recipes.axes, combination.values, strict=True))
    for placeholder in PLACEHOLDER.findall(name):
        axis, dot, arg = placeholder.partition(".")
        if placeholder in (*AT_BUILD, "recipe"):
            continue
        message = ""
        if axis not in values:
            known = (*values, *AT_BUILD, "recipe")
            available = f"; available: {listed(f'{{{one}}}' for one in known)}"
            message = f"unknown axis {{{axis}}}{did_you_mean(axis, known) or available}"
        elif axis not in variant.axes:
            message = f"{combination} does not have the axis {axis!r}; remove {{{placeholder}}}"
        elif dot and arg not in (args := matrix.config.axis(axis)[values[axis] or ""]):
            available = f"; available: {listed(args) or 'none'}"
            message = f"{values[axis]!r} has no build arg {arg!r}"
            message += did_you_mean(arg, args) or available
        if message:
            yield Problem(message=message, path=at, on_key=True)


def _exist(matrix: Matrix, combination: Combination) -> bool:
    return all(
        value is None or value in matrix.config.axis(axis)
        for axis, value in zip(matrix.recipes.axes, combination.values, strict=True)
    )
