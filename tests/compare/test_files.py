"""The files that images are made of, and what of it differs between two trees."""

import json

import pytest

from imagekit.compare.build_file import differing, files_of
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


STEPS = (
    build("a", "D"),
    build("b", "E"),
    build("c", "E", waitFor=["r:a"]),
    {"name": STRUCTURE_TEST, "args": ["--image", "r:b", "--config", "t"], "waitFor": ["r:b"]},
)
FILES = {"D": "FROM x", "E": "FROM y\nCOPY app /", "app": "1", "t": "test"}


@pytest.mark.parametrize(
    ("changed", "told", "rebuilt"),
    [
        ({}, {}, {}),
        ({"D": "FROM z"}, {"a": ["D changed"]}, {"c": "a"}),
        ({"app": "2"}, {"b": ["app changed"], "c": ["app changed"]}, {}),
        ({"t": "other"}, {"b": ["t changed"]}, {}),
        ({"t": None}, {"b": ["t removed"]}, {}),
        ({"app": None}, {"b": ["app removed"], "c": ["app removed"]}, {}),
        # Where no file is known, nothing can be said of them.
        (dict.fromkeys(FILES), {}, {}),
    ],
)
@pytest.mark.parametrize("others", [False, True])
def test_files_of_two_trees(changed, told, rebuilt, others):
    """Only images whose files differ are told, also where there are more images than before."""
    known = Known()
    lists = (STEPS, (build("new", "D"), *STEPS) if others else STEPS)
    builds = [read_build(json.dumps({"steps": steps}), known=known) for steps in lists]
    new = {name: text for name, text in (FILES | changed).items() if text is not None}
    trees = Tree(**FILES), Tree(**new)
    files = tuple(files_of(one, known, tree) for one, tree in zip(builds, trees, strict=True))
    changes = compare_builds(differing(*builds, known, files))
    found = {name: [*map(str, what)] for name, what in changes.changed.items()}
    assert (found, changes.rebuilt) == (told, rebuilt)
    assert changes.added == (("new",) if others else ())
