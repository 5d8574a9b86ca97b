"""`imagekit dockerfile` and `imagekit project`: the image of a code directory."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click

from imagekit.errors import BuildError, UsageError
from imagekit.project.base_image import REFERENCE
from imagekit.project.dockerfile import UV_IMAGE
from imagekit.project.prepare import prepare
from imagekit.support.workspace import DEFAULT_CONFIG

Command = Callable[..., Any]

_options = (
    click.argument("directory", metavar="[DIR]", default="."),
    click.option(
        "--base",
        "wanted",
        metavar="NAME",
        help="Base image: a tag or glob of the matrix, or any image.",
    ),
    click.option("--python", metavar="VERSION", help="The Python version, such as 3.13."),
    click.option("--gpu/--cpu", default=None, help="With CUDA or without. [default: cpu]"),
    click.option("--config", "-c", metavar="FILE", help=f"The matrix. [default: {DEFAULT_CONFIG}]"),
    click.option("--apt", multiple=True, metavar="PACKAGE", help="A Debian package; repeatable."),
    click.option("--extra", multiple=True, metavar="NAME", help="An extra to install; repeatable."),
    click.option("--ignore", multiple=True, metavar="FILE", help="A file to ignore; repeatable."),
    click.option("--module", metavar="NAME", help="What to run: python -m NAME."),
    click.option("--script", metavar="FILE", help="What to run: a file of the directory."),
    click.option("--cmd", metavar="WORDS", help="What to run: a command, without a shell."),
    click.option("--shell", is_flag=True, help="What to run: a shell."),
    click.option("--notebook", is_flag=True, help="What to run: JupyterLab; it is installed, too."),
    click.option(
        "--port",
        type=click.IntRange(1, 65535),
        default=8888,
        show_default=True,
        help="JupyterLab's port.",
    ),
    click.option(
        "--uid", type=click.IntRange(0), help="User ID in the container. [default: yours]"
    ),
    click.option(
        "--gid", type=click.IntRange(0), help="Group ID in the container. [default: yours]"
    ),
    click.option(
        "--uv-image",
        default=UV_IMAGE,
        show_default=True,
        metavar="NAME",
        help="Image to copy uv from, for lock files.",
    ),
)


def _project_options(command: Command) -> Command:
    for option in reversed(_options):
        command = option(command)
    return command


@click.command()
@_project_options
def dockerfile(directory: str, **options: Any) -> None:
    """Print a Dockerfile for a code directory.

    The image is based on an image of the matrix and has the dependencies of the directory:

      imagekit dockerfile . --gpu | docker build -f - .

    Notes about the choices are printed to standard error. A .dockerignore is written if there is
    none.
    """
    text, notes = prepare(pathlib.Path(directory), options)
    for note in notes:
        click.echo(note, err=True)
    click.echo(text, nl=False)


@click.group()
def project() -> None:
    """Put a project on a base image."""


@project.command()
@_project_options
@click.option("--tag", "-t", metavar="NAME", help="The image's name. [default: the directory's]")
@click.option("--network", metavar="MODE", help="Network mode of the build, such as host.")
@click.option("--secret", "secrets", multiple=True, metavar="SPEC", help="A secret of the build.")
@click.option(
    "--docker", default="docker", envvar="IMAGEKIT_DOCKER", show_default=True, help="The client."
)
def build(
    directory: str,
    tag: str | None,
    network: str | None,
    secrets: tuple[str, ...],
    docker: str,
    **options: Any,
) -> None:
    """Print a Dockerfile for a code directory and build it."""
    # Only this command needs Docker.
    from imagekit.build import local

    folder = pathlib.Path(directory)
    text, notes = prepare(folder, options)
    for note in notes:
        click.echo(note, err=True)
    click.echo(text, nl=False)
    local.check_engine(docker)
    name = tag or _name_of(folder)
    if not REFERENCE.fullmatch(name):
        raise UsageError(f"--tag: {name!r} is not a valid image name; write NAME:TAG in lower case")
    command = [docker, "build", "-t", name, "-f", "-"]
    command += [] if network is None else ["--network", network]
    command += [part for secret in secrets for part in ("--secret", secret)]
    sys.stdout.flush()
    result = subprocess.run(
        [*command, str(folder)],
        input=text.encode(),
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
        check=False,
    )
    if result.returncode:
        raise BuildError(f"{name}: the build failed with exit code {result.returncode}")
    ports = f" -p {options['port']}:{options['port']}" if options["notebook"] else ""
    click.echo(f"{name} built; docker run --rm -it{ports} {name}", err=True)


def _name_of(directory: pathlib.Path) -> str:
    """A valid image name from the name of a directory."""
    plain = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return plain or "project"
