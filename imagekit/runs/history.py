"""The history of a run store: entries of all runs, filters, and changes between runs."""

from __future__ import annotations

import contextlib
import datetime
import fnmatch
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from imagekit.compare.changes import Changes, compare
from imagekit.compare.inventory import Inventory
from imagekit.errors import UnknownRunError, UsageError, counted, did_you_mean
from imagekit.runs import entry as entries
from imagekit.runs.entry import NO_RUN, OUTCOMES, Entry
from imagekit.runs.index import Counts, Index
from imagekit.runs.record import RECORD, moment, now
from imagekit.runs.store import State, Store

Progress = Callable[[Sequence[str], str], Iterable[str]]
"""Wraps an iterable of names to display progress; the text is the label."""

NAME_TIME = re.compile(r"(?:.*/)?(\d{8}T\d{6}\.\d+)Z-[^/]*")
"""The start time in the name of a run."""

LATEST = re.compile(r"latest(?:~([0-9]{1,18}))?")
"""`latest`, or `latest~N` for the Nth run before it."""

READERS = {"json": ("record", entries.of_record), "ipynb": ("notebook", entries.of_notebook)}
"""The kinds of a run's files with their readers. The record is preferred: it has more data."""

INDEX_BATCH = 256
"""The number of runs that are written to the index at once."""
REMOTE_BATCH = 16
"""The number of runs that are read from a remote store at once."""

Read = tuple[Entry, Inventory | None]
"""The entry and inventory of a run, as read from its files."""


def _silent(names: Sequence[str], what: str) -> Iterable[str]:
    return names


class History:
    """All runs of a store, the earliest first; see `read`."""

    def __init__(
        self, store: Store, index: Index, runs: Iterable[Entry], progress: Progress = _silent
    ) -> None:
        self.store = store
        self.index = index
        self.entries = sorted(runs, key=lambda entry: (entry.started, entry.run))
        self.progress = progress

    def build(self, entry: Entry) -> Inventory | None:
        """The inventory that a run generated; None if there is none."""
        if entry.build is None:
            return None
        return self.index.build(entry.build) or self._read_again(entry)

    def before(self, entry: Entry) -> Entry | None:
        """The previous run with the same config and output; None if there is none."""
        return self._predecessors.get(entry.run)

    def changes(self, entry: Entry) -> Changes | None:
        """The changes of a run's images since the previous run; None if they cannot be compared."""
        before, after = self.before(entry), self.build(entry)
        inventory = self.build(before) if before else None
        return compare(inventory, after) if inventory and after else None

    def counts(self, chosen: Iterable[Entry]) -> dict[str, Counts]:
        """The change counts since the previous run, by run.

        Runs that cannot be compared are left out.
        """
        pairs = {
            entry.run: (f"{before.build}:{entry.build}", entry)
            for entry in chosen
            if (before := self.before(entry)) and entry.build
        }
        known = self.index.counted()
        unknown = {pair: entry for pair, entry in pairs.values() if pair not in known}
        new: dict[str, Counts] = {}
        for pair in self.progress(list(unknown), "comparing runs") if unknown else ():
            changes = self.changes(unknown[pair])
            if changes is not None:
                kinds = (changes.added, changes.removed, changes.changed, changes.whole)
                new[pair] = Counts(*map(len, kinds))
        self.index.keep_counted(new)
        known |= new
        return {run: known[pair] for run, (pair, _) in pairs.items() if pair in known}

    def find(self, name: str) -> Entry:
        """The run with a name or a unique prefix, or `latest`, `latest~1` and so on.

        Raises UsageError if no run or several runs match.
        """
        if match := LATEST.fullmatch(name):
            runs = [e for e in self.entries if e.outcome not in NO_RUN]
            back = int(match[1] or 0) + 1
            if back <= len(runs):
                return runs[-back]
            raise UsageError(f"{name}: {self.store.address} has {counted(len(runs), 'run')}")
        plain = name.removesuffix(".ipynb").removesuffix(".json")
        matches = next((runs for runs in self._candidates(plain) if runs), [])
        if not matches:
            near = did_you_mean(plain, [e.run for e in self.entries[-1000:]])
            raise UnknownRunError(f"no run is called {name!r} in {self.store.address}{near}")
        if len(matches) > 1:
            names = ", ".join(entry.run for entry in matches[:3])
            raise UsageError(f"{name!r} is the beginning of {len(matches)} runs: {names} …")
        return matches[0]

    def _candidates(self, name: str) -> Iterator[list[Entry]]:
        """The matching runs by each rule; the first rule that matches any run counts."""
        yield [e for e in self.entries if e.run == name]
        yield [e for e in self.entries if e.run.startswith(name)]
        # The name is a path, which has the run's name at its end.
        inside = [e for e in self.entries if name.endswith(f"/{e.run}")]
        yield sorted(inside, key=lambda entry: len(entry.run))[-1:]
        plain = name.rpartition("/")[2]
        yield [e for e in self.entries if e.run.rpartition("/")[2] == plain]
        yield [e for e in self.entries if e.run.startswith(plain)]

    @functools.cached_property
    def _predecessors(self) -> dict[str, Entry]:
        last: dict[tuple[str | None, str], Entry] = {}
        predecessors: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.build is not None:
                # Runs of different configs or outputs are not compared.
                key = entry.config, str(entry.parameters.get("output"))
                if key in last:
                    predecessors[entry.run] = last[key]
                last[key] = entry
        return predecessors

    def _read_again(self, entry: Entry) -> Inventory | None:
        """The inventory from a run's files, if the index does not have it."""
        for kind, (_, reader) in READERS.items():
            for _, data in self.store.read([f"{entry.run}.{kind}"]):
                with contextlib.suppress(ValueError, RecursionError):
                    again = reader(entry.run, data) if isinstance(data, bytes) else None
                    if again and again[0].build == entry.build:
                        return again[1]
        return None


