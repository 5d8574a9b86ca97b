"""What commands write into files of a family: outputs of notebooks, the table in the README.

It is no change of the user's: files are compared and merged without it, and get it back.
"""

from __future__ import annotations

import re

from imagekit.support import notebooks
from imagekit.support.markdown import BEGIN, END

TABLE = re.compile(rf"(?<={BEGIN}\n).*?(?={END})".encode(), re.DOTALL)
"""What `imagekit readme` writes, between its marks."""


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
    notebook = notebooks.read(data)
    notebooks.clear(notebook)
    return notebooks.text(notebook)


def is_notebook(data: bytes) -> bool:
    """Whether the bytes are a notebook, which conflicts in its JSON prevent."""
    try:
        return bool(notebooks.read(data))
    except ValueError:
        return False


def with_outputs(data: bytes, executed: bytes) -> bytes:
    """Return a notebook with an executed one's metadata, and its outputs of the same cells."""
    notebook, before = notebooks.read(data), notebooks.read(executed)
    notebook["metadata"] = before["metadata"]
    results = {
        (cell.get("id"), "".join(cell["source"])): cell
        for cell in before["cells"]
        if cell["cell_type"] == "code"
    }
    for cell in notebook["cells"]:
        result = results.get((cell.get("id"), "".join(cell["source"])))
        if cell["cell_type"] == "code" and result is not None:
            cell["execution_count"] = result.get("execution_count")
            cell["outputs"] = result.get("outputs", [])
    return notebooks.text(notebook)
