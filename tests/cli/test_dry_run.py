"""`--dry-run` of `imagekit submit` and `imagekit build`, and `imagekit diff` with a selection."""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest

pytestmark = pytest.mark.edge

CONFIG = """
base_url: example.com/team/image
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: "${_V}"}}
images: [{python: [py39, py310]}]
cloudbuild: {project: p, substitutions: {_V: "3.10"}}
"""
GCLOUD = """#!/bin/sh
printf '%s\\n' "$@" > "asked.$(ls asked.* 2>/dev/null | wc -l)"
test ! -e fails
"""
DOCKER = """#!/bin/sh
case "$*" in
    version*) echo 22.0 22.0 ;;
    buildx*) ;;
    *--format*) ;;
    "image inspect"*) cat images.json ;;
    *) echo "$@" >> ran ;;
esac
"""


@pytest.fixture
def call(config_file):
    """Call imagekit in a git repository with a config; return what it did."""
    config_file(CONFIG)
    pathlib.Path("dockerfiles").mkdir()
    pathlib.Path("dockerfiles/Dockerfile").write_text("FROM scratch\n")
    for name, text in (("gcloud", GCLOUD), ("docker", DOCKER)):
        pathlib.Path("bin").mkdir(exist_ok=True)
        pathlib.Path(f"bin/{name}").write_text(text)
        pathlib.Path(f"bin/{name}").chmod(0o755)
    program = pathlib.Path(sys.executable).parent
    path = f"{pathlib.Path('bin').absolute()}:{program}:{os.environ['PATH']}"
    git = {
        f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }

    def run(*command):
        command = command if command[0] in ("sh", "git") else ("imagekit", *command)
        environment = os.environ | git | {"PATH": path}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    return run


def asked():
    files = sorted(pathlib.Path().glob("asked.*"))
    return [file.read_text().splitlines() for file in files]


def test_a_script_submits_one_file_and_waits_for_it(call):
    assert call("generate", "-c", "images.yaml").returncode == 0
    value = "it's $HOME, `x` "
    done = call("submit", "-c", "images.yaml", "--dry-run", "--substitution", f"_V={value}")
    assert (done.returncode, done.stderr) == (0, "")
    assert not asked()
    assert not pathlib.Path("runs").exists()
    assert call("sh", "-c", done.stdout).returncode == 0
    (command,) = asked()
    assert command[:4] == ["builds", "submit", ".", "--config=cloudbuild.json"]
    assert f"--substitutions=^;^_V={value}" in command
    # With --async, a build would not wait for the one before.
    assert "--async" not in command
    assert "--suppress-logs" in command


def test_a_script_stops_at_the_first_build_that_fails(call):
    pathlib.Path("images.yaml").write_text(CONFIG.replace("project: p", "limits: {steps: 2}"))
    assert call("generate", "-c", "images.yaml").returncode == 0
    script = call("submit", "-c", "images.yaml", "--dry-run").stdout
    assert call("sh", "-c", script).returncode == 0
    configs = [command[3] for command in asked()]
    assert configs == ["--config=cloudbuild-01.json", "--config=cloudbuild-02.json"]
    for file in pathlib.Path().glob("asked.*"):
        file.unlink()
    pathlib.Path("fails").touch()
    # Pasted into a shell, it does not close it.
    done = call("sh", "-c", f"{script}echo status $?")
    assert (done.stdout, len(asked())) == ("status 1\n", 1)


