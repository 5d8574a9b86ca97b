"""Reading a run store, whatever lies in it."""

import json
import os
import platform

import nbformat
import pytest

from imagekit.errors import UsageError
from imagekit.runs import history
from imagekit.runs.index import Counts
from imagekit.runs.record import RESULT_TYPE
from imagekit.runs.store import Store
from tests.runs.conftest import build, record


def put(store, name, data):
    path = store.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())


def notebook(outputs=(), papermill=None, cell=None):
    made = nbformat.v4.new_notebook()
    code = nbformat.v4.new_code_cell(
        "1", outputs=[nbformat.from_dict(o) for o in outputs], execution_count=1
    )
    code.metadata["papermill"] = {"status": "completed"} | (cell or {})
    made.cells.append(code)
    made.metadata["papermill"] = {
        "start_time": "2026-01-01T00:00:00+00:00",
        "end_time": "2026-01-01T00:00:02+00:00",
        "duration": 2.0,
        "exception": None,
        "input_path": "notebooks/generate.ipynb",
        "parameters": {"config": "c.yaml"},
    } | (papermill or {})
    return nbformat.writes(made).encode()


def test_every_run_is_one_entry_in_the_order_of_time(store):
    entries = history.read(store).entries
    assert len(entries) == 10
    assert [entry.run for entry in entries] == sorted(entry.run for entry in entries)
    last = entries[-2]
    assert (last.images, last.config, len(last.config_sha256)) == (5, "config/images.yaml", 64)


@pytest.mark.parametrize("second", [False, True], ids=["read", "indexed"])
def test_a_damaged_file_is_one_entry_that_says_so(store, read, second):
    damaged, cut = sorted(store.folder.glob("*.json"))[:2]
    if second:
        read(store)
    damaged.write_bytes(b"\xff\x00")
    cut.write_bytes(cut.read_bytes()[:100])
    put(store, "half.ipynb", b'{"cells": [')
    put(store, "list.ipynb", b"[]")
    put(store, "deep.ipynb", b"[" * 100_000)
    put(store, "empty.ipynb", b"")
    found = read(store)
    assert len(found) == 14
    bad = [entry for entry in found.values() if entry.outcome == "unreadable"]
    assert {entry.run for entry in bad} == {damaged.stem, cut.stem, "half", "list", "deep", "empty"}
    assert all("cannot be read" in entry.problem for entry in bad)


def test_a_record_whose_notebook_is_damaged_says_so_and_keeps_its_outcome(store, read):
    name = record(store)
    put(store, f"{name}.ipynb", b"{")
    assert read(store)[name].outcome == "succeeded"
    assert "its notebook cannot be read" in read(store)[name].problem


def test_a_notebook_stands_in_for_a_damaged_record(store, read):
    name = record(store)
    put(store, f"{name}.json", b"{")
    put(store, f"{name}.ipynb", notebook())
    assert read(store)[name].outcome == "succeeded"
    assert "its record cannot be read" in read(store)[name].problem


def test_links_are_followed_and_what_they_lead_to_in_vain_is_told(store, read):
    put(store, "a.ipynb", notebook())
    (store.folder / "b.ipynb").symlink_to(store.folder / "a.ipynb")
    (store.folder / "gone.ipynb").symlink_to(store.folder / "nowhere")
    (store.folder / "loop.ipynb").symlink_to(store.folder / "loop.ipynb")
    found = read(store)
    assert len(found) == 13
    assert found["b"].outcome == "succeeded"
    assert found["loop"].outcome == "unreadable"
    assert "Too many levels of symbolic links" in found["loop"].problem


class Refusing(Store):
    """Whoever is root may read everything; this stands in for a file that may not be read."""

    refused = ".ipynb"

    def read(self, names):
        for name, data in super().read(names):
            no = PermissionError(13, "Permission denied")
            yield name, no if name.endswith(self.refused) else data


