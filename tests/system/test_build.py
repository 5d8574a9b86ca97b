"""The generated build on a real engine."""

import json
import shutil
import signal
import subprocess
import sys

import pytest

from tests.system.conftest import CA_BUNDLE, command, report_of, run, states, wait_until

IMAGES = {
    "cpu-bookworm-py311",
    "cpu-trixie-py313",
    "gpu-base-bookworm-cuda130",
    "gpu-base-trixie-cuda130",
    "gpu-bookworm-py311-cuda130",
    "gpu-trixie-py313-cuda130",
}


def image_ids(docker, registry):
    names = [f"{registry.address}/ml:{tag}" for tag in sorted(IMAGES)]
    asked = [docker, "image", "inspect", "--format", "{{.Id}}", *names]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()


def test_a_matrix_is_built_tested_and_pushed(build, project, registry, docker):
    done = build("--push")
    assert done.returncode == 0, done.stdout
    assert registry.tags() == sorted(IMAGES)
    steps = {step["id"].rpartition(":")[2]: step for step in report_of(project)["steps"]}
    assert {step["state"] for step in steps.values()} == {"succeeded"}
    for tag in IMAGES:
        assert steps[f"{tag}-push"]["digest"] == registry.digest(tag)
        assert steps[f"{tag}-test"]["kind"] == "test"
    name = f"{registry.address}/ml:gpu-trixie-py313-cuda130"
    program = "import sys; print(sys.version_info[:2], sys.prefix)"
    said = run(docker, "run", "--rm", "--network", "none", name, "python", "-c", program)
    assert said == "(3, 13) /opt/venv\n"
    labels = json.loads(
        run(docker, "image", "inspect", "--format", "{{json .Config.Labels}}", name)
    )
    assert labels["org.opencontainers.image.source"] == "https://example.com/imagekit"
    assert labels["org.opencontainers.image.base.name"].endswith("ml:gpu-base-trixie-cuda130")
    assert len(labels["dev.imagekit.content-id"]) == 64

    # What has been pushed has a digest, which is then told of what is built upon it.
    on_pushed = build("--force", "--only", "gpu-trixie-*")
    assert on_pushed.returncode == 0, on_pushed.stdout
    labels = json.loads(
        run(docker, "image", "inspect", "--format", "{{json .Config.Labels}}", name)
    )
    digest = registry.digest("gpu-base-trixie-cuda130")
    assert labels["org.opencontainers.image.base.digest"] == digest

    before = image_ids(docker, registry)
    again = build()
    assert again.returncode == 0, again.stdout
    found = states(project)
    assert {found[tag] for tag in IMAGES} == {"up to date"}
    assert {found[f"{tag}-test"] for tag in IMAGES} == {"up to date"}
    assert image_ids(docker, registry) == before

    dockerfile = project / "dockerfiles/Dockerfile.gpu"
    dockerfile.write_text(dockerfile.read_text() + "ENV CHANGED=yes\n")
    changed = build()
    assert changed.returncode == 0, changed.stdout
    found = states(project)
    assert {tag for tag in IMAGES if found[tag] == "succeeded"} == {t for t in IMAGES if "gpu" in t}


def break_python(project):
    """Let the images promise the Python that was asked for and hold another."""
    dockerfile = project / "dockerfiles/Dockerfile"
    text = dockerfile.read_text()
    broken = text.replace("IMAGEKIT_PYTHON=${PYTHON_VERSION}", "IMAGEKIT_PYTHON=3.9")
    assert broken != text
    dockerfile.write_text(broken)


def test_a_broken_image_is_not_pushed(build, project, registry):
    break_python(project)
    done = build("--push")
    assert done.returncode == 6
    assert (
        "asked for 3.9, found 3.11"
        in (project / "runs/build")
        .joinpath(
            next(s["log"] for s in report_of(project)["steps"] if s["id"].endswith("py311-test"))
        )
        .read_text()
    )
    found = states(project)
    assert found["cpu-bookworm-py311-test"] == "failed"
    assert found["cpu-bookworm-py311-push"] == "blocked"
    assert registry.tags() == ["gpu-base-bookworm-cuda130", "gpu-base-trixie-cuda130"]


