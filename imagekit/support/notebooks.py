"""Notebook files without what differs from one machine or front end to another.

`imagekit clean-notebooks` writes them, `imagekit init` ships them, and `make notebooks` commits
them. The format is nbformat's (nbformat.readthedocs.io), which plain imagekit does not need.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
"""The kernel of every Python notebook; its name on a machine is that of an environment there."""
TRACES = ("language_info", "papermill", "signature", "widgets")
"""The metadata of a notebook that tells how and where it was executed."""
CELL_TRACES = (
    "ExecuteTime",
    "collapsed",
    "execution",
    "outputId",
    "papermill",
    "scrolled",
    "trusted",
)
"""The metadata of a cell that tells how it was executed and shown."""

WIDGET = "application/vnd.jupyter.widget-view+json"
"""The media type of a widget in an output."""

Notebook = dict[str, Any]


def read(data: bytes) -> Notebook:
    """Return the notebook in a file's bytes.

    Raises json.JSONDecodeError, with the position, if it is not JSON, and ValueError if it is
    something else than a notebook of format 4.
    """
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("metadata"), dict):
        raise ValueError("not a notebook")
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not all(_is_cell(cell) for cell in cells):
        raise ValueError("not a notebook of format 4")
    return notebook


def _is_cell(cell: Any) -> bool:
    return (
        isinstance(cell, dict)
        and isinstance(cell.get("cell_type"), str)
        and isinstance(cell.get("metadata"), dict)
        and isinstance(cell.get("id"), str | None)
        and _is_text(cell.get("source"))
        and isinstance(cell.get("outputs", []), list)
    )


def _is_text(source: Any) -> bool:
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


def text(notebook: Notebook) -> bytes:
    """Return a notebook as a file's bytes, as nbformat writes them."""
    written = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    # Half of a surrogate pair can only be written escaped.
    return (written + "\n").encode("utf-8", "backslashreplace")


def clean(notebook: Notebook) -> None:
    """Remove what differs from one machine or front end to another; outputs stay.

    That is the name of the environment, versions, times, widgets, and how cells were folded.
    Executed cells are numbered from 1.
    """
    metadata = notebook["metadata"]
    language = _word(metadata, "kernelspec", "language") or _word(metadata, "language_info", "name")
    for name in TRACES:
        metadata.pop(name, None)
    if language in ("", "python", "python3"):
        metadata |= {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    numbers = itertools.count(1)
    for cell in notebook["cells"]:
        kept = {k: v for k, v in cell["metadata"].items() if k not in CELL_TRACES}
        cell["metadata"] = {k: v for k, v in kept.items() if not (k == "tags" and v == [])}
        if isinstance(cell["source"], str):
            cell["source"] = cell["source"].splitlines(keepends=True)
        if "outputs" in cell:
            # A widget is dead without its state; opening the notebook shows an error in its place.
            cell["outputs"] = [out for out in cell["outputs"] if not _is_widget(out)]
        if cell.get("execution_count") is not None:
            _number(cell, next(numbers))


def _is_widget(output: Any) -> bool:
    data = output.get("data") if isinstance(output, dict) else None
    return isinstance(data, dict) and WIDGET in data


def _word(metadata: Notebook, section: str, key: str) -> str:
    values = metadata.get(section)
    return str(values.get(key) or "") if isinstance(values, dict) else ""


def _number(cell: dict[str, Any], number: int) -> None:
    cell["execution_count"] = number
    for output in cell.get("outputs", ()):
        if isinstance(output, dict) and output.get("execution_count") is not None:
            output["execution_count"] = number


def clear(notebook: Notebook) -> None:
    """Clean a notebook, and remove its outputs."""
    clean(notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
