"""The plan: the images that a matrix comes to, each with its tag, its build args and its parent."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from imagekit.cells import Cell, Matrix, default_recipe, matches
from imagekit.config import AXES, CloudBuild, Combination, is_tag
from imagekit.errors import ConfigError, Path, Problem, did_you_mean
from imagekit.recipes import ancestry, identity, narrow


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image of the plan. `tag`, `parent` and `aliases` are short, without the repository.

    `path` is the entry of the config that names it; an image that is built only because
    another stands on it has none.
    """

    tag: str
    combination: Combination
    dockerfile: str
    build_args: dict[str, str]
    parent: str | None = None
    aliases: tuple[str, ...] = ()
    path: Path = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All images, parents before children, and the repository that their tags belong to.

    Those that others stand on come first, by depth, then the others in the config's order.
    """

    repository: str
    images: tuple[Image, ...]
    cloudbuild: CloudBuild = CloudBuild()

    def reference(self, tag: str) -> str:
        """A short tag as the full name of an image."""
        return f"{self.repository}:{tag}"

    def names(self) -> tuple[str, ...]:
        """Every tag and alias."""
        return tuple(name for image in self.images for name in (image.tag, *image.aliases))


def arrange(matrix: Matrix) -> tuple[Plan, list[Problem]]:
    """A matrix's images in build order, and what is wrong with them as a set."""
    problems: list[Problem] = []
    images: dict[Combination, Image] = {}
    for cell in matrix.built():
        if _is_sound(matrix, cell.combination):
            images.pop(cell.combination, None)
            images[cell.combination] = _image(matrix, cell, problems)
            for ancestor in _ancestors(matrix, cell):
                images.setdefault(ancestor.combination, _image(matrix, ancestor, problems))
    images, alias_problems = _with_aliases(matrix, images)
    plan = Plan(
        repository=matrix.config.repository,
        images=tuple(_in_order(matrix, list(images.values()))),
        cloudbuild=matrix.config.cloudbuild,
    )
    return plan, [*problems, *alias_problems, *_check_names(plan), *_check_excluded(matrix)]


def _is_sound(matrix: Matrix, combination: Combination) -> bool:
    """Whether recipe and axis values exist; where not, that is said and there is no image."""
    recipe = str(combination.recipe)
    if recipe not in matrix.recipes:
        return False
    needed = identity(recipe, matrix.recipes, matrix.config)
    given = combination.values()
    return set(needed) == set(given) and all(
        name in matrix.config.axis(axis) for axis, name in given.items()
    )


def _ancestors(matrix: Matrix, cell: Cell) -> Iterator[Cell]:
    """The cells that a cell stands on, nearest first; they have no entry of their own here."""
    for name in ancestry(str(cell.combination.recipe), matrix.recipes):
        axes = identity(name, matrix.recipes, matrix.config)
        yield Cell(combination=narrow(cell.combination, name, axes), status="built")


def _image(matrix: Matrix, cell: Cell, problems: list[Problem]) -> Image:
    recipe = matrix.recipes[str(cell.combination.recipe)]
    parent = next((tag_of(matrix, above.combination) for above in _ancestors(matrix, cell)), None)
    args = recipe.build_args | dict(_axis_args(matrix, cell, problems)) | cell.build_args
    if parent is not None:
        if recipe.parent_arg in args:
            message = (
                f"{recipe.parent_arg} would hide the parent of {cell.combination}, which arrives "
                "under this name; remove it, or list it under the recipe's 'omit'"
            )
            path = cell.path or ("recipes", str(cell.combination.recipe))
            problems.append(Problem(message=message, path=path))
        args = {recipe.parent_arg: f"{matrix.config.repository}:{parent}"} | args
    return Image(
        tag=tag_of(matrix, cell.combination),
        combination=cell.combination,
        dockerfile=recipe.dockerfile,
        build_args=args,
        parent=parent,
        path=cell.path,
    )


