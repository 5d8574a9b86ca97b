"""Check the names of a plan: valid tags, no tag of two images, no parent that is excluded."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping

import msgspec

from imagekit.config.schema import ORIGINAL_BASE_URL, RecipeChange
from imagekit.docker.names import (
    INVALID_TAG,
    are_tags,
    has_host,
    invalid_reason,
    is_repository,
    is_tag,
)
from imagekit.errors import Path, Problem
from imagekit.planning.excludes import Excludes, ancestors
from imagekit.planning.matrix import Cell, Combination, Matrix, sections
from imagekit.planning.patterns import NO_AXES, PLACEHOLDER
from imagekit.planning.plan import Image, Plan

SUFFIXES = ("-push", "-pull", "-test")
"""What the ids of steps have after the name of an image."""
AT_BUILD = r"\{(date|commit)\}"
LENGTHS = {"date": len("2026-01-31"), "commit": 7}
"""The number of characters of what only the build knows."""


def check(matrix: Matrix, plan: Plan) -> Iterator[Problem]:
    """Yield the problems of a plan's names and parents."""
    url = plan.repository
    recipes = matrix.recipes.by_name
    if matrix.config.base_url is None and not all(
        has_host(recipes[image.recipe].repository) for image in plan.images
    ):
        message = (
            f"'base_url' is not set: images are tagged {ORIGINAL_BASE_URL}, the original "
            "generator's default; set it here or pass --base-url"
        )
        yield Problem(message=message, severity="warning")
    without = next((image.recipe for image in plan.images if ":" not in image.tag), None)
    if not is_repository(url) and without is not None:
        # A recipe with a repository of its own adds the image's name.
        message = f"{url!r} {invalid_reason(url)}, or give recipe {without!r} a 'repository'"
        at: Path = ("base_url",)
        yield Problem(message=message, path=at, caused_by=(at,))
    if not _are_fine(plan):
        given = Given(matrix, plan, _aliases(matrix))
        yield from _check_tags(given)
        yield from _check_names(given)
    yield from _check_excluded(matrix, plan)
    yield from _check_glued(matrix)


def _are_fine(plan: Plan) -> bool:
    """Whether no name can have a problem, which is quickly found of all names together.

    Those in a repository of their own, and those without a pattern, are no tags.
    """
    names = [image.tag for image in plan.images]
    names += [alias for image in plan.images for alias in image.aliases]
    is_one_each = len({*names}) == len(names)
    return is_one_each and are_tags(names) and not any(name.endswith(SUFFIXES) for name in names)


class Given(msgspec.Struct, frozen=True):
    """What names are checked with."""

    matrix: Matrix
    plan: Plan
    aliases: dict[tuple[Combination, str], Path]
    """The config path of each alias, by its image and its tag."""


def _aliases(matrix: Matrix) -> dict[tuple[Combination, str], Path]:
    if not matrix.config.aliases:
        return {}
    from imagekit.planning.aliases import paths_of  # Not at the top: many configs have none.

    return paths_of(matrix)


Name = tuple[Image, int]
"""One of an image's names: its tag, or the alias of this number."""


def _text(name: Name) -> str:
    image, number = name
    return image.aliases[number - 1] if number else image.tag


def _names(given: Given) -> Iterator[Name]:
    for image in given.plan.images:
        # Another check reports a recipe without a pattern.
        if given.matrix.recipes.by_name[image.recipe].tags:
            for number in range(len(image.aliases) + 1):
                yield image, number


def _check_tags(given: Given) -> Iterator[Problem]:
    # A wrong build arg or pattern makes many wrong tags.
    invalid: dict[tuple[Path, bool], list[Name]] = {}
    for name in _names(given):
        tag = _tag(given.matrix, name)
        # The first tag is the same in every build.
        if not is_tag(tag) and (not name[1] or not is_tag(_at_build(tag))):
            invalid.setdefault(_cause_of_invalid(given, name), []).append(name)
    for (path, on_key), names in invalid.items():
        yield _invalid_tag(given.matrix, names, path, on_key=on_key)


