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
    return _between(entry.started, _moment(entry.finished))


def so_far(entry: StepReport, now: datetime.datetime) -> float:
    """The duration of a step in seconds, up to `now` if it is running."""
    if entry.finished or not entry.started:
        return seconds(entry)
    return _between(entry.started, now)


def offset(report: Report, entry: StepReport) -> float:
    """Seconds from the build's start to the step's start; 0.0 if it did not run."""
    if not entry.started:
        return 0.0
    return _between(report.started, _moment(entry.started))


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
    return forecast([(entry.id, entry.needs, seconds(entry)) for entry in report.steps], jobs)


def forecast(tasks: Sequence[tuple[str, Sequence[str], float]], jobs: int) -> float:
    """The estimated duration in seconds of tasks: each a name, what it needs, and its own seconds.

    Of those that can start, the first one does as soon as a job is free. A task without a duration
    needs no job, and one that needs what does not exist never starts. With 0 jobs, like at Cloud
    Build, nothing waits for a free one.
    """
    missing = [len({*needs}) for _, needs, _ in tasks]
    children: dict[str, list[int]] = {}
    for number, (_, needs, _) in enumerate(tasks):
        for name in {*needs}:
            children.setdefault(name, []).append(number)
    ready = [number for number, count in enumerate(missing) if count == 0]
    running: list[tuple[float, int]] = []
    now, free = 0.0, jobs or len(tasks)
    while ready or running:
        if ready and (free or not tasks[ready[0]][2]):
            number = heapq.heappop(ready)
            own = tasks[number][2]
            free -= bool(own)
            heapq.heappush(running, (now + own, number))
            continue
        now, number = heapq.heappop(running)
        name, _, own = tasks[number]
        free += bool(own)
        for child in children.get(name, ()):
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(ready, child)
    return now


def _between(started: str, ended: datetime.datetime) -> float:
    """The seconds between two times; 0.0 if a clock was set back, such as on another machine."""
    return max(0.0, (ended - _moment(started)).total_seconds())


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
