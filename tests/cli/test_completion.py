"""Completion in shells: what click asks imagekit for, and bash itself."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from imagekit.cli.app import main
from tests.conftest import FAMILY

CONFIG = """
base_url: example.com/team/image
base_images: {noble: {BASE_IMAGE: noble}}
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
images: [{base_image: noble, python: [py39, py310]}]
aliases: {latest-python: {base_image: noble, python: py310}}
"""
RUN = "20261123T203400.032029Z-explore-b0d35f19"


@pytest.fixture
def project(config_file):
    config_file(CONFIG)
    for folder in ("config", "notebooks", "runs"):
        pathlib.Path(folder).mkdir()
    pathlib.Path("config/images.yaml").write_text(CONFIG.replace("py39", "py38"))
    pathlib.Path("pyproject.toml").touch()
    shutil.copy(FAMILY / "notebooks/generate.ipynb", "notebooks")
    shutil.copy(FAMILY / "notebooks/history.ipynb", "notebooks")
    for path in (FAMILY / "notebooks/example-runs").glob("*.json"):
        shutil.copy(path, "runs")


@pytest.fixture
def complete(project, monkeypatch, capsys):
    """The completions of a line by the protocol of a shell; the last word is incomplete."""

    def ask(*words, shell="bash"):
        monkeypatch.setenv("_IMAGEKIT_COMPLETE", f"{shell}_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["imagekit", *words]))
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
        with pytest.raises(SystemExit) as stop:
            main([])
        said = capsys.readouterr()
        assert (stop.value.code, said.err) == (0, "")
        return said.out.split("\n")[:-1]

    return ask


def plain(lines):
    return [line.removeprefix("plain,") for line in lines if line.startswith("plain,")]


ALL = ["cpu-noble-py38", "cpu-noble-py310", "latest-python"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gen"], ["generate"]),
        (["--no"], ["--no-color"]),
        (["matrix", "--no"], ["--no-color"]),
        (["help", "runs", ""], ["diff", "list", "show"]),
        (["help", "generate", ""], []),
        (["help", "nothing", ""], []),
        (["matrix", "--only", ""], ALL),
        (["submit", "--skip", "cpu-noble-py3"], ALL[:2]),
        (["diff", "--only", "latest"], ["latest-python"]),
        (["matrix", "-c", "images.yaml", "--only", "cpu"], ["cpu-noble-py39", "cpu-noble-py310"]),
        (["matrix", "-c", "absent.yaml", "--only", ""], []),
        (["matrix", "-c", "-", "--only", ""], []),
        (["matrix", "--only", "*py"], ["*py38*", "*py310*"]),
        (["matrix", "--only", "*n"], ["*noble*"]),
        (["dockerfile", "--base", "cpu-noble-py31"], ["cpu-noble-py310"]),
        (["dockerfile", ".", "--python", "3.1"], ["3.10"]),
        (["dockerfile", ".", "-c", "absent.yaml", "--python", ""], []),
        (["matrix", "-c", ""], ["config/images.yaml", "images.yaml"]),
        (["generate", "--config", "conf"], ["config/images.yaml"]),
        (["run", ""], ["build", "explore", "generate", "history", "images", "start"]),
        (["run", "generate", "-p", "o"], ["output", "only"]),
        (["run", "nothing", "-p", "o"], []),
        (["runs", "show", "latest"], ["latest"]),
        (["runs", "show", "20261123T2034"], [RUN]),
        (["runs", "--runs", "absent", "show", ""], []),
        (["runs", "diff", "latest", "20261123T2034"], [RUN]),
        (["diff", "20261123T2034"], [RUN]),
        (["runs", "--outcome", "succ"], ["succeeded"]),
        (["runs", "--notebook", "h"], ["history"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_completions(complete, words, expected):
    assert plain(complete(*words)) == expected


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["generate", "-o", ""], "file"),
        (["build", "--file", ""], "file"),
        (["matrix", "-c", "other/"], "file"),
        (["run", "other/"], "file"),
        (["diff", "other/"], "file"),
        (["build", "--logs", ""], "dir"),
        (["runs", "--runs", ""], "dir"),
    ],
    ids=str,
)
def test_the_shell_completes_files_and_folders(complete, words, kind):
    assert complete(*words) == [f"{kind},{words[-1]}"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_the_same(complete, shell):
    found = complete("matrix", "--only", "cpu", shell=shell)
    names = [line.removeprefix("plain,") for line in found]
    assert [name for name in names if name.startswith("cpu")] == ALL[:2]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_imagekit(capsys, shell):
    with pytest.raises(SystemExit) as stop:
        main(["completion", shell])
    said = capsys.readouterr()
    assert (stop.value.code, said.err) == (0, "")
    assert f"_IMAGEKIT_COMPLETE={shell}_complete" in said.out


@pytest.mark.edge
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("imagekit gen", ["generate"]),
        ("imagekit matrix --only cpu-noble-py3", ALL[:2]),
        ("imagekit run generate -p ou", ["output"]),
        ("imagekit runs show lat", ["latest"]),
    ],
)
def test_bash_completes(project, line, expected):
    lines = (
        'eval "$(imagekit completion bash)"',
        "complete -p imagekit | grep -q _imagekit_completion || exit 1",
        f"COMP_WORDS=({line})",
        "COMP_CWORD=$((${#COMP_WORDS[@]} - 1))",
        "_imagekit_completion imagekit",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        env={"PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == expected


def test_axes_of_a_grid_are_completed_one_after_the_other(complete):
    assert plain(complete("matrix", "--grid", "--rows", "")) == ["base_image", "python", "recipe"]
    assert plain(complete("matrix", "--grid", "--rows", "python,")) == [
        *("python,base_image", "python,recipe")
    ]
    assert plain(complete("readme", "--columns", "p")) == ["python"]


def test_axes_of_a_broken_config_are_not_completed(complete):
    pathlib.Path("config/images.yaml").write_text("images: 1")
    assert plain(complete("matrix", "--grid", "--rows", "")) == []
