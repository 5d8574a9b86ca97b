import json
import shutil
import xml.etree.ElementTree as ET

import msgspec
import pandas as pd
import pytest

import imagekit
from imagekit.build import report as reports
from imagekit.build import timing
from imagekit.build.report import Report, StepReport, Submitted
from imagekit.errors import BuildError, UsageError
from imagekit.notebook import build_report
from imagekit.notebook.build_report import Build

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, family):
    """A project without a build, with the example."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(family / "notebooks", tmp_path / "notebooks")
    return tmp_path


@pytest.fixture
def build():
    return build_report.read()


def step(name, state="succeeded", start=0.0, seconds=1.0, **more):
    def moment(offset):
        return f"2026-01-01T00:00:{offset:06.3f}+00:00"

    times = {"started": moment(start), "finished": moment(start + seconds)} if seconds else {}
    return StepReport(id=f"h/r:{name}", kind="build", state=state, **times, **more)


def of(tmp_path, *steps, before=None, outcome="failed"):
    report = Report(
        file="f", jobs=1, started="2026-01-01T00:00:00+00:00", steps=[*steps], outcome=outcome
    )
    return Build(report=report, path=tmp_path / "report.json", before=before and before.report)


def test_the_steps_have_types_and_their_states(build):
    frame = build_report.steps(build).frame
    assert frame.loc["cpu-trixie-py313", "state"] == "succeeded"
    assert frame["state"].dtype.ordered
    assert frame["seconds"].sum() == pytest.approx(136.3, abs=0.1)
    assert "reason" not in frame
    text = str(build_report.steps(build))
    assert "✓ succeeded" in text
    assert "  sha256:dfb66805d8eb\n" in text


def test_a_build_is_a_dataframe(build):
    frame = imagekit.to_pandas(build)
    assert frame.query("critical")["seconds"].sum() == pytest.approx(36.7, abs=0.1)


def test_without_a_build_the_example_is_shown_and_said_to_be_one(build, project):
    assert build.is_example
    assert build.title == (
        "Example, because there is no runs/build/report.json: "
        "images.yaml: succeeded, 18 steps in 70.0 s"
    )
    shutil.rmtree(project / "notebooks")
    # A family without one sees that of imagekit.
    assert build_report.read().is_example


def test_the_last_build_is_shown_and_compared_with_the_one_before(project):
    logs = project / "runs/build"
    logs.mkdir(parents=True)
    reports.write(of(logs, step("a")).report, logs / "report.json")
    assert build_report.read().title == "f: failed, 1 step in 1.0 s"
    assert build_report.read().before is None
    reports.keep_previous(logs)
    reports.write(of(logs, step("a"), step("b")).report, logs / "report.json")
    found = build_report.read()
    assert (len(found.report.steps), len(found.before.steps)) == (2, 1)
    other = build_report.read("notebooks/example-build.json", "runs/build/previous.json")
    assert (len(other.report.steps), len(other.before.steps)) == (18, 1)
    assert not other.is_example


def test_two_images_with_one_tag_keep_their_names(tmp_path):
    steps = step("a"), msgspec.structs.replace(step("a"), id="h/other:a")
    frame = build_report.steps(of(tmp_path, *steps)).frame
    assert [*frame.index] == ["h/r:a", "h/other:a"]


def test_a_failed_step_shows_the_end_of_its_log(tmp_path):
    (tmp_path / "1.log").write_bytes(b"begin\n" * 20_000 + b"\x1b[31m<bad>\x1b[0m\xff\r\nlast\n")
    failed = step("a", "failed", log="1.log", reason="exit code 1")
    gone = step("b", "timed out", log="2.log", reason="timed out after 5 s")
    found = build_report.failures(of(tmp_path, failed, gone, step("c", "blocked")))
    lines = str(found).splitlines()
    assert lines[0] == f"✗ a: exit code 1; whole log: {tmp_path}/1.log"
    assert lines[build_report.TAIL - 1 : build_report.TAIL + 1] == ["    <bad>�", "    last"]
    assert lines[-1] == "    The log is no longer there."
    page = found.html()
    assert "&lt;bad&gt;" in page
    assert page.count("<details open>") == 2


def test_many_failed_steps_are_not_all_shown(tmp_path):
    steps = [step(f"s{number}", "failed", reason="exit code 1") for number in range(12)]
    found = build_report.failures(of(tmp_path, *steps))
    assert str(found).splitlines()[-1] == "… and 2 more failed steps"
    assert "2 more failed steps" in found.html()


def test_without_a_failed_step_that_is_said(build):
    found = build_report.failures(build)
    assert str(found) == "No step failed."
    assert found._repr_mimebundle_()["text/html"] == "<p>No step failed.</p>"


def bars(picture):
    """The bars of a timeline with their descriptions."""
    root = ET.fromstring(picture.svg)
    paths = (path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None)
    return [(path, path.find(f"{SVG}title").text) for path in paths]


def width(path):
    xs = [float(part.split(",")[0]) for part in path.get("d")[1:-1].replace("h", "L").split("L")]
    return max(xs) - min(xs) if "L" in path.get("d") else xs[1]


def test_the_timeline_has_a_bar_for_each_step_that_ran(build):
    picture = build_report.timeline(build)
    found = bars(picture)
    fills = [about for path, about in found if path.get("stroke") != "currentColor"]
    frames = [about for path, about in found if path.get("stroke") == "currentColor"]
    assert len(fills) == 18
    assert len(frames) == len(timing.critical_path(build.report))
    assert all("on the critical path" in about for about in frames)
    assert "cpu-bookworm-py311: build, succeeded, 14.0 s from 1.4 s" in fills
    assert "critical  cpu-trixie-py313" in picture.text
    root = ET.fromstring(picture.svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == "Timeline: 18 steps in 70.0 s"


def test_pictures_are_the_same_each_time_and_take_the_colours_of_the_page(build):
    svg = build_report.timeline(build).svg
    assert svg == build_report.timeline(build).svg
    texts = [text.get("fill") for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert texts
    assert set(texts) == {"currentColor"}
    assert 'fill="white"' not in svg


def test_a_timeline_of_very_many_steps_has_the_longest(tmp_path):
    steps = [step(f"s{n}", start=n / 10, seconds=1 + n / 100) for n in range(100)]
    picture = build_report.timeline(of(tmp_path, *steps))
    assert str(picture).startswith("Timeline: the 60 longest of 100 steps in ")
    assert len(bars(picture)) >= 60


def test_what_more_jobs_would_save_beside_what_was_measured(build):
    frame = build_report.parallelism(build, (1, 4, 100)).frame
    assert [*frame.index] == [1, 2, 4, 100]
    assert [*frame["estimated"]] == sorted(frame["estimated"], reverse=True)
    assert frame["measured"].dropna().to_dict() == {2: pytest.approx(70.0, abs=0.1)}
    path = sum(timing.seconds(entry) for entry in timing.critical_path(build.report))
    assert frame["estimated"].iloc[-1] == pytest.approx(path)


def test_the_critical_path_adds_up(build):
    frame = build_report.critical_path(build).frame
    assert [*frame.index] == ["cpu-trixie-py313", "cpu-trixie-py313-test", "cpu-trixie-py313-push"]
    assert frame["together"].iloc[-1] == pytest.approx(frame["seconds"].sum())


def test_what_differs_from_the_build_before(tmp_path):
    before = of(tmp_path, step("a"), step("b"), step("gone"), step("same"), outcome="succeeded")
    now = of(
        tmp_path,
        *(step("a", "failed"), step("new"), step("b", seconds=3), step("same")),
        before=before,
    )
    table = build_report.compare(now)
    frame = table.frame
    assert [*frame.index] == ["a", "new", "b", "gone"]
    assert frame.loc["a", "state before"] == "succeeded"
    assert pd.isna(frame.loc["new", "state before"])
    assert pd.isna(frame.loc["gone", "state now"])
    assert frame.loc["b", "difference"] == pytest.approx(2)
    assert table.caption == (
        "Compared with the build of 2026-01-01 00:00 UTC, which succeeded: "
        "+2.0 s, 1 new step, 1 removed step"
    )
    assert table.notes == ("1 step as before",)
    assert "+2.0" in str(table)


def test_without_a_build_before_there_is_nothing_to_compare(tmp_path):
    assert str(build_report.compare(of(tmp_path))).startswith("Nothing to compare")


def test_a_build_that_did_nothing(tmp_path):
    nothing = of(tmp_path)
    assert str(build_report.timeline(nothing)) == "No step ran"
    assert str(build_report.critical_path(nothing)) == "Critical path: 0.0 s of 0.0 s"
    assert build_report.steps(nothing).frame.empty


@pytest.mark.parametrize("text", [None, "", "{}", "[]"])
def test_what_is_no_report_is_said(tmp_path, text):
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="no report of a build"):
        build_report.read(str(path))
    with pytest.raises(UsageError, match="no report of a build"):
        build_report.read(before=str(path))


def test_a_build_that_failed_fails_the_notebook(tmp_path, capsys):
    with pytest.raises(BuildError, match="the build failed: a"):
        build_report.verdict(of(tmp_path, step("a", "failed")))
    assert json.loads(capsys.readouterr().out)["steps"] == {"failed": 1}


@pytest.fixture
def submitted(build):
    build.report.jobs = 0
    build.report.builds = [
        Submitted(file="b-01.json", sha256="", id="1", status="SUCCESS", log_url="https://l"),
        Submitted(file="b-02.json", sha256=""),
    ]
    return build


def test_a_build_at_cloud_build_tells_its_ids_and_links(submitted):
    assert build_report.steps(submitted).notes == (
        "b-01.json: build 1 success, https://l",
        "1 build file not submitted",
    )
    assert build_report.verdict(submitted).values["builds"] == {"b-01.json": "1", "b-02.json": ""}
    assert build_report.parallelism(submitted).caption.endswith("the number of jobs does not apply")
