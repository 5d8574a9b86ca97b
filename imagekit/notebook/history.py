"""The history of recorded runs as a pandas table, and plots of it over time."""

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
from imagekit.runs.formatting import changed, short_commit, tally, why
from imagekit.runs.formatting import given as given_to
from imagekit.runs.history import Filter, History
from imagekit.runs.record import RUN_VARIABLE
from imagekit.runs.store import Store, existing

DEFAULT = "runs"
"""The store of a project, from its root."""
EXAMPLE = "notebooks/example-runs"
"""Shown where there are no runs yet: a reader is to see what a history looks like."""

INK = "#010203"
"""Drawn in this, and then given the colour of the text around the picture."""
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")
"""Colours that colour-blind people tell apart (Okabe and Ito, 2008); markers differ, too."""
MARKERS = ("o", "s", "^", "D", "v", "P", "*")
"""As many as share no divisor with the colours: only after 35 series do two look the same."""
SPAN = pd.Timedelta(hours=1)
"""What is shown of the time around a run that is the only one."""
WIDTH, HEIGHT, LINE = 9.0, 3.2, 0.19
"""Inches: of a plot, and the height of a line of its legend, which may make it higher."""
LABEL = 40
"""Characters of a legend's label; of a longer name, such as a path, the end says most."""


class Selection:
    """A history, and the runs of it that a filter admits, the earliest first.

    `instead_of` is the empty store in whose place an example is shown; it is empty where none is.
    """

    def __init__(self, found: History, chosen: Filter, instead_of: str = "") -> None:
        self.found = found
        self.instead_of = instead_of
        self.entries = [entry for entry in found.entries if chosen.admits(entry)]
        self.counts = found.counts(self.entries)


def read(
    store: str = "",
    *,
    since: str = "",
    until: str = "",
    outcomes: Sequence[str] = (),
    notebook: str = "",
    given: Sequence[str] = (),
) -> Selection:
    """The runs of a store that all of the filters admit.

    `store` is a folder or an fsspec address. Without it, the store is the one that this run is
    recorded in (`imagekit run --runs`), and elsewhere the project's `runs`; as long as that holds
    nothing but this run itself, the example is read. `since` and `until` are times (`2026-11-01`,
    `7d` for ago), `given` holds NAME=GLOB of parameters. Raises UsageError for a filter that is
    none and a folder that does not exist, and StoreError.
    """
    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise UsageError(f"given: {wrong[0]!r} is not NAME=GLOB")
    parameters = {name: glob for name, _, glob in pairs}
    chosen = history.filter_of(since, until, outcomes, notebook, parameters)
    recorded_in, _, itself = os.environ.get(RUN_VARIABLE, "").rpartition("/")
    found = history.read(_opened(store, recorded_in), _shown)
    others = (entry for entry in found.entries if entry.run != itself)
    found = History(found.store, found.index, others, _shown)
    if found.entries or not _is_default(found.store) or not pathlib.Path(EXAMPLE).is_dir():
        return Selection(found, chosen)
    return Selection(history.read(Store(EXAMPLE), _shown), chosen, instead_of=DEFAULT)


def _opened(store: str, recorded_in: str) -> Store:
    named = Store(store or recorded_in or DEFAULT)
    return named if not store or _is_default(named) else existing(store)


def _is_default(store: Store) -> bool:
    """Whether a store is the project's own, which need not exist before the first run."""
    return store.folder == pathlib.Path(DEFAULT).resolve()


def _shown(names: Sequence[str], what: str) -> Sequence[str]:
    bar: Sequence[str] = progress(names, what=what)
    return bar


def frame(selection: Selection) -> pd.DataFrame:
    """One row a run, by name, with times in UTC, seconds, and numbers of images."""
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
        "parameters": [given_to(entry) for entry in entries],
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
    """The runs, the latest first, as people read them, what is asked for most on the left."""
    entries = selection.entries[::-1]
    counts = selection.counts
    lines = pd.DataFrame(
        {
            "outcome": [f"{_mark(entry)} {entry.outcome}" for entry in entries],
            "changes": [changed(counts[e.run]) if e.run in counts else "" for e in entries],
            "why": [why(entry) for entry in entries],
            "images": ["" if e.images is None else str(e.images) for e in entries],
            "took (s)": ["" if e.seconds is None else f"{e.seconds:.1f}" for e in entries],
            "parameters": [given_to(entry) for entry in entries],
            "notebook": [_stem(entry) for entry in entries],
            "began (UTC)": [entry.started[:19].replace("T", " ") for entry in entries],
            "commit": [short_commit(entry.commit) for entry in entries],
            "config": [(entry.config_sha256 or "")[:10] for entry in entries],
        },
        index=pd.Index([entry.run for entry in entries], name="run"),
    )
    caption = tally(entries, selection.found.entries, selection.found.store.path("").rstrip("/"))
    if selection.instead_of:
        caption = f"An example, as {selection.instead_of} holds no runs yet: {caption}"
    note = "changes: images added (+), removed (-) and changed (~) against the run before"
    return Table(lines, caption, (note,), prose=("why",))


def _mark(entry: Entry) -> str:
    return {"succeeded": "✓", "running": "▶", "not a run": "·"}.get(entry.outcome, "✗")


