"""Notebooks of a family: shipped without outputs, and compared without them."""

from __future__ import annotations

import json
from typing import Any

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""The metadata of every shipped notebook; front ends add versions of their own."""
OWN = ("tags",)
"""The metadata of a cell that is the author's; the rest is how a front end left it."""


def cleared(data: bytes) -> bytes:
    """Return a notebook without outputs and what else an execution leaves.

    Raises ValueError if the bytes are not a notebook.
    """
    notebook = _read(data)
    notebook["metadata"] = METADATA
    for cell in notebook["cells"]:
        cell["metadata"] = {key: cell["metadata"][key] for key in OWN if key in cell["metadata"]}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    return _text(notebook)


def with_outputs(data: bytes, executed: bytes) -> bytes:
    """Return a notebook with the outputs that an executed one has for the same cells."""
    notebook, before = _read(data), _read(executed)
    results = {
        (cell.get("id"), "".join(cell["source"])): cell
        for cell in before["cells"]
        if cell["cell_type"] == "code"
    }
    for cell in notebook["cells"]:
        result = results.get((cell.get("id"), "".join(cell["source"])))
        if cell["cell_type"] == "code" and result is not None:
            cell |= {key: result[key] for key in ("execution_count", "outputs")}
    return _text(notebook)


def _read(data: bytes) -> Any:
    notebook = json.loads(data)
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("not a notebook")
    for cell in notebook["cells"]:
        if not isinstance(cell, dict) or not {"cell_type", "metadata", "source"} <= cell.keys():
            raise ValueError("not a cell of a notebook")
    return notebook


def _text(notebook: Any) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
