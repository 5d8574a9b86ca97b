"""Changes of a config's text: what they mean, and that nothing else of the file moves."""

import json

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.config import edit
from imagekit.config.schema import Alias, Exclude, config_from, dump
from imagekit.errors import UsageError
from imagekit.support.yaml_reader import parse
from tests.conftest import ROOT
from tests.properties.free_axes import free_configs
from tests.properties.strategies import plain

CONFIG = """\
# Ours.
base_url: h/r  # the repository

# The systems.
base_images:
  old: {BASE_IMAGE: a}   # until May
  new:
    BASE_IMAGE: b

# Pythons.
python_versions:
  py39: [PYTHON_VERSION=3.9]
gpu_versions: {cuda9: {CUDA: 9.0}, cuda10: {CUDA: 10.0}}
images:
  # Without a GPU.
  - base_image: [old, new]
    python: py39  # the only one
  - base_image: new
    python: py39
    gpu:
      - cuda9
      # The newest.
      - cuda10

exclude:
  - base_image: new
    gpu: cuda9
    # CUDA 9 is of 2017.
    reason: too old
  # Not yet.
  - {base_image: new, gpu: cuda10, reason: too new}

aliases: {cpu: {base_image: new, python: py39}}
"""


def loaded(text):
    config, problems = config_from(parse(text.encode(), "c.yaml"))
    assert not problems
    return config


def changed_lines(text):
    """The lines that are gone, and those that are new."""
    before, after = CONFIG.splitlines(), text.splitlines()
    return [x for x in before if x not in after], [x for x in after if x not in before]


def test_a_value_is_added_after_the_one_that_it_is_like():
    text = edit.add_value(CONFIG, "base_image", "mid", {"BASE_IMAGE": "m:1", "X": "a b"}, "old")
    assert changed_lines(text) == (
        ["  - base_image: [old, new]"],
        ['  mid: {BASE_IMAGE: m:1, X: "a b"}', "  - base_image: [old, mid, new]"],
    )
    assert text.index("until May") < text.index("mid:") < text.index("  new:")


def test_a_value_is_added_wherever_the_last_one_is_used():
    text = edit.add_value(CONFIG, "gpu", "cuda11", {})
    assert loaded(text).axis("gpu") == {**loaded(CONFIG).axis("gpu"), "cuda11": {}}
    assert changed_lines(text)[1][1:] == [
        *("      - cuda11", "  - {base_image: new, gpu: [cuda10, cuda11], reason: too new}")
    ]
    text = edit.add_value(CONFIG, "python", "py310", {"PYTHON_VERSION": "3.10"})
    assert loaded(text).images[0].axes["python"] == ("py39", "py310")
    assert "    python: [py39, py310]  # the only one\n" in text
    assert loaded(text).axis("python")["py310"] == {"PYTHON_VERSION": "3.10"}


def test_a_value_is_removed_with_what_is_only_about_it():
    text = edit.remove_value(CONFIG, "base_image", "new")
    assert changed_lines(text)[1] == ["  - base_image: [old]"]
    config = loaded(text)
    assert [*config.base_images] == ["old"]
    assert (len(config.images), config.exclude, config.aliases) == (1, (), {})
    for comment in ("# Ours.", "# Pythons.", "# Without a GPU.", "# until May"):
        assert comment in text


@pytest.mark.parametrize("name", ["cuda9", "cuda10"])
def test_an_element_of_a_list_is_removed_with_its_comma_or_line(name):
    config = loaded(edit.remove_value(CONFIG, "gpu", name))
    (left,) = {"cuda9", "cuda10"} - {name}
    assert [*config.gpu_versions] == [left]
    assert config.images[1].axes["gpu"] == (left,)
    assert [rule.axes["gpu"] for rule in config.exclude] == [(left,)]


def test_a_rule_is_added_below_the_others():
    rule = Exclude(axes={"python": ("py39",), "gpu": (None,)}, reason="no: more")
    assert changed_lines(edit.exclude(CONFIG, rule)) == (
        [],
        ["  - python: py39", "    gpu: null", '    reason: "no: more"'],
    )


@pytest.mark.parametrize(
    "text", ["images:\n  - {python: a}\naliases: {}\n", "images: [{python: a}]", '{"images": [{}]}']
)
def test_the_first_rule_comes_after_the_images(text):
    rule = Exclude(axes={"python": ("a", None)}, recipe=("cpu",), reason="why")
    assert loaded(edit.exclude(text, rule)).exclude == (rule,)


