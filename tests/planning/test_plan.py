import pytest

import imagekit
from imagekit.errors import ConfigError, ConfigWarning

ORDER = """
base_url: h/r
base_images: {z: {U: 1}, a: {U: 2}}
python_versions: {p: {P: 1}}
gpu_versions: {c2: {C: 2}, c1: {C: 1}}
images:
  - {base_image: a, python: p, gpu: [c1, c2]}
  - {base_image: z, python: p, gpu: [c1, c2]}
"""


def test_parents_come_first_in_the_order_of_the_axes_and_the_others_in_that_of_the_entries(
    config_file,
):
    """Neither the entries' order nor the alphabet moves a parent."""
    plan = imagekit.plan(imagekit.load(config_file(ORDER)))
    assert plan.names() == (
        *("gpu-base-z-c2", "gpu-base-z-c1", "gpu-base-a-c2", "gpu-base-a-c1"),
        *("gpu-a-p-c1", "gpu-a-p-c2", "gpu-z-p-c1", "gpu-z-p-c2"),
    )


def test_parents_of_parents_come_before_them_whatever_the_axes_say(config_file):
    more = """
recipes:
  top: {dockerfile: d, axes: [python], parent: middle, tag: "top-{base_image}-{python}-{gpu}"}
  middle: {dockerfile: d, parent: gpu-base, tag: "a-{base_image}-{gpu}"}
"""
    text = ORDER.replace("gpu: [c1, c2]", "gpu: c1, recipe: top")
    config = imagekit.load(config_file(text.replace("c2: {C: 2}, ", "") + more))
    assert imagekit.plan(config).names() == (
        *("gpu-base-z-c1", "gpu-base-a-c1", "a-z-c1", "a-a-c1"),
        *("top-a-p-c1", "top-z-p-c1"),
    )


SELECT = """
base_url: h/r
python_versions: {p1: {P: 1}, p2: {P: 2}, p3: {P: 3}}
images: [{python: [p1, p2]}]
exclude: [{python: p2, reason: too old}]
"""


@pytest.mark.parametrize(
    ("glob", "why"),
    [
        ("cpu-p2", "; cpu-p2 is excluded: too old"),
        ("cpu-p3", "; cpu-p3 is not listed: no entry in 'images' names it"),
        ("cpu-p", "; did you mean 'cpu-p1'?"),
    ],
)
def test_a_glob_of_what_is_not_built_says_why(config_file, glob, why):
    # A value that no image uses is a warning.
    with pytest.warns(ConfigWarning):
        config = imagekit.load(config_file(SELECT))
    with pytest.raises(ConfigError) as error:
        imagekit.plan(config, only=glob)
    assert str(error.value) == f"only: {glob!r} matches no image{why}"
