"""The schema of the config file, and its values as frozen Structs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import UNSET, Meta, UnsetType

from imagekit.config import cloudbuild
from imagekit.config.cloudbuild import CloudBuild
from imagekit.errors import Path, Problem
from imagekit.support.yaml_reader import (
    Decoder,
    Report,
    Source,
    decode,
    elements,
    is_null,
    items,
    no_value,
    scalar,
    unexpected,
)

Axis = Literal["base_image", "python", "gpu"]
AXES: tuple[Axis, ...] = ("base_image", "python", "gpu")
SECTION: Mapping[str, str] = {
    "base_image": "base_images",
    "python": "python_versions",
    "gpu": "gpu_versions",
}
"""The config section with the values of each axis."""

ORIGINAL_BASE_URL = "gcr.io/blueshift-playground/blueshift"
"""The default repository of the original generator
(google/caliban, scripts/cloudbuild.py)."""

BuildArgs = Annotated[dict[str, str], Meta(description="NAME: value, or a list of NAME=value")]
Choice = Annotated[
    tuple[str | None, ...] | None,
    Meta(description="one name or a list of names; null stands for 'without this axis'"),
]
ArgName = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
Paths = Annotated[
    tuple[str, ...] | None, Meta(description="a path or a list of paths, from the build context")
]


class Combination(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """At most one value of each axis, by name; None if the axis is not used."""

    base_image: str | None = None
    """The name of a base image."""
    python: str | None = None
    """The name of a Python version."""
    gpu: str | None = None
    """The name of a GPU version."""
    recipe: str | None = None
    """The name of a recipe."""

    def values(self) -> dict[Axis, str]:
        """Return the values by axis, in the order of the axes, without axes that have none."""
        values = {axis: getattr(self, axis) for axis in AXES}
        return {axis: value for axis, value in values.items() if value is not None}

    def __str__(self) -> str:
        chosen = " × ".join(self.values().values())
        return f"{chosen} ({self.recipe})" if self.recipe else chosen


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element of `images`: each combination of its values is an image."""

    base_image: Choice = None
    """Base images, by name."""
    python: Choice = None
    """Python versions, by name."""
    gpu: Choice = None
    """GPU versions, by name."""
    recipe: Choice = None
    """Recipes, by name; by default `cpu`, or `gpu` if the combination has a GPU version."""
    build_args: BuildArgs = {}
    """Build args of these images; they override those of the axes and the recipe."""


