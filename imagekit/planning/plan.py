"""The plan: the images of a matrix in build order, with tags, build args and parents."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from imagekit.config.schema import AXES, SECTION, Combination
from imagekit.docker.names import INVALID_TAG, is_tag
from imagekit.errors import ConfigError, Path, Problem, did_you_mean, show_path
from imagekit.planning.matrix import Cell, Matrix, matches
from imagekit.planning.recipes import ancestors, ancestry, identity, with_recipe


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image of the plan."""

    tag: str
    """The short tag, without the repository."""
    combination: Combination
    """The values of the axes, and the recipe."""
    dockerfile: str
    """The path of the Dockerfile in the build context."""
    build_args: dict[str, str]
    """The build args, including the parent's reference."""
    parent: str | None = None
    """The short tag of the parent image."""
    aliases: tuple[str, ...] = ()
    """Additional short tags."""
    test: tuple[str, ...] = ()
    """container-structure-test files that the image must pass before it is pushed."""
    path: Path = ()
    """The config entry that lists the image, or the first that needs it as a parent."""
    listed: bool = True
    """Whether the config lists the image; if not, it is built only as a parent."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All images in build order, and their repository."""

    repository: str
    """The image repository that all tags belong to."""
    images: tuple[Image, ...]
    """The images: first the parents by depth, then all others in the order of the config."""
    source: str | None = None
    """The URL of the source code, for image labels."""

    def reference(self, tag: str) -> str:
        """Return the full image reference of a short tag."""
        return f"{self.repository}:{tag}"

    @property
    def pulled(self) -> tuple[str, ...]:
        """The tags of parents that are not part of this plan.

        If a plan was split, its parts pull these from the registry.
        """
        own = {image.tag for image in self.images}
        parents = (image.parent for image in self.images if image.parent is not None)
        return tuple(dict.fromkeys(tag for tag in parents if tag not in own))

    def names(self) -> tuple[str, ...]:
        """Return every tag and alias."""
        return tuple(name for image in self.images for name in (image.tag, *image.aliases))


def build_plan(matrix: Matrix) -> tuple[Plan, list[Problem]]:
    """Return the plan of a matrix, and the problems of its images."""
    problems: list[Problem] = []
    listed = {c.combination: c for c in matrix.built() if _is_valid(matrix, c.combination)}
    needed: dict[Combination, Cell] = {}
    for cell in listed.values():
        for combination in ancestors(cell.combination, matrix.recipes, matrix.config):
            if combination not in listed:
                parent = Cell(combination=combination, status="built", path=cell.path)
                needed.setdefault(combination, parent)
    images = [
        *(_image(matrix, cell, problems, listed=True) for cell in listed.values()),
        *(_image(matrix, cell, problems, listed=False) for cell in needed.values()),
    ]
    by_combination = {image.combination: image for image in images}
    plan = Plan(
        repository=matrix.config.repository,
        source=matrix.config.source,
        images=tuple(_in_order(matrix, _with_aliases(matrix, by_combination, problems))),
    )
    patterns = {name: recipe.tag for name, recipe in matrix.recipes.items()}
    return plan, [*problems, *_check_names(plan, patterns), *_check_excluded(matrix, plan)]


def _is_valid(matrix: Matrix, combination: Combination) -> bool:
    """Whether the recipe and axis values exist. If not, other checks report it."""
    recipe = str(combination.recipe)
    if recipe not in matrix.recipes:
        return False
    needed = identity(recipe, matrix.recipes, matrix.config)
    values = combination.values()
    return set(needed) == set(values) and all(
        name in matrix.config.axis(axis) for axis, name in values.items()
    )


def _image(matrix: Matrix, cell: Cell, problems: list[Problem], *, listed: bool) -> Image:
    name = str(cell.combination.recipe)
    recipe = matrix.recipes[name]
    above = ancestors(cell.combination, matrix.recipes, matrix.config)
    parent = tag_of(matrix, above[0]) if above else None
    origins = _origins(matrix, cell, listed, problems)
    args = {arg: value for arg, (value, _) in origins.items()}
    if parent is not None:
        if recipe.parent_arg in origins:
            _, path = origins[recipe.parent_arg]
            remedy = "remove it" + (", or add it to the recipe's 'omit'" if len(path) == 3 else "")
            message = f"{recipe.parent_arg} would override the parent of recipe {name!r}"
            problems.append(Problem(message=f"{message}; {remedy}", path=path))
        args = {recipe.parent_arg: f"{matrix.config.repository}:{parent}"} | args
    return Image(
        tag=tag_of(matrix, cell.combination),
        combination=cell.combination,
        dockerfile=recipe.dockerfile,
        build_args=args,
        parent=parent,
        test=recipe.test,
        path=cell.path,
        listed=listed,
    )


