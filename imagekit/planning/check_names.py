"""Check the names of a plan: valid tags, no tag of two images, no parent that is excluded."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from imagekit.docker.names import INVALID_TAG, are_tags, invalid_reason, is_repository, is_tag
from imagekit.errors import Path, Problem
from imagekit.planning.excludes import Excludes, ancestors
from imagekit.planning.matrix import Matrix, sections
from imagekit.planning.patterns import PLACEHOLDER
from imagekit.planning.plan import Image, Plan

SUFFIXES = ("-push", "-pull", "-test")
"""What the ids of steps have after the name of an image."""
AT_BUILD = r"\{(date|commit)\}"
LENGTHS = {"date": len("2026-01-31"), "commit": 7}
"""The number of characters of what only the build knows."""


def check(matrix: Matrix, plan: Plan) -> Iterator[Problem]:
    """Yield the problems of a plan's names and parents."""
    url = plan.repository
    without = next((image.recipe for image in plan.images if ":" not in image.tag), None)
    if not is_repository(url) and without is not None:
        # A recipe with a repository of its own adds the image's name.
        message = f"{url!r} {invalid_reason(url)}, or give recipe {without!r} a 'repository'"
        at: Path = ("base_url",)
        yield Problem(message=message, path=at, caused_by=(at,))
    if not _are_fine(plan):
        yield from _check_names(matrix, plan)
    yield from _check_excluded(matrix, plan)


def _are_fine(plan: Plan) -> bool:
    """Whether no name can have a problem, which is quickly found of all names together.

    Those in a repository of their own, and those without a pattern, are no tags.
    """
    names = [image.tag for image in plan.images]
    names += [alias for image in plan.images for alias in image.aliases]
    is_one_each = len({*names}) == len(names)
    return is_one_each and are_tags(names) and not any(name.endswith(SUFFIXES) for name in names)


def _check_names(matrix: Matrix, plan: Plan) -> Iterator[Problem]:
    owners: dict[str, tuple[Image, str]] = {}
    reported: set[Path] = set()
    recipes = matrix.recipes.by_name
    for image in plan.images:
        recipe = recipes[image.recipe]
        if not recipe.tags:
            # Another check reports it.
            continue
        for name in (image.tag, *image.aliases):
            tag = _tag(matrix, name, image) if recipe.repository else name
            # The first tag is the same in every build.
            if not is_tag(tag) and (name == image.tag or not is_tag(_at_build(tag))):
                yield _invalid_tag(matrix, name, image)
            key = name if tag is name else _shortest(plan, name)
            if key in owners:
                other, spelling = owners[key]
                problem = _collision(matrix, name, image, other, spelling)
                # A wrong pattern affects many images; report it once.
                if problem.path not in reported:
                    yield problem
                reported |= (
                    {problem.path} if problem.path[0] not in ("images", "aliases") else set()
                )
            else:
                owners[key] = image, name
    places: dict[str, int] = {}
    for name in owners:
        if name.endswith(SUFFIXES) and name[:-5] in owners:
            places = places or dict(zip(owners, itertools.count(), strict=False))
            first, second = sorted((name, name[:-5]), key=places.__getitem__)
            image, spelling = owners[second]
            path, on_key = _place_of(matrix, spelling, image)
            message = f"steps of {second!r} and {first!r} have the same name; rename one"
            yield Problem(message=message, path=path, on_key=on_key, caused_by=(("recipes",),))


def _at_build(tag: str) -> str:
    """Return a tag with as many characters as it has at the build."""
    return re.sub(AT_BUILD, lambda match: "x" * LENGTHS[match[1]], tag)


def _shortest(plan: Plan, name: str) -> str:
    """Return one spelling for all that lead to the same reference."""
    return plan.reference(name).removeprefix(f"{plan.repository}:")


def _tag(matrix: Matrix, name: str, image: Image) -> str:
    """Return the tag in a short name; a build arg in it may have a colon, which is invalid."""
    repository = matrix.recipes.by_name[image.recipe].repository
    return name.removeprefix(f"{repository}:") if repository else name


def _place_of(matrix: Matrix, name: str, image: Image) -> tuple[Path, bool]:
    """Return the config path of a name: its alias, the pattern that it comes from, or the entry."""
    alias = name.rpartition(":")[2]
    if name in image.aliases and alias in matrix.config.aliases:
        return ("aliases", alias), True
    if name in image.aliases:
        return ("recipes", image.recipe, "tags", image.aliases.index(name) + 1), False
    return image.path, False


