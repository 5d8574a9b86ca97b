"""`imagekit project`, with a stand-in for Docker: what it is asked for, and how it ends."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest

from imagekit.cli.app import main
from tools.project_goldens import FOLDER

pytestmark = pytest.mark.edge

DOCKER = """#!/bin/sh
case $1 in
    version) echo 22.0 22.0 ;;
    info) cat info ;;
    build) echo "$@" >> asked; cat > given; ! grep -q broken.py given ;;
    run) echo "$@" > started; cat; exit 3 ;;
esac
"""
BASE = ("-c", "images.yaml", "--docker", "./docker", "--uid", "0", "--gid", "0")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a matrix, two code directories, and a Docker client that does nothing."""
    monkeypatch.chdir(tmp_path)
    pathlib.Path("images.yaml").write_bytes((FOLDER / "matrix.yaml").read_bytes())
    pathlib.Path("docker").write_text(DOCKER)
    pathlib.Path("docker").chmod(0o755)
    pathlib.Path("info").write_text("{}")
    for name in ("code", "other"):
        pathlib.Path(name).mkdir()
        pathlib.Path(name, "train.py").touch()
    return tmp_path


@pytest.fixture
def call(folder, monkeypatch, capfd):
    """Run `imagekit project`: its exit code, standard output, standard error, and `docker run`."""

    def make(*args):
        became = []
        monkeypatch.setattr(os, "execvp", lambda _, words: became.extend(words))
        with pytest.raises(SystemExit) as stop:
            main(["project", *args])
        return stop.value.code, *capfd.readouterr(), became

    return make


def mounted(folder):
    mount = f"type=bind,source={folder / 'code'},target=/app"
    return f"./docker run --rm --init --interactive --mount {mount}"


@pytest.mark.parametrize(
    ("args", "more", "command"),
    [
        (["shell", "code"], "code:shell", 'CMD ["bash"]'),
        (["shell", "code", "-t", "a:b"], "a:b", 'CMD ["bash"]'),
        (
            ["notebook", "code", "--port", "9", "-p", "6:6"],
            "--publish 127.0.0.1:9:9 --publish 6:6 code:notebook",
            "--port=9",
        ),
        (["notebook", "code", "--network", "host"], "--network host code:notebook", "--port=8888"),
        (["run", "code", "--script", "train.py"], "code", 'ENTRYPOINT ["python", "train.py"]'),
        (
            ["run", "code", "--module", "train", "-e", "A=1", "-e", "B", "--", "--epochs", "3"],
            "--env A=1 --env B code --epochs 3",
            'ENTRYPOINT ["python", "-m", "train"]',
        ),
        (["run", "code", "--", "ls", "-l"], "code ls -l", 'CMD ["bash"]'),
        (
            ["run", "code", "--cmd", "sh -e 'a b'", "--", "c d"],
            "code sh -e a b c d",
            'CMD ["sh", "-e", "a b"]',
        ),
        (["run", "code", "--cmd", "bash", "--", "-l"], "code bash -l", 'CMD ["bash"]'),
        (["run", "code", "--cmd", "sh -e"], "code", 'CMD ["sh", "-e"]'),
        (
            ["run", "code", "--env-file", "f", "--volume", "/d:/d", "--gpus", "device=0"],
            "--gpus device=0 --env-file f --volume /d:/d code",
            'CMD ["bash"]',
        ),
    ],
)
def test_what_is_built_and_started(call, folder, args, more, command):
    code, out, err, became = call(*args[:2], *BASE, *args[2:])
    assert code == 0, err
    assert " ".join(became) == f"{mounted(folder)} {more}"
    # The Dockerfile that is printed is the one that is built.
    assert out == pathlib.Path("given").read_text()
    assert command in out
    assert err.splitlines()[-1] == shlex.join(became)


def test_settings_say_what_to_run_but_not_in_a_shell(call):
    pathlib.Path("code/imagekit.toml").write_text('script = "train.py"\n')
    assert 'ENTRYPOINT ["python", "train.py"]' in call("run", "code", *BASE)[1]
    assert 'CMD ["bash"]' in call("shell", "code", *BASE)[1]


@pytest.mark.parametrize(
    ("args", "info", "gpus"),
    [
        ([], "{}", None),
        ([], '{"Runtimes": {"nvidia": {}}}', "all"),
        (["--gpu"], '{"Runtimes": {"nvidia": {}}}', "all"),
        (["--cpu"], '{"Runtimes": {"nvidia": {}}}', None),
        (["--gpus", "none"], '{"Runtimes": {"nvidia": {}}}', None),
        (["--gpus", "2"], "{}", "2"),
    ],
)
def test_gpus_where_there_are_any(call, args, info, gpus):
    pathlib.Path("info").write_text(info)
    became = call("shell", "code", *BASE, *args)[3]
    assert (became[became.index("--gpus") + 1] if "--gpus" in became else None) == gpus


def test_a_gpu_that_is_missing_is_told(call):
    told = "the engine has no GPUs; the container starts without"
    assert told in call("shell", "code", *BASE, "--gpu")[2]
    assert told not in call("shell", "code", *BASE)[2]


def test_quiet_prints_only_what_the_program_prints(call):
    code, out, err, became = call("run", "code", *BASE, "--quiet")
    assert (code, out, err, became[-1]) == (0, "", "", "code")


def test_input_and_exit_code_are_those_of_the_container(folder):
    command = [sys.executable, "-m", "imagekit", "project", "run", "-q", "code", *BASE]
    done = subprocess.run(command, input="in", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "in", "")


def test_a_build_that_fails_starts_nothing(call):
    pathlib.Path("code/broken.py").touch()
    code, _, err, became = call("run", "code", *BASE, "--script", "broken.py")
    assert (code, became) == (6, [])
    assert err.endswith("code: the build failed with exit code 1\n")


def test_several_directories_are_built_each_under_its_name(call):
    code, out, err, _ = call("build", "code", "other", *BASE, "--script", "train.py")
    assert code == 0, err
    asked = pathlib.Path("asked").read_text().splitlines()
    assert asked == ["build -t code -f - code", "build -t other -f - other"]
    assert out.count("FROM ") == 2
    assert [line for line in err.splitlines() if "built;" in line] == [
        f"{name} built; docker run --rm -it {name}" for name in ("code", "other")
    ]


def test_the_others_are_built_where_one_fails(call):
    pathlib.Path("code/broken.py").touch()
    pathlib.Path("code/imagekit.toml").write_text('script = "broken.py"\n')
    code, _, err, _ = call("build", "code", "other", *BASE)
    assert code == 6
    assert "other built" in err
    assert err.endswith("code: the build failed with exit code 1\n")


def test_what_is_wrong_with_each_is_told_before_anything_is_built(call):
    pathlib.Path("code/imagekit.toml").write_text('script = "gone.py"\n')
    code, out, err, _ = call("build", "code", "absent", "other", *BASE)
    assert (code, out) == (2, "")
    assert "gone.py: no such file in code\n" in err
    assert err.endswith("absent: no such directory\n")
    assert not pathlib.Path("asked").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["code", "other", "-t", "a:b"], "--tag is the name of one image; build the directories"),
        (["code", "sub/Code"], "the images of code and sub/Code would both be code; build one"),
    ],
)
def test_several_images_cannot_have_one_name(call, args, message):
    code, out, err, _ = call("build", *args, *BASE)
    assert (code, out) == (2, "")
    assert message in err