RULE = """\
exclude:
  - base_image: [old, new]  # both
    # CUDA 9 is of 2017.
    gpu: cuda9
    reason: |
      too old
      # no comment
    x-ticket: 12  # ours
  # Not yet.
  - {base_image: new, gpu: cuda10, reason: too new}
"""


def test_a_rule_becomes_several_and_keeps_what_is_its_own():
    reason = "too old\n# no comment\n"
    first = Exclude(axes={"base_image": ("old",), "gpu": ("cuda9",)}, reason=reason)
    axes = {"base_image": ("new",), "python": ("py39",), "gpu": ("cuda9",)}
    text = edit.include(RULE, 0, [first, Exclude(axes=axes, reason=reason)])
    assert text.startswith(
        """\
exclude:
  - base_image: old  # both
    # CUDA 9 is of 2017.
    gpu: cuda9
    reason: |
      too old
      # no comment
    x-ticket: 12  # ours
  - base_image: new
    python: py39
    gpu: cuda9
    reason: "too old\\n# no comment\\n"
  # Not yet.
"""
    )
    narrower = Exclude(axes={**first.axes, "python": ("py39", None)}, recipe=("x",), reason=reason)
    lines = edit.include(RULE, 0, [narrower]).splitlines()
    assert lines[1:6] == [
        *("  - base_image: old  # both", "    # CUDA 9 is of 2017.", "    gpu: cuda9"),
        *("    python: [py39, null]", "    recipe: x"),
    ]
    assert edit.include(RULE, 1, []) == RULE.replace(RULE.splitlines(keepends=True)[-1], "")
    changed = edit.include(RULE, 1, [Exclude(axes={"gpu": ("cuda10",), "os": ("a",)}, reason="x")])
    assert "  - {base_image: new, gpu: cuda10, os: a, reason: too new}\n" in changed


def test_an_entry_is_added_and_a_recipe_is_removed():
    text = edit.add_entry(CONFIG, {"base_image": "old", "python": "py39"}, "cpu")
    assert "  - {base_image: old, python: py39, recipe: cpu}\n\nexclude:" in text
    assert edit.add_entry("images: [{a: b}]", {"a": "c"}, None) == "images: [{a: b}, {a: c}]"
    text = "images:\n  - {a: b, recipe: [x, y]}\n  - {a: b, recipe: x}\n"
    assert edit.remove_recipe(text, 0, "x") == text.replace("[x, y]", "[y]")
    assert edit.remove_recipe(text, 1, "x") == "images:\n  - {a: b, recipe: [x, y]}\n"


def test_everything_of_a_section_goes_with_its_key():
    assert "exclude" not in edit.remove_entries(CONFIG, "exclude", [1, 0])
    assert loaded(edit.remove_entries(CONFIG, "exclude", [1, 0])).aliases
    assert edit.remove_entries(CONFIG, "absent", [0]) == CONFIG
    assert edit.remove_aliases(CONFIG, [("aliases",), ("images", 0)]) == CONFIG
    assert edit.remove_aliases(CONFIG, [("aliases", "x")]) == CONFIG
    assert loaded(edit.remove_aliases(CONFIG, [("aliases", "cpu", "python", 0)])).aliases == {}


LISTED = """\
axes: {os: {a: {}, b: {}}, python: {py1: {}, py2: {}}}
images: [{os: [a, b], python: [py1, py2]}]
aliases:
  # Everybody's.
  latest: &all
    - {os: a, python: py1}  # one
    - os: b
      python: py1
    # The last.
    - {os: b, python: py2}
  newest: *all
  flow: [{os: a, python: py1}, {os: b}]
  single:
    - {os: b}
"""


def test_a_combination_of_an_alias_goes_and_the_others_stay():
    text = edit.remove_value(LISTED, "os", "b")
    assert text.endswith(
        "  latest: &all\n    - {os: a, python: py1}  # one\n    # The last.\n"
        "  newest: *all\n  flow: [{os: a, python: py1}]\n"
    )
    assert edit.remove_value(LISTED, "os", "a").count("os: b") == LISTED.count("os: b")
    paths = [("aliases", "latest", 0), ("aliases", "flow", 1, "os"), ("aliases", "single", 0)]
    text = edit.remove_aliases(LISTED, paths)
    assert "# one" not in text
    assert text.endswith("  newest: *all\n  flow: [{os: a, python: py1}]\n")
    assert "flow" not in edit.remove_aliases(LISTED, [("aliases", "flow")])


