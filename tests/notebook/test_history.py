import datetime
import pathlib
import platform
import shutil
import xml.etree.ElementTree as ET

import msgspec
import pandas as pd
import pytest

from imagekit.errors import UsageError
from imagekit.notebook import history
from imagekit.runs.record import RUN_VARIABLE
from imagekit.runs.store import Store
from tests.runs.conftest import build, record

# matplotlib asks the system for its fonts when it draws for the first time.
pytestmark = pytest.mark.edge

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, family):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(family / "notebooks/example-runs", tmp_path / history.EXAMPLE)
    return tmp_path


def test_the_frame_has_typed_columns():
    found = history.frame(history.read(history.EXAMPLE))
    assert len(found) == 10
    assert found["began"].dt.tz is not None
    assert found["seconds"].sum() > 10
    assert list(found["added"].dropna()) == [0, 1, 0, 0, 1]
    assert found["outcome"].value_counts().to_dict() == {"succeeded": 8, "failed": 2}
    assert set(found["config_sha256"].str.len()) == {0, 64}


def test_the_table_begins_with_the_latest():
    table = history.table(history.read(history.EXAMPLE))
    assert table.caption == f"10 runs in {history.EXAMPLE}"
    assert list(table.frame["outcome"][:4]) == ["✓ succeeded"] * 3 + ["✗ failed"]
    assert table.frame["parameters"].iloc[0] == 'only=["gpu-*"]'
    assert table.frame["changes"].iloc[1] == "+1 -1"


def test_without_runs_the_example_is_shown(project):
    caption = f"Example, because runs has no runs yet: 10 runs in {history.EXAMPLE}"
    for store in ("", "runs", str(project / "runs")):
        assert history.table(history.read(store)).caption == caption
    shutil.rmtree(history.EXAMPLE)
    # A family without one sees that of imagekit.
    assert "10 runs in " in history.table(history.read()).caption


def test_another_store_never_shows_the_example(project):
    with pytest.raises(UsageError, match="nosuchdir: folder not found"):
        history.read("nosuchdir")
    (project / "empty").mkdir()
    assert history.table(history.read("empty")).caption == "0 runs in empty"


def test_a_run_does_not_count_itself(project, monkeypatch):
    itself = record(Store("runs"), 1, outcome="running", host="elsewhere", process=1)
    assert history.table(history.read()).caption == "1 run in runs"
    monkeypatch.setenv(RUN_VARIABLE, f"{project}/runs/{itself}")
    assert history.table(history.read()).caption.startswith("Example, because runs has no runs")
    record(Store("runs"), 2)
    found = history.table(history.read())
    assert found.caption == "1 run in runs"
    assert itself not in found.frame.index


def test_the_store_is_the_one_that_the_run_is_recorded_in(project, monkeypatch):
    shutil.copytree(history.EXAMPLE, "other")
    record(Store("runs"))
    monkeypatch.setenv(RUN_VARIABLE, f"{project}/other/20260101T000000.0Z-history-00000000")
    assert history.table(history.read()).caption == "10 runs in other"
    assert history.table(history.read("runs")).caption == "1 run in runs"


def test_filters():
    found = history.read("runs", outcomes=["failed"], given=["check=True"])
    assert history.table(found).caption.endswith(f": 1 run of 10 in {history.EXAMPLE}")
    assert len(history.read("runs", since="2026-11-23T20:33", notebook="exp*").entries) == 1
    with pytest.raises(UsageError, match="'check' is not NAME=GLOB"):
        history.read("runs", given=["check"])


def test_what_changed_last():
    table = history.latest_changes(history.read("runs"))
    assert "1 added, 1 removed" in table.caption
    assert list(table.frame["image"]) == ["gpu-ubuntu2404-py314-cuda130", "cpu-ubuntu2404-py312"]
    nothing = history.latest_changes(history.read("runs", notebook="explore"))
    assert str(nothing) == "Nothing to compare: no run generated images"
    first = history.read("runs", until="2026-11-23T20:32:30")
    assert str(history.latest_changes(first)) == (
        f"Nothing to compare: {first.entries[-1].run}: no earlier run with the "
        "same config and output"
    )


