"""What a Dockerfile says: its ARGs, the paths it copies, and its base image."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping

import msgspec

from imagekit.docker.parser import Instruction, expanded, instructions, shell_words, unquoted

PREDEFINED_ARGS = {
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"),
    *("SOURCE_DATE_EPOCH", "BUILDKIT_INLINE_CACHE", "BUILDKIT_CONTEXT_KEEP_GIT_DIR"),
}
"""Build args that every Dockerfile accepts without declaring them."""


def context_sources(dockerfile: str) -> list[str]:
    """Return the paths or globs that a Dockerfile reads from its context; "." is all of it."""
    sources: list[str] = []
    for one in instructions(dockerfile):
        # A trigger runs in the stages that are built on this one.
        while one.name == "ONBUILD" and one.rest:
            one = next(iter(instructions(one.rest)), one)  # noqa: PLW2901 - nested
            if one.name == "ONBUILD":
                break
        if one.name in ("COPY", "ADD"):
            sources += _copied(one)
        elif one.name == "RUN":
            sources += _mounted(one)
    return sources


def _copied(one: Instruction) -> Iterator[str]:
    if any(flag.startswith("--from=") for flag in one.flags):
        return
    for word in one.words[:-1]:
        if not one.is_json and re.match(r"\d*<<", word):
            continue
        path = word if one.is_json else unquoted(word, one.escape)
        if not re.match(r"\w+://|git@", path):
            yield _source(path, word)


def _mounted(one: Instruction) -> Iterator[str]:
    for flag in one.flags:
        name, _, value = flag.partition("=")
        if name != "--mount":
            continue
        pairs = (part.partition("=") for part in _fields(value))
        options = {key.strip().lower(): text for key, _, text in pairs}
        if options.get("type", "bind") == "bind" and "from" not in options:
            source = options.get("source", options.get("src", "."))
            yield _source(source, source)


def _fields(value: str) -> list[str]:
    import csv  # Not at the top: few Dockerfiles have mounts.

    try:
        return next(csv.reader([value]), [])
    except csv.Error:
        # Such as a line break of an old Mac; Docker says what is wrong with it.
        return []


def _source(path: str, word: str) -> str:
    """A path of the context; with a variable it may be any."""
    return "." if "$" in word else path.lstrip("/") or "."


def declared_args(dockerfile: str) -> set[str]:
    """Return the build args that a Dockerfile accepts; Docker silently ignores any other."""
    return {name for name, _, _ in _args(dockerfile)} | PREDEFINED_ARGS


def default_args(dockerfile: str) -> dict[str, str]:
    """Return the defaults of a Dockerfile's build args by name, without those that have none."""
    return {name: value for name, equals, value in _args(dockerfile) if equals}


@functools.lru_cache(maxsize=1)
def _parsed(dockerfile: str) -> tuple[Instruction, ...]:
    """The instructions of a Dockerfile, of which several things are asked one after another."""
    return tuple(instructions(dockerfile))


def _args(dockerfile: str) -> Iterator[tuple[str, str, str]]:
    for one in _parsed(dockerfile):
        if one.name == "ARG":
            for word in shell_words(one.rest, one.escape):
                name, equals, value = word.partition("=")
                yield unquoted(name, one.escape), equals, unquoted(value, one.escape)


def base_of(dockerfile: str, args: Mapping[str, str], target: str | None = None) -> str | None:
    """Return the base image of a stage, by default the last, with its build args substituted.

    None if there is no such stage, or if its base depends on what only the build knows.
    """
    values: dict[str, str] = {}
    stages: dict[str, str | None] = {}
    number = 0
    for one in instructions(dockerfile):
        if one.name == "ARG" and number == 0:
            for word in shell_words(one.rest, one.escape):
                name, _, default = word.partition("=")
                value = args.get(name, expanded(default, values, one.escape))
                if value is not None:
                    values[name] = value
        elif one.name == "FROM":
            image = expanded(one.words[0], values, one.escape) if one.words else None
            base = stages.get((image or "").lower(), image) or None
            stages |= dict.fromkeys(_names(one, number), base)
            number += 1
    wanted = str(number - 1) if target is None else target.lower()
    return stages.get(wanted)


def _names(one: Instruction, number: int) -> list[str]:
    """The names of the stage that a FROM begins: its number, and the one that it is given."""
    is_named = len(one.words) == len(("image", "AS", "name"))
    return [str(number), one.words[2].lower()] if is_named else [str(number)]


class Stage(msgspec.Struct, frozen=True):
    """What the base image of a stage is made of."""

    without_default: frozenset[str] = frozenset()
    """The build args without a default that it needs."""
    undeclared: frozenset[str] = frozenset()
    """The variables that no ARG before the first FROM declares."""


def stages(dockerfile: str) -> dict[str, Stage]:
    """Return the stages of a Dockerfile by number and by name, in lower case, in their order."""
    declared: dict[str, bool] = {}
    found: dict[str, Stage] = {}
    number = 0
    for one in _parsed(dockerfile):
        if one.name == "ARG" and number == 0:
            for word in shell_words(one.rest, one.escape):
                name, equals, _ = word.partition("=")
                declared[name] = bool(equals) or declared.get(name, False)
        elif one.name == "FROM":
            image = one.words[0] if one.words else ""
            used = {match[1] or match[2] for match in re.finditer(VARIABLE, image)}
            without = (name for name in used if declared.get(name) is False)
            others = (name for name in used - declared.keys() if not re.fullmatch(PLATFORM, name))
            own = Stage(frozenset(without), frozenset(others))
            stage = found.get(image.lower(), own)
            found |= dict.fromkeys(_names(one, number), stage)
            number += 1
    return found


VARIABLE = r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})"
"""A variable in an image's name, without an operation that gives it a value."""
PLATFORM = "(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)"
"""Build args that every build has (docs.docker.com/reference/dockerfile, "Automatic platform ARGs
in the global scope")."""
