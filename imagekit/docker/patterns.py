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


MAX_STEPS = 100_000
"""The maximum number of steps of a regular expression: characters to the power of its wildcards."""


class Glob:
    """A pattern of a path, or of a part of one.

    A regular expression is fast, but with many wildcards it tries every way to divide a text among
    them. Docker's matching does not, so for such a text the pattern is a machine that reads each
    character once and holds all states at which the pattern may be, as bits of a number.
    """

    def __init__(self, pieces: list[str], wildcards: dict[str, str]) -> None:
        self.pieces = _merged(pieces)
        self.wildcards = wildcards
        pattern = "".join(_piece(piece, wildcards) for piece in self.pieces)
        self.pattern = re.compile(pattern, re.DOTALL)
        self.number = sum(piece in wildcards and piece != "?" for piece in self.pieces)
        self._states: list[str] = []
        self._by_character: dict[str, tuple[int, int]] = {}

    def fullmatch(self, text: str) -> bool:
        """Whether the whole text matches."""
        if self.number < 2 or len(text) ** self.number <= MAX_STEPS:
            return self.pattern.fullmatch(text) is not None
        return self._run(text)

    def _run(self, text: str) -> bool:
        if not self._states:
            self._states = [part for piece in self.pieces for part in _parts(piece)]
        # From a wildcard, the next state is reached without a character; from **/ the one after.
        skips = [sum(1 << n for n, s in enumerate(self._states) if s in kind) for kind in SKIPPED]
        states = _reached(1, *skips)
        for character in text:
            if character not in self._by_character:
                self._by_character[character] = self._moves(character)
            forward, stay = self._by_character[character]
            states = _reached((states & forward) << 1 | (states & stay), *skips)
            if not states:
                return False
        return bool(states >> len(self._states) & 1)

    def _moves(self, character: str) -> tuple[int, int]:
        """The states that a character leads on from, and those that it stays in."""
        forward = stay = 0
        for number, state in enumerate(self._states):
            if state in STAYING:
                is_across = state == WITHIN_FOLDERS or self.wildcards.get(state) == ".*"
                stay |= (is_across or character != "/") << number
                forward |= (state == WITHIN_FOLDERS and character == "/") << number
            elif state != "**/":
                piece = _piece(state, self.wildcards)
                forward |= (re.fullmatch(piece, character, re.DOTALL) is not None) << number
        return forward, stay


WITHIN_FOLDERS = "/**/"
"""The second of the two states of `**/`, in which it has begun."""
STAYING = ("*", "**", WITHIN_FOLDERS)
"""States that a character may stay in."""
SKIPPED = (("*", "**", "**/"), ("**/",))
"""States that are left without a character: for the next one, and for the one after it."""


def _parts(piece: str) -> list[str]:
    return [piece, WITHIN_FOLDERS] if piece == "**/" else [piece]


def _merged(pieces: list[str]) -> list[str]:
    """The tokens of a pattern without those that add nothing to the one before."""
    merged: list[str] = []
    for piece in pieces:
        before = merged[-1] if merged else ""
        if piece in ("*", "**") and before in ("*", "**"):
            # In COPY both are the same; in .dockerignore, one of them crosses folders.
            merged[-1] = max(before, piece)
        elif piece != before or piece != "**/":
            merged.append(piece)
    return merged


def _reached(states: int, one: int, two: int) -> int:
    """All states that are reached from these without a character."""
    while True:
        further = states | (states & one) << 1 | (states & two) << 2
        if further == states:
            return states
        states = further


class Source(msgspec.Struct, frozen=True):
    """A path or glob of COPY; a folder includes everything in it."""

    parts: tuple[Glob, ...]
    """One pattern per part of the path."""

    def leads_to(self, path: Parts) -> bool:
        """Whether a path matches, is below a match, or may contain one."""
        return all(part.fullmatch(name) for part, name in zip(self.parts, path, strict=False))

    def names(self, path: Parts) -> bool:
        """Whether a path matches or is below a match."""
        return len(path) >= len(self.parts) and self.leads_to(path)


class Ignore(msgspec.Struct, frozen=True):
    """The rules of a .dockerignore; the last rule that matches a path applies."""

    rules: tuple[tuple[bool, Glob], ...] = ()
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


def _rules(text: str) -> Iterator[tuple[bool, Glob]]:
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


def _pattern(glob: str, wildcards: dict[str, str]) -> Glob | None:
    pieces = re.findall(TOKEN, glob)
    # An unclosed class, or a trailing backslash.
    if "[" in pieces or "\\" in pieces:
        return None
    try:
        return Glob(pieces, wildcards)
    except re.error:
        return None


def _piece(piece: str, wildcards: dict[str, str]) -> str:
    """Return a token of a pattern as a regular expression."""
    if piece in wildcards:
        return wildcards[piece]
    if len(piece) == 1 or piece[0] == "\\":
        return re.escape(piece[-1])
    inside = re.findall(r"\\.|.", piece[1:-1].removeprefix("^"), re.DOTALL)
    escaped = "".join(_members(inside))
    return f"[{'^' if piece[1] == '^' else ''}{escaped}]"


def _members(parts: list[str]) -> Iterator[str]:
    """The characters and ranges of a class, such as a-c, with everything else escaped."""
    at = 0
    while at < len(parts):
        begin = re.escape(parts[at][-1])
        is_range = parts[at + 1 : at + 2] == ["-"] and at + 2 < len(parts)
        yield f"{begin}-{re.escape(parts[at + 2][-1])}" if is_range else begin
        at += 3 if is_range else 1
