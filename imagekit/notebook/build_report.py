"""The report of a build: its steps, failures, timeline and critical path, and the build before."""

from __future__ import annotations

import collections
import html
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pandas as pd

from imagekit.build import report as reports
from imagekit.build import timing
from imagekit.build.cloud import submit
from imagekit.build.progress import MARKS
from imagekit.build.report import PREVIOUS, Report, StepReport
from imagekit.errors import BuildError, UsageError, counted, error_of
from imagekit.notebook import charts
from imagekit.notebook.display import Picture, Result, Table, marked
from imagekit.notebook.frames import to_pandas
from imagekit.notebook.session import progress
from imagekit.support import files, shipped
from imagekit.support.files import RECORD, read_bytes

EXAMPLE, EXAMPLE_BEFORE = "notebooks/example-build.json", "notebooks/example-build-before.json"
"""The reports that are shown as long as a project has none, and in a family without them, those
that imagekit brings along."""

COLOURS = {
    "build": charts.BLUE,
    "test": charts.GREEN,
    "push": charts.PINK,
    "pull": charts.ORANGE,
    "other": "#808080",
}
"""The colour of a bar, by the kind of its step."""
ROW, PLOT = 20, 520
"""The height of a row and the width of the timeline, in pixels."""
MOST = 60
"""The most steps in a timeline: the longest ones."""
TAIL, FAILURES = 30, 10
"""The most lines that are shown of a log, and the most failed steps whose logs are shown."""
LOG_END = 64 * 1024
"""The number of bytes at the end of a log that are read for its last lines."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f]")
"""The control characters of terminals in a log."""
FAILED = ("failed", "timed out")
"""The states of steps that did not succeed by themselves."""
JOBS = (1, 2, 4, 8, 16)
"""The numbers of jobs that a duration is estimated for."""


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A build to show: its report, where it was read, and the build before."""

    report: Report
    path: pathlib.Path
    """The file of the report; the logs of the steps are beside it."""
    before: Report | None = None
    """The report of the build before; None if there is none."""
    is_example: bool = False
    """Whether it is the example, because the project has no report."""

    @property
    def title(self) -> str:
        """The build in a few words."""
        report = self.report
        text = f"{report.file}: {report.outcome}, {counted(len(report.steps), 'step')}"
        text += f" in {timing.elapsed(report):.1f} s"
        return (
            f"Example, because there is no {reports.DEFAULT}: {text}" if self.is_example else text
        )


@to_pandas.register
def _(build: Build) -> pd.DataFrame:
    return to_pandas(build.report)


def read(
    report: str = "",
    before: str = "",
    *,
    run: bool = False,
    config: str = "",
    options: list[str] | None = None,
) -> Build:
    """The last build of the project, or the example as long as there is none.

    `report` names another report, and `before` the one to compare with; by default it is the
    `previous.json` that `imagekit build` keeps beside a report. With `run`, the report is that of
    a new build: `imagekit build --config CONFIG` with the options; its output is displayed.
    Raises UsageError if a file is no report, and an error with the exit code of the new build if
    it writes none.
    """
    if run:
        command = [sys.executable, "-m", "imagekit", "build", "--config", config, *(options or ())]
        # The last --logs takes precedence over one in the options.
        _run_build([*command, "--logs", str(reports.DEFAULT.parent)])
        report = str(reports.DEFAULT)
    is_example = not report and not reports.DEFAULT.exists()
    if is_example:
        report, before = EXAMPLE, before or EXAMPLE_BEFORE
    path = shipped.found(report or str(reports.DEFAULT))
    kept = shipped.found(before) if before else path.with_name(PREVIOUS)
    return Build(
        report=_read(path),
        path=path,
        before=_read(kept) if before or kept.exists() else None,
        is_example=is_example,
    )


