"""Check a decoded config: names that must exist, and valid values."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from imagekit.config import check_cloudbuild, cloudbuild
from imagekit.config.schema import (
    SECTION,
    Alias,
    Config,
    Entry,
    Exclude,
    names_an_axis,
)
from imagekit.docker.names import invalid_reason, is_base
from imagekit.errors import Path, Problem, did_you_mean, listed
from imagekit.support.decode import unknown_key

RESERVED = {
    *("recipe", "build_args", "reason", "status", "tag", "aliases", "parent", "dockerfile"),
    *("test", "repository", "date", "commit"),
}
"""Names that an axis cannot have: keys of entries, columns of the matrix, parts of tags."""


def check(config: Config) -> Iterator[Problem]:
    """Yield the problems of a config: unknown names, invalid values, unused substitutions."""
    if not config.images:
        message = "'images' is missing or empty, so there is nothing to build"
        yield Problem(message=message, path=("images",), caused_by=(("images",),))
    yield from _check_base_url(config.base_url)
    yield from _check_axes(config)
    known = {axis: config.axis(axis) for axis in config.axis_names()}
    for index, entry in enumerate(config.images):
        yield from _check_names(config, known, entry, ("images", index))
    for index, rule in enumerate(config.exclude):
        yield from _check_names(config, known, rule, ("exclude", index))
        if not names_an_axis(rule):
            message = "this rule names no axis, so it would exclude everything; name at least one"
            at = ("exclude", index)
            yield Problem(message=message, path=at, caused_by=(at,))
    for name in config.aliases:
        if ":" in name:
            message = f"{name!r} is not a tag: an alias is one in the repository of its image"
            hint = f"; write {name.rpartition(':')[2]!r}"
            yield Problem(message=message + hint, path=("aliases", name), on_key=True)
    for _, alias, path in config.each_alias():
        yield from _check_names(config, known, alias, path)
    yield from check_cloudbuild.check(config.cloudbuild)
    yield from _check_unused_substitutions(config)


def _check_axes(config: Config) -> Iterator[Problem]:
    for axis in config.axes:
        path: Path = ("axes", axis)
        section = SECTION.get(axis)
        if axis in RESERVED:
            message = f"{axis!r} has another meaning in a config; give the axis another name"
            yield Problem(message=message, path=path, on_key=True)
        elif not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", axis):
            message = (
                f"{axis!r} is not a valid name of an axis: use letters, digits, '_' and '-', "
                "and start with a letter"
            )
            yield Problem(message=message, path=path, on_key=True)
        elif section and getattr(config, section):
            message = f"the values of {axis!r} are in {section!r}, too; put them in one place"
            yield Problem(message=message, path=path, on_key=True, see=(section,))
        elif not config.axes[axis]:
            message = f"the axis {axis!r} has no values; add some or remove it"
            yield Problem(message=message, path=path, on_key=True, caused_by=(path,))
    for axis in config.axis_names():
        for name in config.axis(axis):
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                message = f"{name!r} cannot be part of a tag: use letters, digits, '_', '.' and '-'"
                yield Problem(message=message, path=(*config.section(axis), name), on_key=True)


def _check_unused_substitutions(config: Config) -> Iterator[Problem]:
    names = config.cloudbuild.substitutions
    if not names:
        return
    build_args = [args for axis in config.axis_names() for args in config.axis(axis).values()]
    build_args += [entry.build_args for entry in config.images]
    build_args += [recipe.build_args for recipe in config.recipes.values()]
    texts = [value for args in build_args for value in args.values()]
    used = {name for text in texts for name in cloudbuild.substituted(text, names)}
    for name in names:
        if name not in used:
            message = f"no build arg uses ${{{name}}}; use it or remove it"
            path = ("cloudbuild", "substitutions", name)
            yield Problem(message=message, path=path, on_key=True, severity="warning")


def _check_base_url(url: str | None) -> Iterator[Problem]:
    if url is not None and not is_base(url):
        yield Problem(message=f"{url!r} {invalid_reason(url)}", path=("base_url",))


def _check_names(
    config: Config,
    known: dict[str, dict[str, dict[str, str]]],
    chooser: Entry | Exclude | Alias,
    path: Path,
) -> Iterator[Problem]:
    for axis, choice in chooser.axes.items():
        if axis not in known:
            others = [name for name in chooser.__struct_fields__ if name != "axes"]
            names = dict.fromkeys([*known, *others])
            problem = unknown_key(axis, [*names], (*path, axis))
            # Without any axis, each key is unknown; what is wrong with 'axes' explains it.
            caused_by: tuple[Path, ...] = () if config.axes else (("axes",),)
            yield msgspec.structs.replace(problem, caused_by=caused_by)
            continue
        values = known[axis]
        for index, name in enumerate(choice if isinstance(choice, tuple) else (choice,)):
            if name is None or name in values:
                continue
            section = config.section(axis)
            where = section[0] if len(section) == 1 else f"axes.{axis}"
            has = f"; available: {listed(values)}" if values else ", which is missing or empty"
            message = f"{axis} {name!r} is not in '{where}'{did_you_mean(name, values) or has}"
            # A misspelled key in that section hides this problem.
            yield Problem(message=message, path=(*path, axis, index), caused_by=((*section, name),))
