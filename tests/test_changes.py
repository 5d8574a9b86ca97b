import json

import pytest

from imagekit.changes import compare


def build(name, *args, wait_for=("-",), **more):
    step = {"id": name, "name": "docker", "args": ["build", "-t", name, *args, "."]}
    return step | {"waitFor": list(wait_for)} | more


def text(*steps, **whole):
    return json.dumps({"steps": list(steps)} | whole)


PY = ("-f", "Dockerfile", "--build-arg", "PYTHON_VERSION=3.11", "--build-arg", "X=a=b")


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (
            build("a", *PY[:2], "--build-arg", "PYTHON_VERSION=3.12", *PY[4:]),
            ["PYTHON_VERSION 3.11 → 3.12"],
        ),
        (build("a", *PY[:4]), ["X a=b → (none)"]),
        (build("a", *PY, "--build-arg", "Y=1"), ["Y (none) → 1"]),
        (build("a", "-f", "Other", *PY[2:]), ["Dockerfile Dockerfile → Other"]),
        (build("a", "-t", "alias", *PY), ["tag alias (none) → yes"]),
        (build("a", *PY, wait_for=["b"]), ["waits for - → b"]),
        (build("a", *PY, dir="sub"), ["the order of its arguments, or another field of its step"]),
        (
            build("a", *PY[2:], *PY[:2]),
            ["the order of its arguments, or another field of its step"],
        ),
    ],
)
def test_what_changed_in_an_image(after, what):
    changes = compare(text(build("a", *PY)), text(after))
    assert changes.changed == {"a": tuple(what)}
    assert (changes.added, changes.removed, changes.whole) == ((), (), ())


def test_images_that_came_and_went():
    changes = compare(text(build("a"), build("b")), text(build("b"), build("c")))
    assert (changes.added, changes.removed) == (("c",), ("a",))
    assert list(changes.lines()) == ["+ c", "- a"]
    assert changes.summary() == "1 added, 1 removed"


def test_what_differs_outside_the_images():
    changes = compare(text(build("a"), timeout="1s"), text(build("a"), timeout="2s"))
    assert changes.whole == ('timeout "1s" → "2s"',)


def test_a_test_that_came():
    test = {"id": "a-test", "args": ["test", "--image", "a", "--config", "t.yaml"]}
    changes = compare(text(build("a")), text(build("a"), test))
    assert changes.changed == {"a": ("test (none) → --config t.yaml",)}


def test_only_the_layout_differs():
    changes = compare(text(build("a")), text(build("a")) + "\n")
    assert changes.summary() == "only order, push steps or layout differ"


def test_nothing_differs():
    assert not compare(text(build("a")), text(build("a")))
    assert compare("", "").summary() == "no change"


@pytest.mark.parametrize(
    "before",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"steps": 1}',
        '{"steps": [1]}',
        '{"steps": [{"id": 1, "args": []}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_build_file_is_said(before):
    changes = compare(before, text(build("a")))
    assert changes.whole == ("the file held no Cloud Build document",)
    assert changes.added == ("a",)


def test_a_missing_file():
    assert compare(None, text(build("a"))).summary() == "1 added, the file is new"
