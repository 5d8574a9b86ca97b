"""The global options, on every command, before and after its name."""

import io
import json
import logging
import pathlib
import shutil
import subprocess
import sys

import click
import pytest

from imagekit.cli import common
from imagekit.cli.app import cli, main
from imagekit.cli.sides import Side
from imagekit.compare.changes import Changes
from imagekit.compare.inventory import Known
from imagekit.planning.load import Checked
from imagekit.planning.plan import Plan
from tests.cli.test_app import CONFIG
from tests.conftest import FAMILY


@pytest.fixture
def call(capsys, config_file, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        # Set first, so that what the command line sets is taken back.
        monkeypatch.setenv(name, "")
    config_file(CONFIG)
    pathlib.Path("dockerfiles").symlink_to(FAMILY / "dockerfiles")

    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main(list(args))
        said = capsys.readouterr()
        return stop.value.code, said.out, said.err

    return run


def commands(group=cli, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [*commands()], ids=" ".join)
@pytest.mark.parametrize("option", ["-q", "--quiet", "-v", "--verbose", "--no-color"])
def test_every_command_takes_the_global_options_on_both_sides(call, path, option):
    code, out, err = call(option, *path, option, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: imagekit {' '.join(path)} [OPTIONS]")


@pytest.mark.parametrize("place", [0, 1])
def test_quiet_prints_nothing_where_all_is_well(call, place):
    words = ["generate", "-c", "images.yaml"]
    assert call(*words[:place], "-q", *words[place:]) == (0, "", "")
    assert pathlib.Path("cloudbuild.json").exists()


def test_quiet_prints_what_was_asked_for(call):
    code, out, _ = call("-q", "generate", "-c", "images.yaml", "-o", "-")
    assert (code, len(json.loads(out)["steps"])) == (0, 8)
    assert call("-q", "matrix", "-c", "images.yaml")[1].endswith("4 included, 1 excluded\n")


def test_quiet_prints_errors_and_no_warnings(call):
    pathlib.Path("images.yaml").write_text(
        CONFIG.replace("gpu_versions: {", "gpu_versions: {b: {}, ")
    )
    assert "warning" in call("generate", "-c", "images.yaml")[2]
    assert call("generate", "-c", "images.yaml", "-q") == (0, "", "")
    pathlib.Path("images.yaml").write_text(f"{CONFIG}imagse: []\n")
    code, _, err = call("generate", "-c", "images.yaml", "-q")
    assert (code, "did you mean 'images'?" in err) == (3, True)


@pytest.mark.parametrize("place", [0, 1])
def test_verbose_says_what_is_read_and_what_is_left_out(call, place):
    words = ["generate", "-c", "images.yaml", "--only", "cpu-*"]
    code, out, err = call(*words[:place], "-v", *words[place:])
    assert code == 0
    assert "written" in out
    lines = err.splitlines()
    assert lines[0] == "reading images.yaml"
    assert "left out: gpu-cuda1-py39: excluded: too old" in lines
    assert "left out: gpu-cuda1-py310: by --only or --skip" in lines
    assert "2 images of 4 selected" in lines
    assert "writing cloudbuild.json" in lines


def test_verbose_ends_with_its_command(call):
    assert call("-v", "matrix", "-c", "images.yaml")[2]
    assert call("matrix", "-c", "images.yaml")[2] == ""
    assert logging.getLogger("imagekit").handlers == []


@pytest.mark.parametrize("args", [["-q", "matrix", "-v"], ["matrix", "-v", "-q"]])
def test_quiet_and_verbose_exclude_each_other(call, args):
    code, _, err = call(*args)
    assert code == 2
    assert "--quiet and --verbose cannot be combined" in err


def test_colors_can_be_forced_and_forbidden(call, monkeypatch):
    words = ["matrix", "-c", "images.yaml"]
    bad = ["generate", "-c", "bad.yaml"]
    pathlib.Path("bad.yaml").write_text("imagse: []\n")
    plain = call(*words)[1]
    assert "\x1b" not in plain + call(*bad)[2]
    monkeypatch.setenv("FORCE_COLOR", "1")
    forced = call(*words)[1]
    assert "\x1b[33m ✗ excluded" in forced
    assert click.unstyle(forced) == plain
    assert "\x1b[31m" in call(*bad)[2]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in call(*words)[1] + call(*bad)[2]
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" not in call(*words, "--no-color")[1]
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" not in call("--no-color", *bad)[2]


def test_a_dumb_terminal_gets_no_colors(monkeypatch):
    from imagekit.cli import color

    class Terminal:
        def isatty(self):
            return True

    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert color.is_wanted(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not color.is_wanted(Terminal())


# ---- help


def test_imagekit_alone_prints_its_help(call):
    code, out, err = call()
    assert (code, err) == (0, "")
    assert out == call("--help")[1] == call("help")[1]
    assert "  generate " in out
    assert "  project " in out


@pytest.mark.parametrize("path", [("generate",), ("runs",), ("runs", "show"), ("help",)])
def test_help_of_a_command_is_its_own(call, path):
    assert call("help", *path) == call(*path, "--help")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["generat"], "No such command 'generat'; did you mean 'generate'?"),
        (["help", "generat"], "No such command 'generat'; did you mean 'generate'?"),
        (["runs", "shwo"], "No such command 'shwo'; did you mean 'show'?"),
        (["help", "runs", "shwo"], "No such command 'shwo'; did you mean 'show'?"),
        (["help", "generate", "x"], "imagekit generate has no subcommands"),
        (["help", "--", "-x"], "No such option '-x'"),
        (["xyzzy"], "No such command 'xyzzy'\n"),
        (["generate", "--onyl", "x"], "--only"),
    ],
)
def test_a_misspelled_name_gets_a_suggestion(call, args, said):
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert said in err


