"""The history of recorded runs: tables, DataFrames and plots over time."""

from __future__ import annotations

import io
import logging
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from imagekit.errors import UsageError, counted
from imagekit.notebook import tables
from imagekit.notebook.display import Picture, Table
from imagekit.notebook.session import progress
from imagekit.runs import history
from imagekit.runs.entry import Entry
from imagekit.runs.formatting import changed, parameters_text, short_commit, tally, why
from imagekit.runs.history import Filter, History
from imagekit.runs.record import RUN_VARIABLE
from imagekit.runs.store import Store, existing
from imagekit.support import shipped

DEFAULT = "runs"
"""The run store of a project, relative to its root."""
EXAMPLE = "notebooks/example-runs"
"""The example store, which is shown if the project has no runs yet."""

INK = "#010203"
"""A placeholder that is replaced by the colour of the surrounding text."""
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Colour-blind safe colours (Okabe and Ito, 2008); the markers differ, too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "*")
"""Seven markers and five colours are coprime, so that 35 series look different."""
SPAN = pd.Timedelta(hours=1)
"""The time shown before and after a single run."""
WIDTH, HEIGHT, LINE = 9.0, 3.2, 0.19
"""The size of a plot and the height of a legend line, in inches. A long legend makes it higher."""
LABEL = 40
"""The most characters of a legend label. Longer names, such as paths, keep their end."""


class Selection:
    """The runs of a history that match a filter, the earliest first.

    `instead_of` is the name of the empty store that the example replaces; empty if it does not.
    """

    def __init__(self, runs: History, run_filter: Filter, instead_of: str = "") -> None:
        self.history = runs
        self.instead_of = instead_of
        self.entries = [entry for entry in runs.entries if run_filter.matches(entry)]
        self.counts = runs.counts(self.entries)


def read(
    store: str = "",
    *,
    since: str = "",
    until: str = "",
    outcomes: Sequence[str] = (),
    notebook: str = "",
    given: Sequence[str] = (),
) -> Selection:
    """The runs of a store that match all filters.

    `store` is a folder or an fsspec address. By default it is the store that this run is recorded
    in (`imagekit run --runs`), else the project's `runs`. If that holds no other run than this
    one, the example is read. `since` and `until` are times (`2026-11-01`, or `7d` for 7 days
    ago); `given` holds NAME=GLOB of parameters. Raises UsageError for an invalid filter or a
    missing folder, and StoreError if a remote store cannot be read.
    """
    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise UsageError(f"given: {wrong[0]!r} is not NAME=GLOB")
    parameters = {name: glob for name, _, glob in pairs}
    run_filter = history.filter_of(since, until, outcomes, notebook, parameters)
    recorded_in, _, this_run = os.environ.get(RUN_VARIABLE, "").rpartition("/")
    runs = history.read(_open(store, recorded_in), _with_progress)
    others = (entry for entry in runs.entries if entry.run != this_run)
    runs = History(runs.store, runs.index, others, _with_progress)
    example = shipped.found(EXAMPLE)
    if runs.entries or not _is_default(runs.store) or not example.is_dir():
        return Selection(runs, run_filter)
    return Selection(history.read(Store(example), _with_progress), run_filter, instead_of=DEFAULT)


def _open(store: str, recorded_in: str) -> Store:
    opened = Store(store or recorded_in or DEFAULT)
    return opened if not store or _is_default(opened) else existing(store)


def _is_default(store: Store) -> bool:
    """Whether a store is the project's own, which may not exist before the first run."""
    return store.folder == pathlib.Path(DEFAULT).resolve()


def _with_progress(names: Sequence[str], what: str) -> Sequence[str]:
    bar: Sequence[str] = progress(names, what=what)
    return bar