def _check_names(given: Given) -> Iterator[Problem]:
    matrix = given.matrix
    owners: dict[str, Name] = {}
    reported: set[Path] = set()
    told: set[str] = set()
    # The patterns of two recipes may give one tag to many images, which is one mistake.
    clashes: dict[frozenset[tuple[str, int]], list[tuple[Name, Name]]] = {}
    for name in _names(given):
        text, image = _text(name), name[0]
        key = text if _tag(matrix, name) == text else _shortest(given.plan, text)
        other = owners.setdefault(key, name)
        if other is name:
            continue
        is_pattern = _is_pattern(matrix, name)
        if not is_pattern and key in told:
            continue
        if is_pattern and not _is_pattern(matrix, other):
            # Another image with the same pattern is no mistake of the alias.
            owners[key] = name
        elif is_pattern and image.recipe != other[0].recipe:
            both = frozenset((one[0].recipe, one[1]) for one in (name, other))
            clashes.setdefault(both, []).append((name, other))
            continue
        # A wrong alias or pattern affects many images.
        told.add(key)
        problem = _collision(given, name, other)
        if problem.path not in reported:
            yield problem
            reported.add(problem.path)
    for pairs in clashes.values():
        yield _clash(matrix, *pairs[0], len(pairs) - 1)
    yield from _check_steps(given, owners)


def _check_steps(given: Given, owners: Mapping[str, Name]) -> Iterator[Problem]:
    """Yield a problem for a pattern or an alias with a name that another image's step has."""
    places: dict[str, int] = {}
    reported: set[tuple[Path, str]] = set()
    for name in owners:
        if name.endswith(SUFFIXES) and name[:-5] in owners:
            places = places or dict(zip(owners, itertools.count(), strict=False))
            first, second = sorted((name, name[:-5]), key=places.__getitem__)
            path, on_key = _place_of(given, owners[second])
            message = f"steps of {second!r} and {first!r} have the same name; rename one"
            at = path, owners[second][0].recipe
            if at not in reported:
                yield Problem(message=message, path=path, on_key=on_key, caused_by=(("recipes",),))
                reported.add(at)


def _at_build(tag: str) -> str:
    """Return a tag with as many characters as it has at the build."""
    return re.sub(AT_BUILD, lambda match: "x" * LENGTHS[match[1]], tag)


def _shortest(plan: Plan, name: str) -> str:
    """Return one spelling for all that lead to the same reference."""
    return plan.reference(name).removeprefix(f"{plan.repository}:")


def _tag(matrix: Matrix, name: Name) -> str:
    """Return the tag in a short name; a build arg in it may have a colon, which is invalid."""
    text, repository = _text(name), matrix.recipes.by_name[name[0].recipe].repository
    return text.removeprefix(f"{repository}:") if repository else text


def _is_pattern(matrix: Matrix, name: Name) -> bool:
    """Whether a name comes from a pattern, and not from the aliases of the config."""
    image, number = name
    return number < len(matrix.recipes.by_name[image.recipe].tags)


def _pattern_path(matrix: Matrix, name: Name) -> Path:
    """Return the config path of the pattern that a name comes from."""
    return _path_of_pattern(matrix, name[0].recipe, name[1])


def _path_of_pattern(matrix: Matrix, recipe: str, number: int) -> Path:
    change = matrix.config.recipes.get(recipe)
    if change is not None and change.tags is not None:
        return "recipes", recipe, "tags", number
    return "recipes", recipe, "tag"


def _place_of(given: Given, name: Name) -> tuple[Path, bool]:
    """Return the config path of a name: its alias, the pattern that it comes from, or the entry."""
    image, number = name
    if not _is_pattern(given.matrix, name):
        return _alias(given, name), True
    return (_pattern_path(given.matrix, name) if number else image.path), False


