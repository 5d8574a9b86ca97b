"""Build timing: the critical path, and an estimate for other numbers of parallel jobs."""

from __future__ import annotations

import datetime
import heapq
from collections.abc import Sequence

from imagekit.build.report import Report, StepReport


def seconds(entry: StepReport) -> float:
    """The duration of a step in seconds; 0.0 if it did not run."""
    if not entry.started or not entry.finished:
        return 0.0
    return (_moment(entry.finished) - _moment(entry.started)).total_seconds()


def so_far(entry: StepReport, now: datetime.datetime) -> float:
    """The duration of a step in seconds, up to `now` if it is running."""
    if entry.finished or not entry.started:
        return seconds(entry)
    return (now - _moment(entry.started)).total_seconds()


def offset(report: Report, entry: StepReport) -> float:
    """Seconds from the build's start to the step's start; 0.0 if it did not run."""
    if not entry.started:
        return 0.0
    return (_moment(entry.started) - _moment(report.started)).total_seconds()


def elapsed(report: Report) -> float:
    """Seconds from the build's start to the end of its last finished step."""
    ends = [offset(report, entry) + seconds(entry) for entry in report.steps]
    return max(ends, default=0.0)


def critical_path(report: Report) -> list[StepReport]:
    """The longest chain of dependent steps: a lower bound for the build's duration.

    Steps that did not run are left out.
    """
    best: dict[str, tuple[float, list[StepReport]]] = {}
    for entry in report.steps:
        chains = (best[name] for name in entry.needs if name in best)
        before, chain = max(chains, key=lambda item: item[0], default=(0.0, []))
        best[entry.id] = (before + seconds(entry), [*chain, entry])
    _, chain = max(best.values(), key=lambda item: item[0], default=(0.0, []))
    return [entry for entry in chain if seconds(entry)]


def estimate(report: Report, jobs: int) -> float:
    """The estimated duration in seconds with `jobs` parallel steps.

    Each step starts as soon as its dependencies are done and a job is free, in file order.
    Contention between parallel steps is ignored.
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


def forecast(images: Sequence[tuple[str, str | None, float]], jobs: int) -> float:
    """The estimated duration in seconds of images that are not built yet.

    Each image is a name, its parent and its own seconds, parents first. With 0 jobs, like at
    Cloud Build, nothing waits for a free one.
    """
    ends: dict[str, float] = {}
    free = [0.0] * (jobs or len(images))
    for name, parent, own in images:
        begin = max(heapq.heappop(free), ends.get(parent or "", 0.0))
        ends[name] = begin + own
        heapq.heappush(free, ends[name])
    return max(ends.values(), default=0.0)


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