def _read(path: pathlib.Path) -> Report:
    try:
        return reports.read(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: no report of a build: {error}") from None


def _run_build(command: list[str]) -> None:
    """Run a build and display its output. Raises an error if it writes no new report."""
    before = _bytes(reports.DEFAULT)
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
    if _bytes(reports.DEFAULT) == before:
        raise error_of(process.returncode, "".join(lines[-20:]).strip() or "no build was made")


def _advance(bar: Any, before: bytes | None) -> None:
    """Set a progress bar to the finished steps of the running build's report."""
    if _bytes(reports.DEFAULT) == before:
        return
    steps = reports.read(reports.DEFAULT).steps
    if bar.total != len(steps):
        bar.reset(len(steps))
    bar.update(sum(entry.state not in ("waiting", "running") for entry in steps) - bar.n)


def _bytes(path: pathlib.Path) -> bytes | None:
    return read_bytes(path, RECORD) if path.exists() else None


def steps(build: Build) -> Table:
    """Every step with its state, start and duration."""
    columns = ["state", "reason", "start", "seconds", "critical", "digest"]
    frame = to_pandas(build)[columns].dropna(axis="columns", how="all")
    return Table(
        _named(frame, build.report),
        build.title,
        tuple(submit.summary(build.report)),
        formats={
            "state": marked(MARKS),
            "digest": lambda digest: digest[:19],
            "critical": lambda is_critical: "● yes" if is_critical else "",
        },
    )


def short(name: str) -> str:
    """A step's id without the repository."""
    return name.rpartition("/")[2].rpartition(":")[2]


def _named(frame: pd.DataFrame, *builds: Report) -> pd.DataFrame:
    """A frame of steps with short names, unless two steps have the same one."""
    ids = {entry.id for report in builds for entry in report.steps}
    is_unique = len({short(name) for name in ids}) == len(ids)
    return frame.rename(index=short) if is_unique else frame


class Failures:
    """The failed steps of a build, each with the reason and the last lines of its log."""

    def __init__(self, build: Build) -> None:
        failed = [entry for entry in build.report.steps if entry.state in FAILED]
        self.parts = [(_reason(build, entry), _tail(build, entry)) for entry in failed[:FAILURES]]
        self.more = len(failed) - len(self.parts)

    def __str__(self) -> str:
        return "\n".join(self._lines()) or "No step failed."

    def _lines(self) -> Iterator[str]:
        for reason, tail in self.parts:
            yield reason
            yield from (f"    {line}" for line in tail)
        if self.more:
            yield f"… and {counted(self.more, 'more failed step')}"

    def html(self) -> str:
        """The failed steps as HTML; each log can be folded."""
        if not self.parts:
            return f"<p>{self}</p>"
        shown = (
            f"<details open><summary>{html.escape(reason)}</summary>"
            f'<pre style="overflow-x: auto">{html.escape(chr(10).join(tail))}</pre></details>'
            for reason, tail in self.parts
        )
        more = f"<p>… and {counted(self.more, 'more failed step')}</p>" if self.more else ""
        return "".join(shown) + more

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": str(self)}


def failures(build: Build) -> Failures:
    """The steps that failed, each with the end of its log."""
    return Failures(build)


def _reason(build: Build, entry: StepReport) -> str:
    log = f"; whole log: {build.path.parent / entry.log}" if entry.log else ""
    return f"{MARKS[entry.state]} {short(entry.id)}: {entry.reason}{log}"


def _tail(build: Build, entry: StepReport) -> list[str]:
    """The last lines of a step's log; empty if there is none."""
    log = build.path.parent / (entry.log or "")
    if not log.is_file():
        return ["The log is no longer there."] if entry.log else []
    return [ESCAPES.sub("", line) for line in files.tail(log, TAIL, LOG_END)]


def critical_path(build: Build) -> Table:
    """The longest chain of dependent steps: the lower bound of the build's duration."""
    ids = [entry.id for entry in timing.critical_path(build.report)]
    frame = to_pandas(build).loc[ids, ["kind", "seconds"]]
    frame["together"] = frame["seconds"].cumsum()
    total = frame["seconds"].sum()
    caption = f"Critical path: {total:.1f} s of {timing.elapsed(build.report):.1f} s"
    return Table(_named(frame, build.report), caption)


def parallelism(build: Build, choices: tuple[int, ...] = JOBS) -> Table:
    """The estimated duration of the build by number of jobs, beside the measured one."""
    report = build.report
    if report.builds:
        caption = "Cloud Build schedules the steps; the number of jobs does not apply"
        return Table(pd.DataFrame(), caption)
    elapsed = timing.elapsed(report)
    jobs = sorted({*choices, report.jobs})
    times = [timing.estimate(report, number) for number in jobs]
    measured = [elapsed if number == report.jobs else None for number in jobs]
    frame = pd.DataFrame(
        {
            "estimated": pd.array(times, dtype="Float64"),
            "measured": pd.array(measured, dtype="Float64"),
            "saved": pd.array([max(0.0, elapsed - time) for time in times], dtype="Float64"),
        },
        index=pd.Index(jobs, name="jobs"),
    )
    estimated = times[jobs.index(report.jobs)]
    caption = f"With {counted(report.jobs, 'job')}: {elapsed:.1f} s measured, {estimated:.1f} s "
    return Table(frame, f"{caption}estimated")


def compare(build: Build) -> Table:
    """The steps whose state or duration differs from the build before."""
    if build.before is None:
        return Table(pd.DataFrame(), "Nothing to compare: there is no report of the build before")
    columns = ["state", "seconds"]
    old, new = (to_pandas(report)[columns] for report in (build.before, build.report))
    frame = new.add_suffix(" now").join(old.add_suffix(" before"), how="outer")
    # Removed steps are last; all others are in the order of the build.
    frame = frame.reindex([*new.index, *old.index.difference(new.index, sort=False)])
    frame["difference"] = frame["seconds now"] - frame["seconds before"]
    frame = frame[["state before", "state now", "seconds before", "seconds now", "difference"]]
    is_same = (frame["state before"] == frame["state now"]) & ~(frame["difference"].abs() >= 0.1)
    mark = marked(MARKS)
    return Table(
        _named(frame[~is_same], build.before, build.report),
        _compared(build.before, build.report),
        (f"{counted(int(is_same.sum()), 'step')} as before",) if is_same.any() else (),
        formats={
            "state before": mark,
            "state now": mark,
            "difference": lambda seconds: f"{seconds:+.1f}",
        },
    )


def _compared(before: Report, now: Report) -> str:
    parts = [f"{timing.elapsed(now) - timing.elapsed(before):+.1f} s"]
    old, new = ({entry.id for entry in report.steps} for report in (before, now))
    for words, ids in (("new step", new - old), ("removed step", old - new)):
        parts += [counted(len(ids), words)] if ids else []
    when = before.started[:16].replace("T", " ")
    return f"Compared with the build of {when} UTC, which {before.outcome}: {', '.join(parts)}"


def timeline(build: Build) -> Picture | Table:
    """A bar for each step that ran, in order of start; a frame marks the critical path."""
    report = build.report
    ran = to_pandas(build).dropna(subset=["start", "seconds"])
    if ran.empty:
        return Table(pd.DataFrame(), "No step ran")
    shown = ran.sort_values("seconds", kind="stable").tail(MOST).sort_values("start", kind="stable")
    what = counted(len(ran), "step")
    if len(shown) < len(ran):
        what = f"the {MOST} longest of {what}"
    title = f"Timeline: {what} in {timing.elapsed(report):.1f} s"
    shown = _named(shown, report)
    lines = (
        f"{row.start:7.1f} s  {row.seconds:7.1f} s  {'critical' if row.critical else '':8}  {step}"
        for step, row in shown.iterrows()
    )
    return charts.picture(_bars(shown), title, lines)


def _bars(frame: pd.DataFrame) -> dict[str, Any]:
    """The timeline as a chart in Vega-Lite."""
    used = [kind for kind in COLOURS if (frame["kind"] == kind).any()]
    bars = {
        "y": charts.names("step"),
        "x": charts.number("start", title="seconds since the build began", tickCount=8),
        "x2": {"field": "end"},
        "description": charts.nominal("about"),
    }
    colour = charts.nominal(
        "kind",
        scale={"domain": used, "range": [COLOURS[kind] for kind in used]},
        legend={"title": None, "orient": "top", "symbolType": "square"},
    )
    bar = {"type": "bar", "height": 14}
    outline = {**bar, "fillOpacity": 0, "stroke": charts.INK, "strokeWidth": 1.5}
    critical = [{"filter": "datum.critical"}]
    words = {"y": bars["y"], "x": charts.number("end"), "text": charts.nominal("words")}
    return {
        "data": {"values": _rows(frame)},
        "width": PLOT,
        "height": ROW * len(frame),
        "layer": [
            {"mark": bar, "encoding": {**bars, "color": colour}},
            {"transform": critical, "mark": outline, "encoding": bars},
            {"mark": {**charts.WORDS, "dx": 5}, "encoding": words},
        ],
    }


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """What the timeline draws of each step."""
    names = charts.labels(list(frame.index))
    return [
        {
            "step": label,
            "start": float(row.start),
            "end": float(row.start + row.seconds),
            "kind": str(row.kind),
            "critical": bool(row.critical),
            "words": f"{MARKS[row.state]} {row.state}"
            if row.state in FAILED
            else f"{row.seconds:.1f} s",
            "about": f"{row.Index}: {row.kind}, {row.state}, {row.seconds:.1f} s from "
            f"{row.start:.1f} s{', on the critical path' if row.critical else ''}",
        }
        for label, row in zip(names, frame.itertuples(), strict=True)
    ]


def verdict(build: Build) -> Result:
    """The outcome of the build, as a result.

    Raises BuildError if the build did not succeed, after displaying the result, so that the
    notebook fails, too.
    """
    report = build.report
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
        failed = [entry for entry in report.steps if entry.state in FAILED]
        names = ", ".join(short(entry.id) for entry in failed)
        raise BuildError(f"the build {report.outcome}: {names}" if names else report.outcome)
    return result