def test_aliases_that_are_kept_elsewhere_go_with_their_key():
    text = "x-a: &a {one: {os: a}}\naxes: {os: {a: {}, b: {}}}\naliases: *a\nimages: [{os: b}]\n"
    assert edit.remove_value(text, "os", "a") == (
        "x-a: &a {one: {os: a}}\naxes: {os: {b: {}}}\nimages: [{os: b}]\n"
    )


MERGED = """\
x-all: &all {os: [a, b], python: py1}
axes: {os: {a: {}, b: {}}, python: {py1: {}, py2: {}}}
images:
  - *all
  - {<<: *all, python: py2}
  - {<<: [{python: [py1, py2]}, *all], os: a}
"""


WITH_MERGE = "x-b: &b {a: {}}\naxes: {os: {<<: *b, c: {}}}\nimages: [{os: [a, c]}]\n"


def test_what_entries_merge_is_changed_where_it_is():
    text = edit.add_value(MERGED, "os", "c", {})
    assert "&all {os: [a, b, c], python: py1}" in text
    assert loaded(text).images[1].axes["os"] == ("a", "b", "c")
    text = edit.add_value(MERGED, "python", "py3", {}, "py1")
    assert [entry.axes["python"] for entry in loaded(text).images] == [
        ("py1", "py3"),
        ("py2",),
        ("py1", "py3", "py2"),
    ]
    images = loaded(edit.remove_value(MERGED, "os", "a")).images
    assert [entry.axes["os"] for entry in images] == [("b",), ("b",)]


def test_a_list_that_several_entries_share_is_changed_once():
    text = "x-p: &p [py1, py2]\naxes: {python: {py1: {}, py2: {}}}\n"
    text += "images:\n  - {python: *p}\n  - {python: *p, gpu: null}\n"
    assert "&p [py1, py2, py3]" in edit.add_value(text, "python", "py3", {})
    assert "&p [py2]" in edit.remove_value(text, "python", "py1")


ALIASES = """\
x-py:
  - &py [py1, py2]
axes: {python: {py1: {}, py2: {}}, os: {a: {}, b: {}}}
images:
  - os: a
    python: *py
  - os: b
    python: *py
exclude:
  - os: b
    python: *py
"""


def test_what_ends_in_an_alias_ends_there():
    rule = Exclude(axes={"os": ("a",)}, reason="why")
    assert edit.exclude(ALIASES, rule) == f"{ALIASES}  - os: a\n    reason: why\n"
    added = edit.add_entry(ALIASES, {"os": "a"}, None)
    assert added == ALIASES.replace("exclude:", "  - {os: a}\nexclude:")
    assert edit.remove_entries(ALIASES, "images", [0]).count("- os") == 2
    assert "os: a\n" not in edit.remove_value(ALIASES, "os", "a")
    one = Exclude(axes={"os": ("b",), "python": ("py1",)}, reason="")
    assert edit.include(ALIASES, 0, [one]).endswith("exclude:\n  - os: b\n    python: py1\n")


def test_rules_that_list_the_value_list_the_new_one_too():
    assert "&py [py1, py2, py3]" in edit.add_value(ALIASES, "python", "py3", {})
    text = edit.add_value(CONFIG, "gpu", "cuda11", {})
    assert loaded(text).exclude[1].axes["gpu"] == ("cuda10", "cuda11")
    assert loaded(text).exclude[0] == loaded(CONFIG).exclude[0]


def test_the_dash_of_an_element_is_found_behind_comments():
    text = "axes: {os: {a: {}}}\nimages:\n  -\n    # end-of-life\n    os: a\n"
    assert edit.add_entry(text, {"os": "b"}, None) == f"{text}  - {{os: b}}\n"


def test_a_name_on_a_line_of_its_own_goes_with_its_comment():
    text = (
        "axes: {os: {a: {}, b: {}}}\nimages:\n  - os: [\n      a,  # one\n      b,  # two\n    ]\n"
    )
    assert edit.remove_value(text, "os", "b").endswith("[\n      a,  # one\n    ]\n")
    assert edit.remove_value(text, "os", "a").endswith("[\n      b,  # two\n    ]\n")