def _origins(
    matrix: Matrix, cell: Cell, listed: bool, problems: list[Problem]
) -> dict[str, tuple[str, Path]]:
    """Return the value and the config path of each build arg of an image.

    Build args of the axes override those of the recipe; those of the entry override both.
    """
    name = str(cell.combination.recipe)
    recipe = matrix.recipes[name]
    own: Path = ("recipes", name, "build_args")
    from_recipe = {arg: (value, (*own, arg)) for arg, value in recipe.build_args.items()}
    from_axes: dict[str, tuple[str, Path]] = {}
    from_entry = cell.build_args if listed else {}
    for axis, chosen in cell.combination.values().items():
        if axis not in recipe.axes:
            continue
        for arg, value in matrix.config.axis(axis)[chosen].items():
            if arg in recipe.omit:
                continue
            at: Path = (SECTION[axis], chosen, arg)
            before, place = from_axes.setdefault(arg, (value, at))
            if before != value and arg not in from_entry:
                message = (
                    f"{arg} is {value!r} here but {before!r} in '{show_path(place[:2])}', and "
                    f"{cell.combination} uses both; set it once, or in an entry's 'build_args'"
                )
                problems.append(Problem(message=message, path=at, see=place))
    entry: Path = (*cell.path, "build_args")
    return from_recipe | from_axes | {arg: (v, (*entry, arg)) for arg, v in from_entry.items()}


def tag_of(matrix: Matrix, combination: Combination) -> str:
    """Return the short tag of a combination, from its recipe's pattern."""
    pattern = matrix.recipes[str(combination.recipe)].tag
    for axis, name in combination.values().items():
        pattern = pattern.replace(f"{{{axis}}}", name)
    return pattern


def _in_order(matrix: Matrix, images: list[Image]) -> list[Image]:
    parents = {image.parent for image in images}
    ranks = {axis: list(matrix.config.axis(axis)) for axis in AXES}

    def key(image: Image) -> tuple[bool, int, list[int]]:
        # Parents are sorted by the axes, so their order does not depend on the entries.
        values = image.combination.values()
        rank = [ranks[axis].index(values[axis]) if axis in values else -1 for axis in AXES]
        if image.tag not in parents:
            return True, 0, []
        depth = len(ancestry(str(image.combination.recipe), matrix.recipes))
        return False, depth, rank

    return sorted(images, key=key)


def _with_aliases(
    matrix: Matrix, images: dict[Combination, Image], problems: list[Problem]
) -> list[Image]:
    images = dict(images)
    for name, alias in matrix.config.aliases.items():
        combination = with_recipe(alias)
        at: Path = ("aliases", name)
        if image := images.get(combination):
            images[combination] = msgspec.structs.replace(image, aliases=(*image.aliases, name))
        elif _is_valid(matrix, combination):
            cells = (cell for cell in matrix.cells if cell.combination == combination)
            why = next((f": {cell.reason}" for cell in cells), "; add it to 'images'")
            message = f"alias {name!r} refers to {combination}, which is not built{why}"
            caused_by = (at, ("images",), ("exclude",))
            problems.append(Problem(message=message, path=at, on_key=True, caused_by=caused_by))
    return list(images.values())


def _check_names(plan: Plan, patterns: Mapping[str, str]) -> Iterator[Problem]:
    owners: dict[str, tuple[str, Image]] = {}
    reported: set[Path] = set()
    kinds = ("recipes", *SECTION.values())
    for image in plan.images:
        for name in (image.tag, *image.aliases):
            if not is_tag(name):
                yield _invalid_tag(name, image)
            # Step ids are the tag and the tag with a suffix such as "-push".
            for step in (name, *(f"{name}-{verb}" for verb in ("push", "pull", "test"))):
                if step in owners:
                    problem = _collision(name, image, *owners[step], patterns)
                    # A wrong pattern affects many images; report it once.
                    if problem.path not in reported:
                        yield problem
                    reported |= {problem.path} if problem.path[0] in kinds else set()
                owners.setdefault(step, (name, image))


def _place_of(name: str, image: Image) -> Path:
    """Return the config path of a tag: that of its alias, or of the image's entry."""
    return ("aliases", name) if name in image.aliases else image.path


def _invalid_tag(name: str, image: Image) -> Problem:
    recipe: Path = ("recipes", str(image.combination.recipe))
    length = f" ({len(name)} characters, the maximum is 128)" if len(name) > 128 else ""
    return Problem(
        message=f"{name!r} {INVALID_TAG}{length}",
        path=_place_of(name, image),
        on_key=name in image.aliases,
        caused_by=(recipe, *((section,) for section in SECTION.values())),
    )


