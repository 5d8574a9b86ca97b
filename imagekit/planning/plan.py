"""The plan: the images of a matrix in build order, with tags, build args and parents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec

from imagekit.docker.names import resolve
from imagekit.errors import Path, Problem, show_path
from imagekit.planning.excludes import ancestors
from imagekit.planning.matrix import Cell, Combination, Matrix
from imagekit.planning.patterns import Pattern, picker
from imagekit.planning.recipes import Values, Variant


class Image(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One image of the plan."""

    tag: str
    """The short name: the tag, after `PATH:` if its recipe has a repository of its own."""
    values: dict[str, str]
    """The value of each axis that the image has."""
    recipe: str
    """The name of the recipe."""
    dockerfile: str
    """The path of the Dockerfile, relative to the root of the build."""
    build_args: dict[str, str]
    """The build args, including the parent's reference."""
    parent: str | None = None
    """The short name of the parent image."""
    aliases: tuple[str, ...] = ()
    """Additional short names. `{date}` and `{commit}` in one are only known to the build."""
    context: str = "."
    """The directory that the image is built from, relative to the root of the build."""
    target: str | None = None
    """The stage of the Dockerfile to build; None for the last."""
    labels: dict[str, str] = {}
    """Labels of the image, by key."""
    test: tuple[str, ...] = ()
    """container-structure-test files that the image must pass before it is pushed."""
    path: Path = ()
    """The config entry that lists the image, or the first that needs it as a parent."""
    listed: bool = True
    """Whether the config lists the image; if not, it is built only as a parent."""

    def __str__(self) -> str:
        return f"{' × '.join(self.values.values())} ({self.recipe})".lstrip()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All images in build order, and their repository."""

    repository: str
    """The image repository of all images whose recipe has none of its own."""
    images: tuple[Image, ...]
    """The images: first the parents by depth, then all others in the order of the config."""
    source: str | None = None
    """The URL of the source code, for image labels."""
    axes: dict[str, tuple[str, ...]] = {}
    """The values of each axis, both in the order of the config."""
    left_out: tuple[str, ...] = ()
    """The short names of the images that a selection leaves out."""

    def reference(self, name: str) -> str:
        """Return the full image reference of a short name."""
        if ":" not in name:
            return f"{self.repository}:{name}"
        path, _, tag = name.rpartition(":")
        return f"{resolve(self.repository, path)}:{tag}"

    @property
    def pulled(self) -> tuple[str, ...]:
        """The short names of parents that are not part of this plan.

        If a plan was split, its parts pull these from the registry.
        """
        own = {image.tag for image in self.images}
        parents = (image.parent for image in self.images if image.parent is not None)
        return tuple(dict.fromkeys(tag for tag in parents if tag not in own))

    def names(self) -> tuple[str, ...]:
        """Return every short name, aliases included."""
        return tuple(name for image in self.images for name in (image.tag, *image.aliases))


def build_plan(matrix: Matrix) -> tuple[Plan, list[Problem]]:
    """Return the plan of a matrix, and the problems of its images."""
    problems: list[Problem] = []
    aliases: dict[Combination, list[str]] = {}
    # Other checks report a recipe or value that does not exist.
    cells = [c for c in matrix.cells if c.status == "built" and c.variant is not None]
    listed = {cell.combination: cell for cell in cells}
    needed = list(_needed(listed))
    if matrix.config.aliases:
        from imagekit.planning.aliases import aliases_of  # Not at the top: many configs have none.

        built = {**listed, **{cell.combination: cell for cell in needed}}
        aliases, problems = aliases_of(matrix, built)
    maker = _Maker(matrix, aliases, problems)
    images = _in_order(
        matrix,
        [
            *((cell, maker.image(cell, listed=True)) for cell in listed.values()),
            *((cell, maker.image(cell, listed=False)) for cell in needed),
        ],
    )
    config = matrix.config
    plan = Plan(
        repository=config.repository,
        source=config.source,
        images=tuple(images),
        axes={axis: tuple(config.axis(axis)) for axis in config.axis_names()},
    )
    return plan, problems


def _needed(listed: Mapping[Combination, Cell]) -> Iterator[Cell]:
    """Yield the parents that no entry lists, each with the entry that needs it first."""
    for cell, variant, values in ancestors(listed.values()):
        combination = Combination(values, variant.name)
        if combination not in listed:
            yield Cell(combination=combination, status="built", variant=variant, path=cell.path)


class _Shared(msgspec.Struct, eq=False):
    """What all images of a variant have in common."""

    variant: Variant
    """The variant."""
    tables: list[tuple[int, dict[str, dict[str, str]]]]
    """For each axis that the recipe reads, its index and the build args of its values."""
    is_distinct: bool
    """Whether no build arg can be set twice."""
    read: Callable[[Values], Any]
    """Picks the values of the axes that the recipe reads."""
    pick_parent: Callable[[Values], Any]
    """Picks the values of the parent."""
    parent: Pattern | None = None
    """The short name of the parent."""
    parent_reference: Pattern | None = None
    """The full reference of the parent."""
    parents: dict[Any, tuple[str | None, dict[str, str]]] = {}
    """The short name of each parent and the build arg that passes it, by the parent's values."""
    own: dict[Any, dict[str, str]] = {}
    """The build args of the recipe and of the values that it reads, by these values."""

    def parent_of(self, values: Values) -> tuple[str | None, dict[str, str]]:
        """Return the short name of the parent of an image, and the build arg that passes it."""
        if self.parent is None or self.parent_reference is None:
            return None, {}
        passed = {self.variant.recipe.parent_arg: self.parent_reference.fill(values)}
        return self.parent.fill(values), passed

    def own_args(self, values: Values) -> dict[str, str]:
        """Return the build args of the recipe and of the values that it reads."""
        args = {**self.variant.recipe.build_args}
        for index, table in self.tables:
            args.update(table[values[index] or ""])
        return args


