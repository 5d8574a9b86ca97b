import json

import pytest

from imagekit.compare import inventory
from imagekit.compare.changes import ORDER, Difference, compare, compare_files
from imagekit.compare.inventory import ImageSpec, Inventory
from imagekit.document.cloudbuild import STRUCTURE_TEST


def build(tag, *args, wait_for=("-",), **more):
    name = f"r:{tag}"
    step = {"id": name, "name": "docker", "args": ["build", "-t", name, *args, "."]}
    return step | {"waitFor": list(wait_for)} | more


def push(tag, *wait_for, name=None):
    step = {"id": name or f"r:{tag}-push", "name": "docker", "args": ["push", f"r:{tag}"]}
    return step | {"waitFor": list(wait_for)}


def check(tag, *wait_for, name="test"):
    args = ["test", "--image", f"r:{tag}", "--config", "t.yaml"]
    return {"id": name, "name": STRUCTURE_TEST, "args": args, "waitFor": list(wait_for)}


def text(*steps, **whole):
    return json.dumps({"steps": list(steps)} | whole)


def told(found, name):
    return [str(difference) for difference in found.changed[name]]


PY = ("-f", "Dockerfile", "--build-arg", "PYTHON_VERSION=3.11", "--build-arg", "X=a=b")


@pytest.mark.parametrize(
    ("after", "what", "rebuilds"),
    [
        (
            build("a", *PY[:2], "--build-arg", "PYTHON_VERSION=3.12", *PY[4:]),
            "PYTHON_VERSION 3.11 → 3.12",
            True,
        ),
        (build("a", *PY[:4]), "X a=b → (none)", True),
        (build("a", *PY, "--build-arg", "Y=1"), "Y (none) → 1", True),
        (build("a", "-f", "Other", *PY[2:]), "Dockerfile Dockerfile → Other", True),
        (build("a", *PY, dir="sub"), "Dockerfile Dockerfile → sub/Dockerfile", True),
        (build("a", "-t", "r:alias", *PY), "alias alias (none) → yes", False),
        (build("a", "--label", "l=1", *PY), "label l (none) → 1", False),
        (build("a", *PY, "--network=host"), "--network (none) → host", True),
        (build("a", *PY, "--no-cache", "--pull"), "--no-cache (none) → yes", True),
        (build("a", *PY, wait_for=["other"]), "waits for - → other", False),
        (build("a", *PY, env=["A=1"]), 'env (none) → ["A=1"]', False),
        (build("a", *PY, timeout="9s"), 'timeout (none) → "9s"', False),
        (build("a", *PY, "--progress=plain"), "--progress (none) → plain", False),
    ],
)
def test_what_changed_in_an_image(after, what, rebuilds):
    changes = compare_files(text(build("a", *PY)), text(after))
    assert told(changes, "a")[0] == what
    assert changes.changed["a"][0].rebuilds == rebuilds
    assert (changes.added, changes.removed, changes.whole) == ((), (), ())


def test_images_that_came_and_went():
    changes = compare_files(text(build("a"), build("b")), text(build("b"), build("c")))
    assert (changes.added, changes.removed) == (("c",), ("a",))
    assert list(changes.lines()) == ["+ c", "- a"]
    assert changes.summary() == "1 added, 1 removed"


def on(parent, tag):
    return build(tag, "--build-arg", f"BASE_IMAGE=r:{parent}", wait_for=[f"r:{parent}"])


def test_what_stands_on_a_changed_image_is_rebuilt():
    leaves = (on("base", "x"), on("base", "y"), on("y", "z"), on("other", "o"), build("other"))
    before = text(build("base", "--build-arg", "A=1"), *leaves)
    changes = compare_files(before, text(build("base", "--build-arg", "A=2"), *leaves))
    assert changes.rebuilt == dict.fromkeys(["x", "y", "z"], "base")
    assert list(changes.lines()) == ["~ base: A 1 → 2", "↻ x, y, z: because base changed"]
    assert changes.summary() == "1 changed, 3 rebuilt"


