"""The containers of steps: their commands, the copy of the folder, and what is removed."""

import asyncio
import os
import pathlib

import pytest

from imagekit.build import execution, local
from imagekit.build.containers import Containers, copied
from imagekit.build.placement import Rules
from imagekit.build.report import PREVIOUS
from imagekit.document.build_reader import Volume
from imagekit.document.steps import BUILDER, Build, Step
from imagekit.errors import EngineError


def command(step, **rules):
    surroundings = Containers("docker", pathlib.Path('/a,"b'), Rules(**rules))
    found = surroundings.command(step, 3, "/scripts/3" if step.script else "")
    return [word.replace(surroundings.name, "NAME") for word in found]


def test_a_container_has_what_cloud_build_gives_it():
    step = Step(
        id="s",
        builder="python",
        image="python:3.12",
        args=("-m", "x"),
        entrypoint="python3",
        env={"A": "1", "HOME": "/own"},
        secret_env=("TOKEN",),
        volumes=(Volume("ab", "/shared"),),
        dir="sub",
    )
    assert command(step, network="host") == [
        *("run", "--rm", "--name", "NAME-3", "--network", "host"),
        *("--workdir", "/workspace/sub", "--mount"),
        'type=bind,"source=/a,""b",target=/workspace',
        *("--volume", "NAME-home:/builder/home", "--volume", "/builder/outputs"),
        *("--volume", "NAME-ab:/shared"),
        *("--env", "HOME=/own", "--env", "BUILDER_OUTPUT=/builder/outputs", "--env", "A=1"),
        *("--env", "TOKEN", "--entrypoint", "python3", "python:3.12", "-m", "x"),
    ]


def test_a_script_and_the_socket_are_mounted():
    words = command(Step(id="s", builder="h/own", image="h/own:1", script="x"), socket=("h/own",))
    assert "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock" in words
    assert "type=bind,source=/scripts/3,target=/builder/script,readonly" in words
    assert words[-4:] == ["--entrypoint", "/bin/sh", "h/own:1", "/builder/script"]


def test_steps_work_on_a_copy(tmp_path):
    source, logs = tmp_path / "source", tmp_path / "source/runs"
    (logs / "build").mkdir(parents=True)
    (source / "a").write_text("a")
    (source / "a").chmod(0o755)
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "pipe")
    with copied(source, [logs]) as copy:
        assert sorted(path.name for path in copy.iterdir()) == ["a", "link"]
        assert os.access(copy / "a", os.X_OK)
        assert (copy / "link").readlink() == pathlib.Path("/nowhere")
        (copy / "a").write_text("changed")
    assert not copy.exists()
    assert (source / "a").read_text() == "a"


def test_what_cannot_be_copied_is_told(tmp_path):
    with (
        pytest.raises(EngineError, match=r"cannot be copied for the steps: .*--workspace"),
        copied(tmp_path / "absent", []),
    ):
        pass


CLIENT = """\
#!/bin/sh
echo "$@" >> {log}
case "$*" in
  context*) echo {endpoint} ;;
  "network inspect"*) echo web ;;
  "network create"*) {network} ;;
  run*) {run} ;;
esac
"""


@pytest.fixture
def client(tmp_path):
    """A client of docker that does what a test says, and notes what it was asked."""

    def make(run="true", endpoint="unix:///run/own.sock", network="echo 1"):
        path, log = tmp_path / "docker", tmp_path / "asked"
        path.write_text(CLIENT.format(log=log, run=run, endpoint=endpoint, network=network))
        path.chmod(0o755)
        return path

    return make


def built(tmp_path, client, *steps, **options):
    (tmp_path / "source").mkdir(exist_ok=True)
    chosen = execution.Options(
        directory=tmp_path / "source",
        logs=tmp_path / "logs",
        jobs=1,
        docker=str(client),
        **options,
    )
    doing = local.LocalBuild(Build(steps=steps), "b.json", chosen, lambda _: None)
    return asyncio.run(doing.run())


def asked(tmp_path):
    return (tmp_path / "asked").read_text().splitlines()


@pytest.mark.edge
def test_what_the_steps_share_is_removed(tmp_path, client):
    step = Step(id="s", builder="b", image="b", volumes=(Volume("ab", "/shared"),))
    build = Step(id="t", builder=BUILDER, image=BUILDER, args=("build", "-t", "t", "."))
    report = built(tmp_path, client(), step, build, force=True)
    assert [entry.where for entry in report.steps] == ["container of b", "docker"]
    words = [line.split() for line in asked(tmp_path)]
    (network,) = [line[-1] for line in words if line[:2] == ["network", "create"]]
    assert ["rm", "--force", "--volumes", f"{network}-1"] in words
    assert ["rm", "--force", "--volumes", "web"] in words
    assert ["network", "rm", network] in words
    assert ["volume", "rm", "--force", f"{network}-ab", f"{network}-home"] in words
    # The step may have changed what is copied into the image.
    (building,) = [line for line in words if line[0] == "build"]
    assert not any("content-id" in word for word in building)


