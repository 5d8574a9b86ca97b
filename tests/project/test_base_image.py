import pytest

import imagekit
from imagekit.errors import Place, UsageError
from imagekit.project import base_image
from imagekit.project.base_image import Needs
from imagekit.project.python import PythonRequest
from tools.project_goldens import FOLDER


def asks(text):
    """What a project needs whose pyproject.toml asks for these versions of Python."""
    place = Place("pyproject.toml", 1, 1)
    return (PythonRequest(file="pyproject.toml", text=text, place=place),)


@pytest.fixture(scope="module")
def matrix():
    config = imagekit.load(FOLDER / "matrix.yaml")
    return config, imagekit.plan(config)


@pytest.mark.parametrize(
    ("needs", "tag", "why"),
    [
        # `gpu` is the alias of no image.
        (Needs(gpu=True), "gpu-ubuntu2404-py313-cuda130", "the newest of 12 with Python and CUDA"),
        (
            Needs(requests=asks("==3.11.4"), gpu=True),
            "gpu-ubuntu2404-py311-cuda130",
            "the newest of 4 with Python ==3.11.4 (pyproject.toml) and CUDA",
        ),
        # `cpu` has another Python.
        (
            Needs(python="3.9"),
            "cpu-ubuntu2404-py39",
            "the newest of 2 with Python 3.9 and no GPU; "
            "the alias 'cpu', cpu-ubuntu2404-py311, does not fit",
        ),
        (
            Needs(requests=asks(">3.12")),
            "cpu-ubuntu2404-py313",
            "the newest of 2 with Python >3.12 (pyproject.toml) and no GPU; "
            "the alias 'cpu', cpu-ubuntu2404-py311, does not fit",
        ),
    ],
)
def test_the_newest_that_does_what_is_needed(needs, tag, why, matrix):
    found = base_image.choose(None, needs, *matrix)
    assert found.reference == f"example.com/team/ml:{tag}"
    assert found.why == f"{tag}: {why}"
    assert found.gpu == needs.gpu


@pytest.mark.parametrize("needs", [Needs(), Needs(python="3"), Needs(requests=asks("<3.12"))])
def test_the_maintainers_alias_comes_before_the_newest(needs, matrix):
    found = base_image.choose(None, needs, *matrix)
    assert found.reference == "example.com/team/ml:cpu-ubuntu2404-py311"
    assert found.why.startswith("cpu-ubuntu2404-py311: the alias 'cpu' of the matrix, with Python")


def test_an_alias_in_the_repository_of_a_recipe_is_one(config_file):
    config = imagekit.load(
        config_file(
            "base_url: h/i\n"
            "axes: {python: {a: {V: 3.9}, b: {V: 3.10}}, cuda: {c: {}, d: {}}}\n"
            "recipes: {r: {dockerfile: D, axes: [python, cuda], repository: x, "
            "tag: '{python}-{cuda}'}}\n"
            "images: [{python: [a, b], cuda: [c, d]}]\n"
            "aliases: {gpu: {python: a, cuda: c}}\n"
        )
    )
    found = base_image.choose(None, Needs(gpu=True), config, imagekit.plan(config))
    assert found.reference == "h/i/x:a-c"
    assert found.why == "x:a-c: the alias 'gpu' of the matrix, with Python and CUDA"


def test_3_10_is_not_3_1(matrix):
    with pytest.raises(UsageError, match=r"no image of the matrix has Python 3.1 and no GPU"):
        base_image.choose(None, Needs(python="3.1"), *matrix)


def test_of_several_that_a_glob_matches_the_newest_that_fits(matrix):
    found = base_image.choose("cpu-*", Needs(requests=asks("<3.12")), *matrix)
    assert found.reference.endswith(":cpu-ubuntu2404-py311")
    assert "the newest of 4 that match" in found.why


def test_an_alias(matrix):
    assert base_image.choose("cpu", Needs(), *matrix).reference.endswith(":cpu-ubuntu2404-py311")


@pytest.mark.parametrize("name", ["python:3.13", "ghcr.io/a/b", f"a@sha256:{64 * '0'}"])
def test_any_image(matrix, name):
    assert base_image.choose(name, Needs(), *matrix).reference == name
    assert base_image.choose(name, Needs(), None, None).reference == name


@pytest.mark.parametrize(
    ("wanted", "matrix_known", "message"),
    [
        ("cpu-py12", True, "no image of the matrix matches 'cpu-py12'; closest: cpu"),
        ("zzz*", True, "closest: cpu-"),
        ("ubuntu", False, "no matrix found; pass --config"),
        (None, False, "no matrix to choose from; pass --base or --config"),
    ],
)
def test_what_cannot_be_chosen(matrix, wanted, matrix_known, message):
    with pytest.raises(UsageError, match=message.replace("*", r"\*")):
        base_image.choose(wanted, Needs(), *(matrix if matrix_known else (None, None)))


def test_a_requested_image_must_meet_the_needs(matrix):
    with pytest.raises(UsageError, match=r"'cpu-.*py313': cpu-.* has Python 3.13; the project"):
        base_image.choose("cpu-ubuntu2404-py313", Needs(python="3.11"), *matrix)
    with pytest.raises(UsageError, match="the project needs Python and CUDA"):
        base_image.choose("cpu-ubuntu2404-py313", Needs(gpu=True), *matrix)


@pytest.mark.parametrize(
    ("wanted", "gpu"),
    [("cpu", False), ("gpu-*", True), ("*py311*", None), (None, None), ("x:1", None)],
)
def test_what_is_named_may_say_whether_it_is_for_a_gpu(matrix, wanted, gpu):
    assert base_image.gpu_of(wanted, matrix[1]) is gpu


def test_a_whole_name_of_the_matrix(matrix):
    found = base_image.choose("example.com/team/ml:cpu-ubuntu2404-py39", Needs(), *matrix)
    assert found.why == "cpu-ubuntu2404-py39: requested"
    with pytest.raises(UsageError, match="closest: cpu-ubuntu2404-py39"):
        base_image.choose("example.com/team/ml:cpu-ubuntu2404-py399", Needs(), *matrix)


def test_an_official_image_of_python_says_its_version(matrix):
    assert base_image.choose("python:3.11-slim", Needs(requests=asks("<3.12")), *matrix)
    with pytest.raises(UsageError, match=r"'h/python:3.13' has Python 3.13; the project needs"):
        base_image.choose("h/python:3.13", Needs(requests=asks("<3.12")), *matrix)


def test_the_version_of_cuda(matrix):
    assert base_image.choose(None, Needs(gpu=True), *matrix).cuda == "13.0.3"
    assert base_image.choose("cpu", Needs(), *matrix).cuda == ""


@pytest.mark.parametrize("wanted", ["Foo/Bar:x", "a@sha256:abc", "a:b:c"])
def test_an_invalid_reference(matrix, wanted):
    with pytest.raises(UsageError, match="is not a valid image reference; use HOST/PATH:TAG"):
        base_image.choose(wanted, Needs(), *matrix)
