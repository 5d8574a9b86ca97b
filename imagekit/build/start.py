"""The container of a project's image: the `docker run` command that starts it."""

from __future__ import annotations

import json
import pathlib

import msgspec

from imagekit.build.engine import ask, bind
from imagekit.support.log import debug


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container to start, with a code directory mounted over the copy in its image."""

    image: str
    """The image's name."""
    directory: pathlib.Path
    """The code directory."""
    target: str
    """Where the directory is mounted in the container."""
    docker: str = "docker"
    """The Docker client."""
    arguments: tuple[str, ...] = ()
    """Arguments for the image's command."""
    publish: tuple[str, ...] = ()
    """The values of `--publish`."""
    env: tuple[str, ...] = ()
    """The values of `--env`: `NAME=VALUE`, or `NAME` for the caller's own value."""
    env_files: tuple[str, ...] = ()
    """The values of `--env-file`."""
    volumes: tuple[str, ...] = ()
    """The values of `--volume`, for data beside the code."""
    gpus: str | None = None
    """The value of `--gpus`."""
    network: str | None = None
    """The value of `--network`."""


def command(container: Container, *, terminal: bool) -> list[str]:
    """Return the words of `docker run` for a container, with a terminal if there is one."""
    words = [container.docker, "run", "--rm", "--init", "--interactive"]
    words += ["--tty"] if terminal else []
    words += bind(container.directory.resolve(), container.target)
    for option, values in (
        ("--gpus", [container.gpus] if container.gpus else []),
        ("--network", [container.network] if container.network else []),
        ("--publish", container.publish),
        ("--env", container.env),
        ("--env-file", container.env_files),
        ("--volume", container.volumes),
    ):
        words += [word for value in values for word in (option, value)]
    return [*words, container.image, *container.arguments]


def has_gpus(docker: str) -> bool:
    """Whether the engine can give GPUs to containers.

    It can with NVIDIA's container toolkit, which registers a runtime with the engine or describes
    the devices (CDI); see docs.docker.com/engine/containers/resource_constraints.
    """
    result = ask(docker, "info", "--format", "{{json .}}")
    try:
        about = dict(json.loads(result.stdout))
    except (TypeError, ValueError):
        debug("%s says nothing of its runtimes", docker)
        return False
    devices = [str(device.get("ID", "")) for device in about.get("DiscoveredDevices") or ()]
    runtimes = about.get("Runtimes") or {}
    return "nvidia" in runtimes or any(name.startswith("nvidia.com/gpu") for name in devices)