def _invalid_tag(matrix: Matrix, name: str, image: Image) -> Problem:
    tag = _tag(matrix, name, image)
    number = len(_at_build(tag))
    length = f" ({number} characters, the maximum is 128)" if number > 128 else ""
    path, on_key = _place_of(matrix, name, image)
    return Problem(
        message=f"{tag!r} {INVALID_TAG}{length}",
        path=path,
        on_key=on_key,
        caused_by=(("recipes", image.recipe), *sections(matrix.config)),
    )


def _collision(matrix: Matrix, name: str, image: Image, other: Image, spelling: str) -> Problem:
    """Return the problem of a name of two images, which the other one may spell in another way."""
    path, on_key = _place_of(matrix, name, image)
    if name in other.aliases and name == image.tag:
        path, on_key = _place_of(matrix, name, other)
    if image is other and path[0] != "recipes":
        message = f"alias {name!r} is already the tag of that image; remove it"
    elif image is other:
        message = f"two patterns give {image} the tag {name!r}; remove one"
    elif path[0] not in ("aliases",) and image.recipe == other.recipe:
        return _ambiguous_pattern(matrix, name, image, other)
    else:
        spelled = f"{name!r}" if spelling == name else f"{spelling!r}, which is {name!r},"
        message = f"{spelled} would be a tag of both {other} and {image}; rename one"
    return Problem(message=message, path=path, on_key=on_key, caused_by=(("recipes",),))


def _ambiguous_pattern(matrix: Matrix, name: str, image: Image, other: Image) -> Problem:
    """Explain two images of a recipe with one tag: a missing axis, or ambiguous values."""
    recipe = matrix.recipes.by_name[image.recipe]
    numbers = [0 if name == one.tag else one.aliases.index(name) + 1 for one in (other, image)]
    pattern = recipe.tags[numbers[1]] if numbers[1] < len(recipe.tags) else recipe.tags[0]
    at: Path = ("recipes", image.recipe, "tag")
    change = matrix.config.recipes.get(image.recipe)
    if change is not None and change.tags is not None:
        at = ("recipes", image.recipe, "tags", numbers[1])
    # Values of an axis may share a build arg, so that one alone does not tell them apart.
    read = {*PLACEHOLDER.findall(pattern)}
    axes = matrix.recipes.axes
    differing = [axis for axis in axes if image.values.get(axis) != other.values.get(axis)]
    message = f"{name!r} is the tag of both {other} and {image}"
    missing = [axis for axis in differing if axis not in read]
    if missing:
        message += f"; add {{{missing[0]}}} to it"
        return Problem(message=message, path=at, caused_by=(("recipes",),))
    axis = differing[0]
    values = [one.values[axis] for one in (other, image) if axis in one.values]
    message += (
        f", because their values are ambiguous in {pattern!r}; rename "
        f"{' or '.join(map(repr, values))}, or separate the axes in the 'tag' of recipe "
        f"{image.recipe!r} with another character, such as '_' or '.'"
    )
    return Problem(message=message, path=(*matrix.config.section(axis), values[0]), on_key=True)


def _check_excluded(matrix: Matrix, plan: Plan) -> Iterator[Problem]:
    """Yield a problem for each excluded combination that an image is built upon."""
    if not matrix.config.exclude:
        return
    excludes = Excludes(matrix.config, matrix.recipes)
    cells = [cell for cell in matrix.cells if cell.status == "built"]
    hit: dict[tuple[object, str], int] = {}
    for _, variant, values in ancestors(cells):
        if bits := excludes.matching(values, variant.name):
            hit[values, variant.name] = bits
    for cell in cells if hit else ():
        for above in itertools.islice(cell.variant.line() if cell.variant else (), 1, None):
            values = above.narrow(cell.combination.values)
            bits = hit.get((values, above.name), 0)
            if bits:
                upon = type(cell.combination)(values, above.name)
                index = (bits & -bits).bit_length() - 1
                message = (
                    f"this rule excludes {upon}, which {cell.combination} "
                    "depends on; exclude both or neither"
                )
                yield Problem(message=message, path=("exclude", index))
