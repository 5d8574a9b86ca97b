"""Positions in JSON, checked against what stands there."""

import json

from hypothesis import given
from hypothesis import strategies as st

from imagekit.support.json_positions import positions

TEXT = st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_every_key_and_value_is_where_it_stands(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    decoder = json.JSONDecoder()

    def check(node, expected):
        assert decoder.raw_decode(text, node.start)[0] == expected
        if isinstance(expected, dict):
            assert list(node.keys) == list(expected)
            for key, (index, child) in node.keys.items():
                assert decoder.raw_decode(text, index)[0] == key
                check(child, expected[key])
        elif isinstance(expected, list):
            assert len(node.items) == len(expected)
            for child, item in zip(node.items, expected, strict=True):
                check(child, item)
        else:
            assert not node.keys
            assert not node.items

    check(positions(text), value)


def test_brackets_are_not_a_matter_of_recursion():
    node = positions("[" * 100_000 + "]" * 100_000)
    depth = 1
    while node.items:
        node, depth = node.items[0], depth + 1
    assert depth == 100_000
