"""The Dockerfile of imagekit's own image; a system test builds and runs it."""

import pathlib
import subprocess
import sys

import pytest


@pytest.mark.edge
def test_the_dockerfile_of_imagekit_passes_hadolint(root):
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    command = [hadolint, root / "docker/Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
