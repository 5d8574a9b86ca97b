"""Notebooks without what differs from one machine or front end to another."""

import copy
import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.support import notebooks

CLEAN = {
    "cells": [
        {
            "cell_type": "code",
            "execution_count": 1,
            "id": "a",
            "metadata": {"tags": ["parameters"]},
            "outputs": [
                {
                    "data": {"text/plain": ["1"]},
                    "execution_count": 1,
                    "metadata": {},
                    "output_type": "execute_result",
                }
            ],
            "source": ["x = 1\n", "x"],
        },
        {"cell_type": "markdown", "id": "b", "metadata": {}, "source": ["# Häuser"]},
    ],
    "metadata": {"kernelspec": notebooks.KERNEL, "language_info": {"name": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def cleaned(notebook):
    notebook = notebooks.read(json.dumps(notebook).encode())
    notebooks.clean(notebook)
    return notebook


def test_a_clean_notebook_is_the_bytes_that_nbformat_writes():
    written = nbformat.writes(nbformat.from_dict(CLEAN)) + "\n"
    assert notebooks.text(cleaned(CLEAN)).decode() == written
    assert cleaned(CLEAN) == CLEAN


def test_what_a_front_end_leaves_is_removed_and_outputs_stay():
    saved = copy.deepcopy(CLEAN)
    saved["metadata"] = {
        "kernelspec": {"display_name": "venv (3.13)", "language": "python", "name": "venv"},
        "language_info": {"name": "python", "version": "3.13.1", "nbconvert_exporter": "python"},
        "papermill": {"duration": 3.1},
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }
    code, prose = saved["cells"]
    code |= {"execution_count": 17, "source": "x = 1\nx"}
    code["outputs"][0]["execution_count"] = 17
    code["outputs"].append({"data": {notebooks.WIDGET: {}, "text/plain": ["VBox()"]}})
    code["metadata"] |= {
        "execution": {"iopub.status.busy": "2026-01-01"},
        "scrolled": True,
        "collapsed": False,
    }
    prose["metadata"] |= {"tags": [], "papermill": {}}
    assert cleaned(saved) == CLEAN


def test_what_is_the_authors_stays():
    mine = copy.deepcopy(CLEAN)
    mine["metadata"] = {"kernelspec": {"name": "ir", "language": "R"}, "authors": [{"name": "a"}]}
    mine["cells"][0]["metadata"] = {"jupyter": {"source_hidden": True}, "slideshow": {}}
    mine["cells"][0] |= {"execution_count": None, "outputs": []}
    assert cleaned(mine) == mine
    # Without any word of a language, a notebook is Python's.
    for metadata in ({}, {"kernelspec": None}, {"kernelspec": {"name": "mine"}}):
        assert cleaned({**mine, "metadata": metadata})["metadata"]["kernelspec"] == notebooks.KERNEL
    other = {"language_info": {"name": "julia", "version": "1.12"}}
    assert cleaned({**mine, "metadata": other})["metadata"] == {}


@given(
    st.recursive(
        st.none() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_cleaning_twice_is_cleaning_once(value):
    notebook = copy.deepcopy(CLEAN)
    notebook["metadata"]["mine"] = notebook["cells"][0]["metadata"]["mine"] = value
    once = notebooks.text(cleaned(notebook))
    again = notebooks.read(once)
    notebooks.clean(again)
    assert notebooks.text(again) == once


def test_half_of_a_surrogate_pair_stays_and_can_be_read():
    notebook = copy.deepcopy(CLEAN)
    notebook["cells"][0]["outputs"] = [{"text": ["\ud800 x"]}]
    assert notebooks.read(notebooks.text(notebook)) == notebook
    assert b'"\\ud800 x"' in notebooks.text(notebook)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "not a notebook"),
        (b'{"metadata": 1}', "not a notebook"),
        (b'{"metadata": {}, "worksheets": []}', "not a notebook of format 4"),
        (b'{"metadata": {}, "cells": [{"cell_type": "code", "metadata": {}}]}', "of format 4"),
        (b'{"metadata": {}, "cells": [1]}', "of format 4"),
        (
            b'{"metadata": {}, "cells": [{"cell_type": "code", "metadata": {}, "source": [1]}]}',
            "of format 4",
        ),
        (b"{", "Expecting property name"),
    ],
)
def test_what_is_no_notebook(data, message):
    with pytest.raises(ValueError, match=message):
        notebooks.read(data)


def test_a_cleared_notebook_has_no_outputs():
    notebook = copy.deepcopy(CLEAN)
    notebooks.clear(notebook)
    code, prose = notebook["cells"]
    assert (code["outputs"], code["execution_count"]) == ([], None)
    assert "outputs" not in prose
