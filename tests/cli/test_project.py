"""Every golden case of a project, byte for byte, and what holds of all of them."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from imagekit.cli.app import main
from tools.project_goldens import CASES, FOLDER, OUTPUTS, run

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
        assert "netrc" not in line or "type=secret" in line or line.startswith(("#", "    && exp"))


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Print the Dockerfile of a directory: exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(FOLDER / "matrix.yaml", "images.yaml")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/run.py").write_text("")
    (tmp_path / "code/run.sh").write_text("")

    def make(*args):
        with pytest.raises(SystemExit) as stop:
            main(["dockerfile", "code", "-c", "images.yaml", "--uid", "0", "--gid", "0", *args])
        output = capsys.readouterr()
        return stop.value.code, output.out, output.err

    return make


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--script", "../images.yaml"], "is outside code; copy it into"),
        (["--script", "run.sh"], "run.sh is not a Python script; use --cmd 'bash run.sh'"),
        (["--module", "run.py"], "'run.py' is not a valid module name; use run"),
        (["--cmd", 'python "x'], "no closing quotation"),
        (["--cmd", ""], "--cmd is empty"),
        (["--python", ">=3.11"], "'>=3.11' is not a valid Python version; use 3.13"),
        (["--apt", "-o=x"], "'-o=x' is not a valid Debian package"),
        (["--base", "cpu", "--gpu"], "the project needs Python and CUDA"),
        (["--port", "99999"], "99999 is not in the range"),
    ],
)
def test_every_mistake_is_one_line_and_writes_nothing(call, tmp_path, args, message):
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "code/.dockerignore").exists()


def test_what_the_image_needs_may_not_be_ignored(call, tmp_path):
    (tmp_path / "code/.dockerignore").write_text("*.py\n")
    code, _, err = call("--script", "run.py")
    assert (code, err) == (
        2,
        "code/.dockerignore excludes run.py, which the image needs; fix the rules\n",
    )


def test_what_a_build_may_read_need_not_enter_the_image(call, tmp_path):
    (tmp_path / "code/setup.py").write_text("setup(name='x', long='README.md', other='a.txt')\n")
    for name in ("README.md", "a.txt"):
        (tmp_path / "code" / name).write_text("")
    (tmp_path / "code/.dockerignore").write_text("*.md\n")
    code, out, _ = call()
    assert code == 0
    assert 'COPY ["a.txt", "setup.py", "./"]' in out


def test_what_is_named_decides_the_mode(call, tmp_path):
    text = "[project]\nname='x'\n[project.optional-dependencies]\ngpu=['g']\ncpu=['c']\n"
    (tmp_path / "code/pyproject.toml").write_text(text)
    assert "\nextras: gpu\n" in call("--base", "gpu-*")[2]
    assert "\nextras: cpu\n" in call("--base", "cpu")[2]


def test_the_ignore_file_that_is_written_needs_no_warning_next_time(call, tmp_path):
    (tmp_path / "code/sub/.git").mkdir(parents=True)
    (tmp_path / "code/sub/.env").write_text("x")
    assert "created, to exclude .git, caches and credentials" in call()[2]
    assert "warning" not in call()[2]
