"""The schema of the config file, and its values as frozen Structs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from imagekit.config import cloudbuild
from imagekit.config.cloudbuild import CloudBuild, Flag
from imagekit.errors import Path, Problem
from imagekit.support.decode import (
    OWN_KEYS,
    Decoder,
    Report,
    decode,
    elements,
    is_null,
    items,
    kind,
    missing_key,
    no_value,
    scalar,
    unexpected,
)
from imagekit.support.yaml_reader import Source

SECTION: Mapping[str, str] = {
    "base_image": "base_images",
    "python": "python_versions",
    "gpu": "gpu_versions",
}
"""The axes that have a section of their own, as in the original system, and its name."""

OLDER: Mapping[str, str] = {"python_versions": "cpu_versions", "python": "cpu"}
"""The names of a section and of its axis in the first original files, by their later names."""

ORIGINAL_BASE_URL = "gcr.io/blueshift-playground/blueshift"
"""The default repository of the original generator
(google/caliban, scripts/cloudbuild.py)."""

BuildArgs = Annotated[dict[str, str], Meta(description="NAME: value, or a list of NAME=value")]
Choice = tuple[str | None, ...]
"""One name or a list of names; None stands for "without this axis"."""
Choices = Annotated[dict[str, Choice], Meta(description="for each axis one name or a list")]
ArgName = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
Words = Annotated[tuple[str, ...] | None, Meta(description="a text or a list of texts")]
Parents = Annotated[
    tuple[str, ...] | UnsetType | None,
    Meta(description="one name or a list of names; null for none"),
]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element of `images`: each combination of its values is an image."""

    axes: Choices = {}
    """Values by axis. In the file, each axis is a key of the entry itself."""
    recipe: Choice | None = None
    """Recipes, by name; by default the one that reads the axes that the combination has."""
    build_args: BuildArgs = {}
    """Build args of these images; they override those of the axes and the recipe."""


