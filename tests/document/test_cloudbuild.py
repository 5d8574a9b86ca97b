import json

import pytest

import imagekit
from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.document import cloudbuild
from imagekit.document.split import split
from imagekit.errors import LimitError
from imagekit.planning.plan import Image, Plan

CONFIG = """
base_url: h/r
base_images: {u: {BASE_IMAGE: "a$b", UBUNTU_VERSION: 1}}
python_versions: {p: {PYTHON_VERSION: 3.10}}
gpu_versions: {c: {CUDA: 13.0}}
images: [{base_image: u, python: p}, {base_image: u, python: p, gpu: c}]
aliases: {gpu: {base_image: u, python: p, gpu: c}}
"""


def document(config_file, text, only=()):
    config = imagekit.load(config_file(text))
    return cloudbuild.document(imagekit.plan(config, only=only), config.cloudbuild)


@pytest.fixture
def steps(config_file):
    return document(config_file, CONFIG)["steps"]


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
    found = document(config_file, text)
    kinds = [step["args"][0] for step in found["steps"]]
    assert kinds == ["build"] * 3 + ["push"] * 4
    built = [step["id"] for step in found["steps"][:3]]
    assert [step["waitFor"] for step in found["steps"][3:]] == [built] * 4
    env = ["DOCKER_BUILDKIT=1"]
    assert found["options"] == {"env": env, "machineType": "E2_HIGHCPU_8", "logging": "NONE"}


def test_a_test_stands_between_build_and_push(config_file):
    text = CONFIG + "recipes: {gpu: {test: [a.yaml, b.yaml]}, gpu-base: {test: c.yaml}}"
    steps = document(config_file, text)["steps"]
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
    steps = document(config_file, text)["steps"]
    builds = [step for step in steps if step["args"][0] == "build"]
    assert len(builds) == 3
    for build in builds:
        assert build["args"][-5:] == [
            *("--label", "org.opencontainers.image.source=https://example.com/a$$b"),
            *("--label", "org.opencontainers.image.revision=$COMMIT_SHA"),
            ".",
        ]


def test_the_options_of_a_build(config_file):
    more = """
cloudbuild: {machine_type: E2_MEDIUM, disk_size: 200, logs_bucket: "gs://logs", tags: [t],
  worker_pool: projects/p/locations/l1/workerPools/w, service_account: a@p.iam.gserviceaccount.com}
"""
    found = document(config_file, CONFIG + more)
    assert found["options"] == {
        "env": ["DOCKER_BUILDKIT=1"],
        "machineType": "E2_MEDIUM",
        "diskSizeGb": "200",
        "pool": {"name": "projects/p/locations/l1/workerPools/w"},
    }
    assert found["serviceAccount"] == "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com"
    assert (found["logsBucket"], found["tags"]) == ("gs://logs", ["t"])
    assert "substitutions" not in found


def test_with_provenance_cloud_build_itself_pushes(config_file):
    found = document(config_file, CONFIG + "cloudbuild: {publish: provenance}")
    assert [step["args"][0] for step in found["steps"]] == ["build"] * 3
    assert found["images"] == ["h/r:gpu-base-u-c", "h/r:cpu-u-p", "h/r:gpu-u-p-c", "h/r:gpu"]
    assert found["options"]["requestedVerifyOption"] == "VERIFIED"


def test_with_a_cache_each_image_builds_on_the_one_of_last_time(config_file):
    steps = document(config_file, CONFIG + "cloudbuild: {cache: registry}")["steps"]
    assert steps[4]["args"][-5:] == [
        *("--cache-from", "h/r:gpu-u-p-c", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "."),
    ]


def test_a_selection_has_only_the_substitutions_that_it_uses(config_file):
    text = CONFIG.replace("CUDA: 13.0", 'CUDA: "${_CUDA}"')
    text += "cloudbuild: {substitutions: {_CUDA: 13.0}}"
    assert document(config_file, text)["substitutions"] == {"_CUDA": "13.0"}
    assert "substitutions" not in document(config_file, text, only=["cpu-*"])


