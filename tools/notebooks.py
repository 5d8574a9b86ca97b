"""The committed notebooks are executed ones: this makes them, and the tests compare with it.

`make notebooks` executes each again and writes it back without what differs from run to run, so
that executing twice changes nothing.
"""

import contextlib
import logging
import pathlib
import re
import shutil
import tempfile

import nbformat
import papermill
from traitlets.config import Config as Traits

from imagekit.runs.record import RESULT_TYPE
from imagekit.support import notebooks

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PARTS = ("notebooks", "config", "dockerfiles", "cloudbuild.json", "pyproject.toml")
COMMIT = "the commit that was checked out"


def executed(notebook: pathlib.Path) -> str:
    """The text of a notebook after it ran in the current directory, as it is to be committed."""
    quiet = Traits()
    quiet.KernelManager.transport_encryption = "auto"
    logging.getLogger("papermill").setLevel(logging.ERROR)
    ran = papermill.execute_notebook(
        str(notebook), None, progress_bar=False, config=quiet, execution_timeout=120
    )
    return cleaned(ran)


def cleaned(notebook) -> str:
    """A notebook's text without times, machine, and the commit that it ran on."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            _without_commit(output.get("data", {}))
    plain = notebooks.read(nbformat.writes(notebook).encode())
    notebooks.clean(plain)
    return notebooks.text(plain).decode()


def _without_commit(data) -> None:
    if "commit" not in data.get(RESULT_TYPE, {}):
        return
    data[RESULT_TYPE]["commit"] = COMMIT
    # The quotes are escaped in the HTML of the same output.
    for kind in ("text/plain", "text/html"):
        pattern = r'(("|&quot;)commit\2: )(null|\2[^"&]*\2)'
        data[kind] = re.sub(pattern, rf"\1\g<2>{COMMIT}\2", data[kind])


def copied(folder: pathlib.Path) -> pathlib.Path:
    """A copy of what the notebooks read: they may write there, and find no runs."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    return folder


def rewrite() -> None:
    """Execute every committed notebook in a copy of the project, and write it back."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(copied(pathlib.Path(folder))):
        for notebook in NOTEBOOKS:
            text = executed(pathlib.Path("notebooks", notebook.name))
            notebook.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
