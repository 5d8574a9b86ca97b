"""`imagekit run`: execute a notebook and record how it ended."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Sequence

import click

from imagekit.cli import completion, table
from imagekit.cli.common import is_quiet, say
from imagekit.cli.options import store_option
from imagekit.errors import UsageError
from imagekit.support import extras, shipped, workspace
from imagekit.support.terminal import echo


@click.command()
@click.argument(
    "notebook", metavar="[NOTEBOOK]", required=False, shell_complete=completion.notebooks
)
@click.option(
    "--parameter",
    "-p",
    "arguments",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    shell_complete=completion.parameters,
    help="A parameter of the notebook; repeatable. A list takes one value each time.",
)
@store_option
@click.option(
    "--cell-timeout", type=click.IntRange(1), metavar="N", help="Timeout of each cell in seconds."
)
def run(
    notebook: str | None,
    arguments: tuple[tuple[str, str], ...],
    runs: str | None,
    cell_timeout: int | None,
) -> None:
    """Run a notebook and record how it ended.

    NOTEBOOK is a path, or a name such as "generate": a notebook in notebooks/, or else one that
    imagekit brings along. Without it, the notebooks and their parameters are listed. The exit code
    is 0 if it succeeded, that of the error or of the sys.exit that it ended with, or else 1.
    """
    # Imported here because papermill takes a second to load.
    with extras.needed("imagekit run", "run"):
        from imagekit.runs import execute as runner
        from imagekit.runs import parameters
    from imagekit.runs.store import Store

    if runs is not None and runs.startswith("memory:"):
        message = f"{runs}: memory does not outlive this command; name a folder or a bucket"
        raise UsageError(message)
    root = workspace.root()
    if notebook is None:
        if arguments:
            raise click.UsageError("--parameter needs a notebook; name it first")
        _print_notebooks(shipped.notebooks(root))
        return
    path = runner.find(notebook, root)
    values = parameters.typed(path, arguments)
    store = Store(runs or root / "runs")
    progress = sys.stderr.isatty() and not is_quiet()
    result = runner.execute(path, values, store=store, cell_timeout=cell_timeout, progress=progress)
    for text in result.outputs:
        say(f"{text}\n")
    for text in result.stderr:
        echo(text, err=True)
    record = result.record
    if record.cell is not None:
        where = f"cell {record.cell.number}" if record.cell.number else "before the first cell"
        echo(f"{where}: {record.cell.error}: {record.cell.message}", err=True)
    if not is_quiet():
        for line in result.summary:
            echo(line)
    if record.exit_code or not is_quiet():
        echo(f"{result.address}: {record.outcome} after {record.seconds:.1f} s", err=True)
    sys.exit(record.exit_code)


def _print_notebooks(paths: Sequence[pathlib.Path]) -> None:
    """Print a table of the notebooks with their parameters."""
    from imagekit.runs.parameters import described

    lines = []
    for path in paths:
        parameters = [(one.name, one.default, one.description) for one in described(path)]
        for number, about in enumerate(parameters or [("", "", "")]):
            lines.append((("" if number else path.stem, *about), ""))
    columns = ("notebook", "parameter", "default", "description")
    table.show(columns, lines, unbroken="parameter")
    say("imagekit run NOTEBOOK -p NAME VALUE runs one")
