"""Every notebook of the family executes. What it shows depends on the config, and is not compared.

Some show an example, whatever the config: as long as they are those that imagekit brings along,
`tests/notebook/test_committed.py` executes the same cells with the same result.
"""

import os
import subprocess
import sys

import nbformat
import pytest

from tests.conftest import ROOT
from tools.family import FAMILY, copied
from tools.notebooks import EXAMPLES


def is_executed_elsewhere(notebook):
    """Whether a notebook shows an example, and is the one of the tests' family."""
    same = FAMILY / "notebooks" / notebook.name
    return notebook.stem in EXAMPLES and notebook.read_bytes() == same.read_bytes()


@pytest.mark.edge
def test_every_notebook_executes(tmp_path):
    copied(tmp_path, ROOT)
    for path in filter(is_executed_elsewhere, (tmp_path / "notebooks").glob("*.ipynb")):
        path.unlink()
    command = [sys.executable, "-m", "pytest", "-p", "nbval.plugin", "-q", "-rA"]
    command += ["--nbval-lax", "--nbval-current-env"]
    done = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", tmp_path, "-p", "no:cacheprovider", "notebooks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        # The other plugins, and those of the outer run, have nothing to do here.
        env={
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COV", "PYTEST"))
        }
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert done.returncode == 0, done.stdout
    for path in (tmp_path / "notebooks").rglob("*.ipynb"):
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        name = path.relative_to(tmp_path)
        assert done.stdout.count(f"PASSED {name}::") == len(cells), done.stdout