def read(store: Store, progress: Progress = _silent) -> History:
    """The history of a store. Only runs that are not in the index are read from their files.

    A run whose files cannot be read is an entry with the outcome `unreadable`.
    """
    index = Index(store.address)
    runs, unreadable = _runs(store)
    known = index.known()
    current = {
        name: entry
        for name, (mark, entry) in known.items()
        if name in runs and mark == _mark(runs[name])
    }
    unread = [name for name in runs if name not in current]
    new = _read_runs(unread, runs, store, progress)
    while batch := list(itertools.islice(new, INDEX_BATCH)):
        current |= {name: entry for name, _, (entry, _) in batch}
        # Runs with read errors are not indexed, so that the next call tries again.
        complete = [(name, _mark(runs[name]), *run) for name, is_read, run in batch if is_read]
        index.keep(complete)
    index.forget(known.keys() - runs.keys())
    time = now()
    current_entries = (entries.with_current_state(entry, time) for entry in current.values())
    return History(store, index, [*current_entries, *unreadable], progress)


def _runs(store: Store) -> tuple[dict[str, dict[str, State]], list[Entry]]:
    """The files of each run by kind, and an entry for each folder that cannot be read."""
    runs: dict[str, dict[str, State]] = {}
    unreadable: list[Entry] = []
    for name, state in sorted(store.files().items()):
        if name.endswith("/"):
            why = f"this folder cannot be read: {state.mark}"
            entry = Entry(run=name, outcome="unreadable", started=state.modified, problem=why)
            unreadable.append(entry)
        elif name.endswith(".ipynb") or RECORD.fullmatch(name):
            run, _, kind = name.rpartition(".")
            runs.setdefault(run, {})[kind] = state
    return runs, unreadable


def _mark(files: Mapping[str, State]) -> str:
    return "".join(f"{kind}={state.mark};" for kind, state in files.items())


def _read_runs(
    names: Sequence[str], runs: Mapping[str, Mapping[str, State]], store: Store, progress: Progress
) -> Iterator[tuple[str, bool, Read]]:
    """Runs read from their files, each with whether all files could be read."""
    names_with_progress = progress(names, "reading runs") if names else ()
    for name, files in zip(names_with_progress, _contents(names, runs, store), strict=True):
        is_read = not any(isinstance(data, OSError) for data in files.values())
        entry, inventory = _read(name, runs[name], files)
        if not entry.started and entry.outcome != "not a run":
            entry = msgspec.structs.replace(entry, started=_approximate_start(name, runs[name]))
        yield name, is_read, (entry, inventory)


