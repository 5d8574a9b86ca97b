"""Tag patterns: text with axes and other placeholders in braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import msgspec

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SEPARATORS = "-_."
"""The characters of which one goes with a placeholder that has no value."""

AT_BUILD = ("date", "commit")
"""Placeholders with values that only the build knows. In tags of the plan they stay in braces."""


class Pattern(msgspec.Struct, frozen=True, eq=False):
    """A tag pattern for a set of axes, prepared to be filled with values quickly."""

    text: str
    """A format string: a number stands for the value of the axis with this index."""
    lookups: tuple[tuple[int, dict[str, str]], ...] = ()
    """Build args: the index of an axis, and a text for each of its values. They follow the axes."""

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
        lookups: list[tuple[int, dict[str, str]]] = []
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
                text += f"{{{{{part}}}}}"
            elif part == "recipe":
                text += _literal(recipe)
            elif axis not in present:
                if len(text) > start and text[-1] in SEPARATORS:
                    text = text[:-1]
                else:
                    dropped = len(text) == start
            elif arg:
                lookups.append((axes.index(axis), _texts(values(axis), arg)))
                text += f"{{{len(axes) + len(lookups) - 1}}}"
            else:
                text += f"{{{axes.index(axis)}}}"
        return cls(text, tuple(lookups))

    def after(self, prefix: str) -> Pattern:
        """Return the pattern with a text before the tag, instead of the repository's short name."""
        tag = self.text.rpartition(":")[2]
        return Pattern(f"{_literal(prefix)}:{tag}", self.lookups)

    def fill(self, values: tuple[str | None, ...]) -> str:
        """Return the tag of an image with these values of the axes."""
        if self.lookups:
            more = (texts.get(values[index] or "", "") for index, texts in self.lookups)
            return self.text.format(*values, *more)
        return self.text.format(*values)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _texts(values: Mapping[str, Mapping[str, str]], arg: str) -> dict[str, str]:
    return {value: args.get(arg, "") for value, args in values.items()}
