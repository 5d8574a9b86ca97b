"""Patterns of paths as Docker reads them: those of COPY, and of .dockerignore.

They are Go's (pkg.go.dev/path/filepath#Match), and in .dockerignore also what
docs.docker.com/build/concepts/context/#dockerignore-files says. A path is a tuple of its parts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

Parts = tuple[str, ...]

CLASS = r"\[\^?(?:\\.|[^\]\\])+\]"
TOKEN = re.compile(rf"\*\*/?|\*|\?|\\.|{CLASS}|.", re.DOTALL)
"""The pieces of a pattern: wildcards, an escaped character, a class, any other character."""

WITHIN = {"*": "[^/]*", "**": "[^/]*", "?": "[^/]"}
"""What wildcards stand for in one part of a path."""

ACROSS = {"*": "[^/]*", "**/": "(?:.*/)?", "**": ".*", "?": "[^/]"}
"""What they stand for in a .dockerignore, where two stars go through folders."""


class Source(msgspec.Struct, frozen=True):
    """What a path or glob of COPY names; a folder stands for all that is in it."""

    parts: tuple[re.Pattern[str], ...]

    def leads_to(self, path: Parts) -> bool:
        """Whether a path is named, below what is named, or on the way to it."""
        return all(part.fullmatch(name) for part, name in zip(self.parts, path, strict=False))

    def names(self, path: Parts) -> bool:
        """Whether a path is named, or below what is named."""
        return len(path) >= len(self.parts) and self.leads_to(path)


class Ignore(msgspec.Struct, frozen=True):
    """What a .dockerignore leaves out: rules, of which the last that matches a path decides.

    Each is whether it leaves out, rather than being an exception, and what it matches.
    """

    rules: tuple[tuple[bool, re.Pattern[str]], ...] = ()

    @property
    def has_exceptions(self) -> bool:
        """Whether something in a folder that is left out may not be."""
        return not all(out for out, _ in self.rules)

    def leaves_out(self, path: Parts) -> bool:
        """Whether a path is left out. `.git` always is: no two checkouts have the same."""
        return ".git" in path or self.names(path)

    def names(self, path: Parts) -> bool:
        """Whether the rules leave out a path; a builder goes by nothing else."""
        # A pattern that matches a folder matches everything in it.
        folders = ["/".join(path[:length]) for length in range(1, len(path) + 1)]
        found = False
        for out, pattern in self.rules:
            if any(pattern.fullmatch(folder) for folder in folders):
                found = out
        return found


def source(glob: str) -> Source | None:
    """What a word of COPY names in the context; None where it is no pattern, as "[" is none."""
    parts = [_pattern(part, WITHIN) for part in _clean(glob).split("/") if part]
    sound = tuple(part for part in parts if part is not None)
    return Source(sound) if len(sound) == len(parts) else None


def ignore(text: str) -> Ignore:
    """The rules of a .dockerignore. A line that is no pattern, which Docker refuses, is none."""
    return Ignore(tuple(_rules(text.removeprefix("\ufeff"))))


def _rules(text: str) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for line in text.splitlines():
        rule = line.strip()
        glob = _clean(rule.removeprefix("!").strip())
        pattern = _pattern(glob, ACROSS)
        # A comment begins where its line does. "." means nothing, for historical reasons.
        if glob and pattern is not None and not line.startswith("#"):
            yield not rule.startswith("!"), pattern


def _clean(path: str) -> str:
    """A path from the context's root; Docker lets nobody climb out of it."""
    return posixpath.normpath(f"/{path}").strip("/")


def _pattern(glob: str, wildcards: dict[str, str]) -> re.Pattern[str] | None:
    pieces = TOKEN.findall(glob)
    # A class that does not end, and an escape of nothing.
    if "[" in pieces or "\\" in pieces:
        return None
    try:
        return re.compile("".join(_piece(piece, wildcards) for piece in pieces), re.DOTALL)
    except re.error:
        return None


def _piece(piece: str, wildcards: dict[str, str]) -> str:
    """One piece of a pattern as a regular expression."""
    if piece in wildcards:
        return wildcards[piece]
    if len(piece) == 1 or piece[0] == "\\":
        return re.escape(piece[-1])
    inside = re.findall(r"\\.|.", piece[1:-1].removeprefix("^"), re.DOTALL)
    escaped = "".join("-" if part == "-" else re.escape(part[-1]) for part in inside)
    return f"[{'^' if piece[1] == '^' else ''}{escaped}]"