class Exclude(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule: combinations that match every axis it names are not built."""

    reason: str
    """Why they are not built; shown in the matrix."""
    axes: Choices = {}
    """Values by axis. In the file, each axis is a key of the rule itself."""
    recipe: Choice | None = None
    """Recipes, by name."""


class Alias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The combination that an alias stands for."""

    axes: dict[str, str | None] = {}
    """The value of each axis. In the file, each axis is a key of the alias itself."""
    recipe: str | None = None
    """The name of a recipe."""


Aliased = Annotated[
    Alias | tuple[Alias, ...], Meta(description="one combination or a list of combinations")
]


class RecipeChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recipe of the config; a key that is absent keeps the built-in value."""

    dockerfile: str | None = None
    """The path of the Dockerfile in the build context."""
    context: str | None = None
    """The directory that the image is built from, relative to the root of the build."""
    target: str | None = None
    """The stage of the Dockerfile to build."""
    axes: Words = None
    """The axes whose build args the Dockerfile gets; each image has a value of each."""
    optional_axes: Words = None
    """Axes whose build args the Dockerfile gets as well, for the images that have them."""
    parent: Parents = UNSET
    """The recipes that the parent image can have; the one whose axes fit is used."""
    parent_arg: ArgName | None = None
    """The build arg that gets the parent's reference."""
    parent_only: Flag | None = None
    """Whether its images are only built as parents, unless an entry names the recipe."""
    repository: str | None = None
    """The repository of its images: a name below `base_url`, or with a host a full one."""
    tag: str | None = None
    """The pattern of the tag, with axes in braces; a list of one for `tags`."""
    tags: Words = None
    """The patterns of the tags. The first identifies the image; the others are also pushed."""
    omit: Words = None
    """Build args of the axes that this recipe ignores."""
    build_args: BuildArgs = {}
    """The recipe's own build args; those of the axes override them."""
    labels: dict[str, str] = {}
    """Labels of the images, by key."""
    test: Words = None
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
    axes: dict[str, dict[str, BuildArgs]] = {}
    """The axes: for each its values, and their build args."""
    images: tuple[Entry, ...] = ()
    """The images to build."""
    exclude: tuple[Exclude, ...] = ()
    """Rules for combinations that are not built."""
    aliases: dict[str, Aliased] = {}
    """Additional tags, each for one combination, or for one in each of several repositories."""
    recipes: dict[str, RecipeChange] = {}
    """New recipes, and changes to the built-in ones."""
    cloudbuild: CloudBuild = CloudBuild()
    """Options of Cloud Build."""

    def axis_names(self) -> tuple[str, ...]:
        """Return the names of the axes in order.

        Without `axes`, these are the three of the original system, used or not.
        """
        sections = [axis for axis, name in SECTION.items() if not self.axes or getattr(self, name)]
        return tuple(dict.fromkeys([*sections, *self.axes]))

    def axis(self, axis: str) -> dict[str, BuildArgs]:
        """Return the build args of an axis's values, by name; empty for an unknown axis."""
        if axis in self.axes:
            return self.axes[axis]
        values: dict[str, BuildArgs] = getattr(self, SECTION[axis]) if axis in SECTION else {}
        return values

    def section(self, axis: str) -> Path:
        """Return the path of an axis's values in the config."""
        return (SECTION[axis],) if self.has_section(axis) else ("axes", axis)

    def has_section(self, axis: str) -> bool:
        """Whether an axis has a section of its own."""
        return axis in SECTION and axis not in self.axes

    def each_alias(self) -> Iterator[tuple[str, Alias, Path]]:
        """Yield the name, the combination and the path of each alias."""
        for name, aliased in self.aliases.items():
            if isinstance(aliased, Alias):
                yield name, aliased, ("aliases", name)
            else:
                for index, alias in enumerate(aliased):
                    yield name, alias, ("aliases", name, index)

    @property
    def repository(self) -> str:
        """The image repository: `base_url`, or the original generator's default."""
        return ORIGINAL_BASE_URL if self.base_url is None else self.base_url


def config_from(source: Source) -> tuple[Config, list[Problem]]:
    """Decode a config file. Returns the config and the problems of its syntax.

    Invalid values are left out of the config, so that the rest can still be checked.
    """
    problems: list[Problem] = []
    source.renamed = _rename_older(source.value)
    for section in ("axes", "recipes"):
        # As in every mapping with keys of its own.
        names = source.value.get(section)
        if isinstance(names, dict):
            for name in [name for name in names if name.startswith(OWN_KEYS)]:
                del names[name]
    return decode(source.value, Config, (), problems.append, SPECIAL), problems


def _rename_older(root: dict[str, Any]) -> dict[str, str]:
    """Rename `cpu_versions` and `cpu`, as in the first original files, to their later names.

    Returns the older names by the later ones.
    """
    entries, axes = root.get("images"), root.get("axes")
    own = axes if isinstance(axes, dict) else {}
    mappings = [root, *(entry for entry in _list(entries) if isinstance(entry, dict))]
    for new, old in OLDER.items():
        for mapping in mappings if old not in own else ():
            if old in mapping and new not in mapping:
                mapping[new] = mapping.pop(old)
    return dict(OLDER)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def dump(config: Config) -> str:
    """Return a config as YAML; loading it gives the same config."""
    import yaml

    values = msgspec.to_builtins(config)
    choosers = [*values.get("images", ()), *values.get("exclude", ())]
    for aliased in values.get("aliases", {}).values():
        choosers += aliased if isinstance(aliased, list | tuple) else [aliased]
    for chooser in choosers:
        chooser.update(chooser.pop("axes", {}))
    return yaml.safe_dump(values, sort_keys=False)


# ---- decoders of special types


def _build_args(value: Any, path: Path, report: Report) -> dict[str, str]:
    if isinstance(value, dict):
        pairs = list(_named_args(value, path, report))
    elif isinstance(value, list):
        pairs = list(_listed_args(value, path, report))
    else:
        report(unexpected("NAME: VALUE, or a list of NAME=VALUE", value, path))
        return {}
    args: dict[str, str] = {}
    for name, text, at in pairs:
        if not is_arg_name(name):
            report(Problem(message=f"{name!r} {INVALID_ARG_NAME}", path=at, on_key=True))
        elif name in args:
            report(Problem(message=f"duplicate build arg {name!r}; remove one", path=at))
        elif text is not None:
            args[name] = text
    return args


def _named_args(
    value: dict[str, Any], path: Path, report: Report
) -> Iterator[tuple[str, str | None, Path]]:
    for name, child, at in items(value, path, report):
        if is_null(child):
            # It would silently become the Dockerfile's default, or the text "null".
            report(no_value(name, child, at))
        else:
            yield name, scalar(child, at, report), at


def _listed_args(
    value: list[Any], path: Path, report: Report
) -> Iterator[tuple[str, str | None, Path]]:
    for child, at in elements(value, path, report):
        if kind(child) in ("a mapping", "a list"):
            report(unexpected("NAME=VALUE", child, at))
            continue
        text = scalar(child, at, report)
        if text is None:
            continue
        name, equals, given = text.partition("=")
        if equals:
            yield name, given, at
        else:
            report(Problem(message=f"{text!r} has no value; write NAME=VALUE", path=at))


INVALID_ARG_NAME = (
    "is not a valid build arg name: use letters, digits and '_', and do not start with a digit"
)


def is_arg_name(text: str) -> bool:
    """Whether a text is a valid name of a Dockerfile ARG."""
    return bool(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text))


