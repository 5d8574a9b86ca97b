"""What all commands have: the global options, and suggestions for a misspelled command."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from imagekit.errors import did_you_mean
from imagekit.support import log
from imagekit.support.terminal import echo

_VERBOSITY = "imagekit.verbosity"
"""The key of the verbosity in the context: -1 for --quiet, 1 for --verbose."""


class Group(click.Group):
    """A group that suggests the command that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return a command by its name. Raises UsageError with a suggestion if it is unknown."""
        name = args[0]
        unknown = self.get_command(ctx, name) is None
        if unknown and not name.startswith("-") and not ctx.resilient_parsing:
            near = did_you_mean(name, _visible(self, ctx))
            message = f"No such command {name!r}{near}"
            raise click.UsageError(message, ctx)
        return super().resolve_command(ctx, args)


def _visible(group: click.Group, ctx: click.Context) -> list[str]:
    """The names of the commands of a group that its help lists."""
    commands = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    return [name for name, command in commands.items() if command and not command.hidden]


def with_global_options(command: click.Command) -> click.Command:
    """Add the global options to a command and its subcommands, unless it has them."""
    present = {option for param in command.params for option in param.opts}
    command.params += [option for option in _options() if not present & {*option.opts}]
    if isinstance(command, click.Group):
        for subcommand in command.commands.values():
            with_global_options(subcommand)
    return command


def _options() -> list[click.Option]:
    shared: dict[str, Any] = {"is_flag": True, "expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["-q", "--quiet"],
            callback=_set_verbosity,
            help="Print only errors and what was asked for.",
            **shared,
        ),
        click.Option(
            ["-v", "--verbose"],
            callback=_set_verbosity,
            help="Print the files that are read and the commands that are run, too.",
            **shared,
        ),
        click.Option(
            ["--no-color"],
            callback=_set_no_color,
            help="Print without colors. [env: NO_COLOR, FORCE_COLOR]",
            **shared,
        ),
    ]


def _set_verbosity(context: click.Context, option: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    verbosity = -1 if option.name == "quiet" else 1
    if context.meta.setdefault(_VERBOSITY, verbosity) != verbosity:
        raise click.UsageError("--quiet and --verbose cannot be combined", context)
    if verbosity == 1:
        _print_log()


def _set_no_color(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        # The programs that a command runs should follow it, too.
        os.environ["NO_COLOR"] = "1"


def _print_log() -> None:
    """Print on standard error what is logged from now on."""
    import logging  # Not at the top: only --verbose needs it, and it takes a while to load.

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            echo(record.getMessage(), err=True)

    logger = logging.getLogger(log.NAME)
    logger.handlers = [Handler()]
    logger.setLevel(logging.DEBUG)


_KEPT: list[object] = []
"""What the command has made that is large."""


def keep(*values: object) -> None:
    """Keep what a command has made until the process ends.

    Python frees a large build object by object, which takes a tenth of the time, and the system at
    once.
    """
    _KEPT.extend(values)


def reset() -> None:
    """Forget what another command has kept, and print nothing of what is logged until --verbose."""
    _KEPT.clear()
    if logging := sys.modules.get("logging"):
        logger = logging.getLogger(log.NAME)
        logger.handlers = []
        logger.setLevel(logging.WARNING)


def is_quiet() -> bool:
    """Whether to print only errors and what was asked for."""
    context = click.get_current_context(silent=True)
    return context is not None and context.meta.get(_VERBOSITY) == -1


def say(text: str, *, err: bool = False) -> None:
    """Print what a command has done or is doing, unless --quiet is given."""
    if not is_quiet():
        echo(text, err=err)