def _collision(
    name: str, image: Image, owner: str, other: Image, patterns: Mapping[str, str]
) -> Problem:
    ours, theirs = image.combination, other.combination
    path, on_key = _place_of(name, image), name in image.aliases
    if owner in other.aliases and name == image.tag:
        path, on_key = ("aliases", owner), True
    if name != owner:
        message = f"steps of {name!r} and {owner!r} have the same name; rename one"
    elif image is other:
        message = f"alias {name!r} is already the tag of that image; remove it"
    elif ours.recipe == theirs.recipe and name == image.tag and owner == other.tag:
        return _ambiguous_pattern(name, ours, theirs, patterns[str(ours.recipe)])
    else:
        message = f"{name!r} would be a tag of both {theirs} and {ours}; rename one"
    return Problem(message=message, path=path, on_key=on_key, caused_by=(("recipes",),))


def _ambiguous_pattern(name: str, ours: Combination, theirs: Combination, pattern: str) -> Problem:
    """Explain two images of a recipe with one tag: a missing axis, or ambiguous values."""
    recipe = str(ours.recipe)
    differing = [axis for axis in AXES if getattr(ours, axis) != getattr(theirs, axis)]
    message = f"{name!r} is the tag of both {theirs} and {ours}"
    missing = [axis for axis in differing if f"{{{axis}}}" not in pattern]
    if missing:
        message += f"; add {{{missing[0]}}} to it"
        return Problem(message=message, path=("recipes", recipe, "tag"), caused_by=(("recipes",),))
    axis = differing[0]
    values = [str(getattr(combination, axis)) for combination in (theirs, ours)]
    message += (
        f", because their values are ambiguous in {pattern!r}; rename "
        f"{' or '.join(map(repr, values))}, or separate the axes in the 'tag' of recipe "
        f"{recipe!r} with another character, such as '_' or '.'"
    )
    return Problem(message=message, path=(SECTION[axis], values[0]), on_key=True)


def _check_excluded(matrix: Matrix, plan: Plan) -> Iterator[Problem]:
    for image in plan.images:
        for combination in ancestors(image.combination, matrix.recipes, matrix.config):
            for index, rule in enumerate(matrix.config.exclude):
                if matches(rule, combination):
                    message = (
                        f"this rule excludes {combination}, which {image.combination} "
                        "depends on; exclude both or neither"
                    )
                    yield Problem(message=message, path=("exclude", index))


# ---- selection


def not_built(matrix: Matrix) -> dict[str, str]:
    """Return the tags of combinations that are not built, each with the reason."""
    return {
        tag_of(matrix, cell.combination): f"{cell.status}: {cell.reason}"
        for cell in matrix.cells
        if cell.status != "built"
    }


def select_images(
    plan: Plan,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    missing: Mapping[str, str] | None = None,
) -> Plan:
    """Select images by globs on tags and aliases, including their parents.

    An empty `only` selects all images; `skip` removes images from the selection. `missing` is
    the result of `not_built`, for messages. Raises ConfigError, with every problem, if a glob
    matches no image, if `skip` removes the parent of a selected image, or if no image remains.
    """
    problems = [
        Problem(message=f"{option}: {glob!r} matches no image{_instead(plan, glob, missing or {})}")
        for option, globs in (("only", only), ("skip", skip))
        for glob in globs
        if not any(_matches(plan, image, [glob]) for image in plan.images)
    ]
    wanted = [
        image.tag
        for image in plan.images
        if (not only or _matches(plan, image, only)) and not _matches(plan, image, skip)
    ]
    kept = _with_parents(plan, wanted)
    skipped = [i.tag for i in plan.images if i.tag in kept and _matches(plan, i, skip)]
    for tag in skipped:
        child = next(name for name in wanted if tag in _with_parents(plan, [name]))
        message = f"skip: {child} depends on {tag}; skip both"
        problems.append(Problem(message=message))
    if not wanted and not problems:
        problems.append(Problem(message="the selection contains no image"))
    if problems:
        raise ConfigError(problems)
    return msgspec.structs.replace(plan, images=tuple(i for i in plan.images if i.tag in kept))


def _instead(plan: Plan, glob: str, missing: Mapping[str, str]) -> str:
    left_out = next((tag for tag in missing if fnmatch.fnmatchcase(tag, glob)), None)
    if left_out is not None:
        return f"; {left_out} is {missing[left_out]}"
    return did_you_mean(glob, plan.names())


def _matches(plan: Plan, image: Image, globs: Iterable[str]) -> bool:
    short = (image.tag, *image.aliases)
    names = (*short, *map(plan.reference, short))
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs for name in names)


def _with_parents(plan: Plan, tags: Iterable[str]) -> set[str]:
    parents = {image.tag: image.parent for image in plan.images}
    kept: set[str] = set()
    for tag in tags:
        name: str | None = tag
        while name is not None and name not in kept:
            kept.add(name)
            name = parents.get(name)
    return kept
