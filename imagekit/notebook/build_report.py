"""The report of a build: tables, the critical path and a timeline."""

from __future__ import annotations

import collections
import html
import pathlib
import subprocess
import sys
from typing import Any

import pandas as pd

from imagekit.build import report as reports
from imagekit.build import timing
from imagekit.build.cloud import submit
from imagekit.build.progress import MARKS
from imagekit.build.report import Report, StepReport
from imagekit.errors import BuildError, UsageError, counted, error_of
from imagekit.notebook.display import Picture, Result, Table, svg
from imagekit.notebook.graph import CHARACTER
from imagekit.notebook.session import progress
from imagekit.support import shipped

ROW, BAR, PAD, PLOT = 22, 14, 8, 560
"""Height of a row, height of a bar, padding and width of the timeline, in pixels."""

FILLS = {"build": 0.75, "test": 0.45, "push": 0.2, "pull": 0.2, "other": 0.1}
"""The opacity of a bar, by the kind of its step."""

DEFAULT_REPORT = pathlib.Path("runs/build/report.json")
"""The report of `imagekit build`."""


def report_of(path: str, *, run: bool, config: str, options: list[str]) -> Report:
    """The report at a path, or with `run`, the report of a new build.

    The example that imagekit brings along need not be in the project.

    The new build is `imagekit build --config CONFIG` with the options; its output is displayed.
    Raises UsageError if there is no report, and an error with the exit code of the new build if
    it writes none.
    """
    source = shipped.found(path)
    if run:
        source = DEFAULT_REPORT
        command = [sys.executable, "-m", "imagekit", "build", "--config", config, *options]
        # The last --logs takes precedence over one in the options.
        _run_build([*command, "--logs", str(DEFAULT_REPORT.parent)])
    try:
        return reports.read(source)
    except (OSError, ValueError) as error:
        raise UsageError(f"{source}: no report of a build: {error}") from None


def _run_build(command: list[str]) -> None:
    """Run a build and display its output. Raises an error if it writes no new report."""
    before = _bytes(DEFAULT_REPORT)
    lines: list[str] = []
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        progress(what="steps") as bar,
    ):
        for line in process.stdout or ():
            print(line, end="")
            lines.append(line)
            _advance(bar, before)
    if _bytes(DEFAULT_REPORT) == before:
        raise error_of(process.returncode, "".join(lines[-20:]).strip() or "no build was made")


def _advance(bar: Any, before: bytes | None) -> None:
    """Set a progress bar to the finished steps of the running build's report."""
    if _bytes(DEFAULT_REPORT) == before:
        return
    steps = reports.read(DEFAULT_REPORT).steps
    if bar.total != len(steps):
        bar.reset(len(steps))
    bar.update(sum(entry.state not in ("waiting", "running") for entry in steps) - bar.n)


