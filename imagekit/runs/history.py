"""The history of a run store: every run as an entry, filters, and what changed between runs."""

from __future__ import annotations

import contextlib
import datetime
import fnmatch
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from imagekit.changes import Changes, compare
from imagekit.errors import UsageError, counted, did_you_mean
from imagekit.inventory import Inventory
from imagekit.runs import entry as entries
from imagekit.runs.entry import NO_RUN, OUTCOMES, Entry
from imagekit.runs.index import Index
from imagekit.runs.record import now
from imagekit.runs.store import Store

Counts = tuple[int, int, int]
"""Images added, removed and changed."""

Progress = Callable[[Sequence[str]], Iterable[str]]

RECORD = re.compile(r"(.*/)?\d{8}T\d{6}\.\d+Z-[^/]*-[0-9a-f]{8}\.json")
"""What record files are called; other JSON in a store is none of ours."""

LATEST = re.compile(r"latest(?:~(\d+))?")


class History:
    """All runs of a store, the earliest first. Made by `read`."""

    def __init__(self, store: Store, index: Index, found: Iterable[Entry]) -> None:
        self.store = store
        self.index = index
        self.entries = sorted(found, key=lambda entry: (entry.started, entry.run))

    def build(self, entry: Entry) -> Inventory | None:
        """What a run generated, if it did."""
        return self.index.build(entry.build) if entry.build else None

    def before(self, entry: Entry) -> Entry | None:
        """The run before that generated something from the same config."""
        return self._predecessors().get(entry.run)

    def changes(self, entry: Entry) -> Changes | None:
        """What a run's images differ in from those of the run before; None where there is none."""
        before, after = self.before(entry), self.build(entry)
        inventory = self.build(before) if before else None
        return compare(inventory, after) if inventory and after else None

    def counts(self, chosen: Iterable[Entry]) -> dict[str, Counts]:
        """How many images came, went and changed against the run before, by run."""
        known, new = self.index.counted(), {}
        predecessors = self._predecessors()
        found: dict[str, Counts] = {}
        for entry in chosen:
            before = predecessors.get(entry.run)
            if before is None or entry.build is None:
                continue
            pair = f"{before.build}:{entry.build}"
            if before.build == entry.build:
                found[entry.run] = (0, 0, 0)
                continue
            if pair not in known:
                changes = self.changes(entry) or Changes()
                kinds = (changes.added, changes.removed, changes.changed)
                numbers = (len(kinds[0]), len(kinds[1]), len(kinds[2]))
                known[pair] = new[pair] = numbers
            found[entry.run] = known[pair]
        self.index.keep_counted(new)
        return found

    def find(self, name: str) -> Entry:
        """The run of a name, of the beginning of one, or `latest`, `latest~1` and so on.

        Raises UsageError where no run, or more than one, is meant.
        """
        if match := LATEST.fullmatch(name):
            runs = [e for e in self.entries if e.outcome not in NO_RUN]
            back = int(match[1] or 0) + 1
            if back <= len(runs):
                return runs[-back]
            raise UsageError(f"{name}: {self.store.address} has {counted(len(runs), 'run')}")
        plain = name.rpartition("/")[2].removesuffix(".ipynb").removesuffix(".json")
        exact = [e for e in self.entries if plain in (e.run, e.run.rpartition("/")[2])]
        found = exact or [e for e in self.entries if e.run.startswith(plain)]
        if not found:
            near = did_you_mean(plain, [e.run for e in self.entries[-1000:]])
            raise UsageError(f"no run is called {name!r} in {self.store.address}{near}")
        if len(found) > 1:
            named = ", ".join(entry.run for entry in found[:3])
            raise UsageError(f"{name!r} is the beginning of {len(found)} runs: {named} …")
        return found[0]

    def _predecessors(self) -> dict[str, Entry]:
        last: dict[tuple[str | None, str], Entry] = {}
        found: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.build is not None:
                # Two configs of one store, or a selection, are no change of each other.
                key = entry.config, str(entry.parameters.get("output"))
                if key in last:
                    found[entry.run] = last[key]
                last[key] = entry
        return found


def read(store: Store, progress: Progress | None = None) -> History:
    """The history of a store: from the index what was read before, and the rest from its files.

    `progress` wraps the names of the runs that are read now. A file that cannot be read is an
    entry that says so.
    """
    index = Index(store.address)
    marks = _marks(store)
    known = index.known()
    current = {name: entry for name, (mark, entry) in known.items() if mark == marks.get(name)}
    unread = [name for name in marks if name not in current]
    for batch in _batches(progress(unread) if progress and unread else unread):
        read_now = [(name, marks[name], *_read(name, store, marks)) for name in batch]
        current |= {name: entry for name, _, entry, _ in read_now}
        with contextlib.suppress(sqlite3.OperationalError):
            index.keep(read_now)
    with contextlib.suppress(sqlite3.OperationalError):
        index.forget(known.keys() - marks.keys())
    moment = now()
    return History(store, index, (entries.settled(entry, moment) for entry in current.values()))


