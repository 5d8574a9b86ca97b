"""What files say that cannot be: a run is one entry all the same, and the others are there, too."""

import json
import os
import platform

import pytest

from imagekit.runs import entry as entries
from imagekit.runs import history
from imagekit.runs.entry import Entry
from imagekit.runs.record import now
from tests.runs.conftest import build, record
from tests.runs.test_history import notebook, put

HUGE = 10**30
HERE = {"outcome": "running", "host": platform.node()}


def twice(store):
    """The entries of a store, as they are read and as the index keeps them."""
    first = {entry.run: entry for entry in history.read(store).entries}
    second = {entry.run: entry for entry in history.read(store).entries}
    assert first.keys() == second.keys()
    return first, second


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"parameters": {"n": HUGE, "m": [2**63, -HUGE]}},
            {"parameters": {"n": HUGE, "m": [2**63, -HUGE]}},
        ),
        ({"cell": {"number": HUGE, "error": "E", "message": ""}}, {"cell.number": None}),
        ({"cell": {"number": 2**63, "error": "E", "message": ""}}, {"cell.number": None}),
        ({"result": build(a="1") | {"images": {"total": HUGE}}}, {"images": None}),
        ({"result": build(a="1") | {"images": {"total": 2**63}}}, {"images": None}),
        ({"result": build(a="1") | {"images": {"total": -1}}}, {"images": None}),
        ({"result": build(a="1") | {"images": {"total": True}}}, {"images": None}),
        ({"result": build(a="1") | {"images": {"total": 2**63 - 1}}}, {"images": 2**63 - 1}),
        ({"seconds": 1e300}, {"seconds": None}),
        ({"started": "yesterday"}, {"started": "2026-01-01T00:00:00+00:00"}),
        ({"started": ""}, {"started": "2026-01-01T00:00:00+00:00"}),
        ({"started": "2026-05-01T12:00:00"}, {"started": "2026-05-01T12:00:00+00:00"}),
        ({"started": "2026-05-01T12:00:00+02:00"}, {"started": "2026-05-01T10:00:00+00:00"}),
        ({"started": "0001-01-01T00:00:00+02:00"}, {"started": "2026-01-01T00:00:00+00:00"}),
        (HERE | {"process": -5}, {"outcome": "running", "process": None}),
        (HERE | {"process": HUGE}, {"outcome": "running", "process": None}),
        (HERE | {"process": os.getpid(), "started": "yesterday"}, {"outcome": "killed"}),
        (HERE | {"process": os.getpid(), "started": "2999-01-01T00:00:00"}, {"seconds": 0.0}),
    ],
)
def test_a_record_with_a_value_that_cannot_be(fields, expected, store):
    name = record(store)
    path = store.folder / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    for found in twice(store):
        assert len(found) == 11
        values = {key: getattr(found[name], key.partition(".")[0]) for key in expected}
        if "cell.number" in values:
            values["cell.number"] = values["cell.number"].number
        assert values == expected


@pytest.mark.parametrize(
    ("papermill", "expected"),
    [
        ({"duration": HUGE}, {"seconds": None}),
        ({"duration": True}, {"seconds": None}),
        ({"duration": "long"}, {"seconds": None}),
        ({"duration": 3}, {"seconds": 3.0}),
        ({"parameters": {"n": HUGE}}, {"parameters": {"n": HUGE}}),
        ({"parameters": [1]}, {"parameters": {}}),
        ({"start_time": "yesterday"}, {"outcome": "succeeded"}),
        ({"start_time": 7}, {"outcome": "not a run"}),
    ],
)
def test_a_notebook_with_a_value_that_cannot_be(papermill, expected, store):
    put(store, "x.ipynb", notebook(papermill=papermill))
    for found in twice(store):
        assert {key: getattr(found["x"], key) for key in expected} == expected


def test_a_number_of_a_cell_that_cannot_be(store):
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    made = json.loads(notebook([error]))
    made["cells"][0]["execution_count"] = HUGE
    put(store, "x.ipynb", made)
    for found in twice(store):
        assert (found["x"].outcome, found["x"].cell.number) == ("failed", None)


@pytest.mark.parametrize("process", [None, os.getpid(), 2**31 - 1], ids=["none", "own", "gone"])
def test_a_run_whose_beginning_nobody_knows(process):
    entry = Entry(run="x", outcome="running", host=platform.node(), process=process)
    settled = entries.with_current_state(entry, now())
    assert settled.outcome == ("killed" if process == 2**31 - 1 else "running")
    assert settled.seconds is None


def test_a_file_whose_name_is_no_text(store):
    try:
        (store.folder / "odd\udcff.ipynb").write_bytes(notebook())
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such name")
    for found in twice(store):
        assert found["odd\\udcff"].outcome == "succeeded"
