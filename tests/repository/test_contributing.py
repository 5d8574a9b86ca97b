"""What CONTRIBUTING says is where it says."""

import re

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = sorted(set(re.findall(r"`([\w./-]+/[\w./-]+)`", TEXT)))


def test_every_path_exists():
    assert len(FILES) > 12
    assert [name for name in FILES if not (ROOT / name).exists()] == []


def test_every_target_of_make_exists():
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"make ([a-z]+)", TEXT))
    assert used <= known


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("imagekit/document/targets.py", ["TARGETS"]),
        ("imagekit/cli/build.py", ['"--push"', '"--network"']),
        ("imagekit/build/execution.py", ["class Options", "def _build_options"]),
        ("imagekit/build/engine.py", ["def check_engine", "[docker, "]),
        ("imagekit/planning/preflight.py", ["def dockerfiles"]),
        ("imagekit/cli/runs.py", ["COLUMNS"]),
        ("imagekit/notebook/frames.py", ["def runs"]),
        ("imagekit/notebook/history.py", ["def table_of"]),
        ("imagekit/notebook/charts.py", ["def picture"]),
        ("imagekit/project/dependencies.py", ["requirements.txt", "apt.txt"]),
    ],
)
def test_a_newcomer_finds_there_what_is_to_be_changed(path, words):
    assert path in TEXT
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [word for word in words if word not in text] == []


def test_no_other_module_calls_the_docker_client():
    """Whoever adds podman needs no other file, but for a single project."""
    calling = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "imagekit").rglob("*.py")
        if re.search(r"\[(self\.options\.)?docker, ", path.read_text(encoding="utf-8"))
    }
    assert calling == {
        "imagekit/build/engine.py",
        "imagekit/cli/project.py",
    }