def _batches(names: Iterable[str], size: int = 256) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _marks(store: Store) -> dict[str, str]:
    """Each run by the name that its two files share, with the marks of both."""
    found: dict[str, str] = {}
    for name, mark in sorted(store.files().items()):
        if name.endswith(".ipynb") or RECORD.fullmatch(name):
            run, _, kind = name.rpartition(".")
            found[run] = f"{found.get(run, '')}{kind}={mark};"
    return found


def _read(name: str, store: Store, marks: Mapping[str, str]) -> tuple[Entry, Inventory | None]:
    """A run by its files: the record says more than the notebook, where there is one."""
    kinds = [part.partition("=")[0] for part in marks[name].split(";") if part]
    files = dict(store.read([f"{name}.{kind}" for kind in kinds if _is_needed(kind, kinds, store)]))
    problems: list[str] = []
    best: tuple[Entry, Inventory | None] | None = None
    for kind, reader in (("json", entries.of_record), ("ipynb", entries.of_notebook)):
        data = files.get(f"{name}.{kind}")
        if data is None:
            continue
        what = "record" if kind == "json" else "notebook"
        try:
            if isinstance(data, OSError):
                raise ValueError(data.strerror or str(data))
            if best is None:
                best = reader(name, data)
            elif wrong := entries.is_notebook(data):
                raise ValueError(wrong)
        except (ValueError, RecursionError) as error:
            problems.append(f"its {what} cannot be read: {error}")
    entry, inventory = best or (Entry(run=name, outcome="unreadable"), None)
    if entry.left_notebook and "ipynb" not in kinds:
        problems.append("its notebook is missing")
    if problems:
        entry = msgspec.structs.replace(entry, problem="; ".join(problems))
    return entry, inventory


def _is_needed(kind: str, kinds: Sequence[str], store: Store) -> bool:
    """A notebook far away is not fetched only to see that it is whole."""
    return kind == "json" or store.folder is not None or "json" not in kinds


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to show; what is left out admits all. Times are in UTC.

    `parameters` are globs on the values that a run was given, by name.
    """

    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    outcomes: tuple[str, ...] = ()
    notebook: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    def admits(self, entry: Entry) -> bool:
        """Whether a run is to be shown."""
        if self.since or self.until:
            started = _moment(entry.started)
            if started is None or (self.since and started < self.since):
                return False
            if self.until and started >= self.until:
                return False
        stem = entry.notebook.rpartition("/")[2].removesuffix(".ipynb")
        return (
            (not self.outcomes or entry.outcome in self.outcomes)
            and (not self.notebook or fnmatch.fnmatchcase(stem, self.notebook))
            and all(_has(entry, name, glob) for name, glob in self.parameters)
        )


def filter_of(
    since: str, until: str, outcomes: Sequence[str], notebook: str, parameters: Mapping[str, str]
) -> Filter:
    """A filter from what people write: `2026-11-01`, `7d` ago, glob.

    Raises UsageError for a time or an outcome that is none.
    """
    for outcome in outcomes:
        if outcome not in OUTCOMES:
            near = did_you_mean(outcome, OUTCOMES) or f"; there is {', '.join(OUTCOMES)}"
            raise UsageError(f"no run ends as {outcome!r}{near}")
    return Filter(
        since=_time(since),
        until=_time(until),
        outcomes=tuple(outcomes),
        notebook=notebook.rpartition("/")[2].removesuffix(".ipynb"),
        parameters=tuple(parameters.items()),
    )


def _time(text: str) -> datetime.datetime | None:
    if not text:
        return None
    if match := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[match[2]]
        return now() - datetime.timedelta(**{unit: int(match[1])})
    found = _moment(text)
    if found is None:
        message = f"{text!r} is no time: write 2026-11-01, 2026-11-01T12:00 (UTC), or 7d for ago"
        raise UsageError(message)
    return found


def _moment(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _has(entry: Entry, name: str, glob: str) -> bool:
    value = entry.parameters.get(name)
    values = value if isinstance(value, list) else [value]
    return name in entry.parameters and any(fnmatch.fnmatchcase(str(v), glob) for v in values)
