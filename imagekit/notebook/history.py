"""The history of recorded runs: tables, filters, and sparklines over time."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd

from imagekit.errors import UsageError, counted
from imagekit.notebook import charts, frames, tables
from imagekit.notebook.display import Picture, Table
from imagekit.notebook.frames import to_pandas
from imagekit.notebook.session import is_interactive, progress
from imagekit.runs import history
from imagekit.runs.entry import OUTCOMES
from imagekit.runs.formatting import changed, short_commit, tally
from imagekit.runs.history import Filter, History
from imagekit.runs.record import RUN_VARIABLE
from imagekit.runs.store import Store, existing
from imagekit.support import shipped

DEFAULT = "runs"
"""The run store of a project, relative to its root."""
EXAMPLE = "notebooks/example-runs"
"""The example store, which is shown if the project has no runs yet."""

MARKS = dict.fromkeys(OUTCOMES, "✗") | {
    "succeeded": "✓",
    "running": "▶",
    "not a run": "·",
}
"""The symbol of each outcome."""
NOTE = "changes: images added (+), removed (-) and changed (~) since the previous run"
SPAN = pd.Timedelta(hours=1)
"""The time shown before and after a single run."""
WIDTH, HEIGHT = 520, 34
"""The size of a sparkline, in pixels."""
ROWS = 20
"""The most sparklines of a picture: those with the most runs."""
CHARACTER = 6.7
"""The width of a character beside a sparkline, in pixels."""
POINTS = 120
"""The most points of a sparkline. Where there are more runs, a point stands for several."""


class Selection:
    """The runs of a history that match a filter, the earliest first.

    `instead_of` is the name of the empty store that the example replaces; empty if it does not.
    """

    def __init__(self, runs: History, run_filter: Filter, instead_of: str = "") -> None:
        self.history = runs
        self.instead_of = instead_of
        self.entries = [entry for entry in runs.entries if run_filter.matches(entry)]
        self.counts = runs.counts(self.entries)

    @property
    def store(self) -> str:
        """The address of the store for display."""
        return self.history.store.path("").rstrip("/")

    @property
    def title(self) -> str:
        """The number of runs, and where they are."""
        text = tally(self.entries, self.history.entries, self.store)
        if self.instead_of:
            return f"Example, because {self.instead_of} has no runs yet: {text}"
        return text


@to_pandas.register
def _(selection: Selection) -> pd.DataFrame:
    return frames.runs(selection.entries, selection.counts)


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


def table(selection: Selection) -> Table:
    """The runs for display, the latest first, with the most important columns on the left."""
    return table_of(selection, to_pandas(selection), selection.title)


def table_of(selection: Selection, runs: pd.DataFrame, title: str) -> Table:
    """Some runs of a selection for display, the latest first; a name links to its notebook."""
    runs = runs[::-1]
    counts = selection.counts
    changes = [changed(counts[run]) if run in counts else None for run in runs.index]
    shown = runs[["outcome"]].assign(
        changes=pd.array(changes, dtype="string"),
        **{name: runs[name] for name in ("why", "notebook", "images", "seconds", "parameters")},
        began=runs["began"],
        commit=runs["commit"],
        config=runs["config_sha256"],
    )
    return Table(
        shown.replace({"notebook": ""}, pd.NA),
        title,
        (NOTE,),
        formats={
            "outcome": lambda outcome: f"{MARKS[outcome]} {outcome}",
            "commit": short_commit,
            "config": lambda digest: digest[:10],
        },
        prose=("why",),
        links={"notebook": list(links(selection.history.store, runs.index[:500]))},
    )


def links(store: Store, runs: Sequence[str]) -> Iterator[str]:
    """The address of each run's executed notebook, relative to a folder of the project's root.

    That is where notebooks are, and where `imagekit run` puts the executed ones. It is empty if
    there is no such file, or if it is not in the project, where JupyterLab does not open it.
    """
    root = pathlib.Path.cwd()
    inside = store.folder is not None and store.folder.is_relative_to(root)
    for run in runs:
        file = pathlib.Path(store.folder or "", f"{run}.ipynb")
        is_there = inside and file.is_file()
        yield f"../{quote(file.relative_to(root).as_posix())}" if is_there else ""


def browse(selection: Selection) -> Any:
    """The table of the runs, with filters in an interactive front end."""
    if is_interactive():
        try:
            from imagekit.notebook.history_widgets import Browser
        except ImportError:
            return table(selection)
        runs = to_pandas(selection)
        return Browser(runs, MARKS, lambda part, title: table_of(selection, part, title))
    return table(selection)


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
    shown.caption = f"{generated[-1].run}: {shown.caption}"
    return shown


def outcomes(selection: Selection) -> Table:
    """The number of runs of each notebook by outcome, and how long they took, in seconds."""
    runs = to_pandas(selection)
    if runs.empty:
        return Table(pd.DataFrame(), "No runs")
    runs["notebook"] = runs["notebook"].mask(runs["notebook"] == "", "(unknown)")
    numbers = pd.crosstab(runs["notebook"], runs["outcome"])
    numbers.columns = pd.Index([f"{MARKS[name]} {name}" for name in numbers.columns])
    numbers.insert(0, "runs", runs.groupby("notebook").size())
    seconds = runs.groupby("notebook")["seconds"]
    return Table(
        numbers.assign(median=seconds.median(), longest=seconds.max()),
        f"Outcomes by notebook: {selection.title}",
        formats={name: lambda number: str(number or "") for name in numbers.columns},
    )


def durations(selection: Selection) -> Picture | Table:
    """A sparkline of the durations of each notebook; a cross marks an unsuccessful run."""
    runs = to_pandas(selection).dropna(subset=["began", "seconds"])
    if runs.empty:
        return Table(pd.DataFrame(), "No runs with a known duration")
    title = f"Durations of {counted(len(runs), 'run')}, in seconds"
    return _sparklines(title, runs, "seconds", runs["notebook"])


def sizes(selection: Selection) -> Picture | Table:
    """A sparkline of the number of images that the runs of each config generated."""
    runs = to_pandas(selection).dropna(subset=["began", "images"])
    if runs.empty:
        return Table(pd.DataFrame(), "No runs that generated images")
    title = f"Images generated by {counted(len(runs), 'run')}"
    return _sparklines(title, runs, "images", runs["config"].fillna(runs["notebook"]))


def _sparklines(title: str, runs: pd.DataFrame, column: str, names: pd.Series) -> Picture:
    """One small chart for each name, with the same span of time."""
    sizes_of = names.value_counts()
    kept = sorted(sizes_of.index[:ROWS])
    parts = {name: runs[names == name] for name in kept}
    digits = 1 if column == "seconds" else 0
    words = {
        name: f"{counted(len(part), 'run')}, {_summary(part[column])}"
        for name, part in parts.items()
    }
    lines = [f"{name}: {what}" for name, what in words.items()]
    if len(sizes_of) > ROWS:
        title += f"; the {ROWS} most frequent of {len(sizes_of)} are shown"
    labels = charts.labels(list(words), 30)
    heads = {name: f"{label}\n{words[name]}" for name, label in zip(words, labels, strict=True)}
    points = pd.concat(
        [_points(part, column, digits).assign(head=heads[name]) for name, part in parts.items()]
    )
    span = runs["began"].min(), runs["began"].max()
    return charts.picture(_drawn(points, list(heads.values()), span), title, lines)


def _summary(values: pd.Series) -> str:
    if values.name == "images":
        return f"from {values.iloc[0]} to {values.iloc[-1]} images"
    return f"median {values.median():.1f} s, at most {values.max():.1f} s"


def _points(part: pd.DataFrame, column: str, digits: int) -> pd.DataFrame:
    """The points of one sparkline: a run each, or the median of the runs of a part of the time."""
    values, failed = part[column].astype(float), part["outcome"] != "succeeded"
    unit = "images" if column == "images" else "s"
    points = pd.DataFrame({"began": part["began"], "value": values, "failed": failed})
    if len(part) <= POINTS:
        words = [
            f"{began:%Y-%m-%d %H:%M:%S}: {value:.{digits}f} {unit}, {outcome}"
            for began, value, outcome in zip(
                part["began"], values, part["outcome"].astype(str), strict=True
            )
        ]
        return points.assign(about=words)
    bins = pd.cut(part["began"], POINTS, labels=False)
    groups = points.groupby(bins)
    points = groups.agg(
        began=("began", "min"), value=("value", "median"), failed=("failed", "mean")
    )
    words = [
        f"from {began:%Y-%m-%d %H:%M}: {counted(size, 'run')}, median {value:.{digits}f} {unit}, "
        f"{number} unsuccessful"
        for began, value, size, number in zip(
            points["began"], points["value"], groups.size(), groups["failed"].sum(), strict=True
        )
    ]
    return points.assign(failed=points["failed"] >= 0.5, about=words)


def _format(span: pd.Timedelta) -> str:
    """The format of the times on an axis of this length."""
    limits = {"%H:%M:%S": "10min", "%H:%M": "24h", "%d %b %H:%M": "4D", "%d %b": "300D"}
    return next((f for f, limit in limits.items() if span < pd.Timedelta(limit)), "%b %Y")


def _drawn(points: pd.DataFrame, heads: list[str], span: tuple[Any, Any]) -> dict[str, Any]:
    """The sparklines as a chart in Vega-Lite."""
    where = _axes(span)
    about = {**where, "description": charts.nominal("about")}
    line = {"type": "line", "strokeWidth": 1.2, "color": charts.BLUE, "aria": False}
    point = {"type": "point", "opacity": 1}
    good = {**point, "filled": True, "size": 16, "color": charts.BLUE}
    bad = {**point, "filled": False, "size": 50, "color": charts.RED, "strokeWidth": 2}
    cross = {**bad, "shape": "M-1,-1L1,1M1,-1L-1,1"}
    words = {**charts.WORDS, "lineBreak": "\n", "lineHeight": 15}
    # The header of Vega would be at another distance for each length of its text.
    room = max(len(line) for head in heads for line in head.split("\n")) * CHARACTER + 30
    beside = {
        "x": {"value": -room},
        "y": {"value": HEIGHT / 2 - 2},
        "text": charts.nominal("head"),
    }
    layers = [
        {"mark": line, "encoding": where},
        {"transform": [{"filter": "!datum.failed"}], "mark": good, "encoding": about},
        {"transform": [{"filter": "datum.failed"}], "mark": cross, "encoding": about},
        {"transform": [{"filter": "datum.first"}], "mark": words, "encoding": beside},
    ]
    return {
        "data": {"values": _rows(points)},
        "facet": {"row": charts.nominal("head", sort=heads, header=None)},
        "spacing": 14,
        "resolve": {"scale": {"y": "independent"}},
        "spec": {"width": WIDTH, "height": HEIGHT, "layer": layers},
    }


def _axes(span: tuple[Any, Any]) -> dict[str, Any]:
    """Time across, and the value up an axis of its own."""
    first, last = span
    ends = (first - SPAN, last + SPAN) if first == last else span
    times = {"grid": False, "tickCount": 6, "format": _format(ends[1] - ends[0])}
    upright = charts.number("value", title=None, tickCount=2, domain=False, ticks=False)
    across = {
        "field": "began",
        "type": "temporal",
        "scale": {"type": "utc", "domain": [f"{end:%Y-%m-%dT%H:%M:%SZ}" for end in ends]},
        "axis": {"title": None, **times},
    }
    return {"x": across, "y": {**upright, "scale": {"zero": True, "nice": 2}}}


def _rows(points: pd.DataFrame) -> Any:
    """What the sparklines draw of each run."""
    # Times as text, so that the machine's own time zone has no influence.
    drawn = points[["head", "value", "failed", "about"]].assign(
        began=points["began"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        first=~points["head"].duplicated(),
    )
    return drawn.to_dict("records")