def test_published_together_a_broken_image_keeps_all_back(build, project, registry):
    break_python(project)
    config = project / "images.yaml"
    config.write_text(config.read_text() + "cloudbuild: {publish: together}\n")
    done = build("--push")
    assert done.returncode == 6
    assert states(project)["gpu-base-trixie-cuda130-test"] == "succeeded"
    assert registry.tags() == []


def start(docker, project, *more):
    return subprocess.Popen(
        command(docker, "--jobs", "1", *more),
        cwd=project,
        stdout=subprocess.DEVNULL,
    )


def has_built(project, number):
    report = project / "runs/build/report.json"
    return report.exists() and len(done_images(project)) >= number


def done_images(project):
    return [
        s["id"]
        for s in report_of(project)["steps"]
        if (s["kind"], s["state"]) == ("build", "succeeded")
    ]


def test_a_build_that_is_killed_goes_on_where_it_was(build, project, registry, docker):
    first = start(docker, project)
    wait_until(lambda: has_built(project, 2), 300)
    first.send_signal(signal.SIGKILL)
    first.wait()
    built = set(done_images(project))
    done = build()
    assert done.returncode == 0, done.stdout
    found = {step["id"]: step["state"] for step in report_of(project)["steps"]}
    assert {found[name] for name in built} == {"up to date"}
    assert len(image_ids(docker, registry)) == len(IMAGES)


def test_an_engine_that_is_killed_loses_nothing_that_was_built(build, project, docker, engine):
    if engine is None:
        pytest.skip("this machine's own engine serves other work and is not to be killed")
    # Everything anew, so that there is something to do when the engine dies.
    run(docker, "builder", "prune", "-af")
    first = start(docker, project, "--force")
    wait_until(lambda: has_built(project, 2), 300)
    engine.kill()
    assert first.wait(120) == 6
    built = set(done_images(project))
    engine.start()
    done = build()
    assert done.returncode == 0, done.stdout
    found = {step["id"]: step["state"] for step in report_of(project)["steps"]}
    assert {found[name] for name in built} == {"up to date"}


def test_an_interrupted_build_ends_in_order(build, project, docker):
    first = start(docker, project)
    wait_until(lambda: has_built(project, 1), 300)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 130
    report = report_of(project)
    assert report["outcome"] == "interrupted"
    assert "running" not in {step["state"] for step in report["steps"]}
    assert build().returncode == 0


def test_the_notebook_runs_a_build_and_shows_it(build, project, family, docker):
    shutil.copytree(family / "notebooks", project / "notebooks")
    (project / "pyproject.toml").touch()
    options = ["--docker", docker, "--network", "host", "--secret", f"id=ca_bundle,src={CA_BUNDLE}"]
    given = [part for option in options for part in ("-p", "options", option)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "imagekit", "run", "notebooks/build.ipynb"),
            *("-p", "run", "true", "-p", "config", "images.yaml", *given),
        ],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "images.yaml: succeeded, 18 steps" in done.stdout
    assert "Critical path: " in done.stdout


def test_an_image_for_a_user_who_cannot_change_its_environment(build, project, registry, docker):
    config = project / "images.yaml"
    text = config.read_text()
    options = "VENV_MODE: a+rX, DEFAULT_USER: someone, PYTHON_VERSION: "
    assert "{PYTHON_VERSION: " in text
    text = text.replace("{PYTHON_VERSION: ", f"{{{options}")
    config.write_text(text.replace("tests/python.yaml", "tests/locked.yaml"))
    done = build("--only", "cpu-bookworm-*")
    assert done.returncode == 0, done.stdout
    name = f"{registry.address}/ml:cpu-bookworm-py311"
    program = "id -un; python -c 1 && touch /opt/venv/x 2> /dev/null || echo refused"
    said = run(docker, "run", "--rm", "--network", "none", name, "sh", "-c", program)
    assert said == "someone\nrefused\n"
