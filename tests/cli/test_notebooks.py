"""`imagekit clean-notebooks`: files, folders, and a filter for git."""

import contextlib
import io
import json
import subprocess
import sys

import pytest

from imagekit.support import notebooks
from tests.support.test_notebooks import CLEAN
from tools.goldens import printed

BYTES = notebooks.text(CLEAN)
UNCLEAN = notebooks.text({**CLEAN, "metadata": {"papermill": {"duration": 1}}})


@pytest.fixture
def clean(tmp_path):
    (tmp_path / "notebooks/more/.ipynb_checkpoints").mkdir(parents=True)
    for name in ("a", "more/b", "more/.ipynb_checkpoints/b"):
        (tmp_path / f"notebooks/{name}.ipynb").write_bytes(UNCLEAN)
    (tmp_path / "notebooks/c.ipynb").write_bytes(BYTES)

    def run(*args):
        with contextlib.chdir(tmp_path):
            return printed(["clean-notebooks", *args])

    run.folder = tmp_path
    return run


def test_a_check_writes_nothing_and_names_the_files(clean):
    code, out, err = clean("--check")
    assert (code, out) == (4, "")
    assert err == (
        "notebooks with metadata of a machine or a front end:\n  notebooks/a.ipynb\n"
        "  notebooks/more/b.ipynb\nRun imagekit clean-notebooks and commit them.\n"
    )
    assert (clean.folder / "notebooks/a.ipynb").read_bytes() == UNCLEAN


def test_notebooks_are_cleaned_in_place(clean):
    code, out, _ = clean()
    assert (code, out.splitlines()[-1]) == (0, "1 of 3 notebooks were clean")
    assert (clean.folder / "notebooks/more/b.ipynb").read_bytes() == BYTES
    assert (clean.folder / "notebooks/more/.ipynb_checkpoints/b.ipynb").read_bytes() == UNCLEAN
    assert clean("--check", "notebooks/a.ipynb") == (0, "1 of 1 notebooks were clean\n", "")


def test_every_file_that_is_no_notebook_is_told_and_nothing_is_written(clean):
    (clean.folder / "notebooks/x.ipynb").write_text('{"cells":\n <<<<<<< mine')
    (clean.folder / "notebooks/y.ipynb").write_text("[]")
    code, out, err = clean()
    assert (code, out) == (2, "")
    assert err == (
        "notebooks/x.ipynb:2:2: invalid JSON: Expecting value\n"
        "notebooks/y.ipynb:1:1: not a notebook\n"
    )
    assert (clean.folder / "notebooks/a.ipynb").read_bytes() == UNCLEAN


def test_paths_that_do_not_exist(clean, tmp_path):
    assert clean("absent")[::2] == (2, "absent: no such file or folder\n")
    with contextlib.chdir(tmp_path / "notebooks/more"):
        # A family whose notebooks are those of imagekit has none of its own.
        assert printed(["clean-notebooks"]) == (0, "0 of 0 notebooks were clean\n", "")


def test_a_filter(clean, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(UNCLEAN)))
    monkeypatch.setattr(sys, "stdout", out)
    from imagekit.cli.notebooks import clean_notebooks

    clean_notebooks.callback(paths=("-",), check=False)
    assert out.buffer.getvalue() == BYTES
    assert clean("-", "notebooks")[0] == 2
    assert clean("-", "--check")[0] == 2


@pytest.mark.edge
def test_git_uses_it_as_a_filter(tmp_path):
    def git(*args):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example"]
        return subprocess.run([*command, *args], check=True, capture_output=True).stdout

    git("init", "-q")
    git("config", "filter.imagekit.clean", f"{sys.executable} -m imagekit clean-notebooks -")
    (tmp_path / ".gitattributes").write_text("*.ipynb filter=imagekit\n")
    (tmp_path / "a.ipynb").write_bytes(UNCLEAN)
    broken = json.dumps({"cells": 1}).encode()
    (tmp_path / "broken.ipynb").write_bytes(broken)
    git("add", ".")
    git("commit", "-qm", "one")
    assert git("show", "HEAD:a.ipynb") == BYTES
    # What is no notebook is committed as it is.
    assert git("show", "HEAD:broken.ipynb") == broken
    assert git("status", "--porcelain") == b""
