import xml.etree.ElementTree as ET

import pytest

from imagekit.build import timing
from imagekit.build.report import Report, Submitted
from imagekit.errors import UsageError
from imagekit.notebook import build_report


@pytest.fixture
def report(family):
    path = str(family / "notebooks/example-build.json")
    return build_report.report_of(path, run=False, config="", options=[])


def test_the_steps_have_their_states(report):
    frame = build_report.steps(report).frame
    assert frame.loc["cpu-trixie-py313", "state"] == "✓ succeeded"
    assert frame.loc["cpu-trixie-py313-push", "state"] == "- not pushed"
    assert frame.loc["cpu-trixie-py313-push", "duration (s)"] == ""
    assert frame.loc["cpu-trixie-py313", "digest"].startswith("sha256:")


def test_the_timeline_has_a_bar_for_each_step_that_ran(report):
    picture = build_report.gantt(report)
    svg = ET.fromstring(picture.svg)
    ran = [entry for entry in report.steps if timing.seconds(entry)]
    bars = list(svg.iterfind("{*}rect"))
    assert len(bars) == len(ran) == 12
    thick = [bar for bar in bars if bar.get("stroke-width") == "2.5"]
    assert len(thick) == len(timing.critical_path(report))
    width = float(svg.get("width"))
    assert all(float(bar.get("x")) + float(bar.get("width")) <= width for bar in bars)
    assert "critical  cpu-trixie-py313" in picture.text


def test_a_bar_is_as_long_as_its_step_took(report):
    svg = ET.fromstring(build_report.gantt(report).svg)
    widths = [float(bar.get("width")) for bar in svg.iterfind("{*}rect")]
    times = [timing.seconds(entry) for entry in report.steps if timing.seconds(entry)]
    scale = build_report.PLOT / timing.elapsed(report)
    assert widths == pytest.approx([time * scale for time in times], abs=0.06)


def test_what_more_jobs_would_save(report):
    frame = build_report.parallelism(report, (1, 2, 100)).frame
    estimates = [float(text) for text in frame["estimated (s)"]]
    assert estimates == sorted(estimates, reverse=True)
    path = sum(timing.seconds(entry) for entry in timing.critical_path(report))
    assert estimates[-1] == pytest.approx(path, abs=0.06)


def test_a_build_that_did_nothing_has_an_empty_timeline():
    nothing = Report(file="f", jobs=1, started="2026-01-01T00:00:00+00:00")
    assert ET.fromstring(build_report.gantt(nothing).svg) is not None
    assert str(build_report.critical_path(nothing)) == "Critical path: 0.0 s of 0.0 s"


@pytest.mark.parametrize("text", [None, "", "{}", "[]"])
def test_what_is_no_report_is_said(tmp_path, text):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="no report of a build"):
        build_report.report_of(str(path), run=False, config="", options=[])


@pytest.fixture
def submitted(report):
    report.jobs = 0
    report.builds = [
        Submitted(file="b-01.json", sha256="", id="1", status="SUCCESS", log_url="https://l"),
        Submitted(file="b-02.json", sha256=""),
    ]
    return report


def test_a_build_at_cloud_build_tells_its_ids_and_links(submitted):
    assert build_report.steps(submitted).notes == (
        "b-01.json: build 1 success, https://l",
        "1 build file not submitted",
    )
    assert build_report.verdict(submitted).values["builds"] == {"b-01.json": "1", "b-02.json": ""}
    assert build_report.parallelism(submitted).caption.endswith("the number of jobs does not apply")
