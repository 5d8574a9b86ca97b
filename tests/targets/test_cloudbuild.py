import pytest

import imagekit
from imagekit.cloud import Limits
from imagekit.errors import LimitError
from imagekit.targets import cloudbuild, limits

CONFIG = """
base_url: h/r
base_images: {u: {BASE_IMAGE: "a$b", UBUNTU_VERSION: 1}}
python_versions: {p: {PYTHON_VERSION: 3.10}}
gpu_versions: {c: {CUDA: 13.0}}
images: [{base_image: u, python: p}, {base_image: u, python: p, gpu: c}]
aliases: {gpu: {base_image: u, python: p, gpu: c}}
"""


@pytest.fixture
def steps(config_file):
    return cloudbuild.document(imagekit.plan(imagekit.load(config_file(CONFIG))))["steps"]


def test_each_image_has_a_build_step_and_a_push_step_behind_it(steps):
    assert [step["id"] for step in steps] == [
        "h/r:gpu-base-u-c",
        "h/r:gpu-base-u-c-push",
        "h/r:cpu-u-p",
        "h/r:cpu-u-p-push",
        "h/r:gpu-u-p-c",
        "h/r:gpu-u-p-c-push",
        "h/r:gpu-push",
    ]


def test_an_image_waits_for_its_parent_and_gets_its_name(steps):
    assert steps[4] == {
        "id": "h/r:gpu-u-p-c",
        "name": "gcr.io/cloud-builders/docker",
        "args": [
            *("build", "-t", "h/r:gpu-u-p-c", "-t", "h/r:gpu", "-f", "dockerfiles/Dockerfile"),
            *("--build-arg", "BASE_IMAGE=h/r:gpu-base-u-c", "--build-arg", "PYTHON_VERSION=3.10"),
            ".",
        ],
        "waitFor": ["h/r:gpu-base-u-c"],
    }


def test_an_alias_is_pushed_when_its_image_is_built(steps):
    assert steps[6]["args"] == ["push", "h/r:gpu"]
    assert steps[6]["waitFor"] == ["h/r:gpu-u-p-c"]


def test_a_dollar_is_escaped_for_substitutions(steps):
    assert "BASE_IMAGE=a$$b" in steps[2]["args"]


def test_publishing_together_pushes_after_everything_is_built(config_file):
    text = CONFIG + "cloudbuild: {publish: together, machine_type: E2_HIGHCPU_8, logging: NONE}"
    document = cloudbuild.document(imagekit.plan(imagekit.load(config_file(text))))
    kinds = [step["args"][0] for step in document["steps"]]
    assert kinds == ["build"] * 3 + ["push"] * 4
    built = [step["id"] for step in document["steps"][:3]]
    assert [step["waitFor"] for step in document["steps"][3:]] == [built] * 4
    env = ["DOCKER_BUILDKIT=1"]
    assert document["options"] == {"env": env, "machineType": "E2_HIGHCPU_8", "logging": "NONE"}


def test_a_test_stands_between_build_and_push(config_file):
    text = CONFIG + "recipes: {gpu: {test: [a.yaml, b.yaml]}, gpu-base: {test: c.yaml}}"
    steps = cloudbuild.document(imagekit.plan(imagekit.load(config_file(text))))["steps"]
    by_id = {step["id"].removeprefix("h/r:"): step for step in steps}
    assert by_id["gpu-u-p-c-test"] == {
        "id": "h/r:gpu-u-p-c-test",
        "name": "gcr.io/gcp-runtimes/container-structure-test",
        "args": ["test", "--image", "h/r:gpu-u-p-c", "--config", "a.yaml", "--config", "b.yaml"],
        "waitFor": ["h/r:gpu-u-p-c"],
    }
    # What stands on a broken image is broken, whatever its own test says.
    proofs = ["h/r:gpu-u-p-c-test", "h/r:gpu-base-u-c-test"]
    assert by_id["gpu-u-p-c-push"]["waitFor"] == by_id["gpu-push"]["waitFor"] == proofs
    assert by_id["cpu-u-p-push"]["waitFor"] == ["h/r:cpu-u-p"]


def test_the_source_is_a_label_of_every_image(config_file):
    text = CONFIG + "source: https://example.com/a$b"
    steps = cloudbuild.document(imagekit.plan(imagekit.load(config_file(text))))["steps"]
    builds = [step for step in steps if step["args"][0] == "build"]
    assert len(builds) == 3
    for build in builds:
        assert build["args"][-5:] == [
            *("--label", "org.opencontainers.image.source=https://example.com/a$$b"),
            *("--label", "org.opencontainers.image.revision=$COMMIT_SHA"),
            ".",
        ]


def step(name, wait_for="-", args=("build", ".")):
    return {"id": name, "args": list(args), "waitFor": [wait_for]}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "the build has no steps"),
        ([step("a"), step("a")], "two steps are called a"),
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
