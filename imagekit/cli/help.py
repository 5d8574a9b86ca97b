"""`imagekit help`: the help of a command."""

from __future__ import annotations

import click

from imagekit.cli.completion import commands
from imagekit.support.terminal import echo


@click.command("help")
@click.argument("names", metavar="[COMMAND [SUBCOMMAND]]", nargs=-1, shell_complete=commands)
@click.pass_context
def show_help(context: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of imagekit or of a command.

    For a subcommand, name both: "imagekit help runs show".
    """
    above = context.find_root()
    for name in names:
        command = above.command
        if not isinstance(command, click.Group):
            raise click.UsageError(f"{above.command_path} has no subcommands")
        _, found, _ = command.resolve_command(above, [name])
        if found is None:
            raise click.UsageError(f"No such command {name!r}")
        above = click.Context(found, info_name=name, parent=above)
    echo(above.get_help())
