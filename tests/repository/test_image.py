"""The Dockerfile of imagekit's own image; a system test builds and runs it."""

import pathlib
import re
import subprocess
import sys

import pytest


@pytest.mark.edge
def test_the_dockerfile_of_imagekit_passes_hadolint(root):
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    command = [hadolint, root / "docker/Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_takes_the_uv_that_the_images_of_a_family_take(root):
    texts = (root / "docker/Dockerfile", root / "dockerfiles/Dockerfile")
    found = {re.search(r"^ARG UV_IMAGE=.*", p.read_text(), re.MULTILINE)[0] for p in texts}
    assert len(found) == 1