def test_a_script_of_a_selection_writes_its_own_build_file(call):
    call("generate", "-c", "images.yaml")
    before = pathlib.Path("cloudbuild.json").read_bytes()
    options = ["-c", "images.yaml", "--only", "*py39", "--timeout-sec", "77", "--stream"]
    done = call("submit", *options, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert not pathlib.Path("runs").exists()
    assert call("sh", "-c", done.stdout).returncode == 0
    (command,) = asked()
    assert command[3] == "--config=runs/build/cloudbuild.json"
    assert "--suppress-logs" not in command
    document = json.loads(pathlib.Path("runs/build/cloudbuild.json").read_text())
    assert (document["timeout"], len(document["steps"])) == ("77s", 2)
    assert pathlib.Path("cloudbuild.json").read_bytes() == before
    words = [shlex.split(line)[0] for line in done.stdout.splitlines()]
    assert words == ["(", "set", "mkdir", "imagekit", "gcloud", ")"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--file", "cloudbuild.json", "--only", "x"], "cannot be combined with --file"),
        (["--resume", "b1", "--timeout-sec", "9"], "cannot be combined with --resume BUILD"),
        (["-c", "-", "--only", "x", "--dry-run"], "cannot read the config from standard input"),
    ],
)
def test_what_cannot_be_combined_is_refused(call, args, said):
    done = call("submit", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_dry_build_says_what_it_would_do_and_does_nothing(call):
    pathlib.Path("images.json").write_text("[]")
    build = ("build", "-c", "images.yaml", "--dry-run")
    done = call(*build)
    assert (done.returncode, done.stderr) == (0, "")
    name = "example.com/team/image:cpu-py"
    assert done.stdout.splitlines() == [
        f"build       {name}39",
        f"not pushed  {name}39-push",
        f"build       {name}310",
        f"not pushed  {name}310-push",
        "2 to build, 2 not pushed",
    ]
    assert call(*build, "--push", "--only", "*py39").stdout.endswith("1 to build, 1 to push\n")
    assert not pathlib.Path("ran").exists()
    assert not pathlib.Path("runs").exists()


def test_a_dry_build_without_an_engine_lists_everything(call):
    pathlib.Path("bin/docker").write_text("#!/bin/sh\nexit 1\n")
    done = call("build", "-c", "images.yaml", "--dry-run")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: the Docker engine does not answer")
    assert done.stdout.endswith("2 to build, 2 not pushed\n")


def test_the_timeout_of_a_local_build_is_that_of_the_command_line(call):
    pathlib.Path("images.json").write_text("[]")
    pathlib.Path("bin/docker").write_text(DOCKER.replace('*) echo "$@" >> ran', "*) sleep 60"))
    done = call("build", "-c", "images.yaml", "--timeout-sec", "1")
    assert done.returncode == 6
    assert "the build timed out" in done.stdout


def test_diff_alone_compares_with_the_last_commit(call):
    done = call("diff", "-c", "images.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no git commit here" in done.stderr
    call("git", "init", "-q")
    call("git", "add", "dockerfiles")
    call("git", "commit", "-qm", "one")
    done = call("diff", "-c", "images.yaml")
    assert done.stderr == "images.yaml is not part of the last commit; name two files to compare\n"
    pathlib.Path("config").mkdir()
    pathlib.Path("config/images.yaml").write_text(CONFIG)
    call("git", "add", ".")
    call("git", "commit", "-qm", "two")
    assert call("diff").stdout.startswith("no change: HEAD:config/images.yaml and config/")
    changed = CONFIG.replace("3.9", "3.9.1").replace("{_V}", "{_V}.1")
    pathlib.Path("config/images.yaml").write_text(changed)
    assert call("diff").stdout.endswith("2 changed\n")
    assert call("diff", "--only", "*39").stdout.endswith("1 changed\n")
    assert "cpu-py39" not in call("diff", "--skip", "*39").stdout
    assert call("diff", "HEAD:config/images.yaml", "--only", "*93").returncode == 3
    done = call("diff", "-c", "images.yaml", "a")
    assert (done.returncode, "leave out A" in done.stderr) == (2, True)
    done = call("diff", "-", "-")
    assert (done.returncode, "only one of A and B" in done.stderr) == (2, True)
    assert call("diff", "-c", "-").returncode == 2


def test_diff_alone_below_the_top_of_the_repository(call, monkeypatch):
    pathlib.Path("sub").mkdir()
    pathlib.Path("images.yaml").rename("sub/images.yaml")
    pathlib.Path("dockerfiles").rename("sub/dockerfiles")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        assert call("git", *command).returncode == 0
    monkeypatch.chdir("sub")
    done = call("diff", "-c", "images.yaml")
    assert (done.returncode, done.stdout[:9]) == (0, "no change"), done.stderr


def test_diff_reads_standard_input(call):
    command = "cat images.yaml | imagekit diff - images.yaml"
    assert call("sh", "-c", command).stdout.startswith("no change: <stdin> and images.yaml")
