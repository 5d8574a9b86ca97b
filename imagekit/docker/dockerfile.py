"""Read a Dockerfile: its instructions, ARGs, copied paths and base image.

Only the parts of the language that these need are supported
(docs.docker.com/reference/dockerfile).
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping

PREDEFINED_ARGS = {
    *("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"),
    *("SOURCE_DATE_EPOCH", "BUILDKIT_INLINE_CACHE", "BUILDKIT_CONTEXT_KEEP_GIT_DIR"),
}
"""Build args that every Dockerfile accepts without declaring them."""


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile and their arguments, with continued lines joined."""
    lines = (line for line in dockerfile.splitlines() if not re.match(r"\s*#", line))
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield word.upper(), rest.strip()


def context_sources(dockerfile: str) -> list[str]:
    """Return the paths or globs that a Dockerfile reads from its context; "." is all of it."""
    sources: list[str] = []
    for word, rest in instructions(dockerfile):
        if word in ("COPY", "ADD"):
            sources += _copied(rest)
        elif word == "RUN":
            sources += _mounted(rest)
    return sources


def _copied(rest: str) -> Iterator[str]:
    flags = re.match(r"(?:--[\w-]+(?:=\S+)?\s+)*", rest)
    after = rest[flags.end() :] if flags else rest
    if flags and "--from=" in flags[0]:
        return
    for word in _words(after)[:-1]:
        if word.startswith("<<") or re.match(r"\w+://|git@", word):
            continue
        # A variable may be any path in the context.
        yield "." if "$" in word else word.lstrip("/") or "."


def _words(text: str) -> list[str]:
    """Return the arguments of an instruction, from either its shell or its JSON form."""
    with contextlib.suppress(ValueError, RecursionError):
        words = json.loads(text)
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return words
    # Like Docker, treat invalid JSON as the shell form.
    return text.split()


def _mounted(rest: str) -> Iterator[str]:
    for mount in re.findall(r"--mount=(\S+)", rest):
        parts = (part.partition("=") for part in mount.split(","))
        options = {name: value for name, _, value in parts}
        kind = options.get("type", "bind")
        if kind == "bind" and "from" not in options:
            source = options.get("source", options.get("src", "."))
            yield "." if "$" in source else source.lstrip("/") or "."


def declared_args(dockerfile: str) -> set[str]:
    """Return the build args that a Dockerfile accepts; Docker silently ignores any other."""
    names = {
        name.partition("=")[0]
        for word, rest in instructions(dockerfile)
        if word == "ARG"
        for name in _split(rest)
    }
    return names | PREDEFINED_ARGS


def default_args(dockerfile: str) -> dict[str, str]:
    """Return the defaults of a Dockerfile's build args by name, without those that have none."""
    pairs = (
        words.partition("=")
        for word, rest in instructions(dockerfile)
        if word == "ARG"
        for words in _split(rest)
    )
    return {name: default for name, equals, default in pairs if equals}


def base_of(dockerfile: str, args: Mapping[str, str]) -> str | None:
    """Return the base image of a Dockerfile's last stage, with its build args substituted."""
    values: dict[str, str] = {}
    stages: dict[str, str] = {}
    base: str | None = None
    for word, rest in instructions(dockerfile):
        if word == "ARG" and base is None:
            name, _, default = rest.partition("=")
            values[name] = args.get(name, _split(default)[0] if default else "")
        elif word == "FROM":
            parts = [part for part in rest.split() if not part.startswith("--")]
            image = _filled("".join(parts[:1]), values)
            base = stages.get(image, image) or None
            if base and len(parts) == 3:
                stages[parts[2]] = base
    return base


def _split(text: str) -> list[str]:
    """Split into words and remove quotes; an unmatched quote is a normal character."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: values.get(m[1] or m[2], ""), text)