def test_a_line_break_that_only_yaml_knows_is_escaped():
    rule = Exclude(axes={"python": ("py39",)}, reason="a\u2028b\x85c")
    assert loaded(edit.exclude(CONFIG, rule)).exclude[-1] == rule


def test_the_older_names_of_the_original_are_known():
    text = "base_url: h/r\ncpu_versions: {py1: {}}\nimages: [{cpu: py1}]\n"
    assert "images: [{cpu: [py1, py2]}]" in edit.add_value(text, "python", "py2", {})


def test_lines_end_as_in_the_file():
    text = CONFIG.replace("\n", "\r\n")
    rule = Exclude(axes={"python": ("py39",)}, reason="why")
    for changed in (edit.exclude(text, rule), edit.add_value(text, "python", "py310", {})):
        assert changed.count("\n") == changed.count("\r\n") > text.count("\n")
    text = "axes: {p: {a: {}}}\nimages:\n  - p: a"
    assert edit.add_entry(text, {"p": "b"}, None) == f"{text}\n  - {{p: b}}\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: edit.add_value(t, "python", "a b", {}), "is not a name"),
        (lambda t: edit.add_value(t, "python", "py4", {"1": "2"}), "is not a build arg"),
        (lambda t: edit.add_value(t, "python", "py39", {}), "already"),
        (lambda t: edit.add_value(t, "python", "py4", {}, "py5"), "has no value 'py5'"),
        (lambda t: edit.add_value(t, "torch", "a", {}), "has no values in the file"),
        (lambda t: edit.remove_value(t, "python", "py5"), "has no value 'py5'"),
        (lambda t: edit.remove_value(t, "python", "py39"), "last value"),
        (lambda _: edit.remove_value(WITH_MERGE, "os", "a"), "os has values of another mapping"),
        (lambda _: edit.add_value(WITH_MERGE, "os", "n", {}), "os has values of another mapping"),
        (lambda t: edit.exclude(t + "\nexclude: []", Exclude(reason="")), "is empty in the file"),
    ],
)
def test_what_cannot_be_changed_is_said(change, message):
    text = CONFIG if "empty" not in message else "images: [{}]"
    with pytest.raises(UsageError, match=message):
        change(text)


def test_a_name_with_an_anchor_is_left_to_the_person():
    text = "axes: {p: {a: {}}}\nimages:\n  - {p: &x a}\n  - {p: *x}\n"
    with pytest.raises(UsageError, match="line 3 of the file has an anchor"):
        edit.add_value(text, "p", "b", {})


# ---- any config, in any style

FEW = settings(max_examples=15)
"""Each example reads several files."""


STYLES = [
    dump,
    lambda config: yaml.safe_dump(plain(config), default_flow_style=True),
    lambda config: yaml.safe_dump(plain(config), sort_keys=False, width=20),
    lambda config: json.dumps(texts(config)),
    lambda config: json.dumps(texts(config), indent=1),
]


def texts(config):
    """A config as plain values, all of them texts."""
    return yaml.load(dump(config), Loader=yaml.CBaseLoader)  # noqa: S506 - it makes texts only


def without(choosers, axis, name):
    """What is left of entries or rules; those that named nothing else are gone."""
    for one in choosers:
        names = one.axes.get(axis)
        left = None if names is None else tuple(n for n in names if n != name)
        if left != ():
            axes = one.axes if left is None else {**one.axes, axis: left}
            yield msgspec.structs.replace(one, axes=axes)


@st.composite
def changes(draw):
    """A config's text, its meaning, an axis and one of its values."""
    text = draw(st.sampled_from(STYLES))(draw(free_configs()))
    source = parse(text.encode(), "c")
    config, problems = config_from(source)
    axes = [axis for axis in config.axis_names() if config.axis(axis)]
    if problems or not axes or "null" in str(config.axes):
        # JSON written by the basic loader has no null.
        return draw(changes())
    axis = draw(st.sampled_from(axes))
    return text, config, axis, draw(st.sampled_from([*config.axis(axis)]))


