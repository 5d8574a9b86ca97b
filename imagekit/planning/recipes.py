"""Recipes: how each kind of image is made. The built-in ones, and those of a config."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from imagekit.config.schema import SECTION, Config, RecipeChange
from imagekit.errors import Path, Problem, did_you_mean
from imagekit.planning.patterns import Pattern, picker

CPU_BASE_IMAGE = "ubuntu:18.04"
"""The base of CPU images if a config has no base images, as in the original generator."""

Values = tuple[str | None, ...]
"""A value of each axis, in the order of the axes; None for an axis that is not used."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind of image is made."""

    dockerfile: str
    """The path of the Dockerfile, relative to the root of the build."""
    tags: tuple[str, ...]
    """The patterns of the tags; the first identifies the image."""
    context: str = "."
    """The directory that the image is built from, relative to the root of the build."""
    target: str | None = None
    """The stage of the Dockerfile to build; None for the last."""
    axes: tuple[str, ...] = ()
    """The axes that it reads: each image has a value of each."""
    optional_axes: tuple[str, ...] = ()
    """The axes whose build args it gets as well, if a parent brings them."""
    parents: tuple[str, ...] = ()
    """The recipes that the parent image can have."""
    parent_arg: str = "BASE_IMAGE"
    """The build arg that gets the parent's reference."""
    parent_only: bool = False
    """Whether its images are only built as parents, unless an entry names the recipe."""
    repository: str = ""
    """The repository of its images, relative to that of the config or with a host."""
    omit: tuple[str, ...] = ()
    """Build args of the axes that this recipe ignores."""
    build_args: dict[str, str] = {}
    """The recipe's own build args; those of the axes override them."""
    labels: dict[str, str] = {}
    """Labels of the images, by key."""
    test: tuple[str, ...] = ()
    """container-structure-test files that an image must pass before it is pushed."""