def _invalid_tag(matrix: Matrix, names: list[Name], path: Path, *, on_key: bool) -> Problem:
    tag, more = _tag(matrix, names[0]), len({_tag(matrix, name) for name in names}) - 1
    number = len(_at_build(tag))
    length = f" ({number} characters, the maximum is 128)" if number > 128 else ""
    causes = ("recipes", names[0][0].recipe), *sections(matrix.config)
    return Problem(
        message=f"{tag!r} {INVALID_TAG}{length}" + (f"; and {more} more like it" if more else ""),
        path=path,
        on_key=on_key,
        caused_by=(path, *causes) if path[0] == "aliases" else causes,
    )


def _alias(given: Given, name: Name) -> Path:
    """Return the config path of the alias, or of its combination, that a name comes from."""
    matrix, image = given.matrix, name[0]
    values = tuple(image.values.get(axis) for axis in matrix.recipes.axes)
    return given.aliases[Combination(values, image.recipe), _tag(matrix, name)]


def _cause_of_invalid(given: Given, name: Name) -> tuple[Path, bool]:
    """Where an invalid tag comes from: a value, a build arg, its pattern, its entry or alias."""
    matrix, (image, number) = given.matrix, name
    if not _is_pattern(matrix, name):
        return _alias(given, name)[:2], True
    pattern = matrix.recipes.by_name[image.recipe].tags[number]
    for index, placeholder in enumerate(PLACEHOLDER.findall(pattern)):
        axis, _, arg = placeholder.partition(".")
        value = image.values.get(axis)
        if value is not None:
            text = matrix.config.axis(axis)[value].get(arg, "") if arg else value
            is_first = not index and pattern.startswith("{")
            if not re.fullmatch(r"[A-Za-z0-9_.-]*", text) or (is_first and text[:1] in ("", *".-")):
                at = (*matrix.config.section(axis), value)
                return ((*at, arg), False) if arg else (at, True)
    change = matrix.config.recipes.get(image.recipe)
    is_written = change is not None and _is_written(change)
    return (_pattern_path(matrix, name) if is_written else image.path), False


def _collision(given: Given, name: Name, other: Name) -> Problem:
    """Return the problem of two names that are one, of which at most one is another recipe's."""
    matrix, image, owner = given.matrix, name[0], other[0]
    # An alias of the config is only one image's, so that is where to change it.
    is_alias = _is_pattern(matrix, name) and not _is_pattern(matrix, other)
    path, on_key = _place_of(given, other if is_alias else name)
    if image is owner and path[0] != "recipes":
        message = f"alias {_text(name)!r} is already the tag of that image; remove it"
    elif image is owner:
        message = f"two patterns give {image} the tag {_text(name)!r}; remove one"
    elif path[0] != "aliases":
        return _ambiguous_pattern(matrix, name, other)
    else:
        is_one = not _is_pattern(matrix, name) and not _is_pattern(matrix, other)
        is_same = is_one and _alias(given, name)[:2] == _alias(given, other)[:2]
        remedy = "remove" if is_same else "rename"
        message = f"{_spelled(name, other)} would be a tag of both {owner} and {image}"
        message += f"; {remedy} one"
    causes = ("recipes",), *_reserved(matrix)
    return Problem(message=message, path=path, on_key=on_key, caused_by=causes)


def _reserved(matrix: Matrix) -> Iterator[Path]:
    """Yield the paths of axes whose names mean something else in a pattern."""
    names = matrix.config.axes.keys() & {*NO_AXES}
    yield from (("axes", name) for name in sorted(names))


def _clash(matrix: Matrix, name: Name, other: Name, more: int) -> Problem:
    """Return the problem of patterns of two recipes that give one tag to an image of each."""
    message = f"{_spelled(name, other)} would be a tag of both {other[0]} and {name[0]}"
    message += f", and so would {more} more" if more else ""
    # The last that is written in the config, whichever comes first in the plan.
    changes = matrix.config.recipes
    recipes = name[0].recipe, other[0].recipe
    written = [one for one in changes if one in recipes and _is_written(changes[one])]
    wrong = other if written and written[-1] == other[0].recipe else name
    message += f"; change the tags or the repository of recipe {wrong[0].recipe!r}"
    path = _pattern_path(matrix, wrong) if written else name[0].path
    return Problem(message=message, path=path, caused_by=(("recipes",),))


