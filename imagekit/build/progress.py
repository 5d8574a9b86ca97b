"""Build progress: a live table on a terminal, plain lines otherwise."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from imagekit.build import timing
from imagekit.build.report import DONE, Report, State, StepReport
from imagekit.errors import counted, one_line
from imagekit.support.files import tail
from imagekit.support.terminal import clean, echo, harmless

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


@harmless
def plain(entry: StepReport) -> None:
    """Print a line for a step that started or ended."""
    if entry.state not in ("not pushed", "waiting"):
        echo(f"{MARKS[entry.state]} {entry.state:<11} {entry.id}{_details(entry)}")


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
        self.live = RichLive(get_renderable=self._shown, refresh_per_second=4, transient=True)

    def __enter__(self) -> Live:
        harmless(self.live.start)()
        return self

    def __exit__(self, *_: object) -> None:
        harmless(self.live.stop)()

    @harmless
    def print(self, text: str) -> None:
        """Print a line above the live table."""
        from rich.text import Text

        self.live.console.print(Text(clean(text)), soft_wrap=True)

    def _shown(self) -> Any:
        """The table; nothing if the report cannot be shown, since the build must go on."""
        try:
            return self._table()
        except Exception:
            return ""

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        report, now = self.report(), datetime.datetime.now(datetime.UTC)
        table = Table.grid(padding=(0, 2))
        # Finished images are only counted, so that the running ones stay visible.
        unfinished = [
            (entry, step) for entry, step in _current_steps(report.steps) if step.state not in DONE
        ]
        for entry, step in unfinished[:20]:
            duration = f"{timing.so_far(step, now):.0f} s" if step.started else ""
            # rich would take brackets in a str for markup.
            name = Text(one_line(entry.id.rpartition(":")[2]))
            table.add_row(f"{MARKS[step.state]} {step.state}", name, step.kind, duration)
        done = sum(entry.state not in ("waiting", "running") for entry in report.steps)
        more = f", {len(unfinished) - 20} more images" if len(unfinished) > 20 else ""
        table.add_row("", f"{done} of {counted(len(report.steps), 'step')} done{more}", "", "")
        return table


def _current_steps(steps: list[StepReport]) -> Iterator[tuple[StepReport, StepReport]]:
    """Each step that builds, and the first step of its images that is not done, or the last one.

    A build without a tag has no other step than itself.
    """
    current: dict[str, StepReport] = {}
    for step in steps:
        for image in step.images:
            if image not in current or current[image].state in DONE:
                current[image] = step
    for step in steps:
        if step.kind == "build":
            own = [current[image] for image in step.images]
            yield step, next((one for one in own if one.state not in DONE), (own or [step])[-1])


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


def dry_run(report: Report, commands: Mapping[str, str]) -> Iterator[str]:
    """What a build would do: one line for each step in order, and the count of each.

    `commands` say for steps what runs where, in a line of its own.
    """
    actions = [
        ("run" if entry.kind == "other" else str(entry.kind))
        if entry.state == "waiting"
        else entry.state
        for entry in report.steps
    ]
    for action, entry in zip(actions, report.steps, strict=True):
        yield f"{action:<11} {entry.id}"
        if entry.id in commands:
            yield f"{'':<11}   {commands[entry.id]}"
    yield ", ".join(
        f"{actions.count(action)} {'' if action in MARKS else 'to '}{action}"
        for action in dict.fromkeys(actions)
    )
