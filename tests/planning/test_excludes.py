"""A rule without one of the combinations that it matches."""

import itertools

import pytest

from imagekit.config.schema import Exclude
from imagekit.planning.excludes import all_but
from imagekit.planning.matrix import Combination

AXES = ("os", "python", "gpu")
EVERY = [
    Combination(values=values, recipe=recipe)
    for values in itertools.product("ab", "12", (None, "x"))
    for recipe in ("one", "two")
]


def matches(rule, combination):
    values = dict(zip(AXES, combination.values, strict=True)) | {"recipe": combination.recipe}
    chosen = {**rule.axes, **({} if rule.recipe is None else {"recipe": rule.recipe})}
    return all(values[name] in names for name, names in chosen.items())


RULES = [
    Exclude(axes={"os": ("a",)}, reason="r"),
    Exclude(axes={"os": ("a", "b"), "gpu": (None,)}, reason="r"),
    Exclude(axes={"python": ("1",)}, recipe=("one",), reason="r"),
    Exclude(axes={"os": ("b",), "python": ("2", "1"), "gpu": ("x",)}, reason="r"),
]


@pytest.mark.parametrize("rule", RULES)
def test_every_other_combination_is_still_matched(rule):
    matched = [c for c in EVERY if matches(rule, c)]
    for combination in matched:
        others = [c for c in matched if c != combination]
        rules = all_but(rule, combination, others, AXES)
        assert [c for c in EVERY if any(matches(r, c) for r in rules)] == others
        assert all(any(matches(r, c) for c in others) for r in rules)
        assert {r.reason for r in rules} == {"r"}


def test_a_rule_for_one_combination_leaves_nothing():
    rule = Exclude(axes={"os": ("a",), "python": ("1",), "gpu": (None,)}, reason="r")
    assert all_but(rule, EVERY[0], [], AXES) == ()
