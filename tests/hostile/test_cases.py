"""Inputs that once ended in a traceback, hung, or led where they should not: as commands.

`cases/` has a folder for each; every one of a kind has its tests beside the code.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys

import pytest

from imagekit.cli import app

pytestmark = pytest.mark.edge

HERE = pathlib.Path(__file__).resolve().parent
DOCKER = str(HERE / "docker")
GIGABYTES = 2


@pytest.fixture
def case(tmp_path, monkeypatch):
    """Copy a case to the working directory."""

    def enter(name):
        shutil.copytree(HERE / "cases" / name, tmp_path, dirs_exist_ok=True, symlinks=True)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return enter


@pytest.fixture
def run(capsys):
    """Run a command in this process; the exit code, and both outputs together."""

    def call(*args):
        with pytest.raises(SystemExit) as raised:
            app.main(list(map(str, args)))
        printed = capsys.readouterr()
        return raised.value.code, printed.out + printed.err

    return call


def within_bounds(*args):
    """Run a command in a process that has little memory and time."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30,) * 2)

    command = [sys.executable, "-m", "imagekit", *args]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, preexec_fn=limit
    )


BUILD_FILES = sorted(path.name for path in (HERE / "cases").glob("build-file-*"))


@pytest.mark.parametrize("name", BUILD_FILES)
def test_a_build_file_that_is_none_is_refused_with_its_place(case, run, name):
    case(name)
    for args in (("build", "--file", "f.json", "--docker", DOCKER), ("submit", "--file", "f.json")):
        code, said = run(*args)
        assert code == 5
        assert said.startswith("f.json:")


@pytest.mark.parametrize(
    ("name", "code", "begin"),
    [
        ("manifest-args-5", 5, "p.json:1:30: "),
        ("manifest-no-json", 5, "p.json:1:9: invalid YAML"),
        ("manifest-no-steps", 5, "p.json:1:1: not a Cloud Build file"),
        ("manifest-nul", 2, "m.json: not a manifest"),
    ],
)
def test_a_manifest_of_what_is_none_is_refused(case, run, name, code, begin):
    case(name)
    got, said = run("build", "--file", "m.json", "--docker", DOCKER)
    assert (got, said.startswith(begin)) == (code, True)


@pytest.mark.parametrize("name", ["a\\u0000b", "\\ud800", "../a", "a/b", "..", "", "x" * 300])
def test_a_manifest_names_files_beside_it(tmp_path, monkeypatch, run, name):
    monkeypatch.chdir(tmp_path)
    text = '{"repository": "r", "critical_path": 1, "files": [{"file": "%s", "sha256": ""}]}'
    pathlib.Path("m.json").write_text(text % name)
    for args in (("build", "--file", "m.json"), ("diff", "m.json", "m.json")):
        code, said = run(*args)
        assert (code, said.startswith("m.json: not a manifest")) == (2, True)


def test_numbers_of_thousands_of_digits(case, run, monkeypatch):
    case("digits")
    code, said = run("generate", "-c", "cron.yaml")
    assert (code, said.startswith("cron.yaml:4:72: ")) == (3, True)
    code, said = run("generate", "-c", "j.json")
    assert (code, said.startswith("j.json:1:")) == (3, True)
    code, said = run("runs", "show", f"latest~{'9' * 5000}")
    assert (code, said.startswith("no run is called")) == (2, True)
    shutil.copytree(HERE / "cases/log-through-symlink", ".", dirs_exist_ok=True)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "9" * 5000)
    code, said = run("build", "-c", "m.yaml", "--dry-run")
    assert (code, said.startswith("SOURCE_DATE_EPOCH is")) == (2, True)


def test_an_endless_dockerfile_is_not_read(case):
    case("endless-dockerfile")
    done = within_bounds("build", "--file", "z.json", "--docker", DOCKER)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipe_as_a_dockerfile_is_not_waited_for(case):
    folder = case("log-through-symlink")
    dockerfile = folder / "dockerfiles/Dockerfile"
    dockerfile.unlink()
    os.mkfifo(dockerfile)
    done = within_bounds("generate", "-c", "m.yaml")
    assert done.returncode == 0
    assert "not a regular file" in done.stderr
    assert within_bounds("diff", "m.yaml", "cloudbuild.json").returncode == 0


