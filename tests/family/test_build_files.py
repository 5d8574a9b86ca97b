"""The build files are those of the config."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.edge
def test_the_build_files_are_up_to_date():
    done = subprocess.run(
        [sys.executable, "-m", "imagekit", "generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run `make generate`: {done.stderr}"
