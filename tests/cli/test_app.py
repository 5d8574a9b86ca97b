import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import click
import pytest

from imagekit import __version__
from imagekit.cli.app import cli, main
from tests.conftest import FAMILY
from tools.family import copied

CONFIG = """
base_url: example.com/team/image
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
gpu_versions: {cuda1: {CUDA: 1.0}}
images:
  - python: [py39, py310]
  - {python: [py39, py310], gpu: cuda1}
exclude:
  - {python: py39, gpu: cuda1, reason: too old}
"""


@pytest.fixture
def call(capsys, config_file):
    """Call the command line beside a small config: exit code, standard output and error."""
    config_file(CONFIG)
    pathlib.Path("dockerfiles").symlink_to(FAMILY / "dockerfiles")

    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main(list(args))
        said = capsys.readouterr()
        return stop.value.code, said.out, said.err

    return run


def test_generate_writes_the_file_and_says_so(call):
    code, out, err = call("generate", "-c", "images.yaml")
    assert (code, err) == (0, "")
    assert out.endswith("cloudbuild.json written: 4 images; 4 added, new file\n")
    assert len(json.loads(pathlib.Path("cloudbuild.json").read_text())["steps"]) == 8


def test_generating_again_changes_nothing(call):
    call("generate", "-c", "images.yaml")
    code, out, _ = call("generate", "-c", "images.yaml")
    assert (code, out) == (0, "cloudbuild.json is up to date: 4 images; no change\n")


@pytest.mark.parametrize(
    ("url", "timeout"), [("--base_url", "--timeout_sec"), ("--base-url", "--timeout-sec")]
)
def test_the_flags_of_the_original_work_in_both_spellings(call, url, timeout):
    code, _, _ = call(
        "generate", "--config", "images.yaml", "--output", "b.json", url, "host/x", timeout, "60"
    )
    document = json.loads(pathlib.Path("b.json").read_text())
    assert code == 0
    assert document["timeout"] == "60s"
    assert document["steps"][0]["id"] == "host/x:gpu-base-cuda1"


def test_output_to_standard_output(call):
    code, out, _ = call("generate", "-c", "images.yaml", "-o", "-")
    assert code == 0
    assert len(json.loads(out)["steps"]) == 8
    assert not pathlib.Path("-").exists()


def test_check_exits_4_and_shows_the_difference(call):
    call("generate", "-c", "images.yaml")
    before = pathlib.Path("cloudbuild.json").read_bytes()
    pathlib.Path("images.yaml").write_text(CONFIG.replace("CUDA: 1.0", "CUDA: 1.1"))
    code, _, err = call("generate", "-c", "images.yaml", "--check")
    assert code == 4
    assert "  ~ gpu-base-cuda1: CUDA 1.0 → 1.1\n" in err
    assert "  ↻ gpu-cuda1-py310: because gpu-base-cuda1 changed\n" in err
    assert pathlib.Path("cloudbuild.json").read_bytes() == before


def test_a_glob_for_what_is_excluded_is_told_why(call):
    code, _, err = call("generate", "-c", "images.yaml", "--only", "gpu-*-py39")
    assert code == 3
    assert err == "only: 'gpu-*-py39' matches no image; gpu-cuda1-py39 is excluded: too old\n"


def test_check_needs_a_file(call):
    code, _, err = call("generate", "-c", "images.yaml", "--check", "-o", "-")
    assert code == 2
    assert "--check needs a file to compare with" in err