@pytest.mark.parametrize("draw", [history.durations, history.sizes])
def test_plots_are_pictures_with_words(draw):
    picture = draw(history.read("runs"))
    root = ET.fromstring(picture.svg)
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == str(picture).splitlines()[0]
    texts = {"".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")}
    assert texts & {"seconds", "images"}
    assert "currentColor" in picture.svg
    assert history.INK not in picture.svg
    assert picture.svg == draw(history.read("runs")).svg


@pytest.mark.parametrize("days", [0, 1e-4, 0.1, 3, 100, 1500, 20_000])
def test_a_plot_of_any_span_draws_without_a_warning(days):
    found = history.read("runs")
    one = next(entry for entry in found.entries if entry.images)
    then = datetime.datetime.fromisoformat(one.started) + datetime.timedelta(days)
    found.entries = [one, msgspec.structs.replace(one, started=then.isoformat())]
    assert "2 runs" in str(history.sizes(found))


def test_a_plot_of_a_single_run_shows_the_hours_around_it():
    found = history.read("runs")
    found.entries = [entry for entry in found.entries if entry.images][:1]
    picture = history.sizes(found)
    texts = {"".join(t.itertext()).strip() for t in ET.fromstring(picture.svg).iter(f"{SVG}text")}
    assert "1 run" in str(picture)
    assert "20:00" in texts


def test_an_invalid_time_is_missing_in_the_frame():
    found = history.read("runs")
    odd = [msgspec.structs.replace(found.entries[0], started=text) for text in ("yesterday", "")]
    found.entries = [*odd, found.entries[1]]
    assert list(history.frame(found)["began"].isna()) == [True, True, False]


def test_plots_of_nothing():
    found = history.read("runs", outcomes=["interrupted"])
    for show in (history.durations, history.sizes, history.outcomes):
        bundle = show(found)._repr_mimebundle_()
        assert bundle["text/plain"].startswith("No runs")
        assert bundle["text/html"] == f"<p>{bundle['text/plain']}</p>"
    assert history.table(found).frame.empty


def test_many_series_all_look_different_and_the_legend_is_whole(project):
    store = Store(project / "many")
    for number in range(25):
        record(store, number, notebook=f"n{number:02}.ipynb", seconds=1.0)
    svg = ET.fromstring(history.durations(history.read("many")).svg)
    (legend,) = (g for g in svg.iter(f"{SVG}g") if g.get("id") == "legend_1")
    uses = list(legend.iter(f"{SVG}use"))
    shapes = {path.get("id"): (path.get("d"), path.get("style")) for path in svg.iter(f"{SVG}path")}
    looks = {shapes[use.get("{http://www.w3.org/1999/xlink}href")[1:]] for use in uses}
    assert len(uses) == len(looks) == 25
    height = float(svg.get("viewBox").split()[3])
    assert all(0 < float(use.get("y")) < height for use in uses)


def test_one_run_with_a_long_name_leaves_room_for_the_plot(project):
    store = Store(project / "long")
    name = "folder/" * 30 + "images.yaml"
    record(store, result=build(a="1") | {"config": name, "inputs": {}})
    picture = history.sizes(history.read("long"))
    assert f"{name}: from 1 to 1 images" in str(picture)
    svg = ET.fromstring(picture.svg)
    texts = ["".join(text.itertext()).strip() for text in svg.iter(f"{SVG}text")]
    assert [text for text in texts if "folder" in text] == [f"…{name[-39:]}"]


def test_outcomes_are_counted_whatever_they_are(project):
    store = Store("runs")
    for number, outcome in enumerate(["succeeded", "succeeded", "running"]):
        began = {"host": platform.node(), "process": 2**22 - 1} if outcome == "running" else {}
        record(store, number, outcome=outcome, seconds=None if began else 2.0, **began)
    store.write("damaged.ipynb", b"{")
    frame = history.outcomes(history.read()).frame
    assert frame.reset_index().to_numpy().tolist() == [
        ["(unknown)", "unreadable", 1, "", ""],
        ["generate", "killed", 1, "", ""],
        ["generate", "succeeded", 2, "2.0", "2.0"],
    ]


def test_files_that_are_not_runs_have_a_row_and_no_mark_in_a_plot(project):
    folder = pathlib.Path(history.EXAMPLE)
    (folder / "foreign.ipynb").write_text('{"cells": []}')
    (folder / "damaged.ipynb").write_text("{")
    found = history.read("runs")
    rows = history.table(found).frame
    assert rows.loc["foreign", "outcome"] == "· not a run"
    assert rows.loc["damaged", "outcome"] == "✗ unreadable"
    began = history.frame(found)["began"]
    assert pd.isna(began["foreign"])
    assert began["damaged"].timestamp() == pytest.approx((folder / "damaged.ipynb").stat().st_mtime)
    assert str(history.durations(found)).startswith("Durations of 10 runs")
