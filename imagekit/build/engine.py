"""The client of the Docker engine: everything that is asked of it goes through here."""

from __future__ import annotations

import csv
import io
import pathlib
import re
import shutil
import subprocess

from imagekit.errors import EngineError


def command(docker: str, *args: str) -> list[str]:
    """The command of a client with arguments of docker."""
    return [docker, *args]


def ask(docker: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the client, and return its answer whatever it is.

    Raises EngineError if the client cannot be started.
    """
    try:
        return subprocess.run(command(docker, *args), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        message = f"program {docker!r} not found; install Docker, or name another client"
        raise EngineError(message) from None
    except OSError as error:
        raise EngineError(f"{docker}: {error.strerror}") from None


def bind(source: str | pathlib.Path, target: str, *more: str) -> list[str]:
    """The option that mounts a file or folder of the engine's machine at a path of a container.

    Its value is a line of CSV: a path may have a comma.
    """
    line = io.StringIO()
    row = ["type=bind", f"source={source}", f"target={target}", *more]
    csv.writer(line, lineterminator="").writerow(row)
    return ["--mount", line.getvalue()]


def reason(answer: subprocess.CompletedProcess[str]) -> str:
    """The last line of what the client says of a failure."""
    lines = answer.stderr.strip().splitlines()
    return lines[-1] if lines else "no answer"


def check_engine(docker: str) -> None:
    """Raise EngineError if there is no Docker engine that can build."""
    if shutil.which(docker) is None:
        raise EngineError(f"program {docker!r} not found; install Docker, or use --docker")
    result = ask(docker, "version", "--format", "{{.Client.Version}} {{.Server.Version}}")
    if result.returncode:
        raise EngineError(
            f"the Docker engine does not answer ({reason(result)}); start it, or set DOCKER_HOST"
        )
    version = re.match(r"\d+", result.stdout)
    if version is None:
        raise EngineError(f"{docker} reports no Docker version; name the client with --docker")
    client = int(version[0])
    if client >= 23 and ask(docker, "buildx", "version").returncode:
        raise EngineError(
            f"{docker} needs its buildx plugin to build (Debian: docker-buildx); install it, or "
            "name another client: --docker"
        )


def repo_digests(docker: str, image: str) -> list[str]:
    """The image's names by digest (`repository@sha256:…`) in the registries that hold it."""
    return inspect(docker, image, "{{range .RepoDigests}}{{.}} {{end}}").split()


def inspect(docker: str, image: str, template: str) -> str:
    """What docker says of an image in the format of a template; empty if there is none."""
    return ask(docker, "image", "inspect", "--format", template, image).stdout.strip()