@pytest.mark.edge
@pytest.mark.parametrize(
    ("options", "network"),
    [({}, "NAME"), ({"network": "host"}, "none"), ({"allow_network": True}, None)],
)
def test_what_docker_run_starts_reaches_nothing_without_permission(
    tmp_path, client, options, network
):
    step = Step(id="s", builder=BUILDER, image=BUILDER, args=("run", "x", "push"))
    built(tmp_path, client(), step, **options)
    lines = asked(tmp_path)
    (line,) = [line.split() for line in lines if line.startswith("run")]
    (made,) = [line.split() for line in lines if line.startswith("network create")] or [None]
    name = made[-1] if made else ""
    assert line == [
        "run",
        *(["--network", network.replace("NAME", name)] if network else []),
        "x",
        "push",
    ]
    assert made is None or made == ["network", "create", "--internal", name]


@pytest.mark.edge
def test_a_container_is_removed_when_its_time_is_over(tmp_path, client):
    step = Step(id="s", builder="b", image="b", timeout=0.2)
    report = built(tmp_path, client("sleep 300"), step, network="host")
    assert report.steps[0].state == "timed out"
    removed = [line for line in asked(tmp_path) if line.startswith("rm --force")]
    assert len(removed) == 1
    assert not any(line.startswith("network create") for line in asked(tmp_path))


@pytest.mark.edge
def test_an_engine_on_another_machine_runs_no_containers(tmp_path, client):
    there = client(endpoint="ssh://h.example")
    with pytest.raises(EngineError, match="is on another machine"):
        built(tmp_path, there, Step(id="s", builder="b", image="b"))
    assert not any(line.startswith("run") for line in asked(tmp_path))
    assert not (tmp_path / "logs/report.json").exists()


@pytest.mark.edge
def test_an_engine_without_networks_is_told(tmp_path, client):
    there = client(network="exit 1")
    with pytest.raises(EngineError, match=r"cannot create a network .* --network"):
        built(tmp_path, there, Step(id="s", builder="b", image="b"))


@pytest.mark.edge
def test_steps_work_in_the_folder_that_is_asked_for(tmp_path, client):
    own = tmp_path / "own"
    own.mkdir()
    built(tmp_path, client(), Step(id="s", builder="b", image="b"), workspace=own)
    (line,) = [line for line in asked(tmp_path) if line.startswith("run")]
    assert f"source={own}" in line
    assert own.exists()


@pytest.mark.edge
def test_a_context_that_leads_out_of_the_folder_is_not_read(tmp_path, client):
    (tmp_path / "secret").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source/ctx").symlink_to(tmp_path / "secret")
    build = Step(id="t", builder=BUILDER, image=BUILDER, args=("build", "-t", "t", "ctx"))
    report = built(tmp_path, client(), build, force=True)
    (entry,) = report.steps
    assert entry.reason == "leads out of the build's folder; --on-host permits it: ctx"
    assert not (tmp_path / "asked").exists()
    assert built(tmp_path, client(), build, on_host=True).outcome == "succeeded"


PUSHED = """\
#!/bin/sh
case "$1" in push) ;; *) exit 0 ;; esac
echo x >> {count}
[ $(wc -l < {count}) -ge {times} ] || {{ echo "{said}"; exit 1; }}
"""


@pytest.mark.edge
@pytest.mark.parametrize(
    ("said", "times", "outcome", "tries"),
    [
        ("received unexpected HTTP status: 500 Internal Server Error", 3, "succeeded", 3),
        ("read: connection reset by peer", 9, "failed", 4),
        ("denied: requested access to the resource is denied", 2, "failed", 1),
    ],
)
def test_a_push_is_tried_again_when_the_registry_fails_for_a_moment(
    tmp_path, monkeypatch, said, times, outcome, tries
):
    monkeypatch.setattr(execution, "RETRIES", (0, 0, 0))
    client, count = tmp_path / "docker", tmp_path / "count"
    client.write_text(PUSHED.format(count=count, times=times, said=said))
    client.chmod(0o755)
    push = Step(id="p", builder=BUILDER, image=BUILDER, args=("push", "h/a"))
    report = built(tmp_path, client, push, push=True)
    assert report.outcome == outcome
    assert len(count.read_text().split()) == tries
    log = (tmp_path / "logs" / report.steps[0].log).read_text()
    assert log.count("trying again") == tries - 1
    assert not (tmp_path / "logs" / PREVIOUS).exists()