def _bytes(path: pathlib.Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def verdict(report: Report) -> Result:
    """The outcome of the build, as a result.

    Raises BuildError if the build did not succeed, after displaying the result, so that the
    notebook fails, too.
    """
    result = Result(
        {
            "report": report.file,
            "outcome": report.outcome,
            "seconds": round(timing.elapsed(report), 1),
            "steps": dict(collections.Counter(entry.state for entry in report.steps)),
            **({"builds": {b.file: b.id for b in report.builds}} if report.builds else {}),
        }
    )
    if report.outcome != "succeeded":
        from IPython.display import display

        display(result)
        failed = [entry for entry in report.steps if entry.state in ("failed", "timed out")]
        names = ", ".join(short(entry.id) for entry in failed)
        raise BuildError(f"the build {report.outcome}: {names}" if names else report.outcome)
    return result


def steps(report: Report) -> Table:
    """Every step with its state, start and duration."""
    frame = pd.DataFrame(
        {
            "state": [f"{MARKS[entry.state]} {entry.state}" for entry in report.steps],
            "start (s)": [_number(entry, timing.offset(report, entry)) for entry in report.steps],
            "duration (s)": [_number(entry, timing.seconds(entry)) for entry in report.steps],
            "reason": [entry.reason for entry in report.steps],
            "digest": [(entry.digest or "")[:19] for entry in report.steps],
        },
        index=pd.Index([short(entry.id) for entry in report.steps], name="step"),
    )
    title = f"{report.file}: {report.outcome}, {counted(len(report.steps), 'step')}"
    return Table(frame, title, tuple(submit.summary(report)))


def _number(entry: StepReport, value: float) -> str:
    return f"{value:.1f}" if entry.started else ""


def short(name: str) -> str:
    """A step's id without the repository."""
    return name.rpartition("/")[2].rpartition(":")[2]


def critical_path(report: Report) -> Table:
    """The longest chain of dependent steps: the lower bound of the build's duration."""
    path = timing.critical_path(report)
    frame = pd.DataFrame(
        {"duration (s)": [f"{timing.seconds(entry):.1f}" for entry in path]},
        index=pd.Index([short(entry.id) for entry in path], name="step"),
    )
    total = sum(map(timing.seconds, path))
    return Table(frame, f"Critical path: {total:.1f} s of {timing.elapsed(report):.1f} s")


def parallelism(report: Report, choices: tuple[int, ...] = (1, 2, 4, 8, 16)) -> Table:
    """The estimated duration of the build with other numbers of jobs, from the measured times."""
    if report.builds:
        caption = "Cloud Build schedules the steps; the number of jobs does not apply"
        return Table(pd.DataFrame(), caption)
    elapsed = timing.elapsed(report)
    times = [timing.estimate(report, jobs) for jobs in choices]
    frame = pd.DataFrame(
        {
            "estimated (s)": [f"{time:.1f}" for time in times],
            "saved (s)": [f"{max(0.0, elapsed - time):.1f}" for time in times],
        },
        index=pd.Index(choices, name="jobs"),
    )
    return Table(frame, f"With {counted(report.jobs, 'job')} the build took {elapsed:.1f} s")


def gantt(report: Report) -> Picture:
    """A timeline with a bar for each step that ran; thick frames mark the critical path."""
    ran = [entry for entry in report.steps if timing.seconds(entry)]
    critical = {entry.id for entry in timing.critical_path(report)}
    title = f"Timeline: {counted(len(ran), 'step')} in {timing.elapsed(report):.1f} s"
    lines = [
        f"{timing.offset(report, entry):7.1f} s  {timing.seconds(entry):7.1f} s  "
        f"{'critical' if entry.id in critical else '':8}  {short(entry.id)}"
        for entry in ran
    ]
    return Picture(_svg(title, report, ran, critical), "\n".join([title, *lines]))


def _svg(title: str, report: Report, ran: list[StepReport], critical: set[str]) -> str:
    total = timing.elapsed(report) or 1.0
    left = PAD * 2 + CHARACTER * max((len(short(entry.id)) for entry in ran), default=0)
    width, height = left + PLOT + PAD * 10, PAD * 2 + ROW * (len(ran) + 1)
    parts = []
    for row, entry in enumerate(ran):
        y = PAD + row * ROW
        x = left + PLOT * timing.offset(report, entry) / total
        length = max(1.0, PLOT * timing.seconds(entry) / total)
        frame = 2.5 if entry.id in critical else 0.5
        parts.append(
            f'<text x="{PAD}" y="{y + BAR - 2}" fill="currentColor" stroke="none">'
            f"{html.escape(short(entry.id))}</text>"
            f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{BAR}" fill="currentColor" '
            f'fill-opacity="{FILLS[entry.kind]}" stroke-width="{frame}"/>'
            f'<text x="{x + length + 4:.1f}" y="{y + BAR - 2}" fill="currentColor" stroke="none">'
            f"{timing.seconds(entry):.1f} s</text>"
        )
    y = PAD + len(ran) * ROW
    parts.append(
        f'<path d="M{left:.1f} {y}H{left + PLOT:.1f}"/>'
        f'<text x="{left:.1f}" y="{y + 16}" fill="currentColor" stroke="none">0 s</text>'
        f'<text x="{left + PLOT:.1f}" y="{y + 16}" fill="currentColor" stroke="none" '
        f'text-anchor="end">{total:.1f} s</text>'
    )
    return svg(title, width, height, parts)
