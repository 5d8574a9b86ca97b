"""Check a decoded config: names that must exist, and valid values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imagekit.config import check_cloudbuild, cloudbuild
from imagekit.config.schema import (
    AXES,
    ORIGINAL_BASE_URL,
    SECTION,
    Combination,
    Config,
    Entry,
    Exclude,
    names_an_axis,
)
from imagekit.docker.names import invalid_reason, is_repository
from imagekit.errors import Path, Problem, did_you_mean


def check(config: Config) -> Iterator[Problem]:
    """Yield the problems of a config: unknown names, invalid values, unused substitutions."""
    if not config.images:
        message = "'images' is missing or empty, so there is nothing to build"
        yield Problem(message=message, path=("images",), caused_by=(("images",),))
    yield from _check_base_url(config.base_url)
    for axis in AXES:
        for name in config.axis(axis):
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                message = f"{name!r} cannot be part of a tag: use letters, digits, '_', '.' and '-'"
                yield Problem(message=message, path=(SECTION[axis], name), on_key=True)
    for index, entry in enumerate(config.images):
        yield from _check_names(config, entry, ("images", index))
    for index, rule in enumerate(config.exclude):
        yield from _check_names(config, rule, ("exclude", index))
        if not names_an_axis(rule):
            message = "this rule names no axis, so it would exclude everything; name at least one"
            at = ("exclude", index)
            yield Problem(message=message, path=at, caused_by=(at,))
    for name, alias in config.aliases.items():
        yield from _check_names(config, alias, ("aliases", name))
    yield from check_cloudbuild.check(config.cloudbuild)
    yield from _check_unused_substitutions(config)


def _check_unused_substitutions(config: Config) -> Iterator[Problem]:
    sections = [config.axis(axis) for axis in AXES]
    build_args = [args for section in sections for args in section.values()]
    build_args += [entry.build_args for entry in config.images]
    build_args += [recipe.build_args for recipe in config.recipes.values()]
    texts = [value for args in build_args for value in args.values()]
    names = config.cloudbuild.substitutions
    used = {name for text in texts for name in cloudbuild.substituted(text, names)}
    for name in names:
        if name not in used:
            message = f"no build arg uses ${{{name}}}; use it or remove it"
            path = ("cloudbuild", "substitutions", name)
            yield Problem(message=message, path=path, on_key=True, severity="warning")


def _check_base_url(url: str | None) -> Iterator[Problem]:
    if url is None:
        message = (
            f"'base_url' is not set: images are tagged {ORIGINAL_BASE_URL}, the original "
            "generator's default; set it here or pass --base-url"
        )
        yield Problem(message=message, severity="warning")
    elif not is_repository(url):
        yield Problem(message=f"{url!r} {invalid_reason(url)}", path=("base_url",))


def _check_names(
    config: Config, chooser: Entry | Exclude | Combination, path: Path
) -> Iterator[Problem]:
    for axis in AXES:
        choice = getattr(chooser, axis)
        known = config.axis(axis)
        names = choice if isinstance(choice, tuple) else (choice,)
        for index, name in enumerate(names):
            if name is None or name in known:
                continue
            has = f"; available: {', '.join(known)}" if known else ", which is missing or empty"
            message = (
                f"{axis} {name!r} is not in '{SECTION[axis]}'{did_you_mean(name, known) or has}"
            )
            # A misspelled key in that section hides this problem.
            at = (*path, axis, index)
            yield Problem(message=message, path=at, caused_by=((SECTION[axis], name),))
