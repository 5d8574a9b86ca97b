"""Check the recipes of a config: their parents, tag patterns, files and repositories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from imagekit.config.schema import SECTION, Config, Entry
from imagekit.docker.names import INVALID_TAG, invalid_reason, is_repository, is_tag, resolve
from imagekit.errors import MAX_LISTED, Path, Problem, did_you_mean, listed
from imagekit.planning.patterns import AT_BUILD, NO_AXES, PLACEHOLDER, misnamed
from imagekit.planning.recipes import Recipe, Recipes


def check(config: Config, recipes: Recipes) -> Iterator[Problem]:
    """Yield the problems of the recipes in a config, and of the names that refer to recipes."""
    for name in config.recipes:
        if name in recipes.by_name:
            yield from _check(name, recipes, config)
    yield from _check_cycles(config, recipes)
    yield from _check_names(config, recipes)
    yield from _check_sections(config, recipes)


def _check(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    # Not at the top: many configs have no recipes of their own.
    from imagekit.docker.context import is_inside_context

    recipe, path = recipes.by_name[name], ("recipes", name)
    tests = [("test", test) for test in recipe.test]
    for key, file in (("dockerfile", recipe.dockerfile), ("context", recipe.context), *tests):
        is_root = key == "context" and file in (".", "./")
        if "://" in file or (not is_root and not is_inside_context(file)):
            message = (
                f"{file!r} is outside the build context; use a path below the "
                "directory that the build is submitted from"
            )
            yield Problem(message=message, path=(*path, key))
    for index, parent in enumerate(recipe.parents):
        if parent not in recipes.by_name:
            message = f"unknown recipe {parent!r}{did_you_mean(parent, recipes.by_name)}"
            at: Path = (*path, "parent", index)
            yield Problem(message=message, path=at, caused_by=(("recipes", parent),))
    yield from _check_axes(name, recipes, config)
    yield from _check_omit(name, recipes, config)
    yield from _check_options(recipe, config, path)
    yield from _check_braces(recipe, recipes, path)
    yield from _check_patterns(name, recipes, config)


def _check_axes(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    change = config.recipes[name]
    for key, axes in (("axes", change.axes), ("optional_axes", change.optional_axes)):
        for index, axis in enumerate(axes or ()):
            at: Path = ("recipes", name, key, index)
            if axis not in recipes.axes:
                near = did_you_mean(axis, recipes.axes) or f"; available: {listed(recipes.axes)}"
                message = f"unknown axis {axis!r}{near}"
                yield Problem(message=message, path=at, caused_by=(("axes",),))
            elif key == "optional_axes" and not _has(name, axis, recipes) and config.axis(axis):
                message = (
                    f"no parent of recipe {name!r} has the axis {axis!r}; "
                    "add a parent that has it, or remove it"
                )
                yield Problem(message=message, path=at, caused_by=_recipe_paths(name, recipes))


def _check_omit(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    recipe = recipes.by_name[name]
    if not recipe.omit:
        return
    axes = {*recipe.axes, *recipe.optional_axes}
    args = {arg for axis in axes for values in config.axis(axis).values() for arg in values}
    for index, arg in enumerate(config.recipes[name].omit or ()):
        if arg not in args:
            message = (
                f"no axis that recipe {name!r} reads has a build arg {arg!r}"
                f"{did_you_mean(arg, args) or '; remove it'}"
            )
            at: Path = ("recipes", name, "omit", index)
            yield Problem(message=message, path=at, severity="warning")


def _has(name: str, axis: str, recipes: Recipes) -> bool:
    """Whether a variant of a recipe has an axis."""
    index = recipes.axes.index(axis)
    return any(mask >> index & 1 for mask in recipes.variants[name])


def _check_options(recipe: Recipe, config: Config, path: Path) -> Iterator[Problem]:
    if recipe.repository:
        yield from _check_repository(recipe.repository, config, (*path, "repository"))
    for key in recipe.labels:
        if not key or "=" in key or not key.isprintable() or " " in key:
            message = f"{key!r} is not a valid label key: use letters, digits, '.', '_' and '-'"
            yield Problem(message=message, path=(*path, "labels", key), on_key=True)
    if recipe.target is not None and (
        not recipe.target or recipe.target.split() != [recipe.target]
    ):
        message = f"{recipe.target!r} is not a valid name of a stage"
        yield Problem(message=message, path=(*path, "target"))


def _check_repository(repository: str, config: Config, path: Path) -> Iterator[Problem]:
    url = resolve(config.repository, repository)
    if re.fullmatch(r"[^/]*:[0-9]+", repository):
        message = f"{repository!r} is a registry without the name of an image; add it, as HOST/NAME"
        yield Problem(message=message, path=path)
    elif not is_repository(url):
        message = f"{url!r} {invalid_reason(url)}"
        yield Problem(message=message, path=path, caused_by=(("base_url",),))
    elif re.fullmatch(HOST, repository):
        message = (
            f"{repository!r} is a name below 'base_url', so images are pushed to {url}; "
            f"if it is a registry, add the name of the image, as {repository}/NAME"
        )
        yield Problem(message=message, path=path, severity="warning")


HOST = r"[a-z0-9-]+(\.[a-z0-9-]+)+\.[a-z]{2,}|[a-z0-9-]+\.(com|dev|io|net|org|internal|local)"
"""What is a registry rather than a name with a dot."""


def _check_braces(recipe: Recipe, recipes: Recipes, path: Path) -> Iterator[Problem]:
    """Yield a warning for what would be a placeholder in a tag, and is text elsewhere."""
    texts: list[tuple[Path, str]] = [
        ((*path, "dockerfile"), recipe.dockerfile),
        ((*path, "context"), recipe.context),
        ((*path, "target"), recipe.target or ""),
        *(((*path, "test", index), test) for index, test in enumerate(recipe.test)),
        *(((*path, "labels", key), label) for key, label in recipe.labels.items()),
    ]
    known = {*recipes.axes, *NO_AXES}
    for at, text in texts:
        found = PLACEHOLDER.findall(text) if "{" in text else []
        if names := [name for name in found if name.partition(".")[0] in known]:
            message = f"{{{names[0]}}} is not replaced here; only tags and aliases are patterns"
            yield Problem(message=message, path=at, severity="warning")


def _check_patterns(name: str, recipes: Recipes, config: Config) -> Iterator[Problem]:
    change = config.recipes[name]
    path: Path = ("recipes", name)
    if change.tags is None:
        # A recipe that only changes a built-in one may have no pattern of its own.
        yield from _check_pattern(name, recipes, config, (*path, "tag"), 0)
        return
    if change.tag is not None:
        message = "'tag' is a 'tags' with one pattern; keep one of the two"
        yield Problem(message=message, path=(*path, "tag"), on_key=True, see=(*path, "tags"))
    if not change.tags:
        yield Problem(message="'tags' needs at least one pattern", path=(*path, "tags"))
    for index in range(len(change.tags)):
        yield from _check_pattern(name, recipes, config, (*path, "tags", index), index)


def _check_pattern(
    name: str, recipes: Recipes, config: Config, path: Path, index: int
) -> Iterator[Problem]:
    pattern = recipes.by_name[name].tags[index]
    rest = PLACEHOLDER.sub("x", pattern)
    for placeholder in PLACEHOLDER.findall(pattern):
        yield from _check_placeholder(name, recipes, config, path, placeholder)
        if placeholder in AT_BUILD and index == 0:
            message = (
                f"{{{placeholder}}} is only known when the build runs, so it cannot be in the "
                "first tag, which identifies the image; put it into another one"
            )
            yield Problem(message=message, path=path)
    if "{" in rest or "}" in rest:
        axis = next((axis for axis in recipes.axes if config.axis(axis)), "recipe")
        message = f"unmatched brace; write an axis in braces, such as {{{axis}}}"
        yield Problem(message=message, path=path)
    elif not is_tag(rest):
        text = PLACEHOLDER.sub("", pattern)
        long = f" ({len(text)} characters without the axes, the maximum is 128)"
        message = f"{pattern!r} {INVALID_TAG}" + (long if len(text) > 128 else "")
        yield Problem(message=message, path=path)


def _check_placeholder(
    name: str, recipes: Recipes, config: Config, path: Path, placeholder: str
) -> Iterator[Problem]:
    axis, dot, arg = placeholder.partition(".")
    if message := misnamed(placeholder, recipes.axes, recipes.axes):
        causes: tuple[Path, ...] = () if axis in NO_AXES else (("axes",),)
        yield Problem(message=message, path=path, caused_by=causes)
    if axis in NO_AXES or message:
        return
    values = config.axis(axis)
    if not values:
        message = f"{{{placeholder}}} has no values in this config; remove it from the tag"
        caused_by = (*_recipe_paths(name, recipes), config.section(axis))
        yield Problem(message=message, path=path, caused_by=caused_by)
    elif not _has(name, axis, recipes):
        message = (
            f"recipe {name!r} does not read the axis {axis!r}; "
            f"add it to 'axes', or a parent that has it, or remove {{{placeholder}}} from the tag"
        )
        yield Problem(message=message, path=path, caused_by=_recipe_paths(name, recipes))
    elif dot:
        lacking = [value for value, args in values.items() if arg not in args]
        if len(lacking) == len(values):
            args = {name for given in values.values() for name in given}
            near = did_you_mean(arg, args) or f"; available: {listed(sorted(args)) or 'none'}"
            yield Problem(message=f"no {axis} has a build arg {arg!r}{near}", path=path)
            return
        for value in lacking:
            message = f"{value!r} has no build arg {arg!r}, which a tag of recipe {name!r} uses"
            at: Path = (*config.section(axis), value)
            yield Problem(message=message, path=at, on_key=True, see=path, caused_by=(at,))


def _recipe_paths(name: str, recipes: Recipes) -> tuple[Path, ...]:
    """The paths of what decides which axes a recipe has."""
    paths: list[Path] = []
    seen: set[str] = set()
    names = [name]
    while names:
        current = names.pop()
        if current not in seen:
            seen.add(current)
            paths += [("recipes", current, "axes"), ("recipes", current, "parent")]
            recipe = recipes.by_name.get(current)
            names += recipe.parents if recipe else []
            paths += [] if recipe else [("recipes", current)]
    return tuple(paths)


def _check_cycles(config: Config, recipes: Recipes) -> Iterator[Problem]:
    """Yield each cycle once, at its first recipe in the config."""
    order = {name: index for index, name in enumerate(config.recipes)}
    done: set[str] = set()
    for start in config.recipes:
        line: list[str] = []
        places: dict[str, int] = {}
        stack = [iter((start,))]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
                if line:
                    done.add(line[-1])
                    del places[line.pop()]
            elif name in places:
                cycle = line[places[name] :]
                first = min(range(len(cycle)), key=lambda i: order.get(cycle[i], len(order)))
                names = [*cycle[first:], *cycle[:first]]
                message = f"recipes must not form a cycle: {_line(names)} → {names[0]}"
                yield Problem(message=message, path=("recipes", names[0], "parent"))
            elif name in recipes.by_name and name not in done:
                places[name] = len(line)
                line.append(name)
                stack.append(iter(recipes.by_name[name].parents))


def _line(names: Sequence[str]) -> str:
    """Names with arrows between them; of many, the first and the last."""
    half = MAX_LISTED // 2
    many = [*names[:half], "…", *names[-half:]] if len(names) > MAX_LISTED else names
    return " → ".join(many)


def _check_names(config: Config, recipes: Recipes) -> Iterator[Problem]:
    places: list[tuple[Path, tuple[str | None, ...]]] = [
        *((("images", i, "recipe"), entry.recipe or ()) for i, entry in enumerate(config.images)),
        *((("exclude", i, "recipe"), rule.recipe or ()) for i, rule in enumerate(config.exclude)),
        *(((*path, "recipe"), (alias.recipe,)) for _, alias, path in config.each_alias()),
    ]
    for path, names in places:
        for index, name in enumerate(names):
            if name is not None and name not in recipes.by_name:
                available = f"; available: {listed(recipes.by_name)}"
                near = did_you_mean(name, recipes.by_name) or available
                message = f"unknown recipe {name!r}{near}"
                yield Problem(message=message, path=(*path, index), caused_by=(("recipes",),))


def _check_sections(config: Config, recipes: Recipes) -> Iterator[Problem]:
    """Yield problems for axes that a used recipe reads and that have no values.

    Base images are optional, as in the first original configs.
    """
    empty = [a for a in ("python", "gpu") if config.has_section(a) and not config.axis(a)]
    if not empty or not {"cpu", "gpu"} & recipes.by_name.keys():
        return
    used = {name or _usual(entry) for entry in config.images for name in entry.recipe or (None,)}
    for recipe in sorted(used & recipes.by_name.keys()):
        line = [path[1] for path in _recipe_paths(recipe, recipes)]
        kinds = [recipes.by_name[str(kind)] for kind in line if kind in recipes.by_name]
        for axis in empty:
            if any(axis in kind.axes for kind in kinds):
                section = SECTION[axis]
                message = f"{section!r} is missing or empty, but recipe {recipe!r} reads it"
                # If an entry names a value of it, that is already reported as unknown.
                entries: list[Path] = [("images", i, axis) for i in range(len(config.images))]
                caused_by: tuple[Path, ...] = ((section,), ("axes",), *entries)
                yield Problem(message=message, path=(section,), caused_by=caused_by)


def _usual(entry: Entry) -> str:
    gpu = entry.axes.get("gpu", (None,))
    return "cpu" if gpu[:1] in ((None,), ()) else "gpu"