_Table = tuple[dict[str, dict[str, str]], set[str]]
"""The build args of each value of an axis, and the names of all of them."""


class _Maker:
    """Makes images; what all images of a variant share is prepared once."""

    def __init__(
        self, matrix: Matrix, aliases: Mapping[Combination, list[str]], problems: list[Problem]
    ) -> None:
        self.matrix = matrix
        self.axes = matrix.recipes.axes
        self.aliases = aliases
        self.tables: dict[tuple[str, ...], _Table] = {}
        self.problems = problems
        self.shared: dict[int, _Shared] = {}

    def image(self, cell: Cell, *, listed: bool) -> Image:
        values = cell.combination.values
        shared = self.shared.get(id(cell.variant)) or self._share(_variant(cell))
        variant = shared.variant
        recipe = variant.recipe
        given = cell.build_args if listed else NO_ARGS
        if not shared.is_distinct or (given and recipe.parent_arg in given):
            self._check_args(cell, given)
        # Many images share a parent, and many the values that the recipe reads.
        key = shared.pick_parent(values)
        above = shared.parents.get(key)
        if above is None:
            above = shared.parents[key] = shared.parent_of(values)
        key = shared.read(values)
        own_args = shared.own.get(key)
        if own_args is None:
            own_args = shared.own[key] = shared.own_args(values)
        tags = [pattern.fill(values) for pattern in variant.tags] or [""]
        if self.aliases and (own := self.aliases.get(cell.combination)):
            tags += own
        chosen = variant.pick(values)
        return Image(
            tag=tags[0],
            values=dict(zip(variant.axes, chosen)),  # noqa: B905 - checking takes time
            recipe=variant.name,
            dockerfile=recipe.dockerfile,
            build_args={**above[1], **own_args, **given},
            parent=above[0],
            aliases=tuple(tags[1:]),
            context=recipe.context,
            target=recipe.target,
            labels=recipe.labels,
            test=recipe.test,
            path=cell.path,
            listed=listed,
        )

    def _share(self, variant: Variant) -> _Shared:
        recipe, above = variant.recipe, variant.parent
        tables = []
        seen: set[str] = {recipe.parent_arg} if above is not None else set()
        is_distinct = not seen & recipe.build_args.keys()
        for index, axis in enumerate(self.axes):
            if axis not in (*recipe.axes, *recipe.optional_axes) or not variant.mask >> index & 1:
                continue
            table, names = self._table(axis, recipe.omit)
            is_distinct = is_distinct and not names & seen
            seen |= names
            tables.append((index, table))
        read = picker([index for index, _ in tables])
        pick_parent = above.pick if above is not None else picker(())
        shared = _Shared(variant, tables, is_distinct, read, pick_parent)
        if above is not None and above.tags:
            base = resolve(self.matrix.config.repository, above.recipe.repository)
            shared.parent = above.tags[0]
            shared.parent_reference = above.tags[0].after(base)
        self.shared[id(variant)] = shared
        return shared

    def _table(self, axis: str, omit: tuple[str, ...]) -> _Table:
        """The build args of an axis's values that are not omitted, which many recipes share."""
        key = axis, *omit
        if key not in self.tables:
            table = {
                value: {arg: text for arg, text in args.items() if arg not in omit}
                for value, args in self.matrix.config.axis(axis).items()
            }
            self.tables[key] = table, {arg for args in table.values() for arg in args}
        return self.tables[key]

    def _check_args(self, cell: Cell, given: Mapping[str, str]) -> None:
        """Note build args with two values, and build args that would replace the parent."""
        variant = _variant(cell)
        recipe, name = variant.recipe, variant.name
        own: Path = ("recipes", name, "build_args")
        origins: dict[str, Path] = {arg: (*own, arg) for arg in recipe.build_args}
        texts: dict[str, tuple[str, Path]] = {}
        for index, table in self.shared[id(variant)].tables:
            chosen = cell.combination.values[index] or ""
            for arg, value in table[chosen].items():
                at: Path = (*self.matrix.config.section(self.axes[index]), chosen, arg)
                before, place = texts.setdefault(arg, (value, at))
                if before != value and arg not in given:
                    message = (
                        f"{arg} is {value!r} here but {before!r} in '{show_path(place[:-1])}', and "
                        f"{cell.combination} uses both; set it once, or in an entry's 'build_args'"
                    )
                    self.problems.append(Problem(message=message, path=at, see=place))
                origins[arg] = place
        origins |= {arg: (*cell.path, "build_args", arg) for arg in given}
        if variant.parent is not None and recipe.parent_arg in origins:
            path = origins[recipe.parent_arg]
            from_axis = path[0] not in ("recipes", "images")
            remedy = "remove it" + (", or add it to the recipe's 'omit'" if from_axis else "")
            message = f"{recipe.parent_arg} would override the parent of recipe {name!r}"
            self.problems.append(Problem(message=f"{message}; {remedy}", path=path))