def frame(selection: Selection) -> pd.DataFrame:
    """One row per run, indexed by name. Times are in UTC, durations in seconds."""
    entries, counts = selection.entries, selection.counts
    numbers = [counts.get(entry.run, (None, None, None, None)) for entry in entries]
    columns = {
        "began": pd.to_datetime(
            [entry.started or None for entry in entries],
            utc=True,
            format="ISO8601",
            errors="coerce",
        ),
        "notebook": [_stem(entry) for entry in entries],
        "parameters": [parameters_text(entry) for entry in entries],
        "seconds": pd.array([entry.seconds for entry in entries], dtype="Float64"),
        "outcome": [entry.outcome for entry in entries],
        "why": [why(entry) for entry in entries],
        "images": pd.array([entry.images for entry in entries], dtype="Int64"),
        "added": pd.array([added for added, *_ in numbers], dtype="Int64"),
        "removed": pd.array([removed for _, removed, *_ in numbers], dtype="Int64"),
        "changed": pd.array([changed for _, _, changed, _ in numbers], dtype="Int64"),
        "commit": [entry.commit or "" for entry in entries],
        "config": [entry.config or "" for entry in entries],
        "config_sha256": [entry.config_sha256 or "" for entry in entries],
    }
    return pd.DataFrame(columns, index=pd.Index([e.run for e in entries], name="run"))


def _stem(entry: Entry) -> str:
    return entry.notebook.rpartition("/")[2].removesuffix(".ipynb")


def table(selection: Selection) -> Table:
    """The runs for display, the latest first, with the most important columns on the left."""
    entries = selection.entries[::-1]
    counts = selection.counts
    lines = pd.DataFrame(
        {
            "outcome": [f"{_mark(entry)} {entry.outcome}" for entry in entries],
            "changes": [changed(counts[e.run]) if e.run in counts else "" for e in entries],
            "why": [why(entry) for entry in entries],
            "images": ["" if e.images is None else str(e.images) for e in entries],
            "took (s)": ["" if e.seconds is None else f"{e.seconds:.1f}" for e in entries],
            "parameters": [parameters_text(entry) for entry in entries],
            "notebook": [_stem(entry) for entry in entries],
            "began (UTC)": [entry.started[:19].replace("T", " ") for entry in entries],
            "commit": [short_commit(entry.commit) for entry in entries],
            "config": [(entry.config_sha256 or "")[:10] for entry in entries],
        },
        index=pd.Index([entry.run for entry in entries], name="run"),
    )
    caption = tally(
        entries, selection.history.entries, selection.history.store.path("").rstrip("/")
    )
    if selection.instead_of:
        caption = f"Example, because {selection.instead_of} has no runs yet: {caption}"
    note = "changes: images added (+), removed (-) and changed (~) since the previous run"
    return Table(lines, caption, (note,), prose=("why",))


def _mark(entry: Entry) -> str:
    return {"succeeded": "✓", "running": "▶", "not a run": "·"}.get(entry.outcome, "✗")


def latest_changes(selection: Selection) -> Table:
    """The changes of the latest run that generated images, compared with the run before."""
    generated = [entry for entry in selection.entries if entry.build is not None]
    changes = selection.history.changes(generated[-1]) if generated else None
    if changes is None:
        why = "no earlier run with the same config and output"
        what = f"{generated[-1].run}: {why}" if generated else "no run generated images"
        return Table(pd.DataFrame(), f"Nothing to compare: {what}")
    before = selection.history.before(generated[-1])
    shown = tables.changes(changes, before.run if before else "")
    return Table(shown.frame, f"{generated[-1].run}: {shown.caption}")


def outcomes(selection: Selection) -> Table:
    """The number and known durations of the runs of each notebook, by outcome."""
    runs = frame(selection)
    if runs.empty:
        return Table(pd.DataFrame(), "No runs")
    runs = runs.assign(notebook=runs["notebook"].where(runs["notebook"] != "", "(unknown)"))
    groups = runs.groupby(["notebook", "outcome"])["seconds"]
    numbers = groups.agg(["size", "median", "max"]).reset_index("outcome")
    for name in ("median", "max"):
        numbers[name] = ["" if pd.isna(value) else f"{value:.1f}" for value in numbers[name]]
    heads = {"size": "number", "median": "median (s)", "max": "longest (s)"}
    return Table(numbers.rename(columns=heads), "Outcomes by notebook")


