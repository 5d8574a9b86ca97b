"""What holds for the document of every sound config."""

import itertools
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagekit import api
from imagekit.compare import changes, inventory
from imagekit.config.schema import Config, Entry
from imagekit.document import cloudbuild
from imagekit.document.split import split
from imagekit.planning.recipes import CPU_BASE_IMAGE
from imagekit.planning.rows import counts, rows
from tests.properties.strategies import (
    AXES,
    EXTRA,
    combinations,
    configs,
    is_hit,
    made,
    of_image,
    variants,
)


def steps_of(config):
    return json.loads(api.render(api.plan(config), config))["steps"]


def builds_of(text):
    """Id → step of the steps that build an image."""
    return {s["id"]: s for s in json.loads(text)["steps"] if s["args"][0] == "build"}


@given(configs())
def test_ids_are_unique_and_every_step_waits_for_an_earlier_one(config):
    steps = steps_of(config)
    ids = [step["id"] for step in steps]
    assert len(set(ids)) == len(ids)
    for index, step in enumerate(steps):
        assert step["waitFor"], "an empty list means: wait for everything before"
        assert set(step["waitFor"]) <= {"-", *ids[:index]}


@given(configs())
def test_every_tag_is_built_once_and_pushed_once_after_that(config):
    steps = steps_of(config)
    plan = api.plan(config)
    pushes = [step for step in steps if step["args"][0] == "push"]
    builds = [step for step in steps if step["args"][0] == "build"]
    names = [plan.reference(name) for name in plan.names()]
    tagged = {
        tag: step["id"]
        for step in builds
        for flag, tag in itertools.pairwise(step["args"])
        if flag == "-t"
    }
    assert sorted(step["args"][1] for step in pushes) == sorted(names) == sorted(tagged)
    assert len(builds) + len(pushes) == len(steps)
    for push in pushes:
        assert push["id"] == f"{push['args'][1]}-push"
        assert tagged[push["args"][1]] in push["waitFor"]


@given(configs())
def test_publishing_together_waits_for_every_build_and_each_for_its_own(config):
    steps = steps_of(config)
    builds = [step["id"] for step in steps if step["args"][0] == "build"]
    waits = {len(step["waitFor"]) for step in steps if step["args"][0] == "push"}
    assert waits == {{"together": len(builds), "each": 1}[config.cloudbuild.publish]}


@given(configs())
def test_parents_stand_before_their_children(config):
    tags = [image.tag for image in api.plan(config).images]
    for index, image in enumerate(api.plan(config).images):
        assert {image.parent} - {None} <= set(tags[:index])


@given(configs(), st.integers(0, 4))
def test_how_many_steps_are_joined_at_once_makes_no_difference(config, number):
    plan, options = api.plan(config), config.cloudbuild
    parts = [*split(plan, options), plan]
    texts = [cloudbuild.render(part, options) for part in parts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cloudbuild, "TOGETHER", number)
        assert [cloudbuild.render(part, options) for part in parts] == texts


# ---- build args


def expected_images(config):
    """Combination → build args of every image, worked out from the config in another way."""
    entries = {
        combination: entry.build_args
        for entry in config.images
        for combination in combinations(entry)
    }
    images = {
        combination: args
        for combination, args in entries.items()
        if not any(is_hit(rule, combination) for rule in config.exclude)
    }
    for combination in list(images):
        for below in stands_on(combination):
            images.setdefault(below, entries.get(below, {}))
    return {
        combination: own_args(config, combination) | args for combination, args in images.items()
    }


def stands_on(combination):
    base_image, python, gpu = (combination.get(axis) for axis in AXES)
    below = {
        "gpu-base": made("gpu-base", base_image=base_image, gpu=gpu),
        "gpu": made("gpu", base_image=base_image, python=python, gpu=gpu),
    }
    parents = {"gpu": ["gpu-base"], EXTRA: ["gpu", "gpu-base"]}
    return [below[recipe] for recipe in parents.get(combination.recipe, [])]


def own_args(config, combination):
    extra = config.recipes.get(EXTRA)
    legacy = {} if config.base_images else {"BASE_IMAGE": CPU_BASE_IMAGE}
    axes, omit, args = {
        "cpu": (("base_image", "python"), ("UBUNTU_VERSION",), legacy),
        "gpu-base": (("base_image", "gpu"), ("BASE_IMAGE",), {}),
        "gpu": (("python",), (), {}),
        EXTRA: extra and (extra.axes, extra.omit, extra.build_args),
    }[combination.recipe]
    found = dict(args)
    for axis in AXES:
        values = config.axis(axis).get(combination.get(axis), {}) if axis in axes else {}
        found |= {name: value for name, value in values.items() if name not in omit}
    return found


