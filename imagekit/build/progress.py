"""Build progress: a live table on a terminal, plain lines otherwise."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import click

from imagekit.build import timing
from imagekit.build.report import DONE, Report, State, StepReport
from imagekit.errors import counted
from imagekit.support.files import tail

MARKS: dict[State, str] = {
    "waiting": "·",
    "running": "▶",
    "succeeded": "✓",
    "up to date": "=",
    "not pushed": "-",
    "failed": "✗",
    "timed out": "✗",
    "blocked": "⊘",
    "interrupted": "!",
}
"""The symbol of each state."""
FEW = 3
"""The largest number of blocked steps that are listed by id."""
TAIL = 15
"""The number of lines that are shown of a failed step's log."""


def plain(entry: StepReport) -> None:
    """Print a line for a step that started or ended."""
    if entry.state not in ("not pushed", "waiting"):
        click.echo(f"{MARKS[entry.state]} {entry.state:<11} {entry.id}{_details(entry)}")


def _details(entry: StepReport) -> str:
    parts = [entry.reason] if entry.reason else []
    if entry.started and entry.finished:
        parts.insert(0, f"{timing.seconds(entry):.1f} s")
    return f" ({', '.join(parts)})" if parts else ""


class Live:
    """A live display of a running build: one line per image, and the number of steps done."""

    def __init__(self, report: Callable[[], Report]) -> None:
        # Imported here because rich takes a tenth of a second to load.
        from rich.live import Live as RichLive

        self.report = report
        self.live = RichLive(get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Live:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def print(self, text: str) -> None:
        """Print a line above the live table."""
        self.live.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Any:
        from rich.table import Table

        report, now = self.report(), datetime.datetime.now(datetime.UTC)
        table = Table.grid(padding=(0, 2))
        lines = [entry for entry in report.steps if entry.kind == "build"]
        # Finished images are only counted, so that the running ones stay visible.
        unfinished = [entry for entry in lines if _state_of(entry, report.steps)[0] not in DONE]
        for entry in unfinished[:20]:
            state, step = _state_of(entry, report.steps)
            duration = f"{timing.so_far(step, now):.0f} s" if step.started else ""
            name = entry.id.rpartition(":")[2]
            table.add_row(f"{MARKS[state]} {state}", name, step.kind, duration)
        done = sum(entry.state not in ("waiting", "running") for entry in report.steps)
        more = f", {len(unfinished) - 20} more images" if len(unfinished) > 20 else ""
        table.add_row("", f"{done} of {counted(len(report.steps), 'step')} done{more}", "", "")
        return table


def _state_of(build: StepReport, steps: list[StepReport]) -> tuple[State, StepReport]:
    """The state of an image: that of its first step that is not done, and this step."""
    own = [step for step in steps if set(step.images) & set(build.images)]
    current = next((step for step in own if step.state not in DONE), own[-1])
    return current.state, current


def summary(report: Report, logs: pathlib.Path) -> Iterator[str]:
    """The summary of a finished build: log tails of failed steps, and the count of each state."""
    for entry in report.steps:
        if entry.state in ("failed", "timed out") and entry.log:
            yield f"{MARKS[entry.state]} {entry.id}: {entry.reason}; whole log: {logs / entry.log}"
            yield from (f"    {line}" for line in tail(logs / entry.log, TAIL))
    blocked: dict[str, list[str]] = {}
    for entry in report.steps:
        if entry.state == "blocked":
            blocked.setdefault(entry.reason, []).append(entry.id)
    for reason, names in blocked.items():
        # One failed step may block dozens of others.
        listed = ", ".join(names) if len(names) <= FEW else counted(len(names), "step")
        yield f"{MARKS['blocked']} {listed}: {reason}"
    states = [entry.state for entry in report.steps]
    yield ", ".join(f"{states.count(s)} {s}" for s in MARKS if s in states)


def dry_run(report: Report) -> Iterator[str]:
    """What a build would do: one line for each step in order, and the count of each."""
    actions = [
        ("run" if entry.kind == "other" else str(entry.kind))
        if entry.state == "waiting"
        else entry.state
        for entry in report.steps
    ]
    for action, entry in zip(actions, report.steps, strict=True):
        yield f"{action:<11} {entry.id}"
    yield ", ".join(
        f"{actions.count(action)} {'' if action in MARKS else 'to '}{action}"
        for action in dict.fromkeys(actions)
    )
