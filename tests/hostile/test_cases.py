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
from imagekit.errors import UsageError
from imagekit.support import files

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


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("extra-newline", "d/imagekit.toml:1:1: "),
        ("project-env-U", "d/environment.yml:1:"),
        ("project-env-deep", "d/environment.yml:1:"),
        ("project-req-long", "d/requirements.txt:1:1: "),
        ("project-req-nul", "d/requirements.txt:1:1: "),
        ("project-uv-sources", "d/pyproject.toml:4:1: "),
        ("project-uvlock-number", "d/uv.lock:1:1: "),
        ("yaml-bomb", "e/environment.yml:1:1: the aliases"),
    ],
)
def test_a_file_of_a_project_is_refused_with_its_place(case, run, name, begin):
    case(name)
    code, said = run("dockerfile", begin.partition("/")[0], "-c", "m.yaml")
    assert (code, said.startswith(begin)) == (3, True)
    assert "\nRUN" not in said


@pytest.mark.parametrize(
    "code", ["f" + ".a()" * 225_000, "x = " + "(" * 5000, "-" * 50_000 + "1", "f" + "(f" * 90]
)
def test_calls_without_end_in_a_setup_py(case, code):
    # Here and not in a file, because linters fail for it, too.
    folder = case("setup-py-hang")
    text = f"from setuptools import setup\n{code}\nsetup()\n"
    (folder / "d2/setup.py").write_text(text)
    assert within_bounds("dockerfile", "d2", "-c", "m.yaml").returncode == 0


@pytest.mark.parametrize(
    "line",
    [
        "numpy==1.0",
        "./a",
        "-e .",
        "--trusted-host h{}",
        "-r x{}.txt",
        "a" + " " * 4000 + "b",
        "a[" + "x," * 2000,
        "a; " + "(" * 4000,
        "a @ file:./" + "x" * 300,
    ],
)
def test_many_requirements(case, line):
    folder = case("setup-py-hang")
    (folder / "e").mkdir()
    (folder / "e/a").mkdir()
    number = 100_000 // (len(line) + 3)
    lines = "\n".join(line.format(index) for index in range(number))
    (folder / "e/requirements.txt").write_text(lines)
    done = within_bounds("dockerfile", "e", "-c", "m.yaml")
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["a\nRUN touch /pwned", "a b", "\x1b[31m", "-x", "x" * 300])
@pytest.mark.parametrize("option", ["extra", "group", "package", "uv-image", "base", "tag"])
def test_an_option_is_no_instruction(case, run, option, value):
    case("setup-py-hang")
    more = ("--build", "--docker", DOCKER) if option == "tag" else ()
    code, said = run("dockerfile", "d2", "-c", "m.yaml", f"--{option}={value}", *more)
    assert (code, "\nRUN" in said) == (2, False)


NASTY = "x\\nRUN touch /pwned #"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", f'[project]\nname = "{NASTY}"\n'),
        ("pyproject.toml", f'[project]\nname = "p"\ndependencies = ["{NASTY}"]\n'),
        ("pyproject.toml", f'[project]\nname="p"\n[project.optional-dependencies]\n"{NASTY}"=[]\n'),
        ("pyproject.toml", f'[dependency-groups]\n"a"=[]\n[tool.uv]\ndefault-groups=["{NASTY}"]\n'),
        (
            "pyproject.toml",
            '[project]\nname="p"\ndynamic=["version"]\n[build-system]\nrequires=["versioneer"]\n'
            f'[tool.versioneer]\nparentdir_prefix="{NASTY}"\n',
        ),
        ("environment.yml", f'dependencies:\n- pip:\n  - "https://example.com/{NASTY}"\n'),
        ("cog.yaml", f'build:\n  python_packages: ["https://example.com/{NASTY}"]\n'),
        ("requirements.txt", "a @ https://example.com/\x0bRUN touch /pwned"),
        ("requirements.txt", "--trusted-host x\x85RUN touch /pwned"),
        ("pip.conf", "[global]\nindex-url = https://example.com/\x00\n"),
        ("imagekit.toml", f'groups = ["{NASTY}"]\n'),
        ("imagekit.toml", f'cmd = "{NASTY}"\n'),
        ("pyproject.toml", f"""[project]\nname = "p"\ndependencies = ["a; {"(" * 3000}"]"""),
        ("pyproject.toml", "x=" + "[" * 3000),
        ("pyproject.toml", "a." * 100_000 + "b = 1"),
    ],
)
def test_what_a_project_says_is_no_instruction(case, run, name, text):
    folder = case("setup-py-hang")
    (folder / "n").mkdir()
    (folder / "n" / name).write_text(text)
    code, said = run("dockerfile", "n", "-c", "m.yaml")
    assert (code, "\nRUN" in said) == (3, False)
    assert f"n/{name}:" in said


def test_a_directory_that_cannot_be_written(case, run, monkeypatch):
    case("setup-py-hang")

    def refuse(*_, **__):
        raise UsageError("d2/.dockerignore: cannot be written: Read-only file system")

    monkeypatch.setattr(files, "replace_file", refuse)
    code, said = run("dockerfile", "d2", "-c", "m.yaml")
    assert (code, "Read-only file system" in said, "\nFROM " in said) == (0, True, True)
    code, said = run("dockerfile", "d2", "-c", "m.yaml", "--build", "--docker", DOCKER)
    assert (code, "Read-only file system" in said) == (2, True)


@pytest.mark.parametrize(
    "target", ["nowhere", "../nowhere", "../m.yaml", "/dev/zero", ".dockerignore"]
)
def test_rules_that_are_a_link_are_not_followed(case, run, target):
    folder = case("setup-py-hang")
    (folder / "d2/.dockerignore").symlink_to(target)
    code, said = run("dockerfile", "d2", "-c", "m.yaml")
    assert (code, "warning: d2/.dockerignore cannot be read" in said) == (0, True)
    assert (folder / "d2/.dockerignore").is_symlink()
    assert not (folder / "nowhere").exists()
    code, said = run("dockerfile", "d2", "-c", "m.yaml", "--build", "--docker", DOCKER)
    assert (code, "replace it with a file" in said) == (2, True)