def latest_changes(selection: Selection) -> Table:
    """What the latest run that generated something changed against the one before."""
    generated = [entry for entry in selection.entries if entry.build is not None]
    changes = selection.found.changes(generated[-1]) if generated else None
    if changes is None:
        why = "no run before it generated from the same config into the same output"
        what = f"{generated[-1].run}: {why}" if generated else "no run generated something"
        return Table(pd.DataFrame(), f"Nothing to compare: {what}")
    before = selection.found.before(generated[-1])
    shown = tables.changes(changes, before.run if before else "")
    return Table(shown.frame, f"{generated[-1].run}: {shown.caption}")


def outcomes(selection: Selection) -> Table:
    """How often the runs of each notebook ended how, and how long they took where that is known."""
    found = frame(selection)
    if found.empty:
        return Table(pd.DataFrame(), "No runs, so no outcomes to count")
    found = found.assign(notebook=found["notebook"].where(found["notebook"] != "", "(not known)"))
    groups = found.groupby(["notebook", "outcome"])["seconds"]
    numbers = groups.agg(["size", "median", "max"]).reset_index("outcome")
    for name in ("median", "max"):
        numbers[name] = ["" if pd.isna(value) else f"{value:.1f}" for value in numbers[name]]
    heads = {"size": "number", "median": "median (s)", "max": "longest (s)"}
    return Table(numbers.rename(columns=heads), "Outcomes by notebook")


def durations(selection: Selection) -> Picture | Table:
    """How long the runs of each notebook took, over time; a cross is a run that did not succeed."""
    found = frame(selection).dropna(subset=["began", "seconds"])
    if found.empty:
        return Table(pd.DataFrame(), "No runs that took a known time, so no plot of durations")
    title = f"Durations of {counted(len(found), 'run')}"
    lines = (
        f"{name}: {len(part)} × {part['seconds'].median():.1f} s (median), "
        f"at most {part['seconds'].max():.1f} s"
        for name, part in found.groupby("notebook", sort=True)
    )
    return _plot(title, "seconds", found, "seconds", list(lines))


def sizes(selection: Selection) -> Picture | Table:
    """How many images the runs generated, over time, by config."""
    found = frame(selection).dropna(subset=["began", "images"])
    if found.empty:
        return Table(pd.DataFrame(), "No runs that generated images, so no plot of their number")
    title = f"Images that {counted(len(found), 'run')} generated"
    found = found.assign(notebook=found["config"].where(found["config"] != "", found["notebook"]))
    lines = (
        f"{name}: from {part['images'].iloc[0]} to {part['images'].iloc[-1]} images"
        for name, part in found.groupby("notebook", sort=True)
    )
    return _plot(title, "images", found, "images", list(lines))


def _plot(title: str, label: str, found: pd.DataFrame, column: str, lines: list[str]) -> Picture:
    # The first time, matplotlib looks for fonts, and would say so amid the notebook.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    # It takes half a second to load, and only a plot needs it.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "imagekit",
        "font.family": "monospace",
        "font.size": 9,
        **dict.fromkeys(inked, INK),
    }
    series = list(found.groupby("notebook", sort=True))
    with mpl.rc_context(settings):
        height = max(HEIGHT, LINE * (len(series) + 1))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for number, (name, part) in enumerate(series):
            _draw(axes, part, column, str(name), number)
        _dress(axes, label, found["began"], found[column])
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return Picture(_inline(drawn.getvalue(), title), "\n".join([title, *lines]))


def _draw(axes: Any, part: pd.DataFrame, column: str, name: str, number: int) -> None:
    """One series: a line through all runs, a mark for each, crossed for one that went wrong."""
    label = name if len(name) <= LABEL else f"…{name[1 - LABEL :]}"
    color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
    succeeded = part["outcome"] == "succeeded"
    values = part[column].astype(float)
    axes.plot(part["began"], values, color=color, linewidth=0.8, alpha=0.6)
    axes.plot(part["began"][succeeded], values[succeeded], marker, color=color, label=label)
    # Hollow below the cross, for several series have one colour.
    for mark, size in ((marker, 6), ("x", 9)):
        wrong = part["began"][~succeeded], values[~succeeded]
        axes.plot(*wrong, mark, color=color, markersize=size, fillstyle="none")


def _dress(axes: Any, label: str, began: pd.Series, values: pd.Series) -> None:
    from matplotlib.dates import MONTHLY, AutoDateLocator, ConciseDateFormatter

    axes.set_ylabel(label)
    # What lies on the uppermost line would be cut through.
    axes.set_ylim(0, 1.1 * float(values.max()) or 1)
    first, last = began.min(), began.max()
    if first == last:
        # For one moment, matplotlib finds no dates to write and would warn of it.
        axes.set_xlim(first - SPAN, last + SPAN)
    ticks = AutoDateLocator(maxticks=8)
    # Without it, four to five years have no ticks that it would not warn of.
    ticks.intervald[MONTHLY] = [1, 2, 3, 4, 6, 12]
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(ticks))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _inline(svg: str, title: str) -> str:
    """Matplotlib's SVG as part of a page: no prologue, a title, the text's own colour."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    opened = body.replace("<svg ", '<svg role="img" ', 1)
    head, _, rest = opened.partition(">")
    return f"{head}><title>{title}</title>{rest}".replace(INK, "currentColor")
