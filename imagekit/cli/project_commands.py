"""`imagekit project`: the images of code directories, and containers of them."""

from __future__ import annotations

import json
import os
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from imagekit.cli import completion
from imagekit.cli.common import Group, say
from imagekit.cli.project import (
    BUILD_NAMES,
    NO_COMMAND,
    base_options,
    build_image,
    build_options,
    command_options,
    directory_argument,
    image_options,
    name_of,
    port_option,
    prepared,
    print_unless_quiet,
    say_how_to_run,
    user_options,
    with_options,
)
from imagekit.errors import BuildError, ImagekitError, Problem, ProblemsError
from imagekit.project.dockerfile import WORK

_container_options = (
    click.option(
        *("--publish", "-p"),
        multiple=True,
        metavar="PORTS",
        help="Ports to publish, such as 6006:6006; repeatable.",
    ),
    click.option(
        *("--env", "-e"),
        multiple=True,
        metavar="NAME[=VALUE]",
        help="An environment variable, with your value or this one; repeatable.",
    ),
    click.option(
        *("--env-file", "env_files"),
        multiple=True,
        metavar="FILE",
        shell_complete=completion.files,
        help="A file of environment variables; repeatable.",
    ),
    click.option(
        *("--volume", "volumes"),
        multiple=True,
        metavar="SOURCE:TARGET",
        help="What to mount beside the code, such as data; repeatable.",
    ),
    click.option(
        "--gpus",
        metavar="VALUE",
        help="GPUs as for docker run, or none. [default: all, if the engine has any]",
    ),
)
_start_options = (*user_options, *build_options, *_container_options)


@click.group(cls=Group)
def project() -> None:
    """Build and start the image of a code directory.

    The commands take the options of "imagekit dockerfile", print the Dockerfile, and build the
    image; Docker repeats only what has changed. In the container, the directory is mounted in the
    place of its copy in the image.
    """


@project.command("build")
@click.argument("directories", metavar="[DIR]...", nargs=-1)
@with_options([*image_options, *build_options])
def build_project(directories: tuple[str, ...], **options: Any) -> None:
    """Build the images of directories.

      imagekit project build train serve --gpu

    An image has the name of its directory.
    """
    given = {name: options.pop(name) for name in BUILD_NAMES}
    folders = [pathlib.Path(name) for name in directories or (".",)]
    _check_names(folders, given["tag"])
    texts = _all_prepared(folders, options)
    failed = []
    for folder, text in texts.items():
        print_unless_quiet(text)
        try:
            say_how_to_run(build_image(folder, text, **given), options)
        except BuildError as error:
            failed.append(str(error))
    if failed:
        raise BuildError("\n".join(failed))


def _check_names(folders: Sequence[pathlib.Path], tag: str | None) -> None:
    """Raise UsageError if several folders would have an image of one name."""
    if tag and len(folders) > 1:
        raise click.UsageError("--tag is the name of one image; build the directories one by one")
    first: dict[str, pathlib.Path] = {}
    for folder in folders:
        other = first.setdefault(name_of(folder), folder)
        if other is not folder:
            message = f"the images of {other} and {folder} would both be {name_of(folder)}"
            raise click.UsageError(f"{message}; build one of them with --tag")


def _all_prepared(
    folders: Sequence[pathlib.Path], options: dict[str, Any]
) -> dict[pathlib.Path, str]:
    """The Dockerfiles of folders. Raises the errors of all together."""
    texts, errors = {}, []
    for folder in folders:
        try:
            texts[folder] = prepared(folder, options)
        except ImagekitError as error:
            errors.append(error)
    if len(errors) > 1:
        problems = [
            problem
            for error in errors
            for problem in getattr(error, "problems", [Problem(message=str(error))])
        ]
        together = ProblemsError(problems)
        together.exit_code = errors[0].exit_code
        raise together
    if errors:
        raise errors[0]
    return texts


@project.command("shell")
@with_options(
    [directory_argument, *base_options, *user_options, *build_options, *_container_options]
)
def open_shell(directory: str, **options: Any) -> None:
    """Start a shell in the image of a directory."""
    _start(directory, options, "shell")


@project.command("notebook")
@with_options(
    [
        directory_argument,
        *base_options,
        port_option,
        *user_options,
        *build_options,
        *_container_options,
    ]
)
def open_notebook(directory: str, **options: Any) -> None:
    """Start JupyterLab in the image of a directory.

    JupyterLab is installed into the image, and answers on this machine only.
    """
    # Whoever has its token may run code, and with the host's network nothing is published.
    if options["network"] != "host":
        port = options["port"]
        options["publish"] = (f"127.0.0.1:{port}:{port}", *options["publish"])
    _start(directory, options, "notebook")


@project.command("run")
@directory_argument
@click.argument("arguments", metavar="[ARG]...", nargs=-1)
@with_options([*base_options, *command_options, *user_options, *build_options, *_container_options])
def run_project(directory: str, arguments: tuple[str, ...], **options: Any) -> None:
    """Run the command of a directory in its image.

      imagekit project run . --module train -- --epochs 3

    ARGs are added to the command; without one, they are the command. The exit code is that of the
    command.
    """
    _start(directory, options, None, arguments)


def _start(
    directory: str, options: dict[str, Any], kind: str | None, arguments: tuple[str, ...] = ()
) -> None:
    """Build the image of a directory and become `docker run`; `kind` is a shell or a notebook."""
    from imagekit.build import start

    names = ("publish", "env", "env_files", "volumes", "gpus")
    container = {name: options.pop(name) for name in names}
    given = {name: options.pop(name) for name in BUILD_NAMES}
    folder = pathlib.Path(directory)
    # JupyterLab is in one and not in the other, and neither is what `build` makes.
    given["tag"] = given["tag"] or (f"{name_of(folder)}:{kind}" if kind else None)
    chosen = NO_COMMAND | {"port": 8888} | options | ({kind: True} if kind else {})
    text = prepared(folder, chosen)
    print_unless_quiet(text)
    name = build_image(folder, text, **given)
    container["gpus"] = _gpus(container["gpus"], options["gpu"], given["docker"])
    words = start.command(
        start.Container(
            image=name,
            directory=folder,
            target=WORK,
            arguments=_arguments(text, chosen["cmd"], arguments),
            docker=given["docker"],
            network=given["network"],
            **container,
        ),
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    say(shlex.join(words), err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # Signals, the terminal and the exit code are Docker's from here on.
    os.execvp(words[0], words)  # noqa: S606 - there is no shell to want


_SHELL = 'CMD ["bash"]'
"""The last line of a Dockerfile where nothing says what to run."""


def _arguments(text: str, cmd: str | None, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What `docker run` is given after the image: arguments would take the place of a `CMD`."""
    last = text.splitlines()[-1]
    if not arguments or not last.startswith("CMD ") or (last == _SHELL and cmd is None):
        return arguments
    return (*json.loads(last.removeprefix("CMD ")), *arguments)


def _gpus(wanted: str | None, is_gpu: bool | None, docker: str) -> str | None:
    """What `docker run --gpus` is given."""
    from imagekit.build import start

    if wanted is not None:
        return None if wanted == "none" else wanted
    if is_gpu is not False and start.has_gpus(docker):
        return "all"
    if is_gpu:
        say("the engine has no GPUs; the container starts without", err=True)
    return None
