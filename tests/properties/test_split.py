"""What holds for every plan that is split into several builds."""

import itertools
import json

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.config.schema import Config
from imagekit.document import build_files, steps
from imagekit.document.split import fewest, path_length, split
from imagekit.planning.plan import Image, Plan


@st.composite
def plans(draw, most=25, steps=(6, 30)):
    """Forests of images, parents before children, with tests and aliases."""
    images = []
    for number in range(draw(st.integers(1, most))):
        below = draw(st.none() | st.sampled_from(images)) if images else None
        images.append(
            Image(
                tag=f"t{number}",
                values={},
                recipe="r",
                dockerfile="Dockerfile",
                build_args={"BASE_IMAGE": f"h/r:{below.tag}"} if below else {},
                parent=below.tag if below else None,
                aliases=tuple(f"t{number}-{n}" for n in range(draw(st.integers(0, 2)))),
                test=draw(st.sampled_from([(), ("test.yaml",)])),
            )
        )
    limits = Limits(steps=draw(st.integers(*steps)), images=draw(st.integers(3, 30)))
    publish = draw(st.sampled_from(["each", "provenance"]))
    options = CloudBuild(limits=limits, publish=publish)
    return Plan(repository="h/r", images=tuple(images)), options


@given(plans())
def test_every_image_is_built_once_after_its_parent_and_nothing_is_over_the_limits(drawn):
    plan, options = drawn
    texts = build_files.files(plan, Config(cloudbuild=options), "b.json")
    builds = [text for name, text in texts.items() if name != "b-manifest.json"]
    in_registry, built = set(), []
    for text in builds:
        document = json.loads(text)
        assert len(document["steps"]) <= options.limits.steps
        assert len(document.get("images", [])) <= options.limits.images
        here, pushed = set(), set()
        # A reader of its own walks the steps as Cloud Build would: in order, each when it may.
        for step in steps.read(text, "b.json").steps:
            if step.kind == "pull":
                assert set(step.tags) <= in_registry
                here |= set(step.tags)
            elif step.kind == "build":
                assert set(step.build_args.values()) <= here, "its parent is not there"
                here |= set(step.tags)
                built += step.tags[:1]
            elif step.kind == "push":
                assert set(step.tags) <= here
                pushed |= set(step.tags)
        in_registry |= pushed
    assert sorted(built) == sorted(plan.reference(image.tag) for image in plan.images)
    assert in_registry == {plan.reference(name) for name in plan.names()}


@given(plans())
def test_the_number_of_files_is_at_least_the_lower_bound_and_at_most_twice_it(drawn):
    plan, options = drawn
    number = len(split(plan, options))
    assert fewest(plan, options) <= number
    # Two files next to each other are full enough that their images need more than one, but for
    # the steps that pull parents, at most one an image.
    assert number <= 2 * (fewest(plan, options) + len(plan.images) // (options.limits.steps // 3))


@given(plans(most=60, steps=(100, 100)))
def test_with_a_limit_of_100_a_split_has_at_most_one_file_more_than_the_lower_bound(drawn):
    plan, options = drawn
    limits = Limits(steps=100, images=100)
    real = CloudBuild(limits=limits, publish=options.publish)
    assert len(split(plan, real)) <= fewest(plan, real) + 1


def best(plan, options):
    """The fewest files, and the shortest critical path of so many, by trying everything."""
    images, lengths, number = plan.images, [], fewest(plan, options) - 1
    while not lengths:
        number += 1
        for places in itertools.product(range(number), repeat=len(images)):
            chosen = dict(zip((image.tag for image in images), places, strict=True))
            if all(i.parent is None or chosen[i.parent] <= chosen[i.tag] for i in images):
                parts = [[i for i in images if chosen[i.tag] == n] for n in range(number)]
                if all(fits(options, part) for part in parts):
                    lengths.append(path_length(parts))
    return number, min(lengths)


def fits(options, part):
    own = {image.tag for image in part}
    provenance = options.publish == "provenance"
    pulls = {image.parent for image in part} - {None} - own
    pushes = 0 if provenance else sum(1 + len(image.aliases) for image in part)
    names = sum(1 + len(image.aliases) for image in part) if provenance else 0
    used = len(pulls) + len(part) + sum(bool(image.test) for image in part) + pushes
    return used <= options.limits.steps and names <= options.limits.images


@settings(max_examples=60, deadline=None)
@given(plans(most=5, steps=(6, 12)))
def test_small_plans_are_split_nearly_as_well_as_they_can_be(drawn):
    plan, options = drawn
    parts = split(plan, options)
    assume(len(parts) > 1)
    number, length = best(plan, options)
    assert len(parts) <= number + 1
    if len(parts) == number:
        assert path_length(part.images for part in parts) <= length + 2
