"""The command that starts a container, and what an engine says of its GPUs."""

import pathlib

import pytest

from imagekit.build import start


def words(terminal=False, **fields):
    container = start.Container(
        image="i:1", directory=pathlib.Path("/a/code"), target="/app", **fields
    )
    return start.command(container, terminal=terminal)


PLAIN = "docker run --rm --init --interactive --mount type=bind,source=/a/code,target=/app"


def test_the_code_is_mounted_and_the_arguments_come_last():
    assert words() == [*PLAIN.split(), "i:1"]
    assert words(arguments=("-x", "a b")) == [*PLAIN.split(), "i:1", "-x", "a b"]


def test_a_terminal_is_asked_for_where_there_is_one():
    assert "--tty" in words(terminal=True)
    assert "--tty" not in words()


def test_what_was_asked_for_is_passed_on():
    asked = words(
        docker="podman",
        publish=("1:1", "2:2"),
        env=("A=1", "B"),
        env_files=("f",),
        volumes=("/d:/d",),
        gpus="all",
        network="host",
    )
    assert asked[0] == "podman"
    more = "--gpus all --network host --publish 1:1 --publish 2:2 --env A=1 --env B --env-file f"
    assert asked[7:] == [*more.split(), "--volume", "/d:/d", "i:1"]


def test_a_path_may_have_what_separates_fields():
    container = start.Container(image="i:1", directory=pathlib.Path('/a,b "c"/d e'), target="/app")
    mount = start.command(container, terminal=False)[6]
    assert mount == 'type=bind,"source=/a,b ""c""/d e",target=/app'


@pytest.mark.edge
@pytest.mark.parametrize(
    ("info", "found"),
    [
        ('{"Runtimes": {"runc": {}, "nvidia": {}}}', True),
        ('{"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]}', True),
        ('{"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"ID": "example.com/x=0"}]}', False),
        ('{"Runtimes": null}', False),
        ("", False),
    ],
)
def test_whether_an_engine_has_gpus(tmp_path, info, found):
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho '{info}'\n")
    docker.chmod(0o755)
    assert start.has_gpus(str(docker)) is found
