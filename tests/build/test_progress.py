import os
import pty

import pytest

from imagekit.build import progress
from imagekit.build.report import Report, StepReport


def report(*steps):
    return Report(file="f", jobs=1, started="2026-11-01T00:00:00+00:00", steps=[*steps])


def rows(found):
    table = progress.Live(lambda: found)._table()
    return [
        " ".join(str(cell) for cell in line)
        for line in zip(*(column._cells for column in table.columns), strict=True)
    ]


def test_a_build_without_a_tag_is_shown_by_its_id():
    assert rows(report(StepReport(id="a", kind="build", state="running"))) == [
        "▶ running a build ",
        " 0 of 1 step done  ",
    ]


def test_an_image_has_the_state_of_its_first_step_that_is_not_done():
    steps = [
        StepReport(id="r:a", kind="build", images=("r:a",), state="succeeded"),
        StepReport(id="r:a-test", kind="test", images=("r:a",), state="running"),
        StepReport(id="r:a-push", kind="push", images=("r:a",)),
        StepReport(id="r:b", kind="build", images=("r:b", "r:c"), state="succeeded"),
    ]
    assert rows(report(*steps))[0] == "▶ running a test "
    assert len(rows(report(*steps))) == 2


@pytest.mark.parametrize("name", ["a[/x]", "[link=x]a[/link]", "\x1b]0;x\x07"])
def test_a_name_is_no_markup_and_no_escape_sequence(name):
    shown = rows(report(StepReport(id=name, kind="build", state="running")))[0]
    assert "\x1b" not in shown
    assert name.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in shown


def test_a_report_that_cannot_be_shown_is_not_shown():
    live = progress.Live(lambda: None)
    assert live._shown() == ""
    with live:
        live.print(object())


@pytest.mark.edge
def test_a_closed_terminal_does_not_end_a_build(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        os.close(ours)
        monkeypatch.setattr("sys.stdout", terminal)
        progress.plain(StepReport(id="a", kind="build", state="running"))
