"""What commands write into files of a family: outputs of notebooks, the table in the README.

It is no change of the user's: files are compared and merged without it, and get it back.
"""

from __future__ import annotations

import json
import re
from typing import Any

TABLE = re.compile(
    rb"(?<=<!-- begin: imagekit readme -->\n).*?(?=<!-- end: imagekit readme -->)", re.S
)
"""What `imagekit readme` writes, between its marks."""

METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""The metadata of every shipped notebook; front ends add versions of their own."""
TRACES = ("ExecuteTime", "collapsed", "execution", "outputId", "papermill", "scrolled", "trusted")
"""The metadata of a cell that tells how it was executed and shown."""


def without(path: str, text: bytes) -> bytes:
    """Return a file's text without what commands write into it."""
    if path.endswith(".md"):
        return TABLE.sub(b"", text, count=1)
    return cleared(text) if path.endswith(".ipynb") and is_notebook(text) else text


def restored(path: str, text: bytes, mine: bytes) -> bytes:
    """Return a text with what commands have written into the user's, where it still belongs."""
    if table := TABLE.search(mine):
        return with_table(path, text, table[0])
    if path.endswith(".ipynb") and is_notebook(mine):
        return with_outputs(text, mine)
    return text


def with_table(path: str, text: bytes, table: bytes) -> bytes:
    """Return a README with a table between its marks; any other text as it is."""
    return TABLE.sub(lambda _: table, text, count=1) if path.endswith(".md") else text


def cleared(data: bytes) -> bytes:
    """Return a notebook without outputs and what else an execution leaves.

    Raises ValueError if the bytes are not a notebook.
    """
    notebook = _read(data)
    notebook["metadata"] = METADATA
    for cell in notebook["cells"]:
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k not in TRACES}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    return _text(notebook)


def is_notebook(data: bytes) -> bool:
    """Whether the bytes are a notebook, which conflicts in its JSON prevent."""
    try:
        return bool(_read(data))
    except ValueError:
        return False


def with_outputs(data: bytes, executed: bytes) -> bytes:
    """Return a notebook with an executed one's metadata, and its outputs of the same cells."""
    notebook, before = _read(data), _read(executed)
    notebook["metadata"] = before["metadata"]
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
    if not isinstance(notebook, dict) or not {"cells", "metadata"} <= notebook.keys():
        raise ValueError("not a notebook")
    cells = notebook["cells"] if isinstance(notebook["cells"], list) else [None]
    for cell in cells:
        if not isinstance(cell, dict) or not {"cell_type", "metadata", "source"} <= cell.keys():
            raise ValueError("not a cell of a notebook")
    return notebook


def _text(notebook: Any) -> bytes:
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