def test_a_new_name_or_test_rebuilds_nothing():
    test = {"id": "t", "name": STRUCTURE_TEST, "args": ["test", "--image", "r:base", "--config"]}
    base = build("base", "-t", "r:alias")
    changed = text(base, test | {"args": [*test["args"], "t.yaml"]}, on("base", "x"))
    changes = compare_files(text(build("base"), on("base", "x")), changed)
    assert told(changes, "base") == ["alias alias (none) → yes", "test (none) → t.yaml"]
    assert changes.rebuilt == {}


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        # Of a changed image, to an added one.
        ({"a": ["new", "x"]}, {"a": ["x"], "b": ["new"]}, ["+ b", "~ alias new a → b"]),
        # Of an image that is gone.
        ({"a": ["new", "x"]}, {"b": ["new", "y"]}, ["+ b", "- a", "~ alias new a → b"]),
        # Two that change places.
        (
            {"a": ["new"], "b": ["old"]},
            {"a": ["old"], "b": ["new"]},
            ["~ alias old b → a", "~ alias new a → b"],
        ),
        # One that is gone is told at its image.
        (
            {"a": ["new", "x"], "b": []},
            {"a": [], "b": ["new"]},
            ["~ a: alias x yes → (none)", "~ alias new a → b"],
        ),
        # Those of images that came or went are no change of their own.
        ({"a": ["x"]}, {"b": ["y"]}, ["+ b", "- a"]),
    ],
)
def test_an_alias_that_is_another_image_s_now(before, after, lines):
    sides = [
        text(*(build(name, *(f"-tr:{alias}" for alias in own)) for name, own in side.items()))
        for side in (before, after)
    ]
    assert list(compare_files(*sides).lines()) == lines


def test_to_pull_all_tags_is_not_to_push_them():
    step = {"id": "all", "name": "docker", "args": ["push", "--all-tags", "r"]}
    pull = step | {"args": ["pull", "--all-tags", "r"]}
    changes = compare_files(text(build("a"), step), text(build("a"), pull))
    assert told(changes, "a") == ["pushed yes → no"]
    assert compare_files(text(build("a"), step), text(build("a"), step | {"id": "b"})).changed == {}


def test_moved_aliases_are_counted_for_themselves():
    many = [f"-tr:m{n}" for n in range(5)]
    before = text(build("a", *many), build("b"))
    changes = compare_files(before, text(build("a"), build("b", *many)))
    assert changes.summary() == "5 aliases moved"
    timed = text(build("a", *many[1:]), build("b", many[0]), timeout="9s")
    assert compare_files(before, timed).summary() == "1 alias moved, timeout (none) → 9s"


def test_an_image_that_moves_to_another_parent():
    before = text(build("a"), build("b"), on("a", "x"))
    changes = compare_files(before, text(build("a"), build("b"), on("b", "x")))
    assert told(changes, "x") == ["parent a → b"]


def test_another_repository_is_told_once():
    before = text(build("a"), on("a", "x"))
    changes = compare_files(before, before.replace("r:", "other/r:"))
    assert [str(difference) for difference in changes.whole] == ["repository r → other/r"]
    assert not changes.changed
    assert not changes.added


def test_several_repositories_in_a_file_are_compared_by_whole_names():
    other = json.loads(text(build("a")).replace("r:", "s:"))["steps"]
    changes = compare_files(text(build("a")), text(build("a"), *other))
    assert changes.added == ("s:a",)
    assert changes.changed == {}


def test_images_that_stand_on_each_other_end():
    before = text(on("b", "a"), on("a", "b"), on("a", "c"), build("d"))
    after = text(on("b", "a"), on("a", "b"), on("a", "c"), build("d", "--build-arg", "A=1"))
    assert set(compare_files(before, after).changed) == {"d"}


def test_what_differs_outside_the_images():
    changes = compare_files(text(build("a"), timeout="1s"), text(build("a"), timeout="2s"))
    assert changes.whole == (Difference("timeout", "1s", "2s"),)


def test_an_image_that_is_no_longer_pushed():
    changes = compare_files(text(build("a"), push("a")), text(build("a")))
    assert told(changes, "a") == ["pushed yes → no"]


