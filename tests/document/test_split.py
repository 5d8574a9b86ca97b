import pytest

from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.document.split import fewest, path_length, split
from imagekit.errors import LimitError
from imagekit.planning.plan import Image, Plan


def image(tag, parent=None, **more):
    return Image(
        tag=tag, values={}, recipe="r", dockerfile="D", build_args={}, parent=parent, **more
    )


def plan(*images, publish="each", **limits):
    options = CloudBuild(limits=Limits(**limits), publish=publish)
    return Plan(repository="r", images=images), options


def tags(parts):
    return [[image.tag for image in part.images] for part in parts]


def test_what_fits_is_one_build():
    whole = plan(image("a"), image("b", "a"), steps=4)
    assert split(*whole) == (whole[0],)


def test_a_later_file_pulls_a_parent_of_an_earlier_one():
    parts = split(*plan(image("a"), image("b", "a"), steps=3))
    assert tags(parts) == [["a"], ["b"]]
    assert [part.pulled for part in parts] == [(), ("a",)]


def test_a_parent_is_pulled_once_for_all_of_its_children():
    parts = split(*plan(image("a"), image("b", "a"), image("c", "a"), image("d"), steps=5))
    assert len(parts) == 2
    assert sum(len(part.pulled) for part in parts) <= 1


def test_pulling_a_parent_takes_room():
    images = [image("a"), image("b"), image("c", "a"), image("d", "b")]
    parts = split(*plan(*images, steps=5))
    for part in parts:
        assert 2 * len(part.images) + len(part.pulled) <= 5


def test_whole_trees_in_one_file_pull_nothing():
    chains = [image(f"{tree}{n}", f"{tree}{n - 1}" if n else None) for tree in "ab" for n in (0, 1)]
    parts = split(*plan(*chains, *map(image, "cd"), steps=6))
    assert len(parts) == 2 == fewest(*plan(*chains, *map(image, "cd"), steps=6))
    assert [part.pulled for part in parts] == [(), ()]
    assert path_length(part.images for part in parts) == 4


def test_tests_and_aliases_take_room():
    many = [image(tag, test=("t",), aliases=(f"{tag}{tag}",)) for tag in "abc"]
    assert tags(split(*plan(*many, steps=8))) == [["a", "b"], ["c"]]
    assert fewest(*plan(*many, steps=8)) == 2


def test_with_provenance_names_count_and_pushes_do_not():
    many = [image(tag, aliases=(f"{tag}{tag}",)) for tag in "abc"]
    assert tags(split(*plan(*many, publish="provenance", steps=3, images=4))) == [["a", "b"], ["c"]]
    assert len(split(*plan(*many, publish="provenance", steps=3))) == 1


def test_a_new_image_at_the_end_moves_no_other():
    before = [image(str(n)) for n in range(9)]
    first = split(*plan(*before, steps=6))
    second = split(*plan(*before, image("new"), steps=6))
    assert tags(second)[:3] == tags(first)


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        (plan(image("a"), image("b", "a"), steps=2), "b alone needs 3 steps, and a build may"),
        (
            plan(image("a", aliases=("b",)), publish="provenance", images=1),
            "a alone has 2 names, and a build may push 1",
        ),
        (plan(image("a"), image("b"), publish="together", steps=2), "at least 2 builds, which can"),
    ],
)
def test_what_no_split_can_mend(whole, message):
    with pytest.raises(LimitError, match=message):
        split(*whole)


def of_spec(*spec, steps):
    """A plan of (parent, aliases, tests), each image called by its place."""
    images = [
        image(
            str(n), parent, aliases=tuple(f"{n}-{a}" for a in range(aliases)), test=("t",) * tests
        )
        for n, (parent, aliases, tests) in enumerate(spec)
    ]
    return plan(*images, steps=steps)


@pytest.mark.parametrize(
    ("way", "whole", "cost"),
    [
        (
            "as listed",
            of_spec((None, 0, 0), ("0", 0, 0), ("0", 2, 1), ("2", 2, 0), (None, 0, 1), steps=11),
            (2, 3),
        ),
        ("by parent", of_spec((None, 0, 0), ("0", 2, 0), (None, 0, 0), steps=6), (2, 2)),
        (
            "by tree",
            of_spec((None, 0, 0), ("0", 0, 1), (None, 0, 0), ("2", 1, 0), ("2", 0, 0), steps=5),
            (3, 4),
        ),
        (
            "whole trees",
            of_spec((None, 0, 0), ("0", 0, 0), (None, 0, 0), ("2", 1, 1), (None, 0, 0), steps=6),
            (2, 4),
        ),
        (
            "by size",
            of_spec((None, 1, 1), (None, 0, 1), (None, 2, 0), ("2", 1, 0), steps=9),
            (2, 2),
        ),
    ],
)
def test_each_way_to_split_is_the_best_for_some_plan(way, whole, cost):
    """Files and critical path; without this way, the split of this plan would be worse."""
    parts = split(*whole)
    assert (len(parts), path_length(part.images for part in parts)) == cost


def test_a_file_is_filled_to_the_last_step_and_to_the_last_name():
    two = [image("a"), image("b", aliases=("c",))]
    assert len(split(*plan(*two, steps=5))) == 1
    assert len(split(*plan(*two, steps=4))) == 2
    assert len(split(*plan(*two, publish="provenance", images=3))) == 1
    assert len(split(*plan(*two, publish="provenance", images=2))) == 2
    three = [image("a"), image("b"), image("c")]
    assert tags(split(*plan(*three, publish="provenance", images=2))) == [["a", "b"], ["c"]]
    assert fewest(*plan(*three, publish="provenance", images=2)) == 2
    assert fewest(*plan(*three, publish="provenance", images=3)) == 1


def test_an_image_may_need_just_what_a_build_may_have():
    assert len(split(*plan(image("a"), image("b", "a"), steps=3))) == 2
    whole = plan(image("a", aliases=("b",)), image("c"), publish="provenance", images=2)
    assert tags(split(*whole)) == [["a"], ["c"]]