def test_a_dumped_config_is_the_same():
    text = CONFIG + "recipes: {cpu: {labels: {team: research}}}\n"
    assert loaded(dump(loaded(text))) == loaded(text)
    assert dump(loaded(dump(loaded(text)))) == dump(loaded(text))


SHARED = """\
base_url: h/r
base_images: {old: {BASE_IMAGE: a}, new: {BASE_IMAGE: b}}
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
images:
  - {base_image: &both [old, new], python: py39}
  - {base_image: *both, python: py310}
  - {base_image: [new], python: [py39, py310]}
"""


def test_a_list_that_entries_share_is_changed_once():
    more = edit.add_value(SHARED, "base_image", "next", {"BASE_IMAGE": "c"}, "old")
    assert "&both [old, next, new], python: py39" in more
    assert "- {base_image: [new], python: [py39, py310]}" in more
    assert "&both [new], python: py39" in edit.remove_value(SHARED, "base_image", "old")


def test_an_entry_goes_with_the_last_value_of_its_list():
    less = loaded(edit.remove_value(SHARED, "base_image", "new"))
    assert [entry.axes["python"] for entry in less.images] == [("py39",), ("py310",)]


@FEW
@given(changes())
def test_a_value_more_means_the_same_in_every_style(case):
    text, config, axis, like = case
    found = loaded(edit.add_value(text, axis, "new-one", {"X": "1: 2"}, like))
    assert found.images == tuple(with_new(entry, axis, like) for entry in config.images)
    assert found.exclude == tuple(with_new(rule, axis, like) for rule in config.exclude)
    values = list(config.axis(axis))
    values.insert(values.index(like) + 1, "new-one")
    assert list(found.axis(axis)) == values
    assert found.axis(axis)["new-one"] == {"X": "1: 2"}
    assert found.aliases == config.aliases
    assert (found.recipes, found.cloudbuild) == (config.recipes, config.cloudbuild)


def with_new(chooser, axis, like):
    """An entry or a rule that lists the new value after the one that it is like."""
    names = list(chooser.axes.get(axis, ()))
    if like in names:
        names.insert(names.index(like) + 1, "new-one")
    axes = {**chooser.axes, axis: tuple(names)} if names else chooser.axes
    return msgspec.structs.replace(chooser, axes=axes)


@FEW
@given(changes())
def test_a_value_less_means_the_same_in_every_style(case):
    text, config, axis, name = case
    if len(config.axis(axis)) == 1:
        return
    found = loaded(edit.remove_value(text, axis, name))
    assert list(found.axis(axis)) == [n for n in config.axis(axis) if n != name]
    assert found.images == tuple(without(config.images, axis, name))
    assert found.exclude == tuple(without(config.exclude, axis, name))
    left = [(n, a) for n, a, _ in config.each_alias() if a.axes.get(axis) != name]
    assert [(n, a) for n, a, _ in found.each_alias()] == left
    assert {type(aliased) for aliased in found.aliases.values()} <= {Alias, tuple}
    assert () not in found.aliases.values()


@FEW
@given(changes(), st.sampled_from(["plain", "a: b", "", " x", "# x", "a\nb", "no", "é 'x'", "[x"]))
def test_a_rule_more_means_the_same_in_every_style(case, reason):
    text, config, axis, name = case
    if not config.exclude and "exclude" in text:
        return
    rule = Exclude(axes={axis: (name, None)}, recipe=("one", "two.x"), reason=reason)
    changed = edit.exclude(text, rule)
    found = loaded(changed)
    assert found.exclude == (*config.exclude, rule)
    assert found.images == config.images
    number = len(config.exclude)
    again = loaded(edit.include(changed, number, [rule, rule]))
    assert again.exclude == (*config.exclude, rule, rule)
    assert loaded(edit.remove_entries(changed, "exclude", [number])) == config


@pytest.mark.parametrize("name", ["images.yaml", "layers.yaml", "caliban.json"])
def test_a_value_that_comes_and_goes_leaves_the_shipped_configs_as_they_are(name):
    text = (ROOT / "config" / name).read_text(encoding="utf-8")
    added = edit.add_value(text, "python", "py399", {"PYTHON_VERSION": "3.99"})
    assert added.count("py399") > 1
    left = edit.remove_value(added, "python", "py399")
    # A single name has become a list of one.
    assert left.translate({ord("["): None, ord("]"): None}) == text.translate(
        {ord("["): None, ord("]"): None}
    )