def test_only_the_layout_differs():
    changes = compare_files(text(build("a")), text(build("a")) + "\n")
    assert changes.summary() == "only the formatting differs"


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (text(build("b"), build("a"), push("a"), push("b")), ORDER),
        (text(build("a"), build("b"), push("b"), push("a")), ORDER),
    ],
)
def test_only_the_order_differs(after, what):
    before = text(build("a"), build("b"), push("a"), push("b"))
    assert compare_files(before, after).summary() == what


def test_a_step_that_makes_no_image_is_told():
    other = {"id": "other", "name": "alpine", "args": ["rm", "-rf", "/workspace"]}
    found = compare_files(text(build("a")), text(build("a"), other))
    assert [d.what for d in found.whole] == ["step other"]
    assert found.whole[0].after == "alpine rm -rf /workspace"


def test_another_builder_is_told():
    found = compare_files(text(build("a")), text(build("a") | {"name": "example.com/docker"}))
    assert told(found, "a") == ["builder docker → example.com/docker"]


def test_an_image_that_no_longer_waits_for_its_parent_is_told():
    before, after = (
        text(build("a"), on("a", "b")),
        text(build("a"), on("a", "b") | {"waitFor": ["-"]}),
    )
    found = compare_files(before, after)
    assert told(found, "b") == ["waits for a → -"]


PUSHED = (build("a"), build("b"), check("a", "r:a"), push("a", "test"), push("b", "r:b"))


@pytest.mark.parametrize(
    ("steps", "image", "what"),
    [
        ((*PUSHED[:3], push("a", "r:a"), PUSHED[4]), "a", "push waits for the test of a → a"),
        (
            (*PUSHED[:3], push("a"), PUSHED[4]),
            "a",
            "push waits for the test of a → everything before",
        ),
        ((*PUSHED[:4], push("b", "r:b", "test")), "b", "push waits for b → b, the test of a"),
        ((*PUSHED[:2], check("a", "-"), *PUSHED[3:]), "a", "test waits for a → -"),
    ],
)
@pytest.mark.parametrize("others", [False, True])
def test_what_pushes_and_tests_wait_for(steps, image, what, others):
    """It is told with the names of images, also where something else has changed."""
    more = (build("c"), push("c", "r:c"), {"name": "alpine"}) if others else ()
    changes = compare_files(text(*PUSHED), text(*more, *steps))
    assert told(changes, image) == [what]
    assert [*changes.changed] == [image]
    assert changes.added == (("c",) if others else ())
    assert not any(difference.rebuilds for difference in changes.changed[image])


def test_a_step_that_has_not_changed_may_wait_for_another_image():
    """Its text is the same, and the tests have changed names."""
    before = (build("a"), build("b"), check("a", name="s"), check("b", name="t"))
    after = (build("a"), build("b"), check("a", name="t"), check("b", name="s"))
    pushes = (push("a", "s"), push("b", "t"))
    changes = compare_files(text(*before, *pushes), text(*after, *pushes))
    assert told(changes, "a") == ["push waits for the test of a → the test of b"]
    assert told(changes, "b") == ["push waits for the test of b → the test of a"]


def test_a_push_waits_for_the_image_whose_step_has_the_name_now():
    before, after = (
        text(build("a", id=one), build("b", id=two), push("a", "s"), push("b", "t"))
        for one, two in ("st", "ts")
    )
    assert told(compare_files(before, after), "r:a") == ["push waits for r:a → r:b"]


def test_an_image_that_is_pushed_once_more_without_waiting():
    changes = compare_files(text(*PUSHED), text(*PUSHED, push("a", "-", name="once-more")))
    assert told(changes, "a") == ["push waits for the test of a → the test of a, -"]


def test_an_image_that_is_built_and_pushed_in_another_way():
    other = build("a", "--pull")
    changes = compare_files(text(*PUSHED), text(other, *PUSHED[1:3], push("a", "r:a"), PUSHED[4]))
    what = ["--pull (none) → yes", "push waits for the test of a → a"]
    assert told(changes, "a") == what


def test_one_of_several_tests_is_no_longer_waited_for():
    tests = (build("a"), check("a", "r:a", name="s"), check("a", "r:a", name="t"))
    changes = compare_files(text(*tests, push("a", "s", "t")), text(*tests, push("a", "s")))
    assert told(changes, "a") == ["push waits for the test of a, the test t → the test of a"]


