"""The files that images are made of, and what of it differs between two trees."""

import json

import pytest

from imagekit.compare.build_file import files_of, pair
from imagekit.compare.changes import compare_builds
from imagekit.compare.files import with_files
from imagekit.compare.inventory import ImageSpec, Inventory, Known, read_build
from imagekit.document.cloudbuild import BUILDER, STRUCTURE_TEST


class Tree:
    """Files by their path."""

    def __init__(self, **files):
        self.files = files

    def read(self, path):
        return self.files[path].encode() if path in self.files else None

    def hash(self, path):
        return f"-{self.files[path]}" if path in self.files else None

    def entries(self, folder):
        return [(name, "file") for name in self.files]


def test_images_of_one_dockerfile_share_its_files():
    spec = ImageSpec(dockerfile="D", test=("t", "gone", "../outside"))
    found = with_files(Inventory(images={"a": spec, "b": spec}), Tree(D="FROM x", t="t"))
    assert found.images["a"].files == found.images["b"].files == ("D",)
    assert sorted(found.files) == ["D", "t"]


def build(tag, dockerfile, **more):
    args = ["build", "-t", f"r:{tag}", "-f", dockerfile, "."]
    return {"id": f"r:{tag}", "name": BUILDER, "args": args, "waitFor": ["-"], **more}


def compared(before, after, *trees):
    known = Known()
    texts = (json.dumps({"steps": steps}) for steps in (before, after))
    builds = [read_build(text, known=known) for text in texts]
    files = tuple(files_of(one, known, tree) for one, tree in zip(builds, trees, strict=True))
    return compare_builds(pair(*builds, known, files))


def told(changes):
    return {name: [*map(str, what)] for name, what in changes.changed.items()}


STEPS = (
    build("a", "D"),
    build("b", "E"),
    build("c", "E", waitFor=["r:a"]),
    {"name": STRUCTURE_TEST, "args": ["--image", "r:b", "--config", "t"], "waitFor": ["r:b"]},
)
FILES = {"D": "FROM x", "E": "FROM y\nCOPY app /", "app": "1", "t": "test"}


@pytest.mark.parametrize(
    ("changed", "different", "rebuilt"),
    [
        ({}, {}, {}),
        ({"D": "FROM z"}, {"a": ["D changed"]}, {"c": "a"}),
        ({"app": "2"}, {"b": ["app changed"], "c": ["app changed"]}, {}),
        ({"t": "other"}, {"b": ["t changed"]}, {}),
        ({"t": None}, {"b": ["t removed"]}, {}),
        ({"app": None}, {"b": ["app removed"], "c": ["app removed"]}, {}),
        # Where no file is known, nothing can be said of any.
        (dict.fromkeys(FILES), {}, {}),
    ],
)
@pytest.mark.parametrize("others", [False, True])
def test_files_of_two_trees(changed, different, rebuilt, others):
    """Only images whose files differ are told, also where there are more images than before."""
    after = (build("new", "D"), *STEPS) if others else STEPS
    new = {name: text for name, text in (FILES | changed).items() if text is not None}
    changes = compared(STEPS, after, Tree(**FILES), Tree(**new))
    assert (told(changes), changes.rebuilt) == (different, rebuilt)
    assert changes.added == (("new",) if others else ())


def test_a_test_file_that_is_new():
    without = Tree(**{name: text for name, text in FILES.items() if name != "t"})
    found = told(compared(STEPS, STEPS, without, Tree(**FILES)))
    assert found == {"b": ["t added"]}


def test_a_key_that_no_step_has_is_not_its_context():
    steps = [{**build("a", name), "context": "elsewhere"} for name in "DE"]
    found = told(compared(steps[:1], steps[1:], Tree(**FILES), Tree(**FILES)))
    assert found == {"a": ["Dockerfile D → E", "D removed", "E added", "app added"]}
