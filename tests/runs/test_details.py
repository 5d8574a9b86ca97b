"""What only a run's own files say."""

import hashlib

import nbformat

from imagekit.runs import details, history
from imagekit.runs.record import RESULT_TYPE
from tests.runs.conftest import record


def lines_of(store, name):
    entry = history.read(store).find(name)
    return "\n".join(details.lines(entry, details.read(store, name), "files"))


def test_a_record_says_most(store):
    name = record(store, exit_code=4, versions={"python": "3.13"}, result={"a": {"b": 1}})
    found = details.read(store, name)
    assert (found.exit_code, found.versions, found.result) == (
        4,
        {"python": "3.13"},
        {"a": {"b": 1}},
    )
    lines = lines_of(store, name).splitlines()
    assert "exit code   4" in lines
    assert "versions    python 3.13" in lines
    assert lines[lines.index("result      {") + 1] == '              "a": {'


def test_a_notebook_of_plain_papermill_says_some(store):
    made = nbformat.v4.new_notebook(metadata={"papermill": {"start_time": "s", "end_time": "e"}})
    data = nbformat.from_dict({RESULT_TYPE: {"outputs": {"c.json": None}}})
    shown = nbformat.v4.new_output("execute_result", data=data)
    made.cells.append(nbformat.v4.new_code_cell("1", outputs=[shown]))
    store.write("plain.ipynb", nbformat.writes(made).encode())
    found = details.read(store, "plain")
    assert (found.finished, found.exit_code) == ("e", None)
    assert "outputs     c.json  not found" in lines_of(store, "plain")


def test_damaged_files_say_nothing(store):
    store.write("x.ipynb", b"{")
    assert details.read(store, "x") == details.read(store, "absent") == details.Details()
    name = record(store)
    store.write(f"{name}.json", b"{")
    assert details.read(store, name) == details.Details()


def test_what_machines_read_is_not_shown_to_people(store):
    name = record(store, result={"build": {"images": "many"}, "commit": "abc"})
    assert "many" not in lines_of(store, name)
    assert details.read(store, name).result["build"] == {"images": "many"}


def test_signs_that_move_the_cursor_are_shown_as_signs(store):
    cell = {"number": 1, "error": "E", "message": "red \x1b[31m\nand more"}
    name = record(store, outcome="failed", cell=cell)
    assert r"cell 1: E: red \x1b[31m" in lines_of(store, name)
    assert "\n            and more\n" in lines_of(store, name)


def test_a_notebook_that_was_left_and_is_gone_is_missed(store, read):
    data = b'{"cells": []}'
    name = record(store, executed_sha256=hashlib.sha256(data).hexdigest())
    assert read(store)[name].problem == "its notebook is missing"
    store.write(f"{name}.ipynb", data)
    assert read(store)[name].problem == ""
    (store.folder / f"{name}.ipynb").unlink()
    assert read(store)[name].problem == "its notebook is missing"
    # A record that says nothing of a notebook misses none.
    plain = record(store, 1, outcome="failed")
    assert read(store)[plain].problem == ""