def parent_args(config, tags, combination):
    extra = config.recipes.get(EXTRA)
    name = {"gpu": "BASE_IMAGE", EXTRA: extra and extra.parent_arg}.get(combination.recipe)
    return {name: f"{config.repository}:{tags[stands_on(combination)[0]]}"} if name else {}


@given(configs())
def test_every_build_arg_arrives_as_it_stands_in_the_config(config):
    tags = {of_image(image): image.tag for image in api.plan(config).images}
    steps = {step["id"]: step["args"] for step in steps_of(config)}
    expected = expected_images(config)
    assert tags.keys() == expected.keys()
    for combination, args in expected.items():
        given_args = steps[f"{config.repository}:{tags[combination]}"]
        for arg in given_args:
            assert "$" not in arg.replace("$$", ""), "Cloud Build would substitute something"
        arrived = [
            value.replace("$$", "$").split("=", 1)
            for flag, value in itertools.pairwise(given_args)
            if flag == "--build-arg"
        ]
        assert len(dict(arrived)) == len(arrived), "an arg is given twice"
        assert dict(arrived) == args | parent_args(config, tags, combination)


# ---- selections


def ancestors(plan, tag):
    parents = {image.tag: image.parent for image in plan.images}
    found = []
    while (tag := parents[tag]) is not None:
        found.append(tag)
    return found


@given(configs(), st.data())
def test_selecting_one_image_takes_exactly_its_ancestors_along(config, data):
    plan = api.plan(config)
    image = data.draw(st.sampled_from(plan.images))
    name = data.draw(st.sampled_from([image.tag, *image.aliases]))
    chosen = api.plan(config, only=[name])
    kept = {image.tag, *ancestors(plan, image.tag)}
    assert {i.tag for i in chosen.images} == kept
    assert chosen.images == tuple(i for i in plan.images if i.tag in kept)


@given(configs(), st.data())
def test_a_selection_has_every_parent_and_keeps_the_order(config, data):
    plan = api.plan(config)
    names = data.draw(st.lists(st.sampled_from(plan.names()), min_size=1, max_size=3))
    globs = [name[: data.draw(st.integers(0, len(name)))] + "*" for name in names]
    chosen = api.plan(config, only=globs).images
    tags = [image.tag for image in chosen]
    for glob in globs:
        fits = re.compile(re.escape(glob[:-1]))
        hit = {i.tag for i in plan.images if any(map(fits.match, (i.tag, *i.aliases)))}
        assert hit <= set(tags)
    assert {image.parent for image in chosen} - {None} <= set(tags)
    assert chosen == tuple(image for image in plan.images if image.tag in tags)
    api.render(api.plan(config, only=globs), config)


@given(configs(), st.data())
def test_skipping_an_image_that_none_stands_on_leaves_all_others(config, data):
    plan = api.plan(config)
    parents = {image.parent for image in plan.images}
    leaf = data.draw(st.sampled_from([i for i in plan.images if i.tag not in parents]))
    others = tuple(image for image in plan.images if image is not leaf)
    # Where nothing would remain there is an error, which has a test of its own.
    chosen = api.plan(config, skip=[leaf.tag]).images if others else ()
    assert chosen == others


# ---- changes


@given(configs())
def test_a_document_does_not_differ_from_itself(config):
    text = api.render(api.plan(config), config)
    again = api.render(api.plan(config), config)
    assert again == text
    assert changes.compare_files(text, again) == changes.Changes()
    assert not changes.compare_files(text, again)


def short(text, config):
    """The build steps by tag, without the repository that all names have in common."""
    return builds_of(text.replace(f"{config.repository}:", ""))


@given(variants())
def test_a_comparison_is_the_difference_of_the_two_sets_of_images(pair):
    before, after = (api.render(api.plan(config), config) for config in pair)
    found = changes.compare_files(before, after)
    old, new = (short(*both) for both in zip((before, after), pair, strict=True))
    assert bool(found) == (before != after)
    assert set(found.added) == new.keys() - old.keys()
    assert set(found.removed) == old.keys() - new.keys()
    waiting = {n for n, what in found.changed.items() if all("waits for" in d.what for d in what)}
    built = {n for n in new.keys() & old.keys() if new[n] != old[n]}
    assert found.changed.keys() - waiting == built
    # Only another way to publish makes pushes wait for others.
    assert not waiting or pair[0].cloudbuild.publish != pair[1].cloudbuild.publish
    assert all(found.changed.values())