class Exclude(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule: combinations that match every axis it names are not built."""

    reason: str
    """Why they are not built; shown in the matrix."""
    base_image: Choice = None
    """Base images, by name."""
    python: Choice = None
    """Python versions, by name."""
    gpu: Choice = None
    """GPU versions, by name."""
    recipe: Choice = None
    """Recipes, by name."""


class RecipeChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recipe of the config; a key that is absent keeps the built-in value."""

    dockerfile: str | None = None
    """The path of the Dockerfile in the build context."""
    axes: tuple[Axis, ...] | None = None
    """The axes whose build args the Dockerfile gets."""
    parent: str | UnsetType | None = UNSET
    """The recipe of the parent image; None for no parent."""
    parent_arg: ArgName | None = None
    """The build arg that gets the parent's reference."""
    tag: str | None = None
    """The pattern of the tags, with axes in braces."""
    omit: tuple[str, ...] | None = None
    """Build args of the axes that this recipe ignores."""
    build_args: BuildArgs = {}
    """The recipe's own build args; those of the axes override them."""
    test: Paths = None
    """container-structure-test files that an image must pass before it is pushed."""


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The complete config."""

    base_url: str | None = None
    """The image repository, without a tag."""
    source: str | None = None
    """The URL of the source code, for image labels."""
    base_images: dict[str, BuildArgs] = {}
    """The values of the axis `base_image` and their build args."""
    python_versions: dict[str, BuildArgs] = {}
    """The values of the axis `python` and their build args."""
    gpu_versions: dict[str, BuildArgs] = {}
    """The values of the axis `gpu` and their build args."""
    images: tuple[Entry, ...] = ()
    """The images to build."""
    exclude: tuple[Exclude, ...] = ()
    """Rules for combinations that are not built."""
    aliases: dict[str, Combination] = {}
    """Additional tags, each for one combination."""
    recipes: dict[str, RecipeChange] = {}
    """New recipes, and changes to the built-in ones."""
    cloudbuild: CloudBuild = CloudBuild()
    """Options of Cloud Build."""

    def axis(self, axis: str) -> dict[str, BuildArgs]:
        """Return the build args of an axis's values, by name."""
        values: dict[str, BuildArgs] = getattr(self, SECTION[axis])
        return values

    @property
    def repository(self) -> str:
        """The image repository: `base_url`, or the original generator's default."""
        return ORIGINAL_BASE_URL if self.base_url is None else self.base_url


def config_from(source: Source) -> tuple[Config, list[Problem]]:
    """Decode a config file. Returns the config and the problems of its syntax.

    Invalid values are left out of the config, so that the rest can still be checked.
    """
    problems: list[Problem] = []
    _modernize(source.root)
    return decode(source.root, Config, (), problems.append, SPECIAL), problems


def _modernize(root: yaml.MappingNode) -> None:
    """Rename `cpu_versions` and `cpu`, as in the first original files, to their later names."""
    for key, value in root.value:
        if key.value == "cpu_versions":
            key.value = "python_versions"
        entries = value.value if isinstance(value, yaml.SequenceNode) else []
        for entry in entries if key.value == "images" else []:
            for field, _ in entry.value if isinstance(entry, yaml.MappingNode) else []:
                field.value = "python" if field.value == "cpu" else field.value


def dump(config: Config) -> str:
    """Return a config as YAML; loading it gives the same config."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False)


# ---- decoders of special types


def _build_args(node: yaml.Node, path: Path, report: Report) -> dict[str, str]:
    if isinstance(node, yaml.MappingNode):
        pairs = list(_named_args(node, path, report))
    elif isinstance(node, yaml.SequenceNode):
        pairs = list(_listed_args(node, path, report))
    else:
        report(unexpected("NAME: VALUE, or a list of NAME=VALUE", node, path))
        return {}
    args: dict[str, str] = {}
    for name, value, at in pairs:
        if not is_arg_name(name):
            report(Problem(message=f"{name!r} {INVALID_ARG_NAME}", path=at, on_key=True))
        elif name in args:
            report(Problem(message=f"duplicate build arg {name!r}; remove one", path=at))
        elif value is not None:
            args[name] = value
    return args


def _named_args(
    node: yaml.MappingNode, path: Path, report: Report
) -> Iterator[tuple[str, str | None, Path]]:
    for name, value, at in items(node, path, report):
        if is_null(value):
            # It would silently become the Dockerfile's default, or the text "null".
            report(no_value(name, value, at))
        else:
            yield name, scalar(value, at, report), at


def _listed_args(
    node: yaml.SequenceNode, path: Path, report: Report
) -> Iterator[tuple[str, str | None, Path]]:
    for child, at in elements(node, path, report):
        if not isinstance(child, yaml.ScalarNode):
            report(unexpected("NAME=VALUE", child, at))
            continue
        text = scalar(child, at, report)
        if text is None:
            continue
        name, equals, value = text.partition("=")
        if equals:
            yield name, value, at
        else:
            report(Problem(message=f"{text!r} has no value; write NAME=VALUE", path=at))


INVALID_ARG_NAME = (
    "is not a valid build arg name: use letters, digits and '_', and do not start with a digit"
)


def is_arg_name(text: str) -> bool:
    """Whether a text is a valid name of a Dockerfile ARG."""
    return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text))


def _arg_name(node: yaml.Node, path: Path, report: Report) -> str | None:
    text = scalar(node, path, report)
    if text is not None and not is_arg_name(text):
        report(Problem(message=f"{text!r} {INVALID_ARG_NAME}", path=path))
        return None
    return text


def _choice(node: yaml.Node, path: Path, report: Report) -> tuple[str | None, ...] | None:
    if is_null(node):
        return (None,)
    if not isinstance(node, yaml.SequenceNode):
        name = scalar(node, path, report)
        return None if name is None else (name,)
    names: list[str | None] = []
    for child, at in elements(node, path, report):
        name = None if is_null(child) else scalar(child, at, report)
        if name in names:
            report(Problem(message=f"{name or 'null'!r} is listed twice; remove one", path=at))
        elif name is not None or is_null(child):
            names.append(name)
    if not node.value:
        report(Problem(message="the list is empty; add a value or remove the key", path=path))
    return tuple(names)


def _paths(node: yaml.Node, path: Path, report: Report) -> tuple[str, ...] | None:
    if isinstance(node, yaml.SequenceNode):
        paths = [scalar(child, at, report) for child, at in elements(node, path, report)]
        return tuple(name for name in paths if name is not None)
    name = None if is_null(node) else scalar(node, path, report)
    return None if name is None else (name,)


SPECIAL: dict[Any, Decoder] = {
    BuildArgs: _build_args,
    Choice: _choice,
    Paths: _paths,
    ArgName: _arg_name,
} | cloudbuild.SPECIAL


def names_an_axis(rule: Exclude) -> bool:
    """Whether a rule names an axis or a recipe."""
    return any(getattr(rule, name) is not None for name in (*AXES, "recipe"))
