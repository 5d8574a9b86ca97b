"""The committed notebooks are executed ones: this makes them, and the tests compare with it.

`make notebooks` executes those of this repository's family, and imagekit's own on the family of
the tests. Each is written without what differs from run to run, so that executing twice changes
nothing.
"""

import contextlib
import logging
import pathlib
import re
import tempfile

import nbformat
import papermill
from traitlets.config import Config as Traits

from imagekit.runs.record import RESULT_TYPE
from imagekit.support import notebooks
from tools.family import FAMILY, ROOT, copied

NAMES = ("build", "explore", "generate", "history", "images", "start")
"""The notebooks of imagekit. A family may have others as well."""
EXAMPLES = ("build", "history", "images")
"""Those that do not read the config, but show an example."""
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


def project(folder: pathlib.Path) -> pathlib.Path:
    """A copy of the tests' family with the notebooks of imagekit as they are now."""
    copied(folder)
    for name in NAMES:
        notebook = f"notebooks/{name}.ipynb"
        (folder / notebook).write_bytes((ROOT / notebook).read_bytes())
    return folder


def rewrite() -> None:
    """Execute every committed notebook in a copy of its family, and write it back."""
    for family, copy in ((ROOT, lambda folder: copied(folder, ROOT)), (FAMILY, project)):
        with tempfile.TemporaryDirectory() as made, contextlib.chdir(copy(pathlib.Path(made))):
            for notebook in sorted(pathlib.Path("notebooks").glob("*.ipynb")):
                text = executed(notebook)
                (family / notebook).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
