"""Show the changes between two builds as table rows, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import msgspec

from imagekit.compare.changes import NOTHING, Changes, Difference
from imagekit.errors import counted, listed
from imagekit.support.markdown import code as _code
from imagekit.support.markdown import text as _text

MARKS = {"added": "+", "removed": "-", "changed": "~", "rebuilt": "↻", "build": "~"}
"""A glyph for each kind of change, so that nothing is told by colour alone."""
MARKED = {kind: f"{mark} {kind}" for kind, mark in MARKS.items()}
"""The kinds with their glyphs."""


class Row(msgspec.Struct, frozen=True):
    """One change as a table row."""

    kind: str
    """The kind of change: a key of MARKS."""
    image: str
    """The image; empty for the build as a whole."""
    what: str = ""
    """What differs."""
    before: str = ""
    """The old value."""
    after: str = ""
    """The new value."""

    @property
    def mark(self) -> str:
        """The kind with its symbol."""
        return MARKED[self.kind]


def rows(changes: Changes) -> Iterator[Row]:
    """One row per change: images added, removed, changed and rebuilt, then the build."""
    yield from (Row("added", name) for name in changes.added)
    yield from (Row("removed", name) for name in changes.removed)
    common = changes.common()
    yield from (Row("changed", f"{len(names)} images", what) for what, names in common.items())
    for name, differences in changes.changed.items():
        own = (difference for difference in differences if difference.shared not in common)
        yield from (_row("changed", name, difference) for difference in own)
    yield from (
        Row("rebuilt", n, f"because {cause} changed") for n, cause in changes.rebuilt.items()
    )
    yield from (_row("build", "", difference.excerpt()) for difference in changes.whole)


def _row(kind: str, name: str, difference: Difference) -> Row:
    if difference.before == difference.after:
        return Row(kind, name, difference.what)
    before, after = (NOTHING if v is None else v for v in (difference.before, difference.after))
    return Row(kind, name, difference.what, before, after)


def nothing(before: str, after: str, unknown: Sequence[str] = ()) -> str:
    """The message for two builds that are the same; `unknown` is that of the changes."""
    if unknown:
        return f"no known change between {before} and {after}; {not_known(unknown)}"
    return f"no change: {before} and {after} describe the same images"


def not_known(unknown: Sequence[str]) -> str:
    """What cannot be told of two builds, on one line."""
    is_one = len(unknown) == 1
    verb, text = ("is", "its text has") if is_one else ("are", "their texts have")
    return f"{listed(unknown)} {verb} not understood; {text} not changed"


def as_json(changes: Changes, before: str, after: str) -> str:
    """The changes as JSON; `build` has the differences outside the images."""
    values = msgspec.to_builtins(changes)
    values["build"] = values.pop("whole")
    if not changes.unknown:
        del values["unknown"]
    return json.dumps({"before": before, "after": after, **values}, indent=2, ensure_ascii=False)


def markdown(changes: Changes, before: str, after: str) -> str:
    """The changes for a pull request: a summary, a table, and the rebuilt images folded."""
    if not changes and changes.unknown:
        title = f"No known change between {_code(before)} and {_code(after)}."
        return f"{title} {_not_known(changes)}\n"
    if not changes:
        return f"No change: {_code(before)} and {_code(after)} describe the same images.\n"
    summary = ", ".join(changes.counts()) or changes.outside()
    title = f"**{summary}** from {_code(before)} to {_code(after)}"
    parts = [title]
    main = [row for row in rows(changes) if row.kind != "rebuilt"]
    if main:
        body = (
            f"| {row.mark} | {_code(row.image)} | {_text(row.what)} | {_code(row.before)} "
            f"| {_code(row.after)} |"
            for row in main
        )
        head = "| change | image | what | before | after |\n| --- | --- | --- | --- | --- |"
        parts.append("\n".join([head, *body]))
    for what, names in changes.common().items():
        title = f"{counted(len(names), 'image')}: {_text(what)}"
        parts.append(_folded(title, [", ".join(map(_code, names))]))
    if changes.rebuilt:
        lines = (
            f"- because {_code(cause)} changed: {', '.join(map(_code, names))}"
            for cause, names in changes.consequences().items()
        )
        number = counted(len(changes.rebuilt), "image")
        parts.append(_folded(f"{number} rebuilt as a consequence", list(lines)))
    if changes.unknown:
        parts.append(_not_known(changes))
    return "\n\n".join(parts) + "\n"


def _not_known(changes: Changes) -> str:
    text = _text(not_known(changes.unknown))
    return f"{text[:1].upper()}{text[1:]}."


def _folded(title: str, lines: list[str]) -> str:
    return "\n".join(["<details>", f"<summary>{title}</summary>", "", *lines, "", "</details>"])
