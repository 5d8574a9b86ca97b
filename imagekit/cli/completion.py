"""`imagekit completion`: the completion scripts of shells, and the values that they complete."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from imagekit import api
from imagekit.errors import ImagekitError
from imagekit.planning.load import Checked
from imagekit.support import shipped, workspace
from imagekit.support.terminal import emit
from imagekit.support.workspace import DEFAULT_CONFIG

VARIABLE = "_IMAGEKIT_COMPLETE"
"""The environment variable by which the scripts ask for completions."""

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Items = list[CompletionItem]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
      bash   eval "$(imagekit completion bash)"       in ~/.bashrc
      zsh    eval "$(imagekit completion zsh)"        in ~/.zshrc
      fish   imagekit completion fish | source        in config.fish
    """  # noqa: D301 - click reads the escape
    from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

    kind = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}[shell]
    # Not bash's own `source`, which starts bash to look at its version.
    script = ShellComplete.source(kind(context.find_root().command, {}, "imagekit", VARIABLE))
    emit(script)


def _starting(names: Iterable[str], incomplete: str) -> Items:
    return [_item(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _item(name: str, kind: str = "plain") -> CompletionItem:
    from click.shell_completion import CompletionItem  # Not at the top: few runs complete.

    return CompletionItem(name, type=kind)


def words(names: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], Items]:
    """One of these names."""
    return lambda context, param, incomplete: _starting(names, incomplete)


def files(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Any file; the shell completes its name."""
    return [_item(incomplete, "file")]


def folders(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Any folder; the shell completes its name."""
    return [_item(incomplete, "dir")]


def configs(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The YAML and JSON files in config/ and in the working directory, else any file."""
    found = [
        str(path)
        for folder in (pathlib.Path("config"), pathlib.Path())
        for path in sorted(folder.glob("*"))
        if path.suffix in (".yaml", ".yml", ".json") and not path.name.startswith(".")
    ]
    return _starting(found, incomplete) or files(context, param, incomplete)


def _checked(context: click.Context) -> Checked | None:
    """The config of the command line; None if it is invalid."""
    name = context.params.get("config") or DEFAULT_CONFIG
    # A pipe is not read before the command itself reads it.
    if name == "-":
        return None
    with contextlib.suppress(ImagekitError, OSError):
        return api.check(name)
    return None


def images(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The tags and aliases of the config; after a "*", globs for the values of its axes."""
    checked = _checked(context)
    if checked is None:
        return []
    if incomplete.startswith("*"):
        config = checked.config
        values = (value for axis in config.axis_names() for value in config.axis(axis))
        return _starting((f"*{value}*" for value in values), incomplete)
    return _starting(checked.plan.names(), incomplete)


def axes(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The axes of the config that have values; the last of several that commas separate."""
    from imagekit.planning.grid import RECIPE  # Not at the top: few commands show a grid.

    checked = _checked(context)
    if checked is None:
        return []
    config = checked.config
    before, comma, last = incomplete.rpartition(",")
    names = [*(axis for axis in config.axis_names() if config.axis(axis)), RECIPE]
    taken = before.split(",")
    return _starting(
        (f"{before}{comma}{name}" for name in names if name not in taken), f"{before}{comma}{last}"
    )


def pythons(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The Python versions of the config."""
    from imagekit.project.base_image import version_of

    checked = _checked(context)
    if checked is None:
        return []
    versions = (version_of(image, checked.config) for image in checked.plan.images)
    return _starting((version for version in versions if version), incomplete)


def notebooks(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The notebooks that `imagekit run` finds by name, else any file."""
    names = [path.stem for path in shipped.notebooks(workspace.root())]
    return _starting(names, incomplete) or files(context, param, incomplete)


def parameters(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The parameters of the notebook on the command line."""
    with contextlib.suppress(ImagekitError, ImportError):
        from imagekit.runs import execute
        from imagekit.runs.parameters import declared

        # Before the value of -p is complete, click has not assigned the arguments.
        given = [context.params.get("notebook"), *context.args]
        path = execute.find(next((name for name in given if name), ""), workspace.root())
        return _starting(declared(path), incomplete)
    return []


def runs(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """`latest` and the names of the runs in the store, the latest first."""
    from imagekit.runs import history
    from imagekit.runs.store import Store, existing

    # The option may stand before the subcommand, too.
    above = context.parent.params if context.parent else {}
    address = context.params.get("runs") or above.get("runs")
    with contextlib.suppress(ImagekitError):
        entries = history.read(existing(address) if address else Store(workspace.runs())).entries
        latest = ["latest"] if entries else []
        return _starting([*latest, *(entry.run for entry in reversed(entries))], incomplete)
    return []


def sides(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """What `imagekit diff` compares: runs, else files."""
    return runs(context, param, incomplete) or files(context, param, incomplete)


def commands(context: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """The commands that `imagekit help` describes."""
    group = context.find_root().command
    for name in context.params.get("names") or ():
        found = group.get_command(context, name) if isinstance(group, click.Group) else None
        if found is None:
            return []
        group = found
    if not isinstance(group, click.Group):
        return []
    every = ((name, group.get_command(context, name)) for name in group.list_commands(context))
    return _starting((name for name, one in every if one and not one.hidden), incomplete)
