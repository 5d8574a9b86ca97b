"""`imagekit dockerfile`: the image of a code directory."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

from imagekit.cli import completion
from imagekit.cli.common import is_quiet, say
from imagekit.cli.options import output_file
from imagekit.errors import BuildError, UsageError
from imagekit.project.base_image import REFERENCE
from imagekit.project.dockerfile import UV_IMAGE
from imagekit.project.prepare import prepare
from imagekit.support import log
from imagekit.support.files import replace_file
from imagekit.support.terminal import emit
from imagekit.support.workspace import DEFAULT_CONFIG

Command = Callable[..., Any]

directory_argument = click.argument("directory", metavar="[DIR]", default=".")
base_options = (
    click.option(
        "--base",
        "wanted",
        metavar="NAME",
        shell_complete=completion.images,
        help="Base image: a tag or glob of the matrix, or any image.",
    ),
    click.option(
        "--python",
        metavar="VERSION",
        shell_complete=completion.pythons,
        help="The Python version, such as 3.13.",
    ),
    click.option("--gpu/--cpu", default=None, help="With CUDA or without. [default: cpu]"),
    click.option(
        *("--config", "-c"),
        metavar="FILE",
        shell_complete=completion.configs,
        help=f"The configuration; - is standard input. [default: {DEFAULT_CONFIG}]",
    ),
    click.option("--apt", multiple=True, metavar="PACKAGE", help="A Debian package; repeatable."),
    click.option("--extra", multiple=True, metavar="NAME", help="An extra to install; repeatable."),
    click.option(
        "--group", multiple=True, metavar="NAME", help="A dependency group to install; repeatable."
    ),
    click.option(
        "--package",
        multiple=True,
        metavar="NAME",
        help="A package of a uv workspace to install; repeatable.",
    ),
    click.option("--ignore", multiple=True, metavar="FILE", help="A file to ignore; repeatable."),
)
command_options = (
    click.option("--module", metavar="NAME", help="What to run: python -m NAME."),
    click.option("--script", metavar="FILE", help="What to run: a file of the directory."),
    click.option("--cmd", metavar="WORDS", help="What to run: a command, without a shell."),
)
kind_options = (
    click.option("--shell", is_flag=True, help="What to run: a shell."),
    click.option("--notebook", is_flag=True, help="What to run: JupyterLab; it is installed, too."),
)
port_option = click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8888,
    show_default=True,
    help="JupyterLab's port.",
)
user_options = (
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
        help="Image to mount uv from while packages are installed.",
    ),
)


image_options = (*base_options, *command_options, *kind_options, port_option, *user_options)
"""The options that say what the image is like."""
NO_COMMAND = {"module": None, "script": None, "cmd": None, "shell": False, "notebook": False}
"""The options of a command that has none of those that say what to run."""

_build_flag = click.option("--build", "is_built", is_flag=True, help="Build the image, too.")
build_options = (
    click.option(
        *("--tag", "-t"), metavar="NAME", help="The built image's name. [default: the directory's]"
    ),
    click.option("--network", metavar="MODE", help="Network mode of the build, such as host."),
    click.option("--secret", "secrets", multiple=True, metavar="SPEC", help="Secret of the build."),
    click.option(
        *("--docker", "docker"),
        default="docker",
        envvar="IMAGEKIT_DOCKER",
        show_default=True,
        metavar="PROGRAM",
        help="The Docker client. [env: IMAGEKIT_DOCKER]",
    ),
)
BUILD_NAMES = ("tag", "network", "secrets", "docker")
"""The parameters of `build_options`."""
_output_option = click.option(
    *("--output", "-o"),
    default="-",
    callback=output_file,
    metavar="FILE",
    shell_complete=completion.files,
    help="The Dockerfile to write. [default: print it]",
)


def with_options(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Add options to a command, in their order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command()
@with_options([directory_argument, *image_options, _output_option, _build_flag, *build_options])
def dockerfile(directory: str, output: str, is_built: bool, **options: Any) -> None:
    """Print a Dockerfile for a code directory.

    The image is based on an image of the matrix and has the dependencies of the directory:

      imagekit dockerfile . --gpu --build

    Notes about the choices are printed to standard error. A .dockerignore is written if there is
    none.
    """
    given = {name: options.pop(name) for name in BUILD_NAMES}
    if not is_built:
        _reject_build_options()
    if is_built:
        _check_tag(given["tag"])
    text = prepared(pathlib.Path(directory), options, is_built=is_built)
    if output != "-":
        replace_file(pathlib.Path(output), text.encode())
        say(f"{output} written", err=True)
    elif is_built:
        print_unless_quiet(text)
    else:
        emit(text, nl=False)
    if is_built:
        name = build_image(pathlib.Path(directory), text, **given)
        say_how_to_run(name, options)


def prepared(folder: pathlib.Path, options: dict[str, Any], *, is_built: bool = True) -> str:
    """The Dockerfile of a folder; notes about the choices go to standard error."""
    text, notes = prepare(folder, options, is_built=is_built)
    for note in notes:
        say(note, err=True)
    return text


def say_how_to_run(name: str, options: dict[str, Any]) -> None:
    """Print the command that starts a container of an image that was built."""
    port = options["port"]
    ports = f" -p {port}:{port}" if options["notebook"] else ""
    say(f"{name} built; docker run --rm -it{ports} {name}", err=True)


def _reject_build_options() -> None:
    """Raise UsageError for an option that has no effect without --build."""
    context = click.get_current_context()
    for name in BUILD_NAMES:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            (option,) = [param for param in context.command.params if param.name == name]
            raise click.UsageError(f"{option.opts[0]} needs --build")


def print_unless_quiet(text: str) -> None:
    """Print a Dockerfile that is also built."""
    if not is_quiet():
        emit(text, nl=False)


def build_image(
    folder: pathlib.Path,
    text: str,
    *,
    tag: str | None,
    docker: str,
    **options: Any,
) -> str:
    """Build an image of a folder with a Dockerfile's text and return its name.

    Raises BuildError if that fails.
    """
    # Only this command needs Docker.
    from imagekit.build import local

    _check_tag(tag)
    local.check_engine(docker)
    name = tag or name_of(folder)
    command = [docker, "build", "-t", name, "-f", "-", *(["--quiet"] if is_quiet() else [])]
    command += [] if options["network"] is None else ["--network", options["network"]]
    command += [part for secret in options["secrets"] for part in ("--secret", secret)]
    # A folder may be called like an option.
    command.append(str(folder) if not str(folder).startswith("-") else f"./{folder}")
    sys.stdout.flush()
    log.debug("running %s", shlex.join(command))
    result = subprocess.run(
        command,
        input=text.encode(),
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
        stdout=subprocess.DEVNULL if is_quiet() else None,
        check=False,
    )
    if result.returncode:
        raise BuildError(f"{name}: the build failed with exit code {result.returncode}")
    return name


def _check_tag(tag: str | None) -> None:
    if tag and not REFERENCE.fullmatch(tag):
        raise UsageError(f"--tag: {tag!r} is not a valid image name; write NAME:TAG in lower case")


def name_of(directory: pathlib.Path) -> str:
    """A valid image name from the name of a directory."""
    plain = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return plain or "project"
