"""Where the time of a build went: its critical path, and what more parallelism would save."""

from __future__ import annotations

import datetime
import heapq

from imagekit.build.report import Report, StepReport


def seconds(entry: StepReport) -> float:
    """How long a step took; 0.0 where it did not run."""
    if not entry.started or not entry.finished:
        return 0.0
    return (_moment(entry.finished) - _moment(entry.started)).total_seconds()


def so_far(entry: StepReport, now: datetime.datetime) -> float:
    """How long a step that has started took, or has been running until `now`."""
    if entry.finished or not entry.started:
        return seconds(entry)
    return (now - _moment(entry.started)).total_seconds()


def offset(report: Report, entry: StepReport) -> float:
    """Seconds from the build's start to a step's; 0.0 where it did not run."""
    if not entry.started:
        return 0.0
    return (_moment(entry.started) - _moment(report.started)).total_seconds()


def elapsed(report: Report) -> float:
    """Seconds from the build's start to its end, or to the end of its last step so far."""
    ends = [offset(report, entry) + seconds(entry) for entry in report.steps]
    return max(ends, default=0.0)


def critical_path(report: Report) -> list[StepReport]:
    """The chain of steps, each waiting for the one before, that takes longest in sum.

    No parallelism makes the build shorter than this. Steps that did not run are left out.
    """
    best: dict[str, tuple[float, list[StepReport]]] = {}
    for entry in report.steps:
        chains = (best[name] for name in entry.needs if name in best)
        before, chain = max(chains, key=lambda found: found[0], default=(0.0, []))
        best[entry.id] = (before + seconds(entry), [*chain, entry])
    _, chain = max(best.values(), key=lambda found: found[0], default=(0.0, []))
    return [entry for entry in chain if seconds(entry)]


def estimate(report: Report, jobs: int) -> float:
    """Seconds that the same steps would take with so many at a time.

    Each is started as soon as what it needs is done and a place is free, in the file's order;
    what several steps at once take from each other is not known and not counted.
    """
    ends: dict[str, float] = {}
    free = [0.0] * jobs
    waiting = list(report.steps)
    while waiting:
        ready = [e for e in waiting if all(name in ends for name in e.needs)]
        if not ready:
            break
        entry = min(ready, key=lambda e: max((ends[name] for name in e.needs), default=0.0))
        begin = max((ends[name] for name in entry.needs), default=0.0)
        if seconds(entry):
            begin = max(begin, heapq.heappop(free))
            heapq.heappush(free, begin + seconds(entry))
        ends[entry.id] = begin + seconds(entry)
        waiting.remove(entry)
    return max(ends.values(), default=0.0)


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