def _is_written(change: RecipeChange) -> bool:
    """Whether the config has the patterns of a recipe, which may be built in."""
    return change.tag is not None or change.tags is not None


def _spelled(name: Name, other: Name) -> str:
    """Return a name as it is first written and, if that is another way, as it is written next."""
    first, second = _text(other), _text(name)
    return f"{second!r}" if first == second else f"{first!r}, which is {second!r},"


def _ambiguous_pattern(matrix: Matrix, name: Name, other: Name) -> Problem:
    """Explain two images of a recipe with one tag: a missing axis, or ambiguous values."""
    image, owner = name[0], other[0]
    pattern = matrix.recipes.by_name[image.recipe].tags[name[1]]
    # Values of an axis may share a build arg, so that one alone does not tell them apart.
    read = {*PLACEHOLDER.findall(pattern)}
    axes = matrix.recipes.axes
    differing = [axis for axis in axes if image.values.get(axis) != owner.values.get(axis)]
    message = f"{_text(name)!r} is the tag of both {owner} and {image}"
    missing = [axis for axis in differing if axis not in read]
    if missing:
        message += f"; add {{{missing[0]}}} to it"
        return Problem(message=message, path=_pattern_path(matrix, name), caused_by=(("recipes",),))
    axis = differing[0]
    values = [one.values[axis] for one in (owner, image) if axis in one.values]
    message += (
        f", because their values are ambiguous in {pattern!r}; rename "
        f"{' or '.join(map(repr, values))}, or separate the axes in the 'tag' of recipe "
        f"{image.recipe!r} with another character, such as '_' or '.'"
    )
    path = (*matrix.config.section(axis), values[0])
    return Problem(message=message, path=path, on_key=True, caused_by=(*_reserved(matrix),))


GLUED = r"([^{}_.-]*)\{([^{}.]*)[^{}]*\}(?=([^{}_.-]*))"
"""A placeholder, with the text before and after it up to a separator; compiled only for recipes."""


def _check_glued(matrix: Matrix) -> Iterator[Problem]:
    """Yield a warning for text that stays in a tag where the placeholder beside it is left out."""
    glued = {
        (name, number): [found for found in re.findall(GLUED, pattern) if found[0] or found[2]]
        for name in matrix.config.recipes
        if name in matrix.recipes.by_name
        for number, pattern in enumerate(matrix.recipes.by_name[name].tags)
    }
    if not any(glued.values()):
        return
    cells = (cell for cell in matrix.cells if cell.status == "built")
    variants = {id(cell.variant): cell.variant for cell in cells if cell.variant}
    lines = itertools.chain.from_iterable(variant.line() for variant in variants.values())
    for variant in {id(one): one for one in lines}.values():
        for number in range(len(variant.recipe.tags)):
            for before, axis, after in glued.get((variant.name, number), ()):
                if axis in matrix.recipes.axes and axis not in variant.axes:
                    message = (
                        f"{before + after!r} stays in the tag of images without {axis!r}; "
                        "move it into the values, or into a build arg of them"
                    )
                    path = _path_of_pattern(matrix, variant.name, number)
                    yield Problem(message=message, path=path, severity="warning")


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
    # One rule may exclude what many images are built upon, which is one mistake.
    depending: dict[int, list[tuple[Combination, Cell]]] = {}
    for cell in cells if hit else ():
        for above in itertools.islice(cell.variant.line() if cell.variant else (), 1, None):
            values = above.narrow(cell.combination.values)
            if bits := hit.get((values, above.name), 0):
                index = (bits & -bits).bit_length() - 1
                depending.setdefault(index, []).append((Combination(values, above.name), cell))
    for index, pairs in depending.items():
        upon, first = pairs[0]
        more = len({id(cell) for _, cell in pairs}) - 1
        message = f"this rule excludes {upon}, which {first.combination} depends on"
        message += f", and so for {more} more" if more else ""
        yield Problem(message=f"{message}; exclude both or neither", path=("exclude", index))
