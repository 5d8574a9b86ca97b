import json

import pytest

import imagekit
from imagekit.document import build_files, build_reader, quick_reader
from imagekit.errors import UsageError

CONFIG = """
base_url: h/r
python_versions: {a: {}, b: {}, c: {}}
images: [{python: [a, b, c]}]
cloudbuild: {limits: {steps: 2}}
"""


OWN = {"repository": "r", "critical_path": 1}


@pytest.fixture
def config(config_file):
    return imagekit.load(config_file(CONFIG))


def test_a_build_that_fits_is_one_file(config):
    one = imagekit.plan(config, only=["*a"])
    assert build_files.files(one, config, "x/b.json") == {"x/b.json": imagekit.render(one, config)}


def test_several_files_stand_beside_it_with_their_manifest(config):
    found = build_files.files(imagekit.plan(config), config, "x/b.json")
    assert list(found) == ["x/b-01.json", "x/b-02.json", "x/b-03.json", "x/b-manifest.json"]
    manifest = json.loads(found["x/b-manifest.json"])
    assert [entry["file"] for entry in manifest["files"]] == ["b-01.json", "b-02.json", "b-03.json"]
    assert [entry["images"] for entry in manifest["files"]] == [["cpu-a"], ["cpu-b"], ["cpu-c"]]
    assert [entry["steps"] for entry in manifest["files"]] == [2, 2, 2]
    assert build_files.listed(manifest) == ["b-01.json", "b-02.json", "b-03.json"]
    assert build_files.paths("x/b-manifest.json", ["b-01.json"]) == ["x/b-01.json"]


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"files": [{"file": "a"}]}]
    + [OWN | {"files": found} for found in ([], [1], "x")]
    + [OWN | {"files": [{"file": name}]} for name in (1, "", "../a", "/a", "x/a")],
)
def test_what_is_no_manifest(document):
    assert build_files.listed(document) is None


def test_a_manifest_that_was_asked_for_lists_names_of_files():
    names = {"files": [{"file": "b-01.json"}]}
    assert build_files.members(OWN | names, "m.json") == ["b-01.json"]
    assert build_files.members(names, "m.json") is None
    with pytest.raises(UsageError, match=r"m\.json: not a manifest: it lists no names of files"):
        build_files.members(OWN | {"files": []}, "m.json")


@pytest.mark.parametrize(
    ("path", "is_part"),
    [
        ("x/b-01.json", True),
        ("x/b-123.json", True),
        ("x/b-1.json", False),
        ("x/b.json", False),
        ("x/b-01.yaml", False),
        ("b-01.json", False),
        ("x/README.md", False),
    ],
)
def test_what_a_part_is_called(path, is_part):
    assert build_files.is_part(path, "x/b-manifest.json") == is_part


STEP = {"id": "r:a", "waitFor": ["-"]}


@pytest.mark.parametrize(
    ("document", "is_generated"),
    [
        ({"steps": [STEP, STEP], "timeout": "60s"}, True),
        ({"steps": [STEP]}, False),
        ({"steps": [STEP, {"id": "r:b"}], "timeout": "60s"}, False),
        ({"steps": [STEP, "r:b"], "timeout": "60s"}, False),
        ({"steps": [], "timeout": "60s"}, False),
        ({"timeout": "60s"}, False),
        ([STEP], False),
        (None, False),
    ],
)
def test_what_a_generated_file_looks_like(document, is_generated):
    assert build_files.is_generated(document) == is_generated


def merged(*documents):
    build = build_files.merge(map(quick_reader.of_generated, map(json.dumps, documents)))
    return json.loads(build_reader.write(build))


def test_merged_builds_pull_nothing_that_they_build():
    build = {"id": "r:a", "args": ["build", "."], "waitFor": ["-"]}
    pull = {"id": "r:a-pull", "args": ["pull", "r:a"], "waitFor": ["-"]}
    other = {"id": "r:o-pull", "args": ["pull", "r:o"]}
    child = {"id": "r:b", "args": ["build", "."], "waitFor": ["r:a-pull", "r:o-pull"]}
    found = merged(
        {"steps": [build], "timeout": "1s", "images": ["r:a"]},
        {"steps": [pull, other, child], "images": ["r:b"]},
    )
    assert found["steps"] == [build, other, child | {"waitFor": ["r:a", "r:o-pull"]}]
    assert (found["timeout"], found["images"]) == ("1s", ["r:a", "r:b"])


def test_steps_without_an_id_are_kept_in_a_merged_build():
    steps = [{"args": ["build", "."]}, {"args": ["pull", "x"]}]
    assert merged({"steps": steps}, {"steps": steps})["steps"] == [*steps, *steps]


def test_merged_builds_have_the_substitutions_of_all():
    found = merged(
        {"steps": [], "substitutions": {"_A": "1"}},
        {"steps": [], "substitutions": {"_B": "2"}},
        {"steps": []},
    )
    assert found["substitutions"] == {"_A": "1", "_B": "2"}