def test_patterns_with_many_wildcards(case):
    case("glob-hang")
    assert within_bounds("dockerfile", "d", "-c", "m.yaml").returncode == 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("build", "--file", "b.yaml"), 5),
        (("submit", "--file", "b.yaml", "--dry-run"), 5),
        (("diff", "d.yaml", "m.yaml"), 0),
        (("generate", "-c", "m.yaml", "-o", "cb.json", "--yes"), 0),
        (("matrix", "-c", "b.yaml"), 3),
    ],
)
def test_a_few_aliases_that_stand_for_billions(case, args, code):
    case("yaml-bomb")
    shutil.copy("d.yaml", "cb.json")
    done = within_bounds(*args)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_what_a_build_writes_does_not_follow_links(case, run):
    folder = case("log-through-symlink")
    (folder / "victim").write_text("mine")
    logs = folder / "runs/build"
    logs.mkdir(parents=True)
    for name in ("001-ml-cpu-p12.log", "report.json", "previous.json", "passed.json"):
        (logs / name).symlink_to("../../victim")
    code, _ = run("build", "-c", "m.yaml", "--only", "cpu-p12", "--docker", DOCKER)
    assert code == 0
    assert (folder / "victim").read_text() == "mine"
    assert not (logs / "001-ml-cpu-p12.log").is_symlink()
    assert not (logs / "report.json").is_symlink()


def test_a_folder_of_logs_that_leads_out_of_the_project_is_refused(case, run, tmp_path_factory):
    folder = case("log-through-symlink")
    (folder / ".git").mkdir()
    (folder / "runs").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    code, said = run("build", "-c", "m.yaml", "--docker", DOCKER)
    assert (code, "a link that leads out of the project" in said) == (2, True)


def test_a_value_is_no_markdown(case, run):
    case("markdown")
    code, said = run("diff", "a.json", "b.json", "--markdown")
    assert code == 0
    evil = "![t](https://evil.example/x.png) [click](https://evil.example) __init__"
    assert f"| `{evil}` |" in said


@pytest.mark.parametrize(
    ("name", "file"), [("host-execution", "F.json"), ("push-without-push", "P.json")]
)
def test_what_may_push_is_not_run_without_leave(case, run, name, file):
    folder = case(name)
    code, said = run("build", "--file", file, "--docker", DOCKER)
    assert (code, "--push permits it" in said) == (5, True)
    assert not (folder / "PWNED").exists()


def test_terraform_gets_no_expression(case, run):
    case("terraform-interpolation")
    code, said = run("trigger", "-c", "c.yaml", "--format", "terraform")
    assert (code, "file(" in said.partition("\n")[0]) == (3, True)


def test_a_build_without_a_tag_on_a_terminal(case):
    case("untagged-on-a-terminal")
    command = f"{sys.executable} -m imagekit build --file u.json --docker {DOCKER}"
    if shutil.which("script") is None:
        pytest.skip("needs the program script")
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "1 succeeded" in done.stdout) == (0, True)


EVIL = "\x1b]0;x\x07\x1b[31m"


@pytest.mark.parametrize(
    "args",
    [
        (EVIL,),
        ("generate", "-c", EVIL),
        ("generate", f"--{EVIL}"),
        ("generate", "--target", EVIL),
        ("build", "--file", EVIL),
        ("build", "--substitution", EVIL),
        ("diff", EVIL),
        ("diff", f"HEAD:{EVIL}", "x"),
        ("matrix", "-c", EVIL, "--grid"),
        ("readme", EVIL),
        ("runs", "show", EVIL),
        ("runs", "list", "--runs", EVIL),
        ("run", EVIL),
        ("clean-notebooks", EVIL),
        ("dockerfile", EVIL),
        ("help", EVIL),
        ("init", f"{EVIL}/a/b"),
    ],
)
def test_no_name_reaches_a_terminal_as_it_is(tmp_path, monkeypatch, run, args):
    monkeypatch.chdir(tmp_path)
    _, said = run(*args)
    assert said
    assert "\x1b" not in said
    assert "\x07" not in said
