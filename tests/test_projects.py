"""Every golden case of a project, byte for byte, and what holds of all of them."""

import pathlib
import subprocess
import sys

import pytest

from tests.project_cases import CASES, OUTPUTS, run

PRINTED = [case for case in CASES if (case / "Dockerfile").exists()]


def name(case):
    return case.name


@pytest.mark.parametrize("case", CASES, ids=name)
def test_case(case):
    expected = {
        output: (case / output).read_text(encoding="utf-8")
        for output in OUTPUTS
        if (case / output).exists()
    }
    assert run(case) == expected


@pytest.mark.parametrize("case", PRINTED, ids=name)
def test_the_same_directory_gives_the_same_bytes(case):
    assert run(case) == run(case)


def test_there_are_a_dozen_shapes():
    assert len(PRINTED) >= 12


@pytest.mark.edge
def test_hadolint_finds_nothing():
    program = pathlib.Path(sys.executable).with_name("hadolint")
    files = [str(case / "Dockerfile") for case in PRINTED]
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("case", PRINTED, ids=name)
def test_what_is_secret_is_mounted_and_never_copied(case):
    text = (case / "Dockerfile").read_text(encoding="utf-8")
    for line in text.splitlines():
        assert not line.startswith(("ARG", "ADD"))
        assert "netrc" not in line or "type=secret" in line or line.startswith("#")
