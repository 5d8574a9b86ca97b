import pytest

from imagekit.project import frameworks


@pytest.mark.parametrize(
    ("names", "cuda", "words"),
    [
        (["torch"], "12.6.3", ["CUDA 12.6 of the base image", "whl/cu126"]),
        (["Torch"], "", ["CUDA of the base image", "whl/cu130"]),
        (["torch"], None, ["much smaller build for CPUs", "whl/cpu"]),
        (["jax"], "13.0.3", ["build for CPUs", "jax[cuda13]"]),
        (["tensorflow"], "13.0.3", ["tensorflow[and-cuda] brings its own"]),
        (["tensorflow"], None, ["tensorflow-cpu is smaller"]),
    ],
)
def test_the_build_that_is_installed_and_how_to_get_another(names, cuda, words):
    (note,) = frameworks.notes(names, cuda=cuda, has_index=False)
    assert [word for word in words if word not in note] == []


@pytest.mark.parametrize(
    ("names", "cuda", "has_index"),
    [
        (["torch"], "13.0.3", True),
        (["jax"], None, False),
        (["jax", "jax[cuda13]"], "13.0.3", False),
        (["torchvision", "numpy"], "13.0.3", False),
    ],
)
def test_nothing_is_said_where_there_is_no_choice(names, cuda, has_index):
    assert list(frameworks.notes(names, cuda=cuda, has_index=has_index)) == []