def test_a_file_that_may_not_be_read_is_tried_again_the_next_time(store, read):
    put(store, "a.ipynb", notebook())
    for _ in range(2):
        found = read(Refusing(store.address))
        assert found["a"].outcome == "unreadable"
        assert found["a"].problem == "its notebook cannot be read: Permission denied"
    assert read(store)["a"].outcome == "succeeded"


def test_what_cannot_be_read_stands_where_it_belongs_in_time(store):
    name = record(store, 400)
    put(store, f"{name}.json", b"{")
    put(store, "damaged.ipynb", b"{")
    put(store, "20270101T000000Z-not-quite.ipynb", b"{")
    os.utime(store.folder / "damaged.ipynb", (1_900_000_000, 1_900_000_000))
    os.utime(store.folder / "20270101T000000Z-not-quite.ipynb", (1_800_000_000, 1_800_000_000))
    *_, first, second, third = history.read(store).entries
    assert (first.run, first.started) == ("20270101T000000Z-not-quite", "2027-01-15T08:00:00+00:00")
    assert (second.run, second.started) == (name, "2027-02-05T00:00:00+00:00")
    assert (third.run, third.started) == ("damaged", "2030-03-17T17:46:40+00:00")


def test_a_folder_that_cannot_be_looked_into_is_one_entry(store, read, monkeypatch):
    put(store, "closed/a.ipynb", notebook())
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = read(store)
    assert len(found) == 11
    assert found["closed/"].problem == "this folder cannot be read: Permission denied"
    assert found["closed/"].started
    assert found == read(store)


def test_a_foreign_notebook_is_no_run(store, read):
    put(store, "foreign.ipynb", nbformat.writes(nbformat.v4.new_notebook()).encode())
    put(store, "odd.ipynb", {"cells": [], "metadata": {"papermill": 1}})
    found = read(store)
    assert {found[name].outcome for name in ("foreign", "odd")} == {"not a run"}


def test_other_files_are_ignored(store, read):
    put(store, "build/report.json", {"steps": []})
    put(store, ".ipynb_checkpoints/x-checkpoint.ipynb", notebook())
    put(store, "notes.txt", b"")
    assert len(read(store)) == 10


ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (notebook(), "succeeded"),
        (notebook([ERROR], {"exception": True}), "failed"),
        (notebook([ERROR | {"ename": "SystemExit"}], {"exception": True}), "exited"),
        (notebook(papermill={"exception": True}), "failed"),
        (notebook(papermill={"end_time": None}), "unfinished"),
        (notebook(cell={"status": "pending"}), "unfinished"),
    ],
)
def test_how_a_run_of_plain_papermill_ended(made, outcome, store, read):
    put(store, "deep/down.ipynb", made)
    entry = read(store)["deep/down"]
    assert entry.outcome == outcome
    assert (entry.notebook, entry.seconds) == ("notebooks/generate.ipynb", 2.0)
    assert entry.parameters == {"config": "c.yaml"}


def test_what_plain_papermill_s_notebook_computed(store, read):
    data = {"output_type": "execute_result", "metadata": {}, "execution_count": 1}
    result = build(a="3.12") | {"commit": "abc"}
    put(store, "x.ipynb", notebook([data | {"data": {RESULT_TYPE: result}}]))
    entry = read(store)["x"]
    assert (entry.commit, entry.images, entry.config_sha256) == ("abc", 1, "hash")
    assert history.read(store).build(entry).images.keys() == {"a"}


@pytest.mark.parametrize(
    "odd", [{"build": 1}, {"build": {"images": 1}}, {"images": 1}, {"config": 1}]
)
def test_a_result_of_another_kind_is_no_error(odd, store, read):
    name = record(store, result=odd)
    assert read(store)[name].outcome == "succeeded"


# ---- runs without an end


