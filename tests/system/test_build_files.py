"""Build files of others on a real engine: steps in containers of a stand-in builder image."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.system.conftest import run, wait_until

BUILDER = "imagekit.test/ubuntu:bookworm"
OWN = "^/?imagekit-[0-9a-f]{8}"
FILE = f"""
substitutions: {{_WHO: world}}
steps:
- id: script
  name: {BUILDER}
  script: |
    #!/usr/bin/python3
    import os, pathlib
    pathlib.Path("made").write_text(f"{{os.environ['_WHO']}} {{os.environ['TOKEN']}}")
    pathlib.Path("/shared/file").write_text("shared")
    pathlib.Path.home().joinpath("file").write_text("home")
  automapSubstitutions: true
  secretEnv: [TOKEN]
  volumes: [{{name: data, path: /shared}}]
- id: shell
  name: {BUILDER}
  script: test -n "$0" && echo "sh of $HOME"
- id: read
  name: {BUILDER}
  entrypoint: sh
  dir: app
  env: [NAME=value]
  args:
  - -c
  - cat ../made /other/file ~/file && pwd && echo $$NAME token=$$TOKEN
  volumes: [{{name: data, path: /other}}]
- id: host
  name: {BUILDER}
  entrypoint: sh
  args: [-c, 'cat $_SECRET; ls -A /root /home; test -S /var/run/docker.sock']
  allowFailure: true
- id: slow
  name: {BUILDER}
  args: [sh, -c, trap exit TERM; sleep 300 & wait]
  timeout: 1s
  allowFailure: true
- id: serve
  name: gcr.io/cloud-builders/docker
  args: [run, --detach, --network=cloudbuild, --name=served, -v, '/workspace/app:/www', {BUILDER},
    python3, -m, http.server, --directory, /www, '8000']
- id: ask
  name: {BUILDER}
  script: |
    #!/usr/bin/python3
    import time, urllib.request
    for attempt in range(100):
        try:
            print(urllib.request.urlopen("http://served:8000/page").read())
            break
        except OSError:
            time.sleep(0.1)
- id: image
  name: gcr.io/cloud-builders/docker
  args: [build, -t, $_ADDRESS/made, .]
artifacts: {{images: [$_ADDRESS/made]}}
"""


@pytest.fixture
def folder(tmp_path, bases):
    made = tmp_path / "code"
    (made / "app").mkdir(parents=True)
    (made / "app/page").write_text("a page")
    (made / "Dockerfile").write_text(f"FROM {BUILDER}\nCOPY made /\n")
    return made


def command(docker, *more):
    return [sys.executable, "-m", "imagekit", "build", "-f", "b.yaml", "--docker", docker, *more]


def built(folder, docker, *more):
    asked, env = command(docker, *more), os.environ | {"TOKEN": "hidden"}
    return subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True, check=False)


def logs(folder):
    return {path.name[4:-4]: path.read_text() for path in (folder / "runs/build").glob("*.log")}


def left(docker):
    """What is left of steps in containers, which only this module has: other tests use the engine.

    Their names are those that a build makes up.
    """
    return [
        run(docker, kind, "ls", "--quiet", "--filter", f"name={OWN}")
        for kind in ("container", "volume", "network")
    ]


def test_steps_run_where_cloud_build_runs_them(folder, docker, registry):
    secret = folder.parent / "secret"
    secret.write_text("of the host")
    (folder / "b.yaml").write_text(FILE)
    given = {"_SECRET": secret, "_ADDRESS": registry.address}
    options = [f"--substitution={name}={value}" for name, value in given.items()]
    refused = built(folder, docker, *options, "--secret-env", "TOKEN")
    assert refused.returncode == 5
    assert not (folder / "runs").exists()
    done = built(folder, docker, *options, "--secret-env", "TOKEN", "--allow-network")
    assert done.returncode == 0, done.stdout + done.stderr
    said = logs(folder)
    assert said["shell"] == "sh of /builder/home\n"
    assert said["read"] == "world hiddensharedhome/workspace/app\nvalue token=\n"
    assert "No such file" in said["host"]
    assert "of the host" not in said["host"]
    assert said["ask"] == "b'a page'\n"
    report = json.loads((folder / "runs/build/report.json").read_text())
    states = {step["id"]: step for step in report["steps"]}
    assert states["host"]["exit_code"] == 1
    assert states["slow"]["reason"] == "timed out after 1 s, allowed"
    assert states[f"{registry.address}/made-push"]["state"] == "not pushed"
    # The folder itself is as it was, and the image has what the steps made.
    assert {path.name for path in folder.iterdir()} == {"app", "b.yaml", "Dockerfile", "runs"}
    image = f"{registry.address}/made"
    assert run(docker, "run", "--rm", "--network=none", image, "cat", "/made") == "world hidden"
    assert left(docker) == ["", "", ""]


PUSHES = """
steps:
- name: gcr.io/cloud-builders/docker
  args: [build, -t, $_ADDRESS/made, .]
- name: {name}
  {how}
"""


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (BUILDER, "script: docker push $_ADDRESS/made"),
        (
            "gcr.io/cloud-builders/docker",
            "{entrypoint: sh, args: [-c, docker push $_ADDRESS/made]}",
        ),
        ("gcr.io/cloud-builders/docker", "args: [buildx, build, --push, -t, $_ADDRESS/made, .]"),
        ("gcr.io/cloud-builders/docker", "args: [image, push, $_ADDRESS/made]"),
    ],
)
def test_nothing_is_pushed_without_push(folder, docker, registry, name, how):
    (folder / "made").write_text("x")
    step = how.strip("{}").replace(", args", "\n  args")
    (folder / "b.yaml").write_text(PUSHES.format(name=name, how=step))
    done = built(folder, docker, f"--substitution=_ADDRESS={registry.address}")
    assert done.returncode == (0 if "image, push" in how else 5), done.stdout + done.stderr
    repositories = json.loads(registry.get("_catalog")[1])["repositories"]
    assert "made" not in repositories


def test_an_interruption_leaves_no_container(folder, docker):
    step = f"name: {BUILDER}\n  args: [sleep, '300']"
    (folder / "b.yaml").write_text(f"steps:\n- {step}\n")
    with subprocess.Popen(
        command(docker, "--network", "none"), cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: run(docker, "ps", "--quiet", "--filter", f"name={OWN}"))
        process.send_signal(signal.SIGINT)
        said = process.communicate()[0]
    assert process.returncode == 130, said
    assert left(docker) == ["", "", ""]


def test_on_host_runs_programs_of_this_machine(folder, docker):
    (folder / "b.yaml").write_text("steps: [{name: any, script: 'pwd > here; id -u'}]\n")
    done = built(folder, docker, "--on-host", "--push")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 step as programs of this machine (--on-host)" in done.stdout
    assert (folder / "here").read_text().strip() == str(folder)
    assert logs(folder)["step-1"] == f"{os.getuid()}\n"