def test_a_parent_of_an_earlier_build_is_pulled(config_file):
    more = "cloudbuild: {limits: {steps: 5}}"
    config = imagekit.load(config_file(CONFIG + more))
    parts = split(imagekit.plan(config), config.cloudbuild)
    steps = cloudbuild.document(parts[1], config.cloudbuild)["steps"]
    assert steps[0] == {
        "id": "h/r:gpu-base-u-c-pull",
        "name": "gcr.io/cloud-builders/docker",
        "args": ["pull", "h/r:gpu-base-u-c"],
        "waitFor": ["-"],
    }
    assert steps[1]["waitFor"] == ["h/r:gpu-base-u-c-pull"]
    assert steps[2]["waitFor"] == ["h/r:gpu-u-p-c"]


TEXTS = ('a "b"', "back\\slash", "tab\t", "\x01\x7f", "ü ☃ 🚀", "'", "</x>", "line\nbreak", "")


def image(tag, **fields):
    made = {"values": {}, "recipe": "r", "dockerfile": "D", "build_args": {}}
    return Image(**{**made, "tag": tag, **fields})


def plan_of(*images, **fields):
    return Plan(repository="h/r", images=images, **fields)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_written_as_json_does_it(text):
    everywhere = image(
        "t",
        dockerfile=text,
        context=text,
        target=text,
        build_args={f"A{text}": text},
        labels={f"k{text}": text},
        aliases=(text,),
        test=(text,),
    )
    plan = plan_of(everywhere, image(f"u{text}", parent="t"), source=text)
    found = cloudbuild.unlimited(plan, CloudBuild(cache="registry"))
    assert found == json.dumps(json.loads(found), indent=2, ensure_ascii=False) + "\n"
    build = json.loads(found)["steps"][0]
    assert build["args"][3:12] == [
        *("-t", f"h/r:{text}", "-f", text, "--target", text),
        *("--build-arg", f"A{text}={text}", "--cache-from"),
    ]
    assert f"k{text}={text}" in build["args"]
    assert build["args"][-1] == text


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "the build has no steps"),
        ([image("a"), image("a")], "duplicate step id h/r:a"),
        ([image("a", aliases=("b",)), image("b")], "duplicate step id h/r:b-push"),
        ([image("a"), image("a-push")], "duplicate step id h/r:a-push"),
        ([image("a", test=("t",)), image("a-test")], "duplicate step id h/r:a-test"),
        ([image("b", parent="a"), image("a")], "h/r:b waits for h/r:a, which is not earlier"),
        ([image("a", build_args={str(n): "" for n in range(48)})], "102 arguments, at most 100"),
        ([image("a", build_args={"A": "x" * 9_999})], "an argument of 10001 characters"),
        ([image("a" * 993)], "has 1002 characters, at most 1000"),
    ],
)
def test_a_build_that_cloud_build_would_refuse_is_not_written(images, message):
    with pytest.raises(LimitError, match=message):
        cloudbuild.render(plan_of(*images), CloudBuild())


def test_steps_that_were_joined_before_are_counted(monkeypatch):
    monkeypatch.setattr(cloudbuild, "TOGETHER", 1)
    plan = plan_of(*map(image, "abc"))
    cloudbuild.render(plan, CloudBuild(limits=Limits(steps=6)))
    with pytest.raises(LimitError, match="6 steps are more than the 5"):
        cloudbuild.render(plan, CloudBuild(limits=Limits(steps=5)))


@pytest.mark.parametrize(
    "images",
    [
        [image("a-push"), image("b-test", parent="a-push")],
        [image("a", build_args={str(n): "" for n in range(47)})],
        [image("a", build_args={"A": "x" * 9_998})],
        [image("a" * 991)],
        [image("c", parent="outside")],
    ],
)
def test_a_build_at_the_limits_is_written(images):
    plan = plan_of(*images)
    assert cloudbuild.render(plan, CloudBuild()) == cloudbuild.unlimited(plan, CloudBuild())