def test_a_run_that_runs_and_one_whose_runner_is_gone(store, read):
    begun = {"outcome": "running", "host": platform.node()}
    lives = record(store, 20_000, process=os.getpid(), **begun)
    gone = record(store, 1, process=2**22 - 1, **begun)
    other = record(store, 2, outcome="running", host="elsewhere", process=1)
    number_taken = record(store, 3, process=os.getpid(), **begun)
    found = read(store)
    assert found[lives].outcome == "running"
    assert found[gone].outcome == found[number_taken].outcome == "killed"
    assert (found[other].outcome, found[other].problem) == ("running", "on elsewhere")


def test_a_run_that_ends_is_read_again(store, read):
    name = record(store, outcome="running", host="elsewhere", process=1)
    assert read(store)[name].outcome == "running"
    record(store, outcome="failed")
    assert read(store)[name].outcome == "failed"


# ---- what is kept of it


class Counting(Store):
    def __init__(self, address):
        super().__init__(address)
        self.calls = []

    @property
    def asked(self):
        return [name for call in self.calls for name in call]

    def read(self, names):
        self.calls.append(list(names))
        return super().read(names)


def test_only_what_is_new_is_read(store, read):
    counting = Counting(store.address)
    read(counting)
    assert len(counting.asked) == 10
    name = record(store)
    counting.calls = []
    assert len(read(counting)) == 11
    assert counting.asked == [f"{name}.json"]


def test_what_is_gone_from_the_store_is_gone_from_the_history(store, read):
    before = read(store)
    next(store.folder.iterdir()).unlink()
    assert len(read(store)) == len(before) - 1


def test_the_bar_goes_on_with_each_run_that_is_read(store):
    counting, seen = Counting(store.address), []

    def progress(names, what):
        for name in names:
            yield name
            seen.append((what, name in "".join(counting.asked)))

    history.read(counting, progress)
    assert seen == [("reading runs", True)] * 10
    assert [len(each) for each in counting.calls] == [1] * 10


# ---- against the run before


def test_the_numbers_are_those_of_the_difference(tmp_path):
    store = Store(tmp_path / "runs")
    names = [
        record(store, 1, result=build(a="1", b="1")),
        record(store, 2, result=build(a="2", c="1")),
        record(store, 3, result=build(a="2", c="1")),
        record(store, 4, result=build(z="1") | {"config": "other.yaml"}),
        record(store, 5, parameters={"output": "part.json"}, result=build(a="2")),
        record(store, 6, result=build(a="2")),
    ]
    for _ in "read", "indexed":
        found = history.read(store)
        assert found.counts(found.entries) == {
            names[1]: Counts(1, 1, 1),
            names[2]: Counts(0, 0, 0),
            names[5]: Counts(0, 1, 0),
        }
    assert str(found.changes(found.find(names[1])).changed["a"][0]) == "P 1 → 2"
    assert found.changes(found.find(names[0])) is None


def test_another_repository_is_a_change_though_no_image_is(tmp_path):
    store = Store(tmp_path / "runs")
    record(store, 1, result=build(a="1"))
    moved = build(a="1")
    moved["build"]["repository"] = "elsewhere"
    name = record(store, 2, result=moved)
    found = history.read(store)
    assert found.counts(found.entries) == {name: Counts(0, 0, 0, whole=1)}


def test_only_what_is_known_is_counted(tmp_path):
    store = Store(tmp_path / "runs")
    first, second = record(store, 1, result=build(a="1")), record(store, 2, result=build(b="1"))
    found = history.read(store)
    found.index.database.execute("DELETE FROM builds")
    (store.folder / f"{first}.json").unlink()
    assert found.counts(found.entries) == {}
    record(store, 1, result=build(a="1"))
    assert found.counts(found.entries) == {second: Counts(1, 1, 0)}


