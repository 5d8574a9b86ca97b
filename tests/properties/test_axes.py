"""What holds for every sound config with free axes, worked out from the rules in a plain way."""

import collections
import html
import json
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit import api
from imagekit.config.schema import ORIGINAL_BASE_URL, Entry, config_from, dump
from imagekit.errors import ConfigError
from imagekit.notebook import frames, tables
from imagekit.planning.grid import grid
from imagekit.planning.load import derive
from imagekit.planning.plan import tag_of
from imagekit.planning.rows import named, rows
from imagekit.support.yaml_reader import parse
from tests.properties.free_axes import (
    REPOSITORIES,
    ancestors,
    built,
    combinations,
    free_configs,
    is_sound,
    line_of,
    listed,
    parent_of,
)
from tests.properties.strategies import is_hit, of_image

each = settings(max_examples=60)
"""A config takes little time."""


# ---- what is expected of a config


def repository(config, recipe):
    base = config.base_url or ORIGINAL_BASE_URL
    return REPOSITORIES[config.recipes[recipe].repository].format(base=base)


def tag(config, combination, pattern):
    for axis in config.axes:
        value = combination.get(axis)
        if value is None:
            one = rf"\{{{re.escape(axis)}(?:\.\w+)?\}}"
            pattern = re.sub(rf"[-_.]{one}|{one}[-_.]|{one}", "", pattern)
            continue
        pattern = pattern.replace(f"{{{axis}}}", value)
        for name, text in config.axes[axis][value].items():
            pattern = pattern.replace(f"{{{axis}.{name}}}", text)
    return pattern.replace("{recipe}", combination.recipe)


def tags(config, combination):
    """The tags of an image; the first identifies it."""
    recipe = config.recipes[combination.recipe]
    patterns = [recipe.tag] if recipe.tags is None else recipe.tags
    return [tag(config, combination, pattern) for pattern in patterns]


def names(config, combination):
    """The short names of an image: those of its tags, then its aliases."""
    own = tags(config, combination)
    for name, alias, _ in config.each_alias():
        entry = Entry(axes={a: (v,) for a, v in alias.axes.items()}, recipe=(alias.recipe,))
        own += [name] if combinations(config, entry) == [combination] else []
    prefix = config.recipes[combination.recipe].repository
    return [f"{prefix}:{name}" if prefix else name for name in own]


def references(config, combination):
    """The full names of an image."""
    whole = repository(config, combination.recipe)
    return [f"{whole}:{name.rpartition(':')[2]}" for name in names(config, combination)]


def build_args(config, combination, given_args):
    recipe, parent = config.recipes[combination.recipe], parent_of(config, combination)
    found = {}
    if parent is not None:
        found[recipe.parent_arg or "BASE_IMAGE"] = references(config, parent)[0]
    found |= recipe.build_args
    for axis in config.axes:
        if axis in recipe.axes:
            args = config.axes[axis][combination.get(axis)]
            found |= {name: text for name, text in args.items() if name not in recipe.omit}
    return found | given_args


def images_of(config):
    return {of_image(image): image for image in api.plan(config).images}


def steps_of(config):
    return json.loads(api.render(api.plan(config), config))["steps"]


# ---- the plan


@each
@given(free_configs())
def test_the_images_are_those_of_the_entries_and_what_they_are_built_upon(config):
    plan = api.plan(config)
    found = [of_image(image) for image in plan.images]
    assert len(set(found)) == len(found)
    assert {*found} == built(config).keys()
    assert {of_image(image) for image in plan.images if image.listed} == listed(config).keys()


@each
@given(free_configs())
def test_every_image_has_its_names_and_its_parent_before_it(config):
    seen = set()
    for combination, image in images_of(config).items():
        assert [image.tag, *image.aliases] == names(config, combination)
        parent = parent_of(config, combination)
        assert image.parent == (names(config, parent)[0] if parent else None)
        assert {image.parent} <= seen | {None}
        seen.add(image.tag)