def durations(selection: Selection) -> Picture | Table:
    """The durations of the runs of each notebook over time; a cross marks an unsuccessful run."""
    runs = frame(selection).dropna(subset=["began", "seconds"])
    if runs.empty:
        return Table(pd.DataFrame(), "No runs with a known duration")
    title = f"Durations of {counted(len(runs), 'run')}"
    lines = (
        f"{name}: {len(part)} × {part['seconds'].median():.1f} s (median), "
        f"at most {part['seconds'].max():.1f} s"
        for name, part in runs.groupby("notebook", sort=True)
    )
    return _plot(title, "seconds", runs, "seconds", list(lines))


def sizes(selection: Selection) -> Picture | Table:
    """The number of images that the runs of each config generated, over time."""
    runs = frame(selection).dropna(subset=["began", "images"])
    if runs.empty:
        return Table(pd.DataFrame(), "No runs that generated images")
    title = f"Images generated by {counted(len(runs), 'run')}"
    runs = runs.assign(notebook=runs["config"].where(runs["config"] != "", runs["notebook"]))
    lines = (
        f"{name}: from {part['images'].iloc[0]} to {part['images'].iloc[-1]} images"
        for name, part in runs.groupby("notebook", sort=True)
    )
    return _plot(title, "images", runs, "images", list(lines))


def _plot(title: str, label: str, runs: pd.DataFrame, column: str, lines: list[str]) -> Picture:
    # On first use, matplotlib searches for fonts and would log that into the notebook.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    # Imported here because it takes half a second to load.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    coloured = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "imagekit",
        "font.family": "monospace",
        "font.size": 9,
        **dict.fromkeys(coloured, INK),
    }
    series = list(runs.groupby("notebook", sort=True))
    with mpl.rc_context(settings):
        height = max(HEIGHT, LINE * (len(series) + 1))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, part) in enumerate(series):
            _draw(axes, part, column, str(name), number)
        _format_axes(axes, label, runs["began"], runs[column])
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return Picture(_inline(buffer.getvalue(), title), "\n".join([title, *lines]))


def _draw(axes: Any, part: pd.DataFrame, column: str, name: str, number: int) -> None:
    """Draw one series: a line, and a marker for each run, with a cross if it did not succeed."""
    label = name if len(name) <= LABEL else f"…{name[1 - LABEL :]}"
    color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
    succeeded = part["outcome"] == "succeeded"
    values = part[column].astype(float)
    axes.plot(part["began"], values, color=color, linewidth=0.8, alpha=0.6)
    axes.plot(part["began"][succeeded], values[succeeded], marker, color=color, label=label)
    # A hollow marker under the cross identifies the series.
    for mark, size in ((marker, 6), ("x", 9)):
        wrong = part["began"][~succeeded], values[~succeeded]
        axes.plot(*wrong, mark, color=color, markersize=size, fillstyle="none")


def _format_axes(axes: Any, label: str, began: pd.Series, values: pd.Series) -> None:
    from matplotlib.dates import MONTHLY, AutoDateLocator, ConciseDateFormatter

    axes.set_ylabel(label)
    # Without a margin, markers at the maximum would be cut off.
    axes.set_ylim(0, 1.1 * float(values.max()) or 1)
    first, last = began.min(), began.max()
    if first == last:
        # matplotlib finds no ticks for an empty span and would warn.
        axes.set_xlim(first - SPAN, last + SPAN)
    ticks = AutoDateLocator(maxticks=8)
    # Without it, matplotlib warns about spans of four to five years.
    ticks.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(ticks))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _inline(svg: str, title: str) -> str:
    """The SVG of matplotlib for embedding: no prologue, a title, the colour of the text."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    opened = body.replace("<svg ", '<svg role="img" ', 1)
    head, _, rest = opened.partition(">")
    return f"{head}><title>{title}</title>{rest}".replace(INK, "currentColor")
