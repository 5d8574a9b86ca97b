"""`imagekit run`: execute a notebook and record how it ended."""

from __future__ import annotations

import sys

import click

from imagekit.cli.options import store_option
from imagekit.errors import UsageError
from imagekit.support import extras, workspace


@click.command()
@click.argument("notebook")
@click.option(
    "--parameter",
    "-p",
    "arguments",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the notebook; repeatable. A list takes one value each time.",
)
@store_option
@click.option(
    "--cell-timeout", type=click.IntRange(1), metavar="N", help="Timeout of each cell in seconds."
)
def run(
    notebook: str,
    arguments: tuple[tuple[str, str], ...],
    runs: str | None,
    cell_timeout: int | None,
) -> None:
    """Run a notebook and record how it ended.

    NOTEBOOK is a path, or a name such as "generate": a notebook in notebooks/, or else one that
    imagekit brings along. The exit code is 0 if it succeeded, that of the error or of the sys.exit
    that it ended with, or else 1.
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
    path = runner.find(notebook, root)
    values = parameters.typed(path, arguments)
    store = Store(runs or root / "runs")
    progress = sys.stderr.isatty()
    result = runner.execute(path, values, store=store, cell_timeout=cell_timeout, progress=progress)
    for text in result.outputs:
        click.echo(f"{text}\n")
    for text in result.stderr:
        click.echo(text, err=True)
    record = result.record
    if record.cell is not None:
        where = f"cell {record.cell.number}" if record.cell.number else "before the first cell"
        click.echo(f"{where}: {record.cell.error}: {record.cell.message}", err=True)
    click.echo(f"{result.address}: {record.outcome} after {record.seconds:.1f} s", err=True)
    sys.exit(record.exit_code)