@each
@given(free_configs())
def test_build_args_are_those_of_parent_recipe_axes_and_entry_in_this_order(config):
    expected = built(config)
    for combination, image in images_of(config).items():
        assert image.build_args == build_args(config, combination, expected[combination])


# ---- the document


AT_BUILD = {"{date}": "${_DATE}", "{commit}": "${SHORT_SHA}"}


def at_build(name):
    return re.sub(r"\{\w+\}", lambda match: AT_BUILD[match[0]], name)


def plain(text):
    """An argument as Docker gets it; only the names of images have substitutions."""
    assert "$" not in text.replace("$$", ""), "Cloud Build would substitute something"
    return text.replace("$$", "$")


def options(step):
    """The values of a build step's options, and the context."""
    *pairs, context = step["args"][1:]
    found = collections.defaultdict(list)
    for flag, value in zip(pairs[::2], pairs[1::2], strict=True):
        found[flag].append(value)
    return found, plain(context)


@each
@given(free_configs())
def test_every_build_step_says_what_the_recipe_says(config):
    steps = {step["id"]: step for step in steps_of(config) if step["args"][0] == "build"}
    expected = built(config)
    assert {*steps} == {references(config, combination)[0] for combination in expected}
    for combination, given_args in expected.items():
        recipe, parent = config.recipes[combination.recipe], parent_of(config, combination)
        step = steps[references(config, combination)[0]]
        found, context = options(step)
        assert step["waitFor"] == ([references(config, parent)[0]] if parent else ["-"])
        assert context == (recipe.context or ".")
        assert found.pop("-t") == [at_build(name) for name in references(config, combination)]
        assert [plain(path) for path in found.pop("-f")] == [recipe.dockerfile]
        target = [plain(stage) for stage in found.pop("--target", [])]
        assert target == ([] if recipe.target is None else [recipe.target])
        labels = found.pop("--label", [])
        if config.source is not None:
            assert labels.pop() == "org.opencontainers.image.revision=$COMMIT_SHA"
            assert plain(labels.pop()) == f"org.opencontainers.image.source={config.source}"
        assert [plain(one) for one in labels] == [f"{k}={v}" for k, v in recipe.labels.items()]
        args = [plain(arg).split("=", 1) for arg in found.pop("--build-arg", [])]
        assert len(dict(args)) == len(args)
        assert dict(args) == build_args(config, combination, given_args)
        assert not found


@each
@given(free_configs())
def test_the_text_is_that_of_a_json_library(config):
    text = api.render(api.plan(config), config)
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@each
@given(free_configs())
def test_every_name_is_pushed_once_after_its_build_and_its_tests(config):
    steps = steps_of(config)
    ids = [step["id"] for step in steps]
    assert len(set(ids)) == len(ids)
    above = {"-": set()}
    for step in steps:
        assert step["waitFor"]
        assert {*step["waitFor"]} <= above.keys(), "a step waits for a later one"
        above[step["id"]] = {step["id"]}.union(*(above[name] for name in step["waitFor"]))
    pushes = {step["args"][1]: step["id"] for step in steps if step["args"][0] == "push"}
    expected = {
        at_build(name): combination
        for combination in built(config)
        for name in references(config, combination)
    }
    assert sum(step["args"][0] == "push" for step in steps) == len(expected)
    assert pushes.keys() == expected.keys()
    for name, combination in expected.items():
        for one in (combination, *ancestors(config, combination)):
            whole = references(config, one)[0]
            assert whole in above[pushes[name]]
            assert not config.recipes[one.recipe].test or f"{whole}-test" in above[pushes[name]]


@each
@given(free_configs())
def test_a_written_config_reads_as_the_same(config):
    source = parse(dump(config).encode(), "config.yaml")
    assert config_from(source) == (config, [])
    again = derive(config_from(source)[0], (), source)
    assert api.render(again.plan, config) == api.render(api.plan(config), config)


# ---- rules


