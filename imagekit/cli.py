"""The command line: arguments in, one call, an exit code out."""

from __future__ import annotations

import io
import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click
import msgspec

import imagekit
from imagekit import checks, gcp, pipeline, projects, reading, terminal
from imagekit import output as output_file
from imagekit.cloud import MAX_TIMEOUT
from imagekit.errors import INTERRUPTED, ImagekitError, UsageError, counted
from imagekit.images import Plan
from imagekit.rows import MARKS, Row, counts, rows
from imagekit.targets import cloudbuild

Command = Callable[..., Any]


def _config_options(command: Command) -> Command:
    """Which config, and what to build of it: the same words for every command."""
    for option in (
        click.option(
            "--skip",
            multiple=True,
            metavar="GLOB",
            help="Leave out the images whose tag or alias matches; repeatable.",
        ),
        click.option(
            "--only",
            multiple=True,
            metavar="GLOB",
            help="Take the images whose tag or alias matches, with their parents; repeatable.",
        ),
        click.option(
            "--base-url",
            "--base_url",
            metavar="URL",
            help="Repository that the tags belong to, in place of the config's.",
        ),
        click.option(
            "--config",
            "-c",
            default=pipeline.DEFAULT_CONFIG,
            show_default=True,
            metavar="FILE",
            help="The matrix, as YAML or JSON.",
        ),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(imagekit.__version__, prog_name="imagekit")
def cli() -> None:
    """Generate, show and record the build of a family of base Docker images."""


@cli.command()
@_config_options
@click.option(
    "--output",
    "-o",
    default=pipeline.DEFAULT_BUILD_FILE,
    show_default=True,
    metavar="FILE",
    help="The Cloud Build file to write; - is standard output.",
)
@click.option(
    "--timeout-sec",
    "--timeout_sec",
    type=click.IntRange(1, MAX_TIMEOUT),
    metavar="N",
    help="Seconds until Cloud Build gives the build up, in place of the config's.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 4 and show why if the file is out of date."
)
def generate(
    config: str, output: str, timeout_sec: int | None, check: bool, **selection: Any
) -> None:
    """Write cloudbuild.json from the config."""
    if check and output == "-":
        raise click.UsageError("--check compares with a file; name one with --output")
    _, plan = _planned(config, timeout=timeout_sec, **selection)
    for warning in checks.dockerfiles(plan, pathlib.Path()):
        click.echo(warning, err=True)
    files = imagekit.files(plan, output)
    if output == "-":
        if len(files) > 1:
            message = f"the build needs {len(files) - 1} files, see 'cloudbuild.limits'; "
            raise click.UsageError(f"{message}name a file with --output")
        click.echo(files[output], nl=False)
        return
    changes = output_file.write(files, output, check=check)
    for line in changes.lines():
        click.echo(line)
    verb = "is up to date" if check or not changes else "written"
    several = f" in {len(files) - 1} build files" if len(files) > 1 else ""
    images = counted(len(plan.images), "image")
    click.echo(f"{list(files)[-1]} {verb}: {images}{several}; {changes.summary()}")


@cli.command()
@_config_options
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def matrix(config: str, as_json: bool, **selection: Any) -> None:
    """Show what is built, and what is not and why."""
    checked, plan = _planned(config, **selection)
    found = rows(checked.matrix, plan)
    if as_json:
        document = {"repository": plan.repository, "rows": msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print_table(found)
        click.echo(counts(found))


@cli.command()
@_config_options
@click.option("--file", "-f", "build_file", metavar="FILE", help="Any Cloud Build file to run.")
@click.option(
    *("--jobs", "-j"),
    type=click.IntRange(1),
    metavar="N",
    default=os.cpu_count(),
    show_default="number of cores",
    help="Steps that may run at once.",
)
@click.option("--push", is_flag=True, help="Push, too; without it, nothing leaves the machine.")
@click.option("--force", is_flag=True, help="Build images that stand already, too.")
@click.option("--fail-fast", is_flag=True, help="Stop everything when a step fails.")
@click.option("--network", metavar="MODE", help="Network of the builds, such as host.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="SPEC",
    help="Secret of the builds, as docker build takes it.",
)
@click.option(
    *("--substitution", "given"),
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of a substitution such as _TAG, in place of the file's; repeatable.",
)
@click.option(
    "--docker",
    default="docker",
    envvar="IMAGEKIT_DOCKER",
    show_default=True,
    metavar="PROGRAM",
    help="The client of the Docker engine; IMAGEKIT_DOCKER says it, too.",
)
@click.option(
    "--logs",
    default="runs/build",
    show_default=True,
    metavar="FOLDER",
    help="Where the report and a log of each step are left.",
)
def build(
    config: str,
    build_file: str | None,
    given: tuple[str, ...],
    logs: str,
    **options: Any,
) -> None:
    """Build the images on this machine's Docker engine.

    The steps are those that Cloud Build would run, and wait for each other as they would there.
    """
    selection = {name: options.pop(name) for name in ("base_url", "only", "skip")}
    if build_file is None:
        # Here, Cloud Build's limits do not count.
        text = cloudbuild.text_of(cloudbuild.assemble(_planned(config, **selection)[1]))
    elif any(selection.values()):
        raise click.UsageError(
            "--file is built as it is; --only, --skip, --base-url go with --config"
        )
    else:
        text = output_file.read_build(build_file)
    values = dict(text.partition("=")[::2] for text in given)
    # asyncio and the engine are for this command only.
    from imagekit.engine import command

    sys.exit(command.run(text, build_file or config, values, pathlib.Path(logs), options))


@cli.command()
@click.argument("notebook")
@click.option(
    "--parameter",
    "-p",
    "given",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="A parameter of the notebook; repeatable. A list takes one value each time.",
)
@reading.store_option
@click.option(
    "--cell-timeout", type=click.IntRange(1), metavar="N", help="Seconds that a cell may take."
)
def run(
    notebook: str, given: tuple[tuple[str, str], ...], runs: str | None, cell_timeout: int | None
) -> None:
    """Run a notebook and record how it ended.

    NOTEBOOK is a path, or a name in notebooks/ such as "generate". The exit code is 0 if it
    succeeded, that of the error or of the sys.exit that it ended with, or else 1.
    """
    # papermill and what it brings take a second to load, which only this command should pay for.
    from imagekit.notebook import parameters, project
    from imagekit.notebook import run as runner
    from imagekit.runs.store import Store

    if runs is not None and runs.startswith("memory:"):
        message = f"{runs}: memory is gone when this command ends; name a folder or a bucket"
        raise UsageError(message)
    root = project.root()
    path = runner.find(notebook, root)
    values = parameters.typed(path, given)
    store = Store(runs or root / "runs")
    progress = sys.stderr.isatty()
    ended = runner.execute(path, values, store=store, cell_timeout=cell_timeout, progress=progress)
    for text in ended.shown:
        click.echo(f"{text}\n")
    for text in ended.warned:
        click.echo(text, err=True)
    record = ended.record
    if record.cell is not None:
        where = f"cell {record.cell.number}" if record.cell.number else "before the first cell"
        click.echo(f"{where}: {record.cell.error}: {record.cell.message}", err=True)
    click.echo(f"{ended.left}: {record.outcome} after {record.seconds:.1f} s", err=True)
    sys.exit(record.exit_code)


cli.add_command(projects.dockerfile)
cli.add_command(projects.project)
cli.add_command(gcp.submit)
cli.add_command(gcp.trigger)
cli.add_command(reading.diff)
cli.add_command(reading.runs)


def _planned(
    config: str,
    *,
    base_url: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    timeout: int | None = None,
) -> tuple[pipeline.Checked, Plan]:
    """The config and what is selected of it, with its warnings on standard error."""
    checked = pipeline.check(config, base_url=base_url, timeout=timeout)
    for warning in checked.warnings:
        click.echo(warning, err=True)
    return checked, pipeline.select(checked, only, skip)


def _print_table(found: list[Row]) -> None:
    styles = {"built": "", "excluded": "yellow", "not listed": "dim", "not selected": "dim"}
    lines = (
        (
            (
                f"{MARKS[row.status]} {row.status}",
                row.tag,
                ", ".join(row.aliases),
                row.parent or "",
                row.reason,
            ),
            styles[row.status],
        )
        for row in found
    )
    columns = ("status", "tag", "aliases", "stands on", "why")
    terminal.show(columns, lines, unbroken="tag", wide_only=("stands on",))


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of what happened."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that does not know ✓ shows another sign for it.
            stream.reconfigure(errors="replace")
    try:
        cli.main(args=args, prog_name="imagekit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except ImagekitError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"imagekit: {error.strerror}: {error.filename or 'output'}", err=True)
        sys.exit(1)
    sys.exit(0)
