"""Exclude rules: which one applies to a combination first, and which never apply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from imagekit.config.schema import Choice, Config, Exclude, names_an_axis
from imagekit.errors import Path, Problem
from imagekit.planning.recipes import Recipes, Values

IDLE = "this rule matches no combination in 'images'"
"""The beginning of the message about a rule that does nothing."""


class Excludes:
    """The exclude rules of a config, indexed by axis value.

    A set of rules is an integer with a bit for each. The rules that match a combination are those
    that are in the sets of all its values, so that no rule is compared with it one by one.
    """

    def __init__(self, config: Config, recipes: Recipes) -> None:
        self.config = config
        self.recipes = recipes
        self.rules = config.exclude
        known = {*recipes.axes}
        fields = [*recipes.axes, "recipe"]
        choices = [
            {**rule.axes, **({} if rule.recipe is None else {"recipe": rule.recipe})}
            for rule in self.rules
        ]
        # A rule that names no axis, or only unknown ones, is a problem and matches nothing.
        usable = [
            bool((choice.keys() - {"recipe"}) & known or rule.recipe is not None)
            for choice, rule in zip(choices, self.rules, strict=True)
        ]
        self.tables: list[dict[str | None, int]] = []
        self.others: list[int] = []
        for field in fields:
            table: dict[str | None, int] = {}
            open_rules = 0
            for number, choice in enumerate(choices):
                if not usable[number]:
                    continue
                if field not in choice:
                    open_rules |= 1 << number
                for name in choice.get(field) or ():
                    table[name] = table.get(name, 0) | 1 << number
            self.others.append(open_rules)
            self.tables.append({name: bits | open_rules for name, bits in table.items()})
        self.matched = 0
        """The rules that match a combination."""
        self.applied = 0
        """The rules that match a combination first."""

    def matching(self, values: Values, recipe: str) -> int:
        """Return the rules that match a combination, as bits."""
        bits = self.tables[-1].get(recipe, self.others[-1])
        for table, others, value in zip(self.tables, self.others, values, strict=False):
            if not bits:
                break
            bits &= table.get(value, others)
        return bits

    def first(self, values: Values, recipe: str) -> Exclude | None:
        """Return the first rule that matches a combination, and note which rules match."""
        bits = self.matching(values, recipe)
        if not bits:
            return None
        lowest = bits & -bits
        self.matched |= bits
        self.applied |= lowest
        return self.rules[lowest.bit_length() - 1]

    def check(self, cells: Iterable[Any]) -> Iterator[Problem]:
        """Yield the problems of the rules; `cells` are those that the entries list."""
        matched = self.matched
        every = (1 << len(self.rules)) - 1
        if matched != every:
            for _, variant, values in ancestors(cells):
                matched |= self.matching(values, variant.name)
        covering = self._covering(cells) if self.matched & ~self.applied else {}
        for index, rule in enumerate(self.rules):
            at: Path = ("exclude", index)
            if not rule.reason.strip():
                message = "'reason' must not be empty; it is shown in the matrix"
                yield Problem(message=message, path=(*at, "reason"), caused_by=((*at, "reason"),))
            if names_an_axis(rule) and not matched >> index & 1:
                message = f"{IDLE}; fix or remove it"
                axes: list[Path] = [(*at, name) for name in (*rule.axes, "recipe")]
                sections = [self.config.section(axis) for axis in self.recipes.axes]
                caused_by = (*axes, ("images",), *sections)
                yield Problem(message=message, path=at, caused_by=caused_by)
            elif index in covering:
                message = (
                    "everything that this rule matches is already excluded by an earlier rule; "
                    "remove it"
                )
                see: Path = ("exclude", covering[index])
                yield Problem(message=message, path=at, see=see, severity="warning")

    def _covering(self, cells: Iterable[Any]) -> dict[int, int]:
        """The rules that never apply first, each with one that applies instead."""
        covered = self.matched & ~self.applied
        covering: dict[int, int] = {}
        for cell in cells:
            bits = self.matching(cell.combination.values, cell.combination.recipe)
            hidden = bits & covered
            while hidden:
                lowest = hidden & -hidden
                covering.setdefault(lowest.bit_length() - 1, (bits & -bits).bit_length() - 1)
                hidden ^= lowest
        return covering


def all_but(rule: Exclude, combination: Any, others: Iterable[Any], axes: Sequence[str]) -> Rules:
    """Return rules that match what a rule matches, but for one combination.

    `others` are the other combinations that the rule matches, so that no new rule matches none.
    """
    rules: list[Exclude] = []
    fixed: dict[str, Choice] = {}
    left = list(others)
    for place, axis in enumerate(axes):
        value = combination.values[place]
        rest = dict.fromkeys(other.values[place] for other in left)
        rest.pop(value, None)
        later = {name: names for name, names in rule.axes.items() if name not in (*fixed, axis)}
        if rest:
            chosen = {**fixed, axis: tuple(rest), **later}
            rules.append(Exclude(reason=rule.reason, axes=chosen, recipe=rule.recipe))
        fixed[axis] = (value,)
        left = [other for other in left if other.values[place] == value]
    if left:
        recipes = tuple(dict.fromkeys(other.recipe for other in left))
        rules.append(Exclude(reason=rule.reason, axes=fixed, recipe=recipes))
    return tuple(rules)


Rules = tuple[Exclude, ...]
"""Exclude rules."""


def ancestors(cells: Iterable[Any]) -> Iterator[tuple[Any, Any, Values]]:
    """Yield each ancestor of the cells' images once: the first cell, the variant, the values."""
    seen: dict[int, set[Any]] = {}
    for cell in cells:
        variant = cell.variant
        above = variant.parent if variant else None
        while above is not None:
            values = cell.combination.values
            key = above.pick(values)
            keys = seen.get(id(above))
            if keys is None:
                keys = seen[id(above)] = set()
            if key in keys:
                break
            keys.add(key)
            yield cell, above, above.narrow(values)
            above = above.parent
