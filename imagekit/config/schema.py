"""The configuration file: what it may say, and what it says, as frozen values."""

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
"""The config's section that holds an axis's values."""

ORIGINAL_BASE_URL = "gcr.io/blueshift-playground/blueshift"
"""Where the original generator pushed to when it was not told otherwise
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
    """One value of each axis, by name; None where the axis plays no part."""

    base_image: str | None = None
    python: str | None = None
    gpu: str | None = None
    recipe: str | None = None

    def values(self) -> dict[Axis, str]:
        """The axes that have a value, in the axes' order."""
        found = {axis: getattr(self, axis) for axis in AXES}
        return {axis: value for axis, value in found.items() if value is not None}

    def __str__(self) -> str:
        chosen = " × ".join(self.values().values())
        return f"{chosen} ({self.recipe})" if self.recipe else chosen


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element of `images`: every combination of its axes' values is an image."""

    base_image: Choice = None
    python: Choice = None
    gpu: Choice = None
    recipe: Choice = None
    build_args: BuildArgs = {}


class Exclude(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule: the combinations that match every axis it names are not built, for a reason."""

    reason: str
    base_image: Choice = None
    python: Choice = None
    gpu: Choice = None
    recipe: Choice = None


class RecipeChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the config says of a recipe; what it leaves out stays as the built-in has it."""

    dockerfile: str | None = None
    axes: tuple[Axis, ...] | None = None
    parent: str | UnsetType | None = UNSET
    parent_arg: ArgName | None = None
    tag: str | None = None
    omit: tuple[str, ...] | None = None
    build_args: BuildArgs = {}
    test: Paths = None


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole configuration."""

    base_url: str | None = None
    source: str | None = None
    base_images: dict[str, BuildArgs] = {}
    python_versions: dict[str, BuildArgs] = {}
    gpu_versions: dict[str, BuildArgs] = {}
    images: tuple[Entry, ...] = ()
    exclude: tuple[Exclude, ...] = ()
    aliases: dict[str, Combination] = {}
    recipes: dict[str, RecipeChange] = {}
    cloudbuild: CloudBuild = CloudBuild()

    def axis(self, axis: str) -> dict[str, BuildArgs]:
        """An axis's values by name, each with its build args."""
        values: dict[str, BuildArgs] = getattr(self, SECTION[axis])
        return values

    @property
    def repository(self) -> str:
        """What every tag is a tag of: `base_url`, or the original generator's default."""
        return ORIGINAL_BASE_URL if self.base_url is None else self.base_url


def config_from(source: Source) -> tuple[Config, list[Problem]]:
    """A config file's values, and what is wrong with its form.

    What is wrong is left out of the Config, so that the rest can still be checked.
    """
    problems: list[Problem] = []
    _modernize(source.root)
    return decode(source.root, Config, (), problems.append, SPECIAL), problems


def _modernize(root: yaml.MappingNode) -> None:
    """Give what the first original files call `cpu_versions` and `cpu` its later name."""
    for key, value in root.value:
        if key.value == "cpu_versions":
            key.value = "python_versions"
        entries = value.value if isinstance(value, yaml.SequenceNode) else []
        for entry in entries if key.value == "images" else []:
            for field, _ in entry.value if isinstance(entry, yaml.MappingNode) else []:
                field.value = "python" if field.value == "cpu" else field.value


def dump(config: Config) -> str:
    """A config as YAML that reads back as the same config."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False)


# ---- notations of their own


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
            # The image would be built with the Dockerfile's default, or with the word "null".
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
    """Whether a Dockerfile's ARG can be called this."""
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
        found = [scalar(child, at, report) for child, at in elements(node, path, report)]
        return tuple(name for name in found if name is not None)
    name = None if is_null(node) else scalar(node, path, report)
    return None if name is None else (name,)


SPECIAL: dict[Any, Decoder] = {
    BuildArgs: _build_args,
    Choice: _choice,
    Paths: _paths,
    ArgName: _arg_name,
} | cloudbuild.SPECIAL


def names_an_axis(rule: Exclude) -> bool:
    """Whether a rule says what it excludes."""
    return any(getattr(rule, name) is not None for name in (*AXES, "recipe"))
