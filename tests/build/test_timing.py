import datetime

import pytest

from imagekit.build import timing
from imagekit.build.report import Report, StepReport


def at(seconds):
    return f"2026-01-01T00:{int(seconds) // 60:02d}:{int(seconds) % 60:02d}+00:00"


def step(name, start, end, *needs):
    entry = StepReport(id=name, kind="build", needs=needs, state="succeeded")
    entry.started, entry.finished = at(start), at(end)
    return entry


@pytest.fixture
def report():
    """Two chains, a (10 s) → b (20 s) and c (5 s) → d (5 s), one after the other."""
    steps = [step("a", 0, 10), step("b", 10, 30, "a"), step("c", 30, 35), step("d", 35, 40, "c")]
    skipped = StepReport(id="e", kind="push", needs=("b",), state="not pushed")
    return Report(file="f", jobs=1, started=at(0), steps=[*steps, skipped])


def test_a_step_that_runs_takes_longer_by_the_moment(report):
    running = report.steps[0]
    now = datetime.datetime.fromisoformat(at(12))
    assert timing.so_far(running, now) == 10
    running.finished = None
    assert timing.so_far(running, now) == 12
    assert timing.so_far(report.steps[4], now) == 0


def test_elapsed(report):
    assert timing.elapsed(report) == 40
    assert timing.offset(report, report.steps[1]) == 10
    assert (timing.seconds(report.steps[4]), timing.offset(report, report.steps[4])) == (0, 0)


def test_the_critical_path_is_the_longest_chain(report):
    assert [entry.id for entry in timing.critical_path(report)] == ["a", "b"]


@pytest.mark.parametrize(("jobs", "seconds"), [(1, 40), (2, 30), (8, 30)])
def test_an_estimate_is_never_shorter_than_the_critical_path(report, jobs, seconds):
    assert timing.estimate(report, jobs) == seconds


def test_a_build_of_nothing():
    report = Report(file="f", jobs=1, started=at(0))
    assert timing.critical_path(report) == []
    assert (timing.elapsed(report), timing.estimate(report, 4)) == (0, 0)


def test_steps_that_wait_for_none_are_left_out_of_an_estimate():
    report = Report(file="f", jobs=1, started=at(0), steps=[step("a", 0, 10, "absent")])
    assert timing.estimate(report, 1) == 0