def _arg_name(value: Any, path: Path, report: Report) -> str | None:
    text = scalar(value, path, report)
    if text is not None and not is_arg_name(text):
        report(Problem(message=f"{text!r} {INVALID_ARG_NAME}", path=path))
        return None
    return text


def _choice(value: Any, path: Path, report: Report) -> Choice | None:
    if is_null(value):
        return (None,)
    if not isinstance(value, list):
        name = scalar(value, path, report)
        return None if name is None else (name,)
    names: dict[str | None, None] = {}
    for child, at in elements(value, path, report):
        name = None if is_null(child) else scalar(child, at, report)
        if name in names:
            report(Problem(message=f"{name or 'null'!r} is listed twice; remove one", path=at))
        elif name is not None or is_null(child):
            names[name] = None
    if not value:
        report(Problem(message="the list is empty; add a value or remove the key", path=path))
    return tuple(names)


def _words(value: Any, path: Path, report: Report) -> tuple[str, ...] | None:
    if isinstance(value, list):
        words = [_word(child, at, report) for child, at in elements(value, path, report)]
        return tuple(word for word in words if word is not None)
    word = None if is_null(value) else scalar(value, path, report)
    return None if word is None else (word,)


def _word(value: Any, path: Path, report: Report) -> str | None:
    if is_null(value):
        report(Problem(message="there is no value here; remove the element", path=path))
        return None
    return scalar(value, path, report)


def _parents(value: Any, path: Path, report: Report) -> tuple[str, ...]:
    names = _words(value, path, report) or ()
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"{name!r} is listed twice; remove one"
            report(Problem(message=message, path=(*path, index)))
    return tuple(dict.fromkeys(names))


def _chooser(
    value: Any, path: Path, report: Report, others: Mapping[str, Decoder], choice: Decoder
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Decode a mapping whose keys are axes, except for `others`. Returns both; None if invalid."""
    axes: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, child, at in items(value, path, report):
        if key in others:
            decoded = others[key](child, at, report)
            if decoded is not None:
                rest[key] = decoded
        elif not key.startswith(OWN_KEYS):
            # Most values are one plain name.
            plain = type(child) is str and child.isalnum() and choice is _choice
            axes[key] = (child,) if plain else choice(child, at, report)
            if axes[key] is None and choice is _choice:
                del axes[key]
    return (axes, rest) if isinstance(value, dict) else None


def _entry(value: Any, path: Path, report: Report) -> Entry | None:
    parts = _chooser(
        value, path, report, {"recipe": _choice, "build_args": _optional_args}, _choice
    )
    return None if parts is None else Entry(axes=parts[0], **parts[1])


def _exclude(value: Any, path: Path, report: Report) -> Exclude | None:
    parts = _chooser(value, path, report, {"recipe": _choice, "reason": _optional_text}, _choice)
    if parts is None:
        return None
    if "reason" not in parts[1]:
        report(missing_key("reason", path))
    return Exclude(axes=parts[0], **({"reason": ""} | parts[1]))


def _alias(value: Any, path: Path, report: Report) -> Alias | None:
    parts = _chooser(value, path, report, {"recipe": _optional_text}, _optional_text)
    return None if parts is None else Alias(axes=parts[0], **parts[1])


def _aliased(value: Any, path: Path, report: Report) -> Alias | tuple[Alias, ...] | None:
    if not isinstance(value, list):
        return _alias(value, path, report)
    if not value:
        message = "the list is empty; add a combination or remove the key"
        report(Problem(message=message, path=path))
    # A placeholder for what is invalid, so that later elements keep their index.
    found = (_alias(child, at, report) for child, at in elements(value, path, report))
    return tuple(Alias() if alias is None else alias for alias in found)


def _optional_text(value: Any, path: Path, report: Report) -> str | None:
    return None if is_null(value) else scalar(value, path, report)


def _optional_args(value: Any, path: Path, report: Report) -> dict[str, str] | None:
    return None if is_null(value) else _build_args(value, path, report)


SPECIAL: dict[Any, Decoder] = {
    BuildArgs: _build_args,
    Words: _words,
    Parents: _parents,
    ArgName: _arg_name,
    Entry: _entry,
    Exclude: _exclude,
    Aliased: _aliased,
} | cloudbuild.SPECIAL


def names_an_axis(rule: Exclude) -> bool:
    """Whether a rule names an axis or a recipe."""
    return bool(rule.axes) or rule.recipe is not None
