"""`imagekit runs`: print the history of recorded runs."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from imagekit.cli import completion, sides, table
from imagekit.cli.common import Group
from imagekit.cli.diff import diff_options, print_changes
from imagekit.cli.options import Command, open_store, store_option
from imagekit.compare import report as differences
from imagekit.errors import UsageError
from imagekit.runs import details as run_details
from imagekit.runs import history as histories
from imagekit.runs.entry import OUTCOMES, Entry
from imagekit.runs.formatting import changed, parameters_text, short_commit, tally, why
from imagekit.runs.history import History
from imagekit.runs.index import Counts
from imagekit.runs.store import Store
from imagekit.support.terminal import echo, emit

STYLES = {"succeeded": "", "running": "cyan", "not a run": "dim", "unreadable": "dim"}
"""The styles of outcomes; all other outcomes are red."""

COLUMNS = (
    *("run", "began (UTC)", "notebook", "took", "outcome", "images", "changes"),
    *("parameters", "commit", "config", "why"),
)
FIT = table.Fit(
    below=("why",),
    # The name of a run has its start and its notebook, too.
    drop=("config", "notebook", "began (UTC)", "parameters", "commit", "took", "images", "changes"),
)

LOCAL_LIMIT, REMOTE_LIMIT = 200, 24
"""A progress bar is shown for at least this number of runs in a local or remote store."""


_filters = (
    click.option(
        "--since",
        default="",
        metavar="TIME",
        help="Started at or after 2026-11-01, 2026-11-01T12:00 (UTC), or 7d ago.",
    ),
    click.option(
        "--until",
        default="",
        metavar="TIME",
        help="Started before this time (exclusive); same formats as --since.",
    ),
    click.option(
        "--outcome",
        multiple=True,
        metavar="WORD",
        shell_complete=completion.words([*OUTCOMES]),
        help=f"How runs ended; repeatable. One of: {', '.join(OUTCOMES)}.",
    ),
    click.option(
        "--notebook",
        default="",
        metavar="GLOB",
        shell_complete=completion.notebooks,
        help="The notebook, such as generate.",
    ),
    click.option(
        *("--parameter", "-p"),
        nargs=2,
        multiple=True,
        metavar="NAME GLOB",
        help="Value of a parameter.",
    ),
    click.option(
        *("-n", "number"),
        type=click.IntRange(0),
        metavar="N",
        help="Only the latest N, 0 for all.  [default: 20; with --json all]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _list_options(command: Command) -> Command:
    """Add the options of the list of runs."""
    for option in (*reversed(_filters), store_option):
        command = option(command)
    return command


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
@_list_options
def runs(context: click.Context, /, **options: Any) -> None:
    """Show the recorded runs, the latest last.

    "imagekit runs" alone is "imagekit runs list".
    """
    context.obj = options["runs"]
    if context.invoked_subcommand is None:
        _print_history(options)
    elif context.invoked_subcommand != "list":
        _reject_filters(context)
    else:
        given = context.get_parameter_source
        context.obj = {n: v for n, v in options.items() if given(n) is not ParameterSource.DEFAULT}


@runs.command("list")
@_list_options
@click.pass_context
def list_runs(context: click.Context, /, **options: Any) -> None:
    """Show the recorded runs, the latest last."""
    # The options may stand before "list", too.
    given = context.get_parameter_source
    before = {n: v for n, v in context.obj.items() if given(n) is ParameterSource.DEFAULT}
    _print_history(options | before)


def _reject_filters(context: click.Context) -> None:
    """Raise UsageError for an option of the list before a subcommand."""
    command = f"imagekit runs {context.invoked_subcommand}"
    for option in context.command.params:
        name = option.name or ""
        is_default = context.get_parameter_source(name) is ParameterSource.DEFAULT
        if is_default or name == "runs":
            continue
        remedy = f"write {command} … --json" if name == "as_json" else "leave it out"
        raise UsageError(
            f"{option.opts[0]}: this option belongs to the list of runs, not to {command}; {remedy}"
        )


@runs.command()
@click.argument("run", metavar="RUN", shell_complete=completion.runs)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_option
@click.pass_obj
def show(store: str | None, /, run: str, runs: str | None, as_json: bool) -> None:
    """Show all details of a run.

    RUN is its name, a unique prefix of it, "latest", or "latest~1" for the run before the latest.
    """
    history = _history(open_store(runs or store))
    entry = history.find(run)
    details = run_details.read(history.store, entry.run)
    before, changes = history.before(entry), history.changes(entry)
    if as_json:
        document = msgspec.to_builtins(entry) | msgspec.to_builtins(details) | {"changes": None}
        if before is not None and changes is not None:
            document["changes"] = json.loads(differences.as_json(changes, before.run, entry.run))
        emit(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for line in run_details.lines(entry, details, history.store.path(f"{entry.run}.*")):
        echo(line)
    if before is not None and changes is not None:
        echo(f"\nAgainst {before.run}: {changes.summary()}")
        for line in changes.lines():
            echo(f"  {line}")


@runs.command("diff")
@click.argument("before", metavar="RUN", shell_complete=completion.runs)
@click.argument("after", metavar="RUN", shell_complete=completion.runs)
@diff_options
@store_option
@click.pass_obj
def diff_runs(
    store: str | None, /, before: str, after: str, runs: str | None, **options: Any
) -> None:
    """Show the differences between the images of two runs.

    RUN is a run's name, a unique prefix of it, "latest", or "latest~1" for the run before the
    latest.
    """
    history = _history(open_store(runs or store))
    old, new = (sides.of_run(history, name) for name in (before, after))
    print_changes(old, new, **options)


def _history(store: Store) -> History:
    minimum = LOCAL_LIMIT if store.folder is not None else REMOTE_LIMIT
    return histories.read(store, functools.partial(_progress, minimum=minimum))


def _progress(names: Sequence[str], what: str, *, minimum: int) -> Any:
    """The names, with a progress bar on a terminal if there are at least `minimum`."""
    if not sys.stderr.isatty() or len(names) < minimum:
        return names
    from rich.console import Console
    from rich.progress import track

    return track(names, what, console=Console(stderr=True), transient=True)


def _print_history(options: dict[str, Any]) -> None:
    number, as_json = options["number"], options["as_json"]
    names = ("since", "until", "outcome", "notebook")
    since, until, outcomes, notebook = (options[name] for name in names)
    run_filter = histories.filter_of(since, until, outcomes, notebook, dict(options["parameter"]))
    history = _history(open_store(options["runs"]))
    matches = [entry for entry in history.entries if run_filter.matches(entry)]
    if number is None:
        number = 0 if as_json else 20
    shown = matches[-number:] if number else matches
    counts = history.counts(shown)
    if as_json:
        document = [
            msgspec.to_builtins(entry) | {"changes": counts.get(entry.run)} for entry in shown
        ]
        emit(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if shown:
        lines = ((_line(entry, counts), STYLES.get(entry.outcome, "red")) for entry in shown)
        table.show(COLUMNS, lines, fit=FIT)
    left_out = f", the latest {len(shown)} shown" if len(shown) < len(matches) else ""
    store = history.store.path("").rstrip("/")
    hint = "" if history.entries else "; imagekit run NAME records one"
    echo(f"{tally(matches, history.entries, store)}{left_out}{hint}")


def _line(entry: Entry, counts: dict[str, Counts]) -> tuple[str, ...]:
    numbers = counts.get(entry.run)
    return (
        entry.run,
        entry.started[:19].replace("T", " "),
        entry.notebook.rpartition("/")[2].removesuffix(".ipynb"),
        "" if entry.seconds is None else f"{entry.seconds:.1f} s",
        entry.outcome,
        "" if entry.images is None else str(entry.images),
        "" if numbers is None else changed(numbers),
        parameters_text(entry),
        short_commit(entry.commit),
        (entry.config_sha256 or "")[:10],
        why(entry),
    )