@each
@given(free_configs())
def test_a_rule_covered_by_earlier_ones_is_the_only_warning_about_rules(config):
    every = [c for entry in config.images for c in combinations(config, entry)]
    every += [upper for c in listed(config) for upper in ancestors(config, c)]
    for index, rule in enumerate(config.exclude):
        first = [
            c
            for c in every
            if is_hit(rule, c) and not any(is_hit(r, c) for r in config.exclude[:index])
        ]
        problems = [p for p in derive(config).warnings if p.path == ("exclude", index)]
        assert bool(problems) == (not first)


# ---- near misses


@each
@given(free_configs(), st.data())
def test_a_forgotten_axis_is_an_error_or_means_another_image_that_is_built(config, data):
    config = msgspec.structs.replace(config, exclude=(), aliases={})
    index = data.draw(st.integers(0, len(config.images) - 1))
    entry = config.images[index]
    forgotten = data.draw(st.sampled_from([*entry.axes])) if entry.axes else None
    axes = {axis: chosen for axis, chosen in entry.axes.items() if axis != forgotten}
    entries = list(config.images)
    entries[index] = msgspec.structs.replace(entry, axes=axes)
    config = msgspec.structs.replace(config, images=tuple(entries))
    if is_sound(config, entries):
        assert images_of(config).keys() == built(config).keys()
    else:
        with pytest.raises(ConfigError):
            api.plan(config)


@each
@given(free_configs(), st.data())
def test_two_parents_that_both_fit_are_an_error(config, data):
    upon = [
        (line[depth], line[depth + 1])
        for combination in listed(config)
        for line in [line_of(config, combination)]
        for depth in range(len(line) - 1)
    ]
    if not upon:
        return
    child, parent = data.draw(st.sampled_from(upon))
    recipes = {
        **config.recipes,
        "twin": config.recipes[parent],
        child: msgspec.structs.replace(
            config.recipes[child], parent=(*config.recipes[child].parent, "twin")
        ),
    }
    # The twin must not be what an entry means that names no recipe.
    recipes["twin"] = msgspec.structs.replace(recipes["twin"], parent_only=True)
    with pytest.raises(ConfigError, match="can be built upon"):
        api.plan(msgspec.structs.replace(config, recipes=recipes))


# ---- tables


@each
@given(free_configs())
def test_the_tables_show_every_image_under_its_values(config):
    matrix, plan = api.matrix(config), api.plan(config)
    lines = rows(matrix, plan)
    cells = tables.cells(matrix, plan)
    assert [*cells.frame.index] == [row.tag for row in lines]
    assert cells.html()
    for axis in config.axes:
        column = cells.frame[axis].astype(object)
        assert [*column.where(column.notna(), None)] == [row.values.get(axis) for row in lines]
        assert [*cells.frame[axis].cat.categories] == [*config.axes[axis]]
    table = tables.grid(matrix, plan)
    shown = re.findall(r'data-tag="([^"]*)"', table.html())
    assert sorted(html.unescape(tag) for tag in shown) == sorted(
        tag_of(matrix, cell) for cell in matrix.cells
    )
    images = frames.to_pandas(plan)
    assert [*images.index] == [image.tag for image in plan.images]
    assert images["children"].sum() == images["parent"].notna().sum()
    counted = tables.by_value(matrix, plan)
    assert counted.html()
    for axis, values in config.axes.items():
        own = counted.frame[counted.frame["axis"] == named(axis)]
        for value in values:
            number = sum(c.get(axis) == value for c in built(config))
            assert own.loc[value].get("✓ included", 0) == number


@each
@given(free_configs())
def test_a_grid_has_every_combination_of_the_matrix_once(config):
    matrix = api.matrix(config)
    found = grid(matrix, api.plan(config))
    places = [p for section in found.sections for line in section.lines for p in line.places if p]
    expected = [(cell.status, tag_of(matrix, cell)) for cell in matrix.cells]
    assert sorted((place.status, place.tag) for place in places) == sorted(expected)
    for place in places:
        assert (place.note > 0) == (place.status != "built")
    for section in found.sections:
        assert len(set(section.columns)) == len(section.columns)
        assert len({line.names for line in section.lines}) == len(section.lines)
