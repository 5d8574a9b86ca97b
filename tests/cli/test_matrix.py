"""`imagekit matrix`: the table, its notes, and the grid."""

import contextlib
import os
import sys

import pytest

from tools import terminal
from tools.goldens import printed

BASE = "base_url: reg.example.com/p/ml\n"
GPU = (
    BASE
    + """
base_images: {a: {BASE_IMAGE: x}, b: {BASE_IMAGE: y}}
python_versions: {py1: {PY: 1}, py2: {PY: 2}}
gpu_versions: {c1: {CUDA: 1}, c2: {CUDA: 2}}
images:
  - {base_image: [a, b], python: [py1, py2]}
  - {base_image: [a, b], python: py2, gpu: [c1, c2]}
exclude:
  - {base_image: b, gpu: c1, reason: "none | there"}
aliases: {cpu: {base_image: a, python: py2}}
"""
)


@pytest.fixture
def matrix(tmp_path):
    (tmp_path / "c.yaml").write_text(GPU)

    def run(*args):
        with contextlib.chdir(tmp_path):
            return printed(["matrix", "-c", "c.yaml", *args])

    return run


def test_a_reason_of_several_combinations_is_a_note(matrix):
    _, out, _ = matrix()
    assert " ✗ excluded         gpu-b-py2-c1" in out
    assert "none | there\n" in out
    assert out.count("no entry in 'images' names it") == 1
    assert "\n · not listed (1)   gpu-a-py1-c1\n" in out
    assert out.endswith(
        "\n (1) no entry in 'images' names it\n10 included, 1 excluded, 4 not listed\n"
    )


def test_only_some_statuses(matrix):
    _, out, _ = matrix("--status", "excluded")
    assert out.splitlines()[2:] == [
        " ✗ excluded   gpu-b-py2-c1                      none | there",
        "1 excluded",
    ]
    assert matrix("--status", "built") == matrix("--status", "included")
    assert '"rows": []' in matrix("--status", "not selected", "--json")[1]
    assert matrix("--status", "not selected")[1] == "no combination has this status\n"


def test_the_grid(matrix):
    code, out, err = matrix("--grid")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        " base image   python   no GPU   c1      c2",
        " ────────────────────────────────────────────",
        " a            py1      ✓        · (1)   · (1)",
        " a            py2      ✓ cpu    ✓       ✓",
        " b            py1      ✓        · (1)   · (1)",
        " b            py2      ✓        ✗ (2)   ✓",
        " (1) no entry in 'images' names it",
        " (2) none | there",
        "3 more images are built only as parents of these.",
    ]
    _, out, _ = matrix("--grid", "--markdown", "--rows", "python", "--columns", "gpu,base_image")
    assert out.startswith("| python | no GPU, a | no GPU, b | c1, a | c1, b |")


def test_an_empty_address_and_an_absent_config_are_told(matrix, tmp_path):
    assert matrix("--base-url", "")[::2] == (
        2,
        "--base-url is empty; name a repository, or leave it out\n",
    )
    with contextlib.chdir(tmp_path):
        _, _, err = printed(["matrix"])
    assert err == (
        "config/images.yaml: cannot be read: No such file or directory; imagekit init starts a "
        "family with one\n"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--grid", "--json"], "--grid cannot be combined with"),
        (["--grid", "--status", "excluded"], "--grid cannot be combined with"),
        (["--rows", "python"], "belong to --grid"),
        (["--markdown"], "belong to --grid"),
        (["--grid", "--rows", "gpus"], "'gpus' is not an axis; did you mean 'gpu'?"),
    ],
)
def test_options_that_do_not_fit(matrix, args, message):
    code, out, err = matrix(*args)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.edge
@pytest.mark.parametrize("width", [40, 80])
def test_a_narrow_terminal_breaks_no_word_and_keeps_the_parent(tmp_path, monkeypatch, width):
    (tmp_path / "c.yaml").write_text(GPU)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    command = [sys.executable, "-m", "imagekit", "matrix", "-c", str(tmp_path / "c.yaml")]
    _, shown = terminal.run(command, tmp_path, {**os.environ}, width)
    lines = shown.splitlines()
    at = next(n for n, line in enumerate(lines) if " gpu-a-py2-c1" in line)
    assert "gpu-base-a-c1" in (lines[at] if width == 80 else lines[at + 1])
    assert all(len(line) <= width for line in lines if line.startswith((" ✓", " ✗")))
