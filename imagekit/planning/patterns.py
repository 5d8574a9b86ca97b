"""Tag patterns: text with axes and other placeholders in braces."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from imagekit.errors import did_you_mean, listed

Picker = Callable[[tuple[str | None, ...]], tuple[str | None, ...]]

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SEPARATORS = "-_."
"""The characters of which one goes with a placeholder that has no value."""

AT_BUILD = ("date", "commit")
"""Placeholders with values that only the build knows. In tags of the plan they stay in braces."""


NO_AXES = (*AT_BUILD, "recipe")
"""Placeholders that name no axis."""


def misnamed(placeholder: str, axes: Sequence[str], available: Iterable[str]) -> str:
    """Return why a placeholder names nothing, with what may be meant; empty if it names something.

    `available` are the names to list if none is close.
    """
    axis, dot, _ = placeholder.partition(".")
    if axis in NO_AXES:
        return f"{{{axis}}} has no build args; write {{{axis}}}" if dot else ""
    if axis in axes:
        return ""
    near = did_you_mean(axis, (*axes, *NO_AXES))
    return f"unknown axis {{{axis}}}{near or f'; available: {listed(map(_braced, available))}'}"


def _braced(name: str) -> str:
    return f"{{{name}}}"


class Pattern(msgspec.Struct, frozen=True, eq=False):
    """A tag pattern for a set of axes, prepared to be filled with values quickly."""

    text: str
    """The text, with `%s` for each value and `%%` for a percent sign."""
    indexes: tuple[int, ...]
    """For each value, the index of its axis."""
    pick: Picker
    """Picks these values."""
    lookups: dict[int, dict[str, str]]
    """For a build arg, by its place among the values: the text for each value of the axis."""
    start: int
    """The index of the tag, behind the repository's short name."""

    @classmethod
    def of(
        cls,
        pattern: str,
        recipe: str,
        repository: str,
        axes: tuple[str, ...],
        present: set[str],
        values: Callable[[str], Mapping[str, Mapping[str, str]]],
    ) -> Pattern:
        """Prepare a pattern for the axes that are present.

        A placeholder of another axis is left out, with one separator: the one before it, or else
        the one after it. `values` returns the build args of each value of an axis.
        """
        indexes: list[int] = []
        lookups: dict[int, dict[str, str]] = {}
        text = f"{_literal(repository)}:" if repository else ""
        start = len(text)
        dropped = False
        for index, part in enumerate(PLACEHOLDER.split(pattern)):
            axis, _, arg = part.partition(".")
            if index % 2 == 0:
                literal = part[1:] if dropped and part[:1] in tuple(SEPARATORS) else part
                text += _literal(literal)
                dropped = False
            elif part in AT_BUILD:
                text += f"{{{part}}}"
            elif part == "recipe":
                text += _literal(recipe)
            elif axis not in present:
                if len(text) > start and text[-1] in SEPARATORS:
                    text = text[:-1]
                else:
                    dropped = len(text) == start
            else:
                if arg:
                    lookups[len(indexes)] = _texts(values(axis), arg)
                indexes.append(axes.index(axis))
                text += "%s"
        return cls(text, tuple(indexes), picker(indexes), lookups, start)

    def after(self, prefix: str) -> Pattern:
        """Return the pattern with a text before the tag, instead of the repository's short name."""
        before = f"{_literal(prefix)}:"
        text = before + self.text[self.start :]
        return msgspec.structs.replace(self, text=text, start=len(before))

    def fill(self, values: tuple[str | None, ...]) -> str:
        """Return the tag of an image with these values of the axes."""
        if not self.lookups:
            return self.text % self.pick(values)
        chosen = [values[index] for index in self.indexes]
        for place, texts in self.lookups.items():
            chosen[place] = texts.get(chosen[place] or "", "")
        return self.text % tuple(chosen)


def picker(indexes: Sequence[int]) -> Picker:
    """Return a function that picks values of axes."""
    if len(indexes) > 1:
        return operator.itemgetter(*indexes)
    # An itemgetter of one index would return its value alone.
    return operator.itemgetter(slice(indexes[0], indexes[0] + 1) if indexes else slice(0))


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _texts(values: Mapping[str, Mapping[str, str]], arg: str) -> dict[str, str]:
    return {value: args.get(arg, "") for value, args in values.items()}
