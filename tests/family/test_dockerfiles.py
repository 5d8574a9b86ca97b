"""The Dockerfiles follow their own rules, and hadolint's."""

import pathlib
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

DOCKERFILES = sorted(path.name for path in (ROOT / "dockerfiles").glob("Dockerfile*"))

each = pytest.mark.parametrize("name", DOCKERFILES)


@pytest.mark.edge
def test_dockerfiles_pass_hadolint():
    hadolint = pathlib.Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, *DOCKERFILES],
        cwd=ROOT / "dockerfiles",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@each
def test_a_dockerfile_that_explains_build_args_explains_all(name):
    text = (ROOT / "dockerfiles" / name).read_text(encoding="utf-8")
    declared = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
    explained = set(re.findall(r"^#   ([A-Z_]+)  ", text, re.MULTILINE))
    assert explained in (set(), declared)