class Variant(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A recipe with one of its possible sets of axes: those it reads itself or inherits.

    A recipe with several parents has a variant for each set of axes that they lead to.
    """

    name: str
    """The name of the recipe."""
    recipe: Recipe
    """The recipe."""
    mask: int
    """The axes, as bits in the order of the axes."""
    parent: Variant | None
    """The variant of the parent image."""
    depth: int
    """The number of ancestors."""
    tags: tuple[Pattern, ...]
    """The patterns of the tags for these axes."""
    axes: tuple[str, ...]
    """The names of the axes."""
    pick: Callable[[Values], Any]
    """Picks the values of these axes; a key that tells images of this variant apart."""

    def narrow(self, values: Values) -> Values:
        """Return the values without axes that this variant does not have."""
        return tuple(v if self.mask >> i & 1 else None for i, v in enumerate(values))

    def line(self) -> Iterator[Variant]:
        """Yield this variant and its ancestors, nearest first."""
        variant: Variant | None = self
        while variant is not None:
            yield variant
            variant = variant.parent


class Recipes(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The recipes of a config."""

    axes: tuple[str, ...]
    """The names of the axes."""
    by_name: dict[str, Recipe]
    """The recipes by name, built-in ones included."""
    built_in: frozenset[str]
    """The names of built-in recipes that an entry without a recipe gets first."""
    variants: dict[str, dict[int, Variant]]
    """The variants of each recipe, by their axes."""
    unclear: dict[tuple[str, int], str]
    """Recipes and axes for which two parents fit, with what that means and what to do."""
    defaults: dict[int, tuple[str, ...]]
    """For each set of axes, the recipes that an entry with them can mean."""
    _default_names: dict[int, tuple[str, ...]] = {}
    """The results of `default_names`."""

    def mask(self, values: Values) -> int:
        """Return the axes that have a value, as bits."""
        return sum(1 << i for i, value in enumerate(values) if value is not None)

    def names(self, mask: int) -> list[str]:
        """Return the names of axes given as bits."""
        return [axis for i, axis in enumerate(self.axes) if mask >> i & 1]

    def default(self, mask: int) -> str | None:
        """Return the recipe of an entry that names only axes; None if it is not clear."""
        names = self.defaults.get(mask, ())
        if len(names) == 1:
            return names[0]
        first = [name for name in names if name in self.built_in]
        if first or not self.built_in:
            return first[0] if first else None
        # None fits. The error of the recipe that was probably meant says what is missing.
        is_gpu = "gpu" in self.axes and mask >> self.axes.index("gpu") & 1
        return None if names else "gpu" if is_gpu else "cpu"

    def default_names(self, mask: int) -> tuple[str, ...]:
        """Return `default` as the only element of a tuple, or an empty name."""
        if mask not in self._default_names:
            self._default_names[mask] = (self.default(mask) or "",)
        return self._default_names[mask]

    def find(self, name: str, mask: int) -> Variant | None:
        """Return the variant of a recipe for a set of axes, if the recipe has it."""
        return self.variants.get(name, {}).get(mask)


def built_in(with_base_images: bool) -> dict[str, Recipe]:
    """Return the built-in recipes, with the tags of the original system's two generations."""
    cpu = Recipe(
        dockerfile="dockerfiles/Dockerfile",
        axes=("base_image", "python"),
        tags=("cpu-{base_image}-{python}" if with_base_images else "cpu-{python}",),
        omit=("UBUNTU_VERSION",),
        build_args={} if with_base_images else {"BASE_IMAGE": CPU_BASE_IMAGE},
    )
    gpu_base = Recipe(
        dockerfile="dockerfiles/Dockerfile.gpu",
        axes=("base_image", "gpu"),
        parent_only=True,
        tags=("gpu-base-{base_image}-{gpu}" if with_base_images else "gpu-base-{gpu}",),
        omit=("BASE_IMAGE",),
    )
    gpu = Recipe(
        dockerfile="dockerfiles/Dockerfile",
        axes=("python",),
        parents=("gpu-base",),
        tags=("gpu-{base_image}-{python}-{gpu}" if with_base_images else "gpu-{gpu}-{python}",),
    )
    return {"cpu": cpu, "gpu-base": gpu_base, "gpu": gpu}


def recipes_of(config: Config) -> tuple[Recipes, list[Problem]]:
    """Return the recipes of a config, and the problems that keep one from being defined."""
    axes = config.axis_names()
    has_sections = any(config.has_section(axis) for axis in axes)
    originals = built_in(bool(config.axis("base_image")))
    by_name = originals if has_sections or _uses_built_in(config, originals) else {}
    problems: list[Problem] = []
    for name, change in config.recipes.items():
        values = _values(change)
        missing = [
            key
            for key, field in (("dockerfile", "dockerfile"), ("tag", "tags"))
            if field not in values and name not in by_name
        ]
        if missing:
            which = " and ".join(repr(field) for field in missing)
            near = did_you_mean(name, by_name)
            message = f"recipe {name!r} is not built in, so it requires {which}{near}"
            at: Path = ("recipes", name)
            caused_by = tuple((*at, key) for key in (*missing, "tags"))
            problems.append(Problem(message=message, path=at, on_key=True, caused_by=caused_by))
        elif name in by_name:
            values["build_args"] = by_name[name].build_args | change.build_args
            values["labels"] = by_name[name].labels | change.labels
            by_name[name] = msgspec.structs.replace(by_name[name], **values)
        else:
            by_name[name] = Recipe(**values)
    first = frozenset(("cpu", "gpu")) if has_sections else frozenset()
    recipes = _with_variants(config, axes, by_name, first)
    for name, of_recipe in recipes.variants.items():
        if len(of_recipe) == MAX_VARIANTS:
            message = (
                f"recipe {name!r} can be built for {MAX_VARIANTS:,} or more sets of axes, which is "
                "too many; give fewer of the recipes that it is built upon several parents, or "
                "fewer optional axes"
            )
            problems.append(Problem(message=message, path=("recipes", name), on_key=True))
            break
    return recipes, problems


MAX_VARIANTS = 1_000
"""The most sets of axes of a recipe. They can double with each level of recipes."""


def _uses_built_in(config: Config, originals: dict[str, Recipe]) -> bool:
    """Whether a config that has only `axes` means the built-in recipes.

    Its axes have the original names, and it has no recipe of its own or names a built-in one.
    """
    named = {name for entry in config.images for name in entry.recipe or ()}
    parents = [change.parent for change in config.recipes.values() if change.parent]
    named |= {*config.recipes, *(name for names in parents for name in names)}
    no_own = config.recipes.keys() <= originals.keys()
    return {*config.axes} <= {*SECTION} and (no_own or not named.isdisjoint(originals))


def _values(change: RecipeChange) -> dict[str, Any]:
    """The fields of a recipe that a config sets."""
    values = {
        field: value
        for field in change.__struct_fields__
        if (value := getattr(change, field)) is not None and value is not UNSET
    }
    if "tag" in values:
        values["tags"] = (values.pop("tag"),) if "tags" not in values else values["tags"]
        values.pop("tag", None)
    if "parent" in values:
        values["parents"] = values.pop("parent")
    return values


def _with_variants(
    config: Config, axes: tuple[str, ...], by_name: dict[str, Recipe], first: frozenset[str]
) -> Recipes:
    bits = {axis: 1 << i for i, axis in enumerate(axes) if config.axis(axis)}
    variants: dict[str, dict[int, Variant]] = {}
    unclear: dict[tuple[str, int], str] = {}
    for name in parents_first(by_name):
        recipe = by_name[name]
        variants[name] = {}
        parents = [parent for parent in recipe.parents if parent in variants]
        choices: list[Variant | None] = [
            above for parent in parents for above in variants[parent].values()
        ]
        for above, own in itertools.product(choices or [None], _own_axes(recipe, bits)):
            if len(variants[name]) == MAX_VARIANTS:
                break
            mask = own | (above.mask if above else 0)
            if mask in variants[name]:
                other = variants[name][mask].parent
                own_axes = _named(axis for axis, bit in bits.items() if mask & bit)
                unclear[name, mask] = _both_fit(own_axes, other, above)
                continue
            present = {axis for axis, bit in bits.items() if mask & bit}
            indexes = [index for index, axis in enumerate(axes) if axis in present]
            variants[name][mask] = Variant(
                name=name,
                recipe=recipe,
                mask=mask,
                parent=above,
                depth=above.depth + 1 if above else 0,
                tags=tuple(
                    Pattern.of(tag, name, recipe.repository, axes, present, config.axis)
                    for tag in recipe.tags
                ),
                axes=tuple(axes[index] for index in indexes),
                pick=picker(indexes),
            )
    return Recipes(
        axes=axes,
        by_name=by_name,
        built_in=first & by_name.keys(),
        variants=variants,
        unclear=unclear,
        defaults=_defaults(variants, {*bits}),
    )


def _own_axes(recipe: Recipe, bits: Mapping[str, int]) -> list[int]:
    """The sets of axes that a recipe adds to those of its parent.

    An optional axis is one of its parent; without a parent, an image has it or not.
    """
    sets = [sum(bits.get(axis, 0) for axis in {*recipe.axes})]
    for axis in dict.fromkeys(recipe.optional_axes) if not recipe.parents else ():
        bit = bits.get(axis, 0)
        if bit and not sets[0] & bit and len(sets) < MAX_VARIANTS:
            sets += [one | bit for one in sets]
    return sets


def _both_fit(own: str, one: Variant | None, two: Variant | None) -> str:
    """Why it is not clear which of two parents an image with some axes has, and what to do."""
    names = [parent.name if parent else "" for parent in (one, two)]
    if names[0] != names[1]:
        upon = " and ".join(map(repr, names))
        return f"can be built upon {upon} for {own}; remove one from its 'parent'"
    of = " or for ".join(_named(parent.axes) for parent in (one, two) if parent)
    return (
        f"could be built for {own} upon {names[0]!r} for {of}; "
        "remove the axes that its parent may have from its 'axes'"
    )


def _named(axes: Iterable[str]) -> str:
    return " × ".join(axes) or "no axis"


def parents_first(by_name: dict[str, Recipe]) -> Iterator[str]:
    """Yield the names of recipes, parents before children; a cycle is cut."""
    done: set[str] = set()
    for start, recipe in by_name.items():
        stack = [(start, iter(recipe.parents))]
        entered = {start}
        while stack:
            name, parents = stack[-1]
            following = next(
                (p for p in parents if p in by_name and p not in done and p not in entered), None
            )
            if following is not None:
                entered.add(following)
                stack.append((following, iter(by_name[following].parents)))
                continue
            stack.pop()
            if name not in done:
                done.add(name)
                yield name


def _defaults(
    variants: dict[str, dict[int, Variant]], with_values: set[str]
) -> dict[int, tuple[str, ...]]:
    """For each set of axes, the recipes to choose from: those that no other of them leads to."""
    by_mask: dict[int, list[Variant]] = {}
    usable = {*with_values, "base_image"}
    for of_recipe in variants.values():
        for mask, variant in of_recipe.items():
            if not variant.recipe.parent_only:
                by_mask.setdefault(mask, []).append(variant)
    names = {
        # Never one that reads an axis without values: `gpu` in a config without GPUs.
        mask: tuple(
            v.name
            for v in several
            if all({*above.recipe.axes} <= usable for above in v.line()) and not _is_layer(v)
        )
        for mask, several in by_mask.items()
    }
    return {mask: some for mask, some in names.items() if some}


def _is_layer(variant: Variant) -> bool:
    """Whether a variant only adds to another one with the same axes that an entry can mean."""
    above = variant.parent
    while above is not None and above.mask == variant.mask:
        if not above.recipe.parent_only:
            return True
        above = above.parent
    return False


def used_recipes(variants: Sequence[Variant]) -> set[str]:
    """Return the names of recipes and of their ancestors."""
    used: set[str] = set()
    seen: set[int] = set()
    for variant in variants:
        for above in variant.line():
            if id(above) in seen:
                break
            seen.add(id(above))
            used.add(above.name)
    return used