def test_a_push_moves_before_the_test_it_waited_for_by_its_place():
    steps = (build("a"), {k: v for k, v in check("a").items() if k not in ("id", "waitFor")})
    last = {"name": "docker", "args": ["push", "r:a"]}
    changes = compare_files(text(*steps, last), text(steps[0], last, steps[1]))
    (difference,) = changes.changed["a"]
    assert difference.after == "everything before, without its test"


def test_a_test_that_may_fail():
    lenient = check("a", "r:a") | {"allowFailure": True}
    changes = compare_files(text(*PUSHED), text(*PUSHED[:2], lenient, *PUSHED[3:]))
    assert told(changes, "a") == ["test allowFailure (none) → true"]
    assert not changes.changed["a"][0].rebuilds
    both = (text(*PUSHED[:2], lenient, pushed, PUSHED[4]) for pushed in (push("a"), PUSHED[3]))
    assert told(compare_files(*both), "a") == ["push waits for everything before → the test of a"]


def test_a_push_that_waits_for_another_push():
    before, after = (
        text(*PUSHED[:4], push("b", "r:a-push")),
        text(*PUSHED[:4], push("b", "r:b")),
    )
    assert told(compare_files(before, after), "b") == ["push waits for the push of a → b"]
    assert compare_files(before, before.replace("r:", "s:")).changed == {}


def test_a_build_that_waits_for_others_is_told_by_their_names():
    steps = [build("a"), build("c"), build("b", wait_for=["r:a", "r:c"])]
    other = build("b", wait_for=["r:a"])
    changes = compare_files(text(*steps), text(*steps[:2], other))
    assert told(changes, "b") == ["waits for a, c → a"]
    assert compare_files(text(*steps), text(*steps).replace("r:", "s:")).changed == {}


def test_an_image_that_its_build_pushes():
    image = build("a") | {"args": ["buildx", "build", "--push", "-t", "r:a", "."]}
    changes = compare_files(text(*PUSHED), text(image, *PUSHED[1:]))
    assert told(changes, "a") == ["pushed yes → by its build"]


def test_a_step_waits_for_all_of_the_files_before():
    """Build files run in order, and a step waits for no step of another file."""
    parent, child = (build("a"), check("a", "r:a")), on("a", "b")
    one = text(*parent, child, push("b", "r:b", "test"))
    pull = {"id": "r:a-pull", "name": "docker", "args": ["pull", "r:a"], "waitFor": ["-"]}
    several = [text(*parent), text(pull, child | {"waitFor": ["r:a-pull"]}, push("b", "r:b"))]
    for changes in (compare_files(one, several), compare_files(several, one)):
        assert changes.changed == {}
        assert [difference.what for difference in changes.whole] == ["build files"]
    turned = [several[0], text(pull, child | {"waitFor": ["r:a-pull"]}, push("b", "-"))]
    assert told(compare_files(one, turned), "b") == ["push waits for b, the test of a → -"]


def test_pushes_that_wait_for_all_images_are_told_only_of_those_that_were_there():
    """With `publish: together`, another image would be a change of all others."""

    def together(*tags):
        ids = [f"r:{tag}" for tag in tags]
        return text(*map(build, tags), *(push(tag, *ids) for tag in tags))

    assert compare_files(together(*"ab"), together(*"abc")).changed == {}
    assert compare_files(together(*"abc"), together(*"ab")).changed == {}
    each = text(*map(build, "abcd"), *(push(tag, f"r:{tag}") for tag in "abcd"))
    assert [*compare_files(each, together(*"abcd")).lines()] == [
        "~ 4 images: push waits for others"
    ]


def test_steps_with_other_names_wait_for_the_same():
    tests, pushes = check("a", "r:a", name="t"), push("a", "t", name="p")
    changed = text(*PUSHED[:2], tests, pushes, PUSHED[4])
    assert compare_files(text(*PUSHED), changed).summary() == ORDER