def test_counting_many_runs_asks_for_each_once(tmp_path, monkeypatch):
    store = Store(tmp_path / "runs")
    for number in range(50):
        record(store, number, result=build(a=str(number)))
    told = []
    found = history.read(store, lambda names, what: told.append(what) or names)
    asked = []
    entries = found.entries

    class Watched(list):
        def __iter__(self):
            asked.append(1)
            return super().__iter__()

    found.entries = Watched(entries)
    assert len(found.counts(entries)) == 49
    assert len(asked) == 1
    assert told == ["reading runs", "comparing runs"]


def test_finding_a_run(store):
    found = history.read(store)
    runs = [entry.run for entry in found.entries]
    assert found.find("latest").run == runs[-1]
    assert found.find("latest~2").run == runs[-3]
    assert found.find(runs[3]).run == runs[3]
    assert found.find(f"runs/{runs[3]}.ipynb").run == runs[3]
    assert found.find(runs[3][:18]).run == runs[3]
    for name, message in [
        ("2026", "is the beginning of 10 runs"),
        (f"{runs[0]}x", f"did you mean '{runs[0]}'"),
        ("latest~10", "has 10 runs$"),
    ]:
        with pytest.raises(UsageError, match=message):
            found.find(name)


def test_a_name_means_first_what_it_says_literally(tmp_path):
    store = Store(tmp_path / "runs")
    for name in ("a/X", "b/X", "X", "X-later", "b/Y"):
        put(store, f"{name}.ipynb", notebook())
    found = history.read(store)
    for name, run in [
        ("X", "X"),
        ("X.ipynb", "X"),
        ("a/X", "a/X"),
        ("a/", "a/X"),
        ("X-", "X-later"),
        ("runs/X.ipynb", "X"),
        ("/elsewhere/runs/b/X.json", "b/X"),
        ("Y", "b/Y"),
        ("runs/X-l", "X-later"),
    ]:
        assert found.find(name).run == run, name
    with pytest.raises(UsageError, match="is the beginning of 2 runs: b/X, b/Y"):
        found.find("b/")


def test_one_run_is_one_run(tmp_path):
    store = Store(tmp_path / "runs")
    record(store)
    with pytest.raises(UsageError, match=r"has 1 run$"):
        history.read(store).find("latest~1")


# ---- filters


def chosen(store, since="", until="", outcomes=(), notebook="", **parameters):
    matches = history.filter_of(since, until, outcomes, notebook, parameters).matches
    return len([entry for entry in history.read(store).entries if matches(entry)])


def test_filters(store):
    put(store, "foreign.ipynb", {"cells": []})
    assert chosen(store) == 11
    assert chosen(store, since="2026-11-23") == 10
    assert chosen(store, since="2026-11-23T20:33:05") == 6
    assert chosen(store, until="2026-11-23T20:33:05") == 4
    assert chosen(store, until="2026-11-24", since="2020-01-01T00:00:00+02:00") == 10
    assert chosen(store, since="20000w") == 10
    assert chosen(store, since="2999-01-01") == 0
    assert chosen(store, outcomes=("failed",)) == 2
    assert chosen(store, outcomes=("failed", "not a run")) == 3
    assert chosen(store, notebook="explore") == 2
    assert chosen(store, notebook="notebooks/gen*.ipynb") == 8
    assert chosen(store, check="[Tt]rue") == 3
    assert chosen(store, check="true") == chosen(store, check="True") == 3
    assert chosen(store, only='["gpu-*"]') == 1
    assert chosen(store, absent="*") == 0
    assert chosen(store, only="gpu-?") == 1
    assert chosen(store, only="cpu*") == 0


@pytest.mark.parametrize("time", ["yesterday", "7", "7y", "2026-13-01", "999999d"])
def test_an_invalid_time(time):
    with pytest.raises(UsageError, match="is not a valid time; use"):
        history.filter_of(time, "", (), "", {})


def test_an_invalid_outcome():
    with pytest.raises(UsageError, match="did you mean 'failed'"):
        history.filter_of("", "", ("faild",), "", {})
