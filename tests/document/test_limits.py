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
        ([step("a"), step("a")], "duplicate step id a"),
        ([step("-")], "invalid step id '-'"),
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
    with pytest.raises(LimitError, match="the timeout 999999s is not between"):
        limits.validate({"steps": [step("a")], "timeout": "999999s"}, Limits())


def test_what_stays_within_the_limits_is_told():
    found = limits.validate({"steps": [step("a")], "timeout": "60s"}, Limits())
    assert found["steps"] == "1 of at most 300"
    assert found["timeout"] == "60s of at most 86400s"
    assert "images" not in found


def test_images_that_cloud_build_itself_pushes():
    build = {"steps": [step("a")], "timeout": "60s", "images": ["a", "b", "c"]}
    assert limits.validate(build, Limits(images=3))["images"] == "3 of at most 3"
    with pytest.raises(LimitError, match="3 images are more than the 2 that a build may name"):
        limits.validate(build, Limits(images=2))


def build(*, steps=1, images=0, args=1, arg=1, env=0, variable=1, name=1):
    """A build that is as large as is said."""
    args = ["x" * arg] * args
    more = {"env": ["V" * variable] * env} if env else {}
    made = [{"id": f"{n:0{name}}", "args": args, "waitFor": ["-"], **more} for n in range(steps)]
    listed = {"images": [str(n) for n in range(images)]} if images else {}
    return {"steps": made, "timeout": "60s", **listed}


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"steps": 300}, "301 steps are more than the 300"),
        ({"images": 700}, "701 images are more than the 700"),
        ({"args": 100}, "101 arguments, at most 100 are"),
        ({"arg": 10_000}, "an argument of 10001 characters, at most 10000 are"),
        ({"env": 100}, "101 environment variables, at most 100 are"),
        ({"env": 1, "variable": 65_536}, "a variable of 65537 characters, at most 65536 are"),
        ({"name": 1_000}, "has 1001 characters, at most 1000 are"),
    ],
)
def test_the_published_limits_are_met_exactly(size, message):
    """cloud.google.com/build/quotas."""
    limits.validate(build(**size), Limits())
    last = list(size)[-1]
    with pytest.raises(LimitError, match=message):
        limits.validate(build(**size | {last: size[last] + 1}), Limits())


def test_the_environment_of_the_build_counts_for_every_step():
    whole = build(env=99) | {"options": {"env": ["DOCKER_BUILDKIT=1"]}}
    limits.validate(whole, Limits())
    whole["options"]["env"].append("A=B")
    with pytest.raises(LimitError, match="101 environment variables"):
        limits.validate(whole, Limits())