def _axis_args(matrix: Matrix, cell: Cell, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    recipe = matrix.recipes[str(cell.combination.recipe)]
    seen: dict[str, tuple[str, str]] = {}
    for axis, name in cell.combination.values().items():
        if axis not in recipe.axes:
            continue
        for arg, value in matrix.config.axis(axis)[name].items():
            if arg in recipe.omit:
                continue
            other, before = seen.setdefault(arg, (name, value))
            if before != value and arg not in cell.build_args:
                message = (
                    f"{cell.combination}: {other!r} and {name!r} give {arg} two values, {before!r} "
                    f"and {value!r}; give it once, or settle it in this entry's 'build_args'"
                )
                problems.append(Problem(message=message, path=cell.path))
            yield arg, value


def tag_of(matrix: Matrix, combination: Combination) -> str:
    """A combination's short tag, by its recipe's pattern."""
    pattern = matrix.recipes[str(combination.recipe)].tag
    for axis, name in combination.values().items():
        pattern = pattern.replace(f"{{{axis}}}", name)
    return pattern


def _in_order(matrix: Matrix, images: list[Image]) -> list[Image]:
    by_tag = {image.tag: image for image in images}
    parents = {image.parent for image in images}
    ranks = {axis: list(matrix.config.axis(axis)) for axis in AXES}

    def depth(image: Image) -> int:
        seen: set[str] = set()
        while image.parent in by_tag and image.tag not in seen:
            seen.add(image.tag)
            image = by_tag[str(image.parent)]
        return len(seen)

    def key(image: Image) -> tuple[bool, int, list[int]]:
        # Images that others stand on follow the axes' order, which no entry's wording changes.
        values = image.combination.values()
        rank = [ranks[axis].index(values[axis]) if axis in values else -1 for axis in AXES]
        is_leaf = image.tag not in parents
        return is_leaf, depth(image) if not is_leaf else 0, [] if is_leaf else rank

    return sorted(images, key=key)


def _with_aliases(
    matrix: Matrix, images: dict[Combination, Image]
) -> tuple[dict[Combination, Image], list[Problem]]:
    images, problems = dict(images), []
    for name, alias in matrix.config.aliases.items():
        recipe = alias.recipe or default_recipe(alias.gpu)
        combination = msgspec.structs.replace(alias, recipe=recipe)
        image = images.get(combination)
        if image is None:
            why = _why(matrix, combination)
            message = f"alias {name!r} stands for {combination}, which is not built{why}"
            problems.append(Problem(message=message, path=("aliases", name), on_key=True))
        else:
            images[combination] = msgspec.structs.replace(image, aliases=(*image.aliases, name))
    return images, problems


def _why(matrix: Matrix, combination: Combination) -> str:
    cells = (cell for cell in matrix.cells if cell.combination == combination)
    return next((f": {cell.reason}" for cell in cells), "; give it a combination that is")


def _check_names(plan: Plan) -> Iterator[Problem]:
    owners: dict[str, tuple[str, Image]] = {}
    for image in plan.images:
        for name in (image.tag, *image.aliases):
            path: Path = image.path if name == image.tag else ("aliases", name)
            if not is_tag(name):
                message = (
                    f"{name!r} is no legal tag: at most 128 letters, digits, '_', '.' and '-', "
                    "not starting with '.' or '-'"
                )
                yield Problem(message=message, path=path, on_key=name != image.tag)
            # A push step is called like its image with "-push" behind, so that name is taken.
            for step in (name, f"{name}-push"):
                if step in owners:
                    owner, other = owners[step]
                    yield _collision(name, image, owner, other, path)
                owners.setdefault(step, (name, image))


def _collision(name: str, image: Image, owner: str, other: Image, path: Path) -> Problem:
    if name == owner:
        message = (
            f"{name!r} would name two images, {other.combination} and {image.combination}; "
            "give one another tag"
        )
    else:
        message = f"{name!r} and the push step of {owner!r} have one name; give one another tag"
    return Problem(message=message, path=path or other.path)


def _check_excluded(matrix: Matrix) -> Iterator[Problem]:
    for cell in matrix.built():
        if not _is_sound(matrix, cell.combination):
            continue
        for ancestor in _ancestors(matrix, cell):
            for index, rule in enumerate(matrix.config.exclude):
                if matches(rule, ancestor.combination):
                    message = (
                        f"this rule excludes {ancestor.combination}, which {cell.combination} "
                        "stands on; exclude that too, or neither"
                    )
                    yield Problem(message=message, path=("exclude", index))


# ---- selection


def select(plan: Plan, only: Sequence[str] = (), skip: Sequence[str] = ()) -> Plan:
    """The images that globs on tags and aliases choose, with the images that they stand on.

    An empty `only` chooses all; `skip` takes away again. Raises ConfigError, with everything
    that is wrong, where a glob matches no image, where `skip` names an image that a remaining
    one stands on, and where nothing remains.
    """
    problems = [
        Problem(message=f"{option} {glob!r} matches no image{did_you_mean(glob, plan.names())}")
        for option, globs in (("--only", only), ("--skip", skip))
        for glob in globs
        if not any(_matches(image, [glob]) for image in plan.images)
    ]
    wanted = [
        image.tag
        for image in plan.images
        if (not only or _matches(image, only)) and not _matches(image, skip)
    ]
    kept = _with_parents(plan, wanted)
    for image in plan.images:
        if image.tag in kept and _matches(image, skip):
            children = [i.tag for i in plan.images if i.parent == image.tag and i.tag in kept]
            message = f"--skip leaves out {image.tag}, which {children[0]} stands on; skip that too"
            problems.append(Problem(message=message))
    if not wanted and not problems:
        problems.append(Problem(message="--only and --skip together leave no image"))
    if problems:
        raise ConfigError(problems)
    return msgspec.structs.replace(plan, images=tuple(i for i in plan.images if i.tag in kept))


def _matches(image: Image, globs: Iterable[str]) -> bool:
    names = (image.tag, *image.aliases)
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
