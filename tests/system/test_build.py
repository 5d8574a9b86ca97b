"""The generated build on a real engine."""

import functools
import json
import shutil
import signal
import subprocess
import sys
import uuid

import pytest
import yaml

from tests.system.conftest import (
    CA_BUNDLE,
    MATRIX,
    RELEASES,
    TINY,
    built,
    client,
    command,
    new_engine,
    report_of,
    run,
    states,
    wait_until,
)
from tests.system.engine import any_answers

IMAGES = {
    "cpu-bookworm-py311",
    "cpu-trixie-py313",
    "gpu-base-bookworm-cuda130",
    "gpu-bookworm-py311-cuda130",
}


SHIPPED = IMAGES - {"cpu-bookworm-py311"}
"""The images of the matrix with the shipped Dockerfiles."""
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
ARG PYTHON_VERSION
ARG UV_IMAGE
# {unique}
RUN echo "asked for ${{PYTHON_VERSION}} in {unique}" > /python
"""
GPU_DOCKERFILE = """\
ARG CUDA_IMAGE
FROM ${{CUDA_IMAGE}}
ARG CUDA
ARG UBUNTU_VERSION
RUN echo "CUDA ${{CUDA}} in {unique}" > /cuda
"""
TESTED = """\
schemaVersion: 2.0.0
fileContentTests: [{{name: it is the one, path: /{file}, expectedContents: ["{found}"]}}]
"""
"""A test that looks into a file, for which no container is started."""


@pytest.fixture
def small(tmp_path, bare_registry):
    """The matrix with a small Dockerfile and a small test, which no other test has built.

    For what does not depend on what the images are made of: the folder to build in.
    """
    folder = tmp_path / "small"
    (folder / "dockerfiles/tests").mkdir(parents=True)
    bases = dict.fromkeys([*RELEASES, "cuda"], TINY)
    unique = uuid.uuid4().hex
    for name, text in {
        "images.yaml": MATRIX.format(
            url=f"{bare_registry.address}/ml", gpu="[null, cuda130]", **bases
        ),
        "dockerfiles/Dockerfile": DOCKERFILE.format(unique=unique),
        "dockerfiles/Dockerfile.gpu": GPU_DOCKERFILE.format(unique=unique),
        "dockerfiles/tests/python.yaml": TESTED.format(file="python", found="asked for 3.1[13] in"),
        "dockerfiles/tests/cuda.yaml": TESTED.format(file="cuda", found="CUDA 13.0.3 in"),
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def build_small(docker, small, tiny):
    """Run `imagekit build` in the small matrix: its finished process."""
    return functools.partial(built, docker, small)


def image_ids(docker, registry, tags):
    names = [f"{registry.address}/ml:{tag}" for tag in sorted(tags)]
    asked = [docker, "image", "inspect", "--format", "{{.Id}}", *names]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()


def labels_of(docker, name):
    return json.loads(run(docker, "image", "inspect", "--format", "{{json .Config.Labels}}", name))


def test_a_matrix_is_built_tested_and_pushed(build, project, registry, docker):
    done = build("--push")
    assert done.returncode == 0, done.stdout
    assert registry.tags() == sorted(SHIPPED)
    steps = {step["id"].rpartition(":")[2]: step for step in report_of(project)["steps"]}
    assert {step["state"] for step in steps.values()} == {"succeeded"}
    for tag in SHIPPED:
        assert steps[f"{tag}-push"]["digest"] == registry.digest(tag)
        assert steps[f"{tag}-test"]["kind"] == "test"
    name = f"{registry.address}/ml:gpu-bookworm-py311-cuda130"
    program = "import sys; print(sys.version_info[:2], sys.prefix)"
    said = run(docker, "run", "--rm", "--network", "none", name, "python", "-c", program)
    assert said == "(3, 11) /opt/venv\n"
    labels = labels_of(docker, name)
    assert labels["org.opencontainers.image.source"] == "https://example.com/imagekit"
    assert labels["org.opencontainers.image.base.name"].endswith("ml:gpu-base-bookworm-cuda130")
    assert len(labels["dev.imagekit.content-id"]) == 64

    before = image_ids(docker, registry, SHIPPED)
    again = build()
    assert again.returncode == 0, again.stdout
    found = states(project)
    assert {found[tag] for tag in SHIPPED} == {"up to date"}
    assert {found[f"{tag}-test"] for tag in SHIPPED} == {"up to date"}
    assert image_ids(docker, registry, SHIPPED) == before


def test_what_stands_on_something_else_is_built_again(build_small, small, bare_registry, docker):
    assert build_small("--push").returncode == 0
    # What has been pushed has a digest, which is then told of what is built upon it.
    on_pushed = build_small("--force", "--only", "gpu-bookworm-*")
    assert on_pushed.returncode == 0, on_pushed.stdout
    labels = labels_of(docker, f"{bare_registry.address}/ml:gpu-bookworm-py311-cuda130")
    digest = bare_registry.digest("gpu-base-bookworm-cuda130")
    assert labels["org.opencontainers.image.base.digest"] == digest

    dockerfile = small / "dockerfiles/Dockerfile.gpu"
    dockerfile.write_text(dockerfile.read_text() + "ENV CHANGED=yes\n")
    changed = build_small()
    assert changed.returncode == 0, changed.stdout
    found = states(small)
    assert {tag for tag in IMAGES if found[tag] == "succeeded"} == {t for t in IMAGES if "gpu" in t}


def break_python(folder, said):
    """Let the images promise the Python that was asked for and hold another."""
    dockerfile = folder / "dockerfiles/Dockerfile"
    text = dockerfile.read_text()
    broken = text.replace(f"{said}${{PYTHON_VERSION}}", f"{said}3.9")
    assert broken != text
    dockerfile.write_text(broken)


def test_a_broken_image_is_not_pushed(build, project, registry):
    break_python(project, "IMAGEKIT_PYTHON=")
    # Of the shipped tests, the one that finds it; the others take ten containers.
    path = project / "dockerfiles/tests/python.yaml"
    shipped = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(shipped | {"commandTests": shipped["commandTests"][:1]}))
    done = build("--push", "--only", "gpu-*")
    assert done.returncode == 6
    assert (
        "asked for 3.9, found 3.11"
        in (project / "runs/build")
        .joinpath(
            next(
                s["log"]
                for s in report_of(project)["steps"]
                if s["id"].endswith("py311-cuda130-test")
            )
        )
        .read_text()
    )
    found = states(project)
    assert found["gpu-bookworm-py311-cuda130-test"] == "failed"
    assert found["gpu-bookworm-py311-cuda130-push"] == "blocked"
    assert registry.tags() == ["gpu-base-bookworm-cuda130"]


def test_published_together_a_broken_image_keeps_all_back(build_small, small, bare_registry):
    break_python(small, "asked for ")
    config = small / "images.yaml"
    config.write_text(config.read_text() + "cloudbuild: {publish: together}\n")
    done = build_small("--push")
    assert done.returncode == 6
    assert states(small)["gpu-base-bookworm-cuda130-test"] == "succeeded"
    assert bare_registry.tags() == []


def start(docker, folder, *more):
    return subprocess.Popen(
        command(docker, "--jobs", "1", *more),
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )


def has_built(folder, number):
    report = folder / "runs/build/report.json"
    return report.exists() and len(done_images(folder)) >= number


def done_images(folder):
    return [
        s["id"]
        for s in report_of(folder)["steps"]
        if (s["kind"], s["state"]) == ("build", "succeeded")
    ]


def goes_on(build, folder):
    """A build that was ended has built some and not all, and the next one takes these over."""
    built = set(done_images(folder))
    assert 2 <= len(built) < len(IMAGES)
    done = build()
    assert done.returncode == 0, done.stdout
    found = {step["id"]: step["state"] for step in report_of(folder)["steps"]}
    assert {found[name] for name in built} == {"up to date"}


def test_a_build_that_is_killed_goes_on_where_it_was(build_small, small, bare_registry, docker):
    first = start(docker, small)
    wait_until(lambda: has_built(small, 2), 300)
    first.send_signal(signal.SIGKILL)
    first.wait()
    goes_on(build_small, small)
    assert len(image_ids(docker, bare_registry, IMAGES)) == len(IMAGES)


def test_an_engine_that_is_killed_loses_nothing_that_was_built(small, tiny_tree):
    with new_engine(tiny_tree, TINY) as engine:
        docker = client()
        first = start(docker, small)
        wait_until(lambda: has_built(small, 2), 300)
        engine.kill()
        assert first.wait(120) == 6
        engine.start()
        wait_until(any_answers)
        goes_on(functools.partial(built, docker, small), small)


def test_an_interrupted_build_ends_in_order(build_small, small, docker):
    first = start(docker, small)
    wait_until(lambda: has_built(small, 1), 300)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 130
    report = report_of(small)
    assert report["outcome"] == "interrupted"
    assert "running" not in {step["state"] for step in report["steps"]}
    assert build_small().returncode == 0


def test_the_notebook_runs_a_build_and_shows_it(small, tiny, family, docker):
    shutil.copytree(family / "notebooks", small / "notebooks")
    (small / "pyproject.toml").touch()
    options = ["--docker", docker, "--network", "host", "--secret", f"id=ca_bundle,src={CA_BUNDLE}"]
    given = [part for option in options for part in ("-p", "options", option)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "imagekit", "run", "notebooks/build.ipynb"),
            *("-p", "run", "true", "-p", "config", "images.yaml", *given),
        ],
        cwd=small,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "images.yaml: succeeded, 12 steps" in done.stdout
    assert "Critical path: " in done.stdout


def test_an_image_for_a_user_who_cannot_change_its_environment(build, project, registry, docker):
    config = project / "images.yaml"
    text = config.read_text()
    options = "VENV_MODE: a+rX, DEFAULT_USER: someone, PYTHON_VERSION: "
    assert "{PYTHON_VERSION: " in text
    text = text.replace("{PYTHON_VERSION: ", f"{{{options}")
    config.write_text(text.replace("tests/python.yaml", "tests/locked.yaml"))
    done = build("--only", "gpu-*")
    assert done.returncode == 0, done.stdout
    name = f"{registry.address}/ml:gpu-bookworm-py311-cuda130"
    program = "id -un; python -c 1 && touch /opt/venv/x 2> /dev/null || echo refused"
    said = run(docker, "run", "--rm", "--network", "none", name, "sh", "-c", program)
    assert said == "someone\nrefused\n"
