"""Path patterns of Docker: COPY and .dockerignore.

The syntax is Go's (pkg.go.dev/path/filepath#Match); .dockerignore extends it
(docs.docker.com/build/concepts/context/#dockerignore-files). A path is a tuple of its parts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

Parts = tuple[str, ...]

CLASS = r"\[\^?(?:\\.|[^\]\\])+\]"
TOKEN = rf"(?s:\*\*/?|\*|\?|\\.|{CLASS}|.)"
"""The tokens of a pattern: a wildcard, an escaped character, a class, any other character."""

WITHIN = {"*": "[^/]*", "**": "[^/]*", "?": "[^/]"}
"""The regular expressions of wildcards in COPY; they match within one part of a path."""

ACROSS = {"*": "[^/]*", "**/": "(?:.*/)?", "**": ".*", "?": "[^/]"}
"""The regular expressions of wildcards in .dockerignore; `**` matches across folders."""


class Source(msgspec.Struct, frozen=True):
    """A path or glob of COPY; a folder includes everything in it."""

    parts: tuple[re.Pattern[str], ...]
    """One pattern per part of the path."""

    def leads_to(self, path: Parts) -> bool:
        """Whether a path matches, is below a match, or may contain one."""
        return all(part.fullmatch(name) for part, name in zip(self.parts, path, strict=False))

    def names(self, path: Parts) -> bool:
        """Whether a path matches or is below a match."""
        return len(path) >= len(self.parts) and self.leads_to(path)


class Ignore(msgspec.Struct, frozen=True):
    """The rules of a .dockerignore; the last rule that matches a path applies."""

    rules: tuple[tuple[bool, re.Pattern[str]], ...] = ()
    """Each rule: whether it excludes (False for an exception), and its pattern."""

    @property
    def has_exceptions(self) -> bool:
        """Whether a file in an excluded folder may still be included."""
        return not all(out for out, _ in self.rules)

    def leaves_out(self, path: Parts) -> bool:
        """Whether a path is excluded. `.git` always is, because it differs in every checkout."""
        return ".git" in path or self.names(path)

    def names(self, path: Parts) -> bool:
        """Whether the rules exclude a path, which is all that a builder considers."""
        # A pattern that matches a folder matches everything in it.
        folders = ["/".join(path[:length]) for length in range(1, len(path) + 1)]
        excluded = False
        for out, pattern in self.rules:
            if any(pattern.fullmatch(folder) for folder in folders):
                excluded = out
        return excluded


def source(glob: str) -> Source | None:
    """Parse a source of COPY; None if the pattern is invalid, such as "["."""
    parts = [_pattern(part, WITHIN) for part in _clean(glob).split("/") if part]
    valid = tuple(part for part in parts if part is not None)
    return Source(valid) if len(valid) == len(parts) else None


def ignore(text: str) -> Ignore:
    """Parse a .dockerignore. Invalid patterns, which Docker rejects, are skipped."""
    return Ignore(tuple(_rules(text.removeprefix("\ufeff"))))


def _rules(text: str) -> Iterator[tuple[bool, re.Pattern[str]]]:
    for line in text.splitlines():
        rule = line.strip()
        glob = _clean(rule.removeprefix("!").strip())
        pattern = _pattern(glob, ACROSS)
        # A comment starts in the first column. Docker ignores "." for historical reasons.
        if glob and pattern is not None and not line.startswith("#"):
            yield not rule.startswith("!"), pattern


def _clean(path: str) -> str:
    """Return a path relative to the context's root; like Docker, `..` cannot leave it."""
    return posixpath.normpath(f"/{path}").strip("/")


def _pattern(glob: str, wildcards: dict[str, str]) -> re.Pattern[str] | None:
    pieces = re.findall(TOKEN, glob)
    # An unclosed class, or a trailing backslash.
    if "[" in pieces or "\\" in pieces:
        return None
    try:
        return re.compile("".join(_piece(piece, wildcards) for piece in pieces), re.DOTALL)
    except re.error:
        return None


def _piece(piece: str, wildcards: dict[str, str]) -> str:
    """Return a token of a pattern as a regular expression."""
    if piece in wildcards:
        return wildcards[piece]
    if len(piece) == 1 or piece[0] == "\\":
        return re.escape(piece[-1])
    inside = re.findall(r"\\.|.", piece[1:-1].removeprefix("^"), re.DOTALL)
    escaped = "".join("-" if part == "-" else re.escape(part[-1]) for part in inside)
    return f"[{'^' if piece[1] == '^' else ''}{escaped}]"
