import pytest

from imagekit.config.cloudbuild import Limits
from imagekit.document import limits
from imagekit.errors import LimitError


def step(name, wait_for="-", args=("build", ".")):
    return {"id": name, "args": list(args), "waitFor": [wait_for]}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "the build has no steps"),
        ([step("a"), step("a")], "two steps are called a"),
        ([step("-")], "no step can be called '-'"),
        ([step("a", "b"), step("b")], "step a waits for b, which is not earlier"),
        ([step("a", "a")], "step a waits for a, which is not earlier"),
        ([step("a"), step("b"), step("c"), step("d")], "4 steps are more than the 3"),
        ([step("a", args=["x"] * 6)], "step a has 6 arguments, at most 5 are accepted"),
        ([step("a", args=["x" * 21])], "an argument of 21 characters, at most 20 are accepted"),
    ],
)
def test_what_cloud_build_would_refuse(steps, message):
    with pytest.raises(LimitError, match=message) as error:
        limits.validate({"steps": steps, "timeout": "1s"}, Limits(steps=3, args=5, arg_length=20))
    assert error.value.exit_code == 5


def test_a_time_out_that_cloud_build_would_refuse():
    with pytest.raises(LimitError, match="the time-out 999999s is not between"):
        limits.validate({"steps": [step("a")], "timeout": "999999s"}, Limits())


def test_what_stays_within_the_limits_is_told():
    found = limits.validate({"steps": [step("a")], "timeout": "60s"}, Limits())
    assert found["steps"] == "1 of at most 100"
    assert found["time-out"] == "60s of at most 86400s"
    assert "images" not in found


def test_images_that_cloud_build_itself_pushes():
    build = {"steps": [step("a")], "timeout": "60s", "images": ["a", "b", "c"]}
    assert limits.validate(build, Limits(images=3))["images"] == "3 of at most 3"
    with pytest.raises(LimitError, match="3 images are more than the 2 that a build may name"):
        limits.validate(build, Limits(images=2))