def _contents(
    names: Sequence[str], runs: Mapping[str, Mapping[str, State]], store: Store
) -> Iterator[dict[str, bytes | OSError]]:
    """The contents of the files of each run, by kind."""
    size = REMOTE_BATCH if store.folder is None else 1
    for first in range(0, len(names), size):
        chunk = names[first : first + size]
        needed: dict[str, list[str]] = {}
        for name in chunk:
            # A remote notebook is not fetched only to check it.
            remote = store.folder is None and "json" in runs[name]
            needed[name] = ["json"] if remote else list(runs[name])
        paths = [f"{name}.{kind}" for name, kinds in needed.items() for kind in kinds]
        contents = dict(store.read(paths))
        for name, kinds in needed.items():
            yield {kind: contents[f"{name}.{kind}"] for kind in kinds}


def _read(name: str, kinds: Iterable[str], files: Mapping[str, bytes | OSError]) -> Read:
    """The entry and inventory of a run, from the kinds of its files and their contents."""
    problems: list[str] = []
    best: Read | None = None
    for kind, (what, reader) in READERS.items():
        data = files.get(kind)
        if data is None:
            continue
        try:
            if isinstance(data, OSError):
                raise ValueError(data.strerror or str(data))
            if best is None:
                best = reader(name, data)
            elif wrong := entries.invalid_reason(data):
                raise ValueError(wrong)
        except (ValueError, RecursionError) as error:
            problems.append(f"its {what} cannot be read: {error}")
    entry, inventory = best or (Entry(run=name, outcome="unreadable"), None)
    if entry.left_notebook and "ipynb" not in kinds:
        problems.append("its notebook is missing")
    if problems:
        entry = msgspec.structs.replace(entry, problem="; ".join(problems))
    return entry, inventory


def _approximate_start(name: str, files: Mapping[str, State]) -> str:
    """The start of a run without a start time: from its name, else from its files' times."""
    named = NAME_TIME.fullmatch(name)
    times = (named[1] if named else "", *(state.modified for state in files.values()))
    start = next((time for text in times if (time := moment(text))), None)
    return start.isoformat() if start else ""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of runs. An empty attribute matches all runs."""

    since: datetime.datetime | None = None
    """The earliest start, in UTC, inclusive."""
    until: datetime.datetime | None = None
    """The latest start, in UTC, exclusive."""
    outcomes: tuple[str, ...] = ()
    """The outcomes to include."""
    notebook: str = ""
    """A glob on the name of the notebook, without folder and suffix."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Pairs of a parameter and a glob on its value."""

    def matches(self, entry: Entry) -> bool:
        """Whether a run matches the filter."""
        if self.since or self.until:
            started = moment(entry.started)
            if started is None or (self.since and started < self.since):
                return False
            if self.until and started >= self.until:
                return False
        stem = entry.notebook.rpartition("/")[2].removesuffix(".ipynb")
        return (
            (not self.outcomes or entry.outcome in self.outcomes)
            and (not self.notebook or fnmatch.fnmatchcase(stem, self.notebook))
            and all(_parameter_matches(entry, name, glob) for name, glob in self.parameters)
        )


def filter_of(
    since: str, until: str, outcomes: Sequence[str], notebook: str, parameters: Mapping[str, str]
) -> Filter:
    """The filter of texts from the user; times are like `2026-11-01`, or `7d` for 7 days ago.

    Raises UsageError for an invalid time or outcome.
    """
    for outcome in outcomes:
        if outcome not in OUTCOMES:
            near = did_you_mean(outcome, OUTCOMES) or f"; use one of: {', '.join(OUTCOMES)}"
            raise UsageError(f"{outcome!r} is not a valid outcome{near}")
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
        with contextlib.suppress(OverflowError):
            return now() - datetime.timedelta(**{unit: int(match[1])})
    time = moment(text)
    if time is None:
        message = f"{text!r} is not a valid time; use 2026-11-01, 2026-11-01T12:00 (UTC), or 7d"
        raise UsageError(message)
    return time


def _parameter_matches(entry: Entry, name: str, glob: str) -> bool:
    """Whether a parameter's value, or one of its list, matches the glob as text or as JSON."""
    if name not in entry.parameters:
        return False
    value = entry.parameters[name]
    values = [value, *value] if isinstance(value, list) else [value]
    forms = {form for each in values for form in (str(each), json.dumps(each))}
    return glob in forms or any(fnmatch.fnmatchcase(form, glob) for form in forms)