@given(variants())
def test_what_is_rebuilt_stands_on_something_that_is_another_one(pair):
    found = changes.compare_files(*(api.render(api.plan(config), config) for config in pair))
    parents = {image.tag: image.parent for image in api.plan(pair[1]).images}
    others = {tag for tag, what in found.changed.items() if any(d.rebuilds for d in what)}
    others |= set(found.added)
    for tag, parent in parents.items():
        stands_on_another = parent in others or parent in found.rebuilt
        assert (tag in found.rebuilt) == (tag not in others and stands_on_another)


@given(configs())
def test_a_plan_and_its_document_have_one_inventory(config):
    plan = api.plan(config)
    assert inventory.of_plan(plan, config.cloudbuild) == inventory.read(api.render(plan, config))


def one_image(value):
    entry = Entry(axes={"python": ("py",)}, build_args={"A": value})
    return Config(python_versions={"py": {}}, images=(entry,))


@given(variants())
@example((one_image("a"), one_image("a\nb")))
@example((one_image("a"), one_image("a\rb")))
def test_a_comparison_shows_one_line_a_change(pair):
    before, after = (api.render(api.plan(config), config) for config in pair)
    found = changes.compare_files(before, after)
    for line in [*found.lines(), found.summary()]:
        assert len(line.splitlines()) == 1, "a value's line break reads as another change"


# ---- rows


def grid(config):
    """Every combination of the axes' values, with a GPU and without."""
    return {
        (base_image, python, gpu)
        for base_image in config.base_images or [None]
        for python in config.python_versions or [None]
        for gpu in [None, *config.gpu_versions]
    }


def combination_of(row):
    return *(row.values.get(axis) for axis in AXES), row.recipe


@given(configs())
def test_every_combination_is_one_row_with_a_reason_where_it_is_not_built(config):
    plan = api.plan(config)
    found = rows(api.matrix(config), plan)
    keys = [combination_of(row) for row in found]
    assert len(set(keys)) == len(keys)
    assert grid(config) <= {key[:3] for key in keys}
    built = [row for row in found if row.status == "built"]
    assert [(row.tag, row.parent) for row in built] == [(i.tag, i.parent) for i in plan.images]
    assert all(row.reason.strip() for row in found if row.status != "built")
    assert sum(map(int, re.findall(r"\d+", counts(found)))) == len(found)


@given(configs(), st.data())
def test_a_selection_s_rows_are_the_same_combinations(config, data):
    plan, matrix = api.plan(config), api.matrix(config)
    chosen = api.plan(config, only=[data.draw(st.sampled_from(plan.names()))])
    found = rows(matrix, chosen)
    everything = rows(matrix, plan)
    assert {combination_of(row) for row in found} == {combination_of(row) for row in everything}
    assert len(found) == len(everything)
    assert [row.tag for row in found if row.status == "built"] == [i.tag for i in chosen.images]
    assert all(row.reason.strip() for row in found if row.status != "built")


@given(configs())
def test_the_names_of_new_files_are_those_that_are_read_from_them(config):
    files = api.files(api.plan(config), config, "cloudbuild.json")
    assert files.images == inventory.image_names(*files.values())


@pytest.mark.parametrize(
    "text",
    [
        "recipes: {cpu: {tags: ['{python}']}, gpu: {repository: more, tags: ['{python}-{gpu}']}}",
        "cloudbuild: {limits: {steps: 3}}",
    ],
)
def test_names_of_new_files_in_several_repositories_or_files(text, config_file):
    name = config_file(
        f"""
base_url: example.com/team/image
python_versions: {{py39: {{A: "1"}}, py310: {{A: "2"}}}}
gpu_versions: {{cuda1: {{B: "1"}}}}
images: [{{python: [py39, py310]}}, {{python: py39, gpu: cuda1}}]
{text}
"""
    )
    checked = api.check(name)
    files = api.files(checked.plan, checked.config, "cloudbuild.json")
    texts = [text for name, text in files.items() if not name.endswith("-manifest.json")]
    assert {*files.images} == {*inventory.image_names(*texts)}
    assert len(files.images) == len(checked.plan.images)