def test_an_alias_may_wait_for_something_else_than_its_image():
    image, other = build("a", "-t", "r:latest"), build("b")
    before, after = (
        text(image, other, push("a", "r:a"), push("latest", name)) for name in ("r:a", "r:b")
    )
    assert told(compare_files(before, after), "a") == ["push of latest waits for a → b"]


def test_a_push_of_an_image_from_elsewhere_is_a_step_of_its_own():
    before, after = (text(build("a"), push("z", name)) for name in ("r:a", "-"))
    changes = compare_files(before, after)
    assert changes.changed == {}
    assert [difference.what for difference in changes.whole] == ["step r:z-push"]


def test_what_waits_is_told_of_images_in_another_repository():
    before = text(*PUSHED)
    after = text(*PUSHED[:4], push("b", "r:a")).replace("r:", "s:")
    changes = compare_files(before, after)
    assert told(changes, "b") == ["push waits for b → a"]
    assert [d.what for d in changes.whole] == ["repository"]


def test_what_changed_in_many_images_is_told_once():
    files = [{"Dockerfile": "-1"}, {"Dockerfile": "-2"}]
    images = {name: ImageSpec(dockerfile="Dockerfile", files=("Dockerfile",)) for name in "abcd"}
    found = compare(*(Inventory(images=images, files=known) for known in files))
    assert list(found.lines()) == ["~ 4 images: Dockerfile changed"]
    assert found.summary() == "4 changed"


def test_nothing_differs():
    assert not compare_files(text(build("a")), text(build("a")))
    assert compare_files("", "").summary() == "no change"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"steps": 1}',
        '{"steps": [1]}',
        "[" * 100_000,
        "{" * 100_000,
    ],
)
def test_what_is_no_build_file_is_said(before):
    changes = compare_files(before, text(build("a")))
    assert changes.summary() == "1 added, the old file was not a Cloud Build file"
    assert changes.added == ("a",)


def test_a_missing_file():
    assert compare_files(None, text(build("a"))).summary() == "1 added, new file"


# ---- files that images are made of


def made(**files):
    images = {
        "base": ImageSpec(dockerfile="D", files=tuple(files), test=("t",)),
        "x": ImageSpec(dockerfile="E", parent="base"),
    }
    return Inventory(repository="r", images=images, files=files)


def test_a_changed_dockerfile_rebuilds_its_image_and_what_stands_on_it():
    changes = compare(made(D="1", t="1"), made(D="2", t="1"))
    assert told(changes, "base") == ["D changed"]
    assert changes.rebuilt == {"x": "base"}


def test_files_that_came_and_went():
    changes = compare(made(D="1", old="1", t="1"), made(D="1", new="1", t="1"))
    assert told(changes, "base") == ["old removed", "new added"]


def test_a_changed_test_rebuilds_nothing():
    images = {"a": ImageSpec(dockerfile="D", files=("D",), test=("t",))}
    before, after = (Inventory(images=images, files={"D": "1", "t": h}) for h in "12")
    changes = compare(before, after)
    assert told(changes, "a") == ["t changed"]
    assert not changes.changed["a"][0].rebuilds


def test_files_that_are_not_known_are_not_compared():
    assert not compare(made(D="1", t="1"), made(D="1", t="1"))
    unknown = inventory.Inventory(repository="r", images=made(D="1", t="1").images)
    assert not compare(unknown, made(D="2", t="2"))


@pytest.mark.parametrize(("number", "together"), [(3, False), (4, True)])
def test_a_change_is_told_once_from_four_images_on(number, together):
    images = {str(n): ImageSpec(dockerfile="D", files=("D",)) for n in range(number)}
    before, after = (Inventory(images=images, files={"D": content}) for content in "12")
    lines = list(compare(before, after).lines())
    assert lines == (
        ["~ 4 images: D changed"] if together else [f"~ {n}: D changed" for n in "012"]
    )


@pytest.mark.parametrize("unknown", ["before", "after"])
def test_options_that_one_side_does_not_know_do_not_differ(unknown):
    known = Inventory(
        images={"a": ImageSpec(dockerfile="D", options={"x": "1"})}, options={"y": "2"}
    )
    other = Inventory(images={"a": ImageSpec(dockerfile="D")})
    sides = (other, known) if unknown == "before" else (known, other)
    assert not compare(*sides)