NO_ARGS: Mapping[str, str] = {}


def _variant(cell: Cell) -> Variant:
    return cast("Variant", cell.variant)


def tag_of(matrix: Matrix, cell: Cell) -> str:
    """Return the short name that a cell's image has or would have."""
    return cell.variant.tags[0].fill(cell.combination.values) if cell.variant else ""


def _in_order(matrix: Matrix, images: list[tuple[Cell, Image]]) -> list[Image]:
    parents = {image.parent for _, image in images}
    ranks = [
        {value: rank for rank, value in enumerate(matrix.config.axis(axis))}
        for axis in matrix.recipes.axes
    ]
    order = {name: place for place, name in enumerate(matrix.recipes.by_name)}

    def key(pair: tuple[Cell, Image]) -> tuple[int, list[int], int]:
        # Parents are sorted by the axes and recipes, so their order does not depend on the entries.
        cell, image = pair
        values = cell.combination.values
        places = [
            rank.get(value, -1) if value is not None else -1
            for rank, value in zip(ranks, values, strict=True)
        ]
        return _variant(cell).depth, places, order[image.recipe]

    above = sorted((pair for pair in images if pair[1].tag in parents), key=key)
    others = [image for _, image in images if image.tag not in parents]
    return [*(image for _, image in above), *others]
