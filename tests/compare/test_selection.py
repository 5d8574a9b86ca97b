import pytest

from imagekit.compare.changes import Changes, Difference, compare
from imagekit.compare.inventory import ImageSpec, Inventory
from imagekit.compare.selection import selected
from imagekit.errors import ConfigError


def inventory(repository="h/i", **images):
    return Inventory(
        repository=repository,
        images={
            name.replace("_", "-"): ImageSpec(dockerfile="D", **fields)
            for name, fields in images.items()
        },
    )


BEFORE = inventory(
    base={"build_args": {"A": "1"}}, gpu={"parent": "base"}, cpu={"build_args": {"A": "1"}}, old={}
)
AFTER = inventory(
    base={"build_args": {"A": "2"}},
    gpu={"parent": "base", "aliases": ("newest",)},
    cpu={"build_args": {"A": "2"}},
    new={},
)


def names(only=(), skip=()):
    kept = selected(compare(BEFORE, AFTER), BEFORE, AFTER, only, skip)
    return [*kept.added, *kept.removed, *kept.changed, *kept.rebuilt]


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        ((), (), ["new", "old", "base", "gpu", "cpu", "gpu"]),
        (("cpu",), (), ["cpu"]),
        (("h/i:cpu", "old"), (), ["old", "cpu"]),
        # A parent is built with its image, and an alias is a name.
        (("newest",), (), ["base", "gpu", "gpu"]),
        ((), ("gpu", "base", "n*"), ["old", "cpu"]),
        (("*u",), ("cpu",), ["base", "gpu", "gpu"]),
    ],
)
def test_changes_of_the_selected_images_are_kept(only, skip, expected):
    assert sorted(names(only, skip)) == sorted(expected)


def test_a_glob_that_matches_nothing_is_an_error():
    with pytest.raises(ConfigError) as stop:
        names(only=["cpp"], skip=["xyzzy"])
    messages = [problem.message for problem in stop.value.problems]
    assert messages == [
        "--only: 'cpp' matches no image; did you mean 'cpu'?",
        "--skip: 'xyzzy' matches no image",
    ]


def test_what_concerns_no_image_is_kept_and_loops_end():
    loop = inventory(repository=None, a={"parent": "b"}, b={"parent": "a"}, c={"parent": "gone"})
    changes = Changes(added=("a", "c"), whole=(Difference("timeout", "1", "2"),))
    kept = selected(changes, Inventory(), loop, ["a", "c"], ["h/i:*"][:0])
    assert kept == changes
    assert selected(changes, Inventory(), loop, ["b"]).added == ("a",)


def test_an_alias_of_either_side_selects():
    before, after = inventory(a={"aliases": ("old",)}), inventory(a={"aliases": ("new",)})
    changes = compare(before, after)
    assert selected(changes, before, after, ["old"]) == changes
    assert selected(changes, before, after, ["new"]) == changes


def test_whole_names_are_selected_where_one_side_has_several_repositories():
    before = inventory(a={}, b={})
    after = inventory(repository=None)
    after.images["h/i:a"] = after.images["x/y:c"] = ImageSpec(dockerfile="D")
    changes = compare(before, after)
    assert (changes.added, changes.removed) == (("x/y:c",), ("h/i:b",))
    assert selected(changes, before, after, ["*"]) == changes
    assert selected(changes, before, after, ["h/i:b"]).removed == ("h/i:b",)


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("torch:*", ["h/r/torch:1", "h/r/torch:2"]),
        ("r/torch:1", ["h/r/torch:1"]),
        ("h/r/torch:2", ["h/r/torch:2"]),
        ("1", ["h/r/torch:1"]),
        ("latest", ["h/r/torch:2"]),
        ("cpu", ["h/r/ml:cpu"]),
        ("h/*", ["h/r/torch:1", "h/r/torch:2", "h/r/ml:cpu"]),
    ],
)
def test_images_of_several_repositories_are_selected_as_the_matrix_shows_them(glob, expected):
    after = inventory(repository=None)
    for name in ("h/r/torch:1", "h/r/torch:2", "h/r/ml:cpu"):
        aliases = ("h/r/torch:latest",) if name.endswith("2") else ()
        after.images[name] = ImageSpec(dockerfile="D", aliases=aliases)
    changes = compare(inventory(), after)
    assert [*selected(changes, inventory(), after, [glob]).added] == expected
    left = [name for name in after.images if name not in expected]
    assert [*selected(changes, inventory(), after, skip=[glob]).added] == left


def test_a_name_that_is_meant_is_as_short_as_the_one_that_was_given():
    after = inventory(repository=None)
    for name in ("h/r/torch:2.14", "h/r/jupyter:2.13"):
        after.images[name] = ImageSpec(dockerfile="D")
    with pytest.raises(ConfigError, match=r"'torch:2\.15' .* did you mean 'torch:2\.14'"):
        selected(Changes(), after, after, ["torch:2.15"])
