import pytest

from imagekit.errors import ConfigError
from imagekit.support.aliases import stands_for
from imagekit.support.yaml_reader import Form, parse


def bomb(levels):
    lines = ["a0: &a0 [l, l, l, l, l, l, l, l, l, l]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_an_alias_counts_as_what_it_stands_for():
    inner = ["x", "y"]
    assert stands_for({"a": inner, "b": inner}) == 1 + 2 + 2 * 3
    assert stands_for([]) == 1
    ring = []
    ring.append(ring)
    assert stands_for(ring) == 1 + 1 + 1


def test_a_few_aliases_cannot_stand_for_billions():
    with pytest.raises(ConfigError, match="stand for too many values"):
        parse(bomb(20).encode(), "b.yaml", Form("a file", "'a'"))
    ring = "\nx-ring: &r [*r]\n"
    with pytest.raises(ConfigError, match="stand for too many values"):
        parse((bomb(20) + ring).encode(), "b.yaml", Form("a file", "'a'"))
    assert parse(bomb(5).encode(), "b.yaml", Form("a file", "'a'")).value["a1"]
