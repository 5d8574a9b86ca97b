import pytest

from imagekit.errors import ConfigError
from imagekit.support import yaml_reader
from imagekit.support.yaml_reader import (
    CONFIG,
    Boolean,
    Date,
    Float,
    Form,
    Integer,
    Null,
    parse,
    plain,
)

TYPED = Form("a file", "'a'", typed=True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3.10", Float),
        ("1e3", Float),
        (".inf", Float),
        ("010", Integer),
        ("0x1F", Integer),
        ("12:30", Integer),
        ("yes", Boolean),
        ("y", Boolean),
        ("2026-01-31", Date),
        ("08", str),
        ("3.1.0", str),
        ("abc", str),
    ],
)
def test_what_a_scalar_without_quotes_is(text, kind):
    assert type(plain(text)) is kind
    assert type(parse(f"a: {text}".encode(), "f", TYPED).value["a"]) is kind
    assert type(parse(f"a: '{text}'".encode(), "f", TYPED).value["a"]) is str
    assert type(parse(f"a: !!str {text}".encode(), "f", TYPED).value["a"]) is str
    assert type(parse(f"a: {text}".encode(), "f").value["a"]) is str


def test_a_tag_says_what_a_scalar_is():
    value = parse(b'a: [!!int "3", !!float 3, ! 3, ~]', "f", TYPED).value["a"]
    assert [type(one) for one in value] == [Integer, Float, Integer, Null]


def test_numbers_of_json_are_as_they_are_written():
    value = parse(b'{"a": [3.10, 3, true, NaN]}', "f", TYPED).value["a"]
    assert value == ["3.10", "3", True, "NaN"]
    assert [type(one) for one in value] == [Float, Integer, bool, Float]


def test_merged_mappings_give_what_a_mapping_does_not_have():
    text = b"a: &a {x: 1, y: 2}\nb: {<<: [*a, {y: 3, z: 4}], x: 0}\nc: {<<: *a, <<: {w: 5}}"
    for form in (TYPED, CONFIG):
        value = parse(text, "f", form).value
        # What is merged comes first, wherever the merge key is.
        assert [*value["b"].items()] == [("x", "0"), ("y", "2"), ("z", "4")]
        assert [*value["c"].items()] == [("x", "1"), ("y", "2"), ("w", "5")]
        assert parse(b"a: &a {x: 1, <<: *a}", "f", form).value["a"] == {"x": "1"}
    assert parse(b"a: {'<<': {x: 1}}", "f").value["a"] == {"<<": {"x": "1"}}


def chain(length):
    """Mappings of which each merges the one before, and so has one key more."""
    lines = [f"- &a{n} {{{f'<<: *a{n - 1}, ' if n else ''}k{n}: v}}\n" for n in range(length)]
    return f"x:\n{''.join(lines)}a: {{<<: *a{length - 1}, last: v}}"


def test_merge_keys_cannot_stand_for_millions():
    with pytest.raises(ConfigError, match="the merge keys of this file stand for too many values"):
        parse(chain(2_000).encode(), "f")
    source = parse(chain(1_200).encode(), "f")
    assert len(source.value["a"]) == 1_201
    problem = yaml_reader.Problem(message="m", path=("a", "k0"))
    assert str(source.locate(problem)) == "f:2:12: m"


def test_a_mistake_in_a_merged_mapping_is_told_once():
    lines = [f"- &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)]
    text = "x-m:\n- &a0 {k: 1, k: 2}\n" + "\n".join(lines) + "\na: *a59\nb: *a59\nc: *a0"
    value = parse(text.encode(), "f").value
    found = [problem for name in "abc" for _, problem in value[name].all_problems()]
    assert [message for message, _, _ in found] == ["duplicate key 'k'; remove one"]
    assert value["a"] == {"k": "1"}


def test_merging_copies_as_many_keys_as_the_file_is_long(monkeypatch):
    monkeypatch.setattr(yaml_reader, "MAX_VALUES", 10)
    keys = ", ".join(f"k{n}: v" for n in range(9))
    many = f"a: &a {{{keys}}}\nb: [{'{<<: *a}, ' * 20}]"
    assert 10 < 9 * 20 < len(many)
    assert len(parse(many.encode(), "f").value["b"]) == 20
    with pytest.raises(ConfigError, match="the merge keys of this file"):
        parse(many.replace("{<<: *a}", "{<<: [*a,*a,*a,*a]}").encode(), "f", TYPED)


def test_the_place_of_a_merged_value_is_where_it_stands():
    source = parse(b"a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: {<<: [*a, 3]}\nd: {<<: x}", "f", TYPED)
    problem = yaml_reader.Problem(message="m", path=("b", "x"))
    assert str(source.locate(problem)) == "f:1:11: m"
    problem = yaml_reader.Problem(message="m", path=("c", "x"))
    assert str(source.locate(problem)) == "f:1:11: m"
    own = parse(b"a: &a {x: 1}\nb: {<<: *a, x: 2}", "f", TYPED)
    problem = yaml_reader.Problem(message="m", path=("b", "x"))
    assert str(own.locate(problem)) == "f:2:16: m"
    problem = yaml_reader.Problem(message="m", path=("d", "x"))
    assert str(source.locate(problem)) == "f:4:4: m"


def test_json_may_have_every_character_that_it_allows():
    assert parse('{"a": "\x7f\x85"}'.encode(), "f", TYPED).value == {"a": "\x7f\x85"}
    with pytest.raises(yaml_reader.ConfigError, match="is not allowed in a file"):
        parse(b'a: "\x7f"', "f", TYPED)