# ---- -c, -o, --only and --skip, --yes


@pytest.fixture
def stdin(monkeypatch):
    """Give a text on standard input."""

    def give(text):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


@pytest.mark.parametrize(
    "args", [["matrix", "--json"], ["generate", "-o", "-"], ["dockerfile", "."]], ids=" ".join
)
def test_a_config_from_standard_input_is_that_of_the_file(call, stdin, args):
    expected = call(*args, "-c", "images.yaml")
    pathlib.Path(".dockerignore").unlink(missing_ok=True)
    stdin(CONFIG)
    assert call(*args, "-c", "-") == expected
    assert expected[0] == 0


def test_a_problem_of_standard_input_has_its_place(call, stdin):
    stdin("imagse: []\n")
    code, _, err = call("matrix", "-c", "-")
    assert (code, err.split(" ")[0]) == (3, "<stdin>:1:1:")


def test_a_selection_does_not_remove_the_rest_of_the_matrix(call):
    generate = ("generate", "-c", "images.yaml")
    call(*generate)
    whole = pathlib.Path("cloudbuild.json").read_bytes()
    code, out, err = call(*generate, "--only", "cpu-*")
    assert (code, out) == (2, "")
    assert err == (
        "cloudbuild.json has 2 images that the selection leaves out (gpu-base-cuda1, "
        "gpu-cuda1-py310), and writing it would remove them; name another file with --output, or "
        "confirm with --yes\n"
    )
    assert pathlib.Path("cloudbuild.json").read_bytes() == whole
    assert call(*generate, "--skip", "gpu-*", "--base-url", "other/place")[0] == 2
    for output in ("part.json", "part.json"):
        assert call(*generate, "--only", "cpu-*", "-o", output)[0] == 0
    assert call(*generate, "--only", "cpu-*", "--check")[0] == 4
    assert call(*generate, "--only", "cpu-*", "--yes")[0] == 0
    assert len(json.loads(pathlib.Path("cloudbuild.json").read_text())["steps"]) == 4


