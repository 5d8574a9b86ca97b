"""The state of a family at a glance, for the start notebook."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pandas as pd

from imagekit import api
from imagekit.build.report import Report
from imagekit.docker.names import short_names
from imagekit.errors import DriftError, ImagekitError, counted
from imagekit.notebook.display import Table, marked
from imagekit.notebook.estimate import last_build
from imagekit.planning.load import Checked
from imagekit.runs import history
from imagekit.runs.store import Store

MARKS = {"ok": "✓", "out of date": "!", "failed": "✗", "none yet": "·"}
"""A glyph for each state, so that no meaning is in the colour alone."""

Line = tuple[str, str, str, str]
"""What it is, its state, when it was, and what there is to say."""


def state(config: str, output: str) -> Table:
    """The config, its build file, the last run that generated it, and the last local build.

    Each with its state, when it was, in UTC, and what to do about it. Only reads.
    """
    lines = list(_lines(config, output))
    frame = pd.DataFrame(lines, columns=["what", "state", "when", "details"]).set_index("what")
    frame["when"] = pd.to_datetime(frame["when"], utc=True, format="ISO8601", errors="coerce")
    wrong = frame.index[frame["state"].isin(["out of date", "failed"])]
    caption = "Everything is up to date" if wrong.empty else f"To do: {', '.join(wrong)}"
    return Table(frame, caption, formats={"state": marked(MARKS)}, prose=("details",))


def _lines(config: str, output: str) -> Iterator[Line]:
    checked: Checked | None = None
    try:
        checked = api.check(config)
    except ImagekitError as error:
        yield config, "failed", "", str(error).splitlines()[0]
    else:
        yield config, "ok", "", counted(len(checked.plan.images), "image")
        yield output, *_build_file(checked, output)
    yield "last generate", *_last_generate(config)
    yield "last build", *_last_build(last_build(), checked)


def _build_file(checked: Checked, output: str) -> tuple[str, str, str]:
    try:
        api.write(api.files(checked.plan, checked.config, output), output, check=True)
    except DriftError as error:
        if not pathlib.Path(output).exists():
            return "none yet", "", "imagekit generate"
        return "out of date", "", f"{str(error).splitlines()[0].rstrip(':')}; run imagekit generate"
    except ImagekitError as error:
        return "failed", "", str(error).splitlines()[0]
    return "ok", "", "what the configuration gives"


def _last_generate(config: str) -> tuple[str, str, str]:
    runs = history.read(Store("runs")).entries
    last = next((run for run in reversed(runs) if run.build and run.config == config), None)
    if last is None:
        return "none yet", "", "imagekit run generate"
    images = "" if last.images is None else counted(last.images, "image")
    return "ok" if last.outcome == "succeeded" else "failed", last.started, images


def _last_build(report: Report | None, checked: Checked | None) -> tuple[str, str, str]:
    if report is None:
        return "none yet", "", "imagekit build"
    if report.outcome != "succeeded":
        return "failed", report.started, f"the build {report.outcome}; see build.ipynb"
    built = {name for entry in report.steps if entry.kind == "build" for name in entry.images}
    # The build may have been that of another repository.
    short = {*built, *short_names(list(built))}
    plan = checked.plan if checked else None
    images = plan.images if plan else ()
    missing = sum(not {i.tag, plan.reference(i.tag)} & short for i in images) if plan else 0
    if missing:
        return "out of date", report.started, f"{counted(missing, 'image')} not built in it"
    return "ok", report.started, f"{counted(len(images) or len(built), 'image')} built"
