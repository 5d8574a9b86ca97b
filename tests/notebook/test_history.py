import datetime
import pathlib
import platform
import shutil
import time
import xml.etree.ElementTree as ET

import msgspec
import pandas as pd
import pytest

import imagekit
from imagekit.errors import UsageError
from imagekit.notebook import history
from imagekit.notebook.display import Table
from imagekit.notebook.history_choice import Chosen
from imagekit.runs.record import RUN_VARIABLE
from imagekit.runs.store import Store
from tests.runs.conftest import build, record

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch, family):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(RUN_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(family / "notebooks/example-runs", tmp_path / history.EXAMPLE)
    return tmp_path


def test_the_frame_has_typed_columns():
    found = imagekit.to_pandas(history.read(history.EXAMPLE))
    assert len(found) == 10
    assert found["began"].dt.tz is not None
    assert found["seconds"].sum() > 10
    assert list(found["added"].dropna()) == [0, 1, 0, 0, 1]
    assert found["outcome"].astype(str).value_counts().to_dict() == {"succeeded": 8, "failed": 2}
    assert set(found["config_sha256"].dropna().str.len()) == {64}


def test_the_table_begins_with_the_latest():
    table = history.table(history.read(history.EXAMPLE))
    assert table.caption == f"10 runs in {history.EXAMPLE}"
    assert list(table.frame["outcome"][:4]) == ["succeeded"] * 3 + ["failed"]
    assert list(table.frame.columns[:4]) == ["outcome", "changes", "why", "notebook"]
    assert table.frame["parameters"].iloc[0] == 'only=["gpu-*"]'
    assert table.frame["changes"].iloc[1] == "+1 -1"
    texts = table.texts()
    assert list(texts["outcome"][2:4]) == ["✓ succeeded", "✗ failed"]
    assert texts["config"].iloc[1] == "d5f617a99d"


def test_a_name_links_to_the_executed_notebook_if_it_is_in_the_project(project):
    store = Store("runs")
    first, second = record(store, 1), record(store, 2)
    store.write(f"{second}.ipynb", b"{}")
    page = history.table(history.read()).html()
    assert f'<a href="../runs/{second}.ipynb">generate</a>' in page
    assert first in page
    assert page.count("<a ") == 1
    outside = Store(project.parent / "elsewhere")
    outside.write(f"{record(outside, 1)}.ipynb", b"{}")
    assert "<a " not in history.table(history.read(str(project.parent / "elsewhere"))).html()


def test_a_remote_store_has_no_links(project):
    pytest.importorskip("fsspec")
    assert list(history.links(Store("memory://runs"), ["a", "b"])) == ["", ""]


@pytest.mark.parametrize(
    ("chosen", "number"),
    [
        ({}, 10),
        ({"outcomes": ["failed"]}, 2),
        ({"notebook": "explore"}, 2),
        ({"text": "driftERROR"}, 1),
        ({"text": "a9d2cc81"}, 1),
        ({"text": "only=["}, 1),
        ({"text": "no such thing"}, 0),
        ({"since": datetime.date(2026, 11, 23), "until": datetime.date(2026, 11, 23)}, 10),
        ({"since": datetime.date(2026, 11, 24)}, 0),
        ({"until": datetime.date(2026, 11, 22)}, 0),
    ],
)
def test_a_person_chooses_runs(chosen, number):
    runs = imagekit.to_pandas(history.read(history.EXAMPLE))
    assert len(Chosen(**chosen).of(runs)) == number


def test_in_an_interactive_front_end_there_are_filters(monkeypatch):
    runs = history.read()
    assert isinstance(history.browse(runs), Table)
    monkeypatch.setenv("IMAGEKIT_INTERACTIVE", "1")
    browser = history.browse(runs)
    assert "10 of 10 runs" in browser.counts.value
    assert list(browser.outcomes) == ["succeeded", "failed"]
    browser.outcomes["succeeded"].value = False
    assert "2 of 10 runs" in browser.counts.value
    browser.text.value = " drift "
    (shown,) = browser.shown.outputs
    assert shown["data"]["text/plain"].startswith("1 failed\n")
    browser.text.value = "no such thing"
    (shown,) = browser.shown.outputs
    assert shown["data"]["text/plain"].startswith("No run matches the filters")
    assert "DriftError" in browser._repr_mimebundle_()["text/html"]


def test_very_many_runs_are_summarised(project):
    store = Store("many")
    for number in range(600):
        record(store, number, seconds=1.0, outcome="failed" if number % 3 else "succeeded")
    runs = history.read("many")
    table = history.table(runs)
    assert table.caption == "600 runs in many"
    assert str(table).splitlines()[-1] == "… and 100 more rows"
    assert history.outcomes(runs).frame["runs"].to_dict() == {"generate": 600}
    picture = history.durations(runs)
    assert "generate: 600 runs, median 1.0 s, at most 1.0 s" in str(picture)
    titles = [e.text for e in ET.fromstring(picture.svg).iter(f"{SVG}title")][1:]
    assert len(titles) == history.POINTS
    assert "5 runs, median 1.0" in titles[0]


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
    assert list(table.frame.index) == ["gpu-ubuntu2404-py314-cuda130", "cpu-ubuntu2404-py312"]
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
    texts = list(root.iter(f"{SVG}text"))
    assert {text.get("fill") for text in texts} == {"currentColor"}
    assert any("runs, " in "".join(text.itertext()) for text in texts)
    assert picture.svg == draw(history.read("runs")).svg


def test_pictures_do_not_depend_on_the_time_zone(monkeypatch):
    svg = history.durations(history.read("runs")).svg
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert history.durations(history.read("runs")).svg == svg
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_point_says_what_it_is():
    picture = history.durations(history.read("runs"))
    titles = {e.text for e in ET.fromstring(picture.svg).iter(f"{SVG}title")}
    assert "2026-11-23 20:33:26: 2.2 s, failed" in titles


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
    assert {"20:00", "21:00"} <= texts


def test_an_invalid_time_is_missing_in_the_frame():
    found = history.read("runs")
    odd = [msgspec.structs.replace(found.entries[0], started=text) for text in ("yesterday", "")]
    found.entries = [*odd, found.entries[1]]
    assert list(imagekit.to_pandas(found)["began"].isna()) == [True, True, False]


def test_plots_of_nothing():
    found = history.read("runs", outcomes=["interrupted"])
    for show in (history.durations, history.sizes, history.outcomes):
        bundle = show(found)._repr_mimebundle_()
        assert bundle["text/plain"].startswith("No runs")
        assert bundle["text/html"] == f"<p>{bundle['text/plain']}</p>"
    assert history.table(found).frame.empty


def test_many_notebooks_have_a_chart_each_up_to_a_limit(project):
    store = Store(project / "many")
    for number in range(50):
        record(store, number, notebook=f"n{min(number, 24):02}.ipynb", seconds=1.0)
    picture = history.durations(history.read("many"))
    assert str(picture).startswith(
        "Durations of 50 runs, in seconds; the 20 most frequent of 25 are shown\n"
    )
    texts = ["".join(t.itertext()) for t in ET.fromstring(picture.svg).iter(f"{SVG}text")]
    assert sum(text.startswith("n") for text in texts) == history.ROWS
    assert "n24: 26 runs, median 1.0 s, at most 1.0 s" in str(picture)


def test_a_long_name_keeps_its_end(project):
    store = Store(project / "long")
    name = "folder/" * 30 + "images.yaml"
    record(store, result=build(a="1") | {"config": name, "inputs": {}})
    picture = history.sizes(history.read("long"))
    assert f"{name}: 1 run, from 1 to 1 images" in str(picture)
    texts = ["".join(t.itertext()).strip() for t in ET.fromstring(picture.svg).iter(f"{SVG}text")]
    assert [text for text in texts if "folder" in text] == [
        f"…{name[-29:]}1 run, from 1 to 1 images"
    ]


def test_outcomes_are_counted_whatever_they_are(project):
    store = Store("runs")
    for number, outcome in enumerate(["succeeded", "succeeded", "running"]):
        began = {"host": platform.node(), "process": 2**22 - 1} if outcome == "running" else {}
        record(store, number, outcome=outcome, seconds=None if began else 2.0, **began)
    store.write("damaged.ipynb", b"{")
    table = history.outcomes(history.read())
    assert table.frame["runs"].to_dict() == {"(unknown)": 1, "generate": 3}
    assert table.frame.loc["generate", "✗ killed"] == 1
    assert table.frame.loc["generate", "median"] == 2.0
    assert "(unknown)" in str(table)


def test_files_that_are_not_runs_have_a_row_and_no_mark_in_a_plot(project):
    folder = pathlib.Path(history.EXAMPLE)
    (folder / "foreign.ipynb").write_text('{"cells": []}')
    (folder / "damaged.ipynb").write_text("{")
    found = history.read("runs")
    rows = history.table(found).frame
    assert rows.loc["foreign", "outcome"] == "not a run"
    assert rows.loc["damaged", "outcome"] == "unreadable"
    began = imagekit.to_pandas(found)["began"]
    assert pd.isna(began["foreign"])
    assert began["damaged"].timestamp() == pytest.approx((folder / "damaged.ipynb").stat().st_mtime)
    assert str(history.durations(found)).startswith("Durations of 10 runs")