def test_a_selection_of_split_builds_does_not_remove_the_rest(call):
    pathlib.Path("images.yaml").write_text(f"{CONFIG}cloudbuild: {{limits: {{steps: 4}}}}\n")
    generate = ("generate", "-c", "images.yaml")
    assert call(*generate)[0] == 0
    names = {path.name: path.read_bytes() for path in pathlib.Path().glob("cloudbuild*")}
    assert len(names) > 2
    code, _, err = call(*generate, "--only", "cpu-*")
    assert (code, "(gpu-base-cuda1, gpu-cuda1-py310)" in err) == (2, True)
    assert {path.name: path.read_bytes() for path in pathlib.Path().glob("cloudbuild*")} == names


def test_an_image_that_left_the_config_is_removed_without_asking(call):
    generate = ("generate", "-c", "images.yaml")
    call(*generate, "--only", "cpu-*")
    pathlib.Path("images.yaml").write_text(
        CONFIG.replace("  - python: [py39, py310]", "  - python: py310")
    )
    code, out, _ = call(*generate, "--only", "cpu-*")
    assert (code, "- cpu-py39" in out) == (0, True)


def test_a_dockerfile_can_be_written_to_a_file(call):
    code, out, _ = call("dockerfile", ".", "-c", "images.yaml", "-o", "Containerfile")
    assert (code, out) == (0, "")
    text = pathlib.Path("Containerfile").read_text()
    assert text == call("dockerfile", ".", "-c", "images.yaml", "-q")[1]


def test_options_of_a_docker_build_need_the_build(call):
    code, _, err = call("dockerfile", ".", "-c", "images.yaml", "--tag", "x")
    assert code == 2
    assert "--tag needs --build" in err


DOCKER = """#!/bin/sh
case $1 in
    version) echo 22.0 22.0 ;;
    build) echo "$@" > asked; cat > given ;;
esac
"""


@pytest.mark.edge
@pytest.mark.parametrize("words", [["dockerfile", "--build"], ["project", "build"]], ids=" ".join)
def test_both_names_build_the_image_of_a_directory(call, words):
    docker = pathlib.Path("docker").absolute()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    options = ["-c", "images.yaml", "--docker", str(docker), "-t", "a:b", "--network", "host"]
    code, out, err = call(*words, *options)
    assert code == 0
    assert err.endswith("a:b built; docker run --rm -it a:b\n")
    assert pathlib.Path("asked").read_text() == "build -t a:b -f - --network host .\n"
    assert pathlib.Path("given").read_text() == out
    assert call(*words, *options, "--quiet") == (0, "", "")
    assert pathlib.Path("asked").read_text() == "build -t a:b -f - --quiet --network host .\n"


# ---- run alone


@pytest.mark.edge
def test_run_alone_lists_the_notebooks_and_their_parameters(tmp_path):
    shutil.copytree(FAMILY / "notebooks", tmp_path / "notebooks")
    (tmp_path / "pyproject.toml").write_text("")
    command = [sys.executable, "-m", "imagekit", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("  ") for line in done.stdout.splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    assert [
        "generate",
        "config",
        '"config/images.yaml"',
        "the matrix, as YAML or JSON",
    ] in words
    assert ["timeout", "0", "seconds for the whole build; 0 keeps the config's"] in words
    shutil.rmtree(tmp_path / "notebooks")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n generate   config " in done.stdout, "imagekit brings its own along"


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        (["generate", "-c", "images.yaml"], {Checked, Plan}),
        (["diff", "images.yaml", "images.yaml"], {Side, Known}),
        (["diff", "images.yaml", "other.yaml"], {Side, Known, list, Changes}),
    ],
)
def test_what_is_large_is_freed_with_the_process_and_not_before(args, kinds, call):
    pathlib.Path("other.yaml").write_text(CONFIG.replace("1.0", "2.0"))
    call(*args)
    assert {type(value) for value in common._KEPT} == kinds
    # Where several commands run in one process, it is kept until the next.
    call("--version")
    assert common._KEPT == []
