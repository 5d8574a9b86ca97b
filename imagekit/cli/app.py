"""The command line interface: its commands and exit codes."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import NoReturn

import click

import imagekit
from imagekit.cli.common import Group, reset, with_global_options
from imagekit.cli.problems import show
from imagekit.errors import INTERRUPTED, ImagekitError, ProblemsError
from imagekit.support.terminal import clean, echo

COMMANDS = {
    "init": "imagekit.cli.init:init",
    "generate": "imagekit.cli.generate:generate",
    "matrix": "imagekit.cli.matrix:matrix",
    "build": "imagekit.cli.build:build",
    "run": "imagekit.cli.run:run",
    "dockerfile": "imagekit.cli.project:dockerfile",
    "project": "imagekit.cli.project_commands:project",
    "completion": "imagekit.cli.completion:completion",
    "help": "imagekit.cli.help:show_help",
    "submit": "imagekit.cli.cloud:submit",
    "trigger": "imagekit.cli.cloud:trigger",
    "diff": "imagekit.cli.diff:diff",
    "readme": "imagekit.cli.readme:readme",
    "clean-notebooks": "imagekit.cli.notebooks:clean_notebooks",
    "runs": "imagekit.cli.runs:runs",
}
"""The location of each command; a module is imported only when its command is used."""


class _Commands(Group):
    """A group that imports each command on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        return with_global_options(getattr(importlib.import_module(module), name))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(imagekit.__version__, prog_name="imagekit")
@click.pass_context
def cli(context: click.Context) -> None:
    """Generate, show and record the build of a family of base Docker images.

    "imagekit help COMMAND" describes a command.
    """
    if context.invoked_subcommand is None:
        echo(context.get_help())


with_global_options(cli)


def main(args: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its exit code."""
    _prepare_streams()
    reset()
    try:
        cli.main(args=args, prog_name="imagekit", standalone_mode=False)
    except click.ClickException as error:
        error.message = clean(error.message)  # type: ignore[misc]
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except ProblemsError as error:
        for problem in error.problems:
            show(problem)
        sys.exit(error.exit_code)
    except ImagekitError as error:
        echo(str(error), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        echo(f"imagekit: {error.strerror}: {error.filename or 'output'}", err=True)
        sys.exit(1)
    sys.exit(0)


def _prepare_streams() -> None:
    """Make sure that there are streams, and that they take every character."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # It was closed, as with `>&-`. No file may take its place, which programs write to.
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="replace"))
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            # Replace characters such as ✓ if the encoding does not have them.
            stream.reconfigure(errors="replace")