@pytest.mark.parametrize(
    ("args", "expected", "said"),
    [
        (["generate", "-c", "absent.yaml"], 3, "absent.yaml: cannot be read: No such file"),
        (["generate", "-c", "images.yaml", "--timeout-sec", "0"], 2, "0 is not in the range"),
        (["generate", "-c", "images.yaml", "--only", "cpu-py93"], 3, "did you mean 'cpu-py39'?"),
        (
            ["generate", "-c", "images.yaml", "--base-url", "Bad"],
            2,
            "base_url: 'Bad' is not a valid image rep",
        ),
        (["generate", "-c", "images.yaml", "--nonsense"], 2, "No such option"),
        (["generate", "-c", "images.yaml", "-o", "no/where.json"], 2, "no/where.json: the folder"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_every_mistake_has_its_exit_code_and_no_traceback(call, args, expected, said):
    code, out, err = call(*args)
    assert code == expected
    assert said in err
    assert "Traceback" not in out + err
    assert {path.name for path in pathlib.Path().iterdir()} == {"images.yaml", "dockerfiles"}


def test_matrix_shows_what_is_not_built_and_why(call):
    code, out, _ = call("matrix", "-c", "images.yaml")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["✗", "excluded", "gpu-cuda1-py39", "too", "old"] in lines
    assert ["✓", "included", "gpu-cuda1-py310", "gpu-base-cuda1"] in lines
    assert lines[-1] == ["4", "included,", "1", "excluded"]
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_a_reason_is_shown_as_it_is_written(call):
    reason = "dropped [nvidia] [/x], see :warning:"
    text = CONFIG.replace("reason: too old", f'reason: "{reason}\\nand more"')
    pathlib.Path("images.yaml").write_text(text)
    _, out, _ = call("matrix", "-c", "images.yaml")
    assert f"{reason}\\nand more" in out


def test_matrix_as_json(call):
    code, out, _ = call("matrix", "-c", "images.yaml", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["repository"] == "example.com/team/image"
    assert [row["reason"] for row in found["rows"] if row["status"] == "excluded"] == ["too old"]


def test_matrix_of_a_selection_says_what_was_left_out(call):
    _, out, _ = call("matrix", "-c", "images.yaml", "--only", "cpu-*", "--skip", "*39")
    assert "cpu-py39" in out
    assert "left out by --only or --skip" in out
    assert out.endswith("1 included, 1 excluded, 3 not selected\n")


def test_warnings_go_to_standard_error(call):
    pathlib.Path("images.yaml").write_text(
        CONFIG.replace("gpu_versions: {", "gpu_versions: {b: {}, ")
    )
    code, out, err = call("generate", "-c", "images.yaml", "-o", "-")
    assert code == 0
    json.loads(out)
    assert err.startswith("images.yaml:4:16: warning: no image uses 'b'")


def test_version(call):
    assert call("--version") == (0, f"imagekit, version {__version__}\n", "")


def commands(group=cli, path=("imagekit",)):
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            yield from commands(group.get_command(context, name), (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_no_summary_is_cut_in_80_columns(path):
    command = dict(commands())[path]
    context = click.Context(command, info_name=path[-1], terminal_width=80, max_content_width=80)
    said = command.get_help(context)
    # In the usage, dots are words of their own: [PATH]... may be repeated.
    assert "..." not in re.sub(r"\[[A-Z]+\]\.\.\.", "", said)
    assert max(map(len, said.splitlines())) <= 80


def test_every_option_of_every_command_is_described():
    options = [
        (path, option.opts[0], getattr(option, "help", None))
        for path, command in commands()
        for option in command.params
        if isinstance(option, click.Option)
    ]
    assert len(options) > 40
    assert [found for found in options if not found[2]] == []


def test_a_store_in_memory_is_refused(call):
    code, out, err = call("run", "generate", "--runs", "memory://x")
    assert (code, out) == (2, "")
    assert err == "memory://x: memory does not outlive this command; name a folder or a bucket\n"


# ---- the program as it is installed


@pytest.mark.edge
@pytest.mark.parametrize("package", ["papermill", "nbformat", "jupyter_client", "nbclient"])
def test_without_the_extra_a_run_says_what_to_install(package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from imagekit.cli.app import main; main(['run', 'generate'])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"imagekit run needs {package}")
    assert done.stderr.endswith("which is not installed; run pip install 'imagekit[run]'\n")
    assert done.stderr.count("\n") == 1


def program(*args, **options):
    command = [sys.executable, "-m", "imagekit", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.edge
def test_python_m_is_the_same_program(family):
    done = program("generate", "--check", cwd=family)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "cloudbuild.json is up to date: 14 images; no change\n"


@pytest.mark.edge
def test_a_terminal_that_knows_few_signs_shows_others(family):
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = program("matrix", cwd=family, env=environment, encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? included" in done.stdout


@pytest.mark.edge
def test_a_reader_that_has_seen_enough_gives_no_traceback(family):
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m imagekit matrix | head -1"],
        cwd=family,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.edge
def test_heavy_libraries_load_only_when_used():
    program_text = (
        "import sys, imagekit.cli.app\n"
        "heavy = {'pandas', 'papermill', 'rich', 'IPython', 'nbformat', 'vl_convert'}\n"
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program_text], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


@pytest.mark.edge
@pytest.mark.parametrize("args", ["--version", "matrix", "generate --check", "no-such-command"])
def test_standard_output_may_be_closed(family, args):
    line = f"{sys.executable} -m imagekit {args} >&-"
    done = subprocess.run(["bash", "-c", line], cwd=family, capture_output=True, check=False)
    assert done.returncode == (2 if args == "no-such-command" else 0)
    assert b"Traceback" not in done.stderr


@pytest.mark.edge
def test_a_parameter_that_does_not_exist_stops_a_run_before_it_starts(tmp_path, family):
    done = program("run", "generate", "-p", "confg", "x.yaml", "--runs", str(tmp_path), cwd=family)
    assert done.returncode == 2
    assert "did you mean 'config'?" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.edge
def test_a_notebook_that_does_not_exist(family):
    done = program("run", "generat", cwd=family)
    assert done.returncode == 2
    assert "did you mean 'generate'?" in done.stderr


@pytest.fixture
def project(tmp_path):
    copied(tmp_path)
    (tmp_path / "cloudbuild.json").unlink()
    return tmp_path


@pytest.mark.edge
def test_running_the_generate_notebook_is_the_main_job(project, family):
    done = program("run", "generate", cwd=project)
    assert done.returncode == 0, done.stderr
    assert (project / "cloudbuild.json").read_bytes() == (family / "cloudbuild.json").read_bytes()
    assert "excluded, 4 not listed: base image × python × GPU" in done.stdout
    record, notebook = sorted(project.glob("runs/*"), key=lambda path: path.suffix, reverse=True)
    assert (record.suffix, notebook.suffix) == (".json", ".ipynb")
    assert json.loads(record.read_text())["outcome"] == "succeeded"


@pytest.mark.edge
def test_a_run_that_finds_drift_exits_like_the_command(project):
    done = program("run", "generate", "-p", "check", "true", cwd=project)
    assert done.returncode == 4
    assert "DriftError: cloudbuild.json does not exist" in done.stderr
    assert not (project / "cloudbuild.json").exists()
    assert len(list(project.glob("runs/*.ipynb"))) == 1


@pytest.mark.edge
def test_a_run_with_a_bad_config_shows_its_places_and_no_traceback(project):
    (project / "bad.yaml").write_text("imagse: []\n")
    done = program("run", "generate", "-p", "config", "bad.yaml", cwd=project)
    assert done.returncode == 3
    assert "bad.yaml:1:1: unknown key 'imagse'; did you mean 'images'?" in done.stderr
    (notebook,) = project.glob("runs/*.ipynb")
    assert "imagekit/pipeline.py" not in notebook.read_text()


@pytest.mark.edge
def test_papermill_itself_runs_the_notebook(project):
    """It writes every build file, as the command finds."""
    config = json.loads((project / "config/caliban.json").read_text())
    config["cloudbuild"] = {"limits": {"steps": 3}}
    (project / "split.json").write_text(json.dumps(config))
    parameters = {"config": "split.json", "output": "c.json", "only": "cpu-*"}
    given = [word for name, value in parameters.items() for word in ("-p", name, value)]
    command = [sys.executable, "-m", "papermill", "notebooks/generate.ipynb", "OUT.ipynb", *given]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = ["c-01.json", "c-02.json"]
    assert sorted(path.name for path in project.glob("c-*")) == [*files, "c-manifest.json"]
    steps = [json.loads((project / name).read_text())["steps"] for name in files]
    assert sum(map(len, steps)) == 4
    done = program(
        "generate", "--check", *["-c", "split.json", "-o", "c.json", "--only", "cpu-*"], cwd=project
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.edge
def test_a_history_is_of_the_store_it_is_recorded_in(project, family):
    shutil.copytree(family / "notebooks/example-runs", project / "other")
    done = program("run", "history", "--runs", "other", "-p", "given", "check=True", cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 runs of 10 in other\n")
    done = program("run", "history", cwd=project)
    assert done.stdout.startswith("Example, because runs has no runs yet: 10 runs in notebooks/")
    done = program("run", "history", "-p", "store", "nosuchdir", cwd=project)
    assert done.returncode == 2
    assert "cell 4: UsageError: nosuchdir: folder not found" in done.stderr
