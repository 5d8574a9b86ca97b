"""From an empty folder to an upgraded family: the tutorial, command by command.

A new environment has nothing but the wheel. imagekit is not on the index here, so pip finds its
wheels in a folder: first one of an older version, with another Dockerfile, then the present one.
"""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import zipfile

import pytest
import yaml

import imagekit
from imagekit.scaffold import record
from tests.conftest import ROOT
from tests.system.bases import COMPILING
from tests.system.conftest import CA_BUNDLE
from tests.system.conftest import run as ran
from tools import console, terminal

UV = pathlib.Path(sys.executable).with_name("uv")
OLDER = "0.0.1"
LINE = "# A Python virtual environment that contains only pip.\n"
OLD_LINE = "# A Python virtual environment.\n"
"""The first line of the Dockerfile, now and in the older version."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheels of two versions, by version, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheels")
    ran(str(UV), "build", "-q", "--wheel", "--out-dir", str(folder / "new"), str(ROOT))
    checkout = folder / "checkout"
    for name in ("imagekit", "dockerfiles", "notebooks", "config"):
        shutil.copytree(ROOT / name, checkout / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    replace(checkout / "imagekit/__init__.py", imagekit.__version__, OLDER)
    replace(checkout / "dockerfiles/Dockerfile", LINE, OLD_LINE)
    ran(str(UV), "build", "-q", "--wheel", "--out-dir", str(folder / "old"), str(checkout))
    return {version: next((folder / version).glob("*.whl")) for version in ("old", "new")}


def replace(path, old, new):
    text = path.read_text()
    assert old in text, path
    path.write_text(text.replace(old, new, 1))


@pytest.fixture
def environment(tmp_path, wheels):
    """The variables of a new environment; its index has what is in the folder `index`, too."""
    ran(str(UV), "venv", "-q", "--seed", "--python", sys.executable, str(tmp_path / "venv"))
    index = tmp_path / "index"
    index.mkdir()
    shutil.copy(wheels["old"], index)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept.pop("VIRTUAL_ENV", None)
    return kept | {
        "PATH": f"{tmp_path / 'venv/bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {index}".strip(),
        "HOME": str(tmp_path),
        # Where a person's own plugins of the Docker client are.
        "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(pathlib.Path.home() / ".docker")),
        "UV_FIND_LINKS": str(index),
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(pathlib.Path.home() / ".cache/uv")),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(pathlib.Path.home() / ".cache/pip")),
        "PYTHON": sys.executable,
        **{
            f"GIT_{who}_{what}": "a@b.example"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }


def commands(page):
    """The commands of a page in order, with what it shows of their output, else None."""
    for kind, block in console.BLOCK.findall(page):
        first = block.split("\n")[0]
        if kind == "yaml" and first.endswith(".yaml"):
            yield f"cat > {first[2:]} <<'END'\n{block}END", None
        elif kind == "console":
            yield from console.COMMAND.findall(block)
        elif kind == "sh":
            yield from ((line, None) for line in block.splitlines())


class Shell:
    """A bash that stays, as that of a person at a terminal: `cd` and `export` last."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.status = 0

    def run(self, command):
        """Run a command; return its output."""
        mark = "- that was all, exit code"
        # `$?` of the page is that of its command before, and not of our own.
        asked = f'(exit {self.status})\n{command}\nstatus=$?; echo "{mark} $status"\n'
        self.process.stdin.write(asked)
        self.process.stdin.flush()
        said = []
        for line in self.process.stdout:
            if mark in line:
                before, _, status = line.partition(mark)
                self.status = int(status)
                return "".join([*said, before])
            said.append(line)
        raise AssertionError(f"{command}: bash has ended\n{''.join(said)}")

    def close(self):
        with self.process:
            self.process.stdin.close()
            self.process.wait(300)


@pytest.fixture
def shell(tmp_path, environment):
    (tmp_path / "work").mkdir()
    opened = Shell(tmp_path / "work", environment)
    yield opened
    opened.close()


def test_the_tutorial(shell, tmp_path, wheels, docker, bases):
    family = tmp_path / "work/my-images"
    page = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    outputs = {}
    # uv installs the family, as the page says one can; pip installs imagekit, and upgrades both.
    for command, shown in commands(page):
        if command.startswith("imagekit build"):
            said = built(shell, family, command, docker)
        elif command.startswith("pip install --upgrade"):
            shutil.copy(wheels["new"], tmp_path / "index")
            said = shell.run(command)
        elif command == "make generate" and command not in outputs:
            said = shell.run(f"INSTALLER='{UV} pip' {command}")
        elif shown and command.startswith("imagekit"):
            said = shell.run(shlex.join([sys.executable, terminal.__file__, command]))
        else:
            said = shell.run(command)
        outputs[command] = said
        if shown is None:
            assert shell.status == 0, f"{command}\n{said}"
        else:
            assert said == shown, command
    assert "2 succeeded, 2 not pushed" in outputs["imagekit build --only 'cpu-*-py313'"]
    upgraded = outputs["imagekit init --update"]
    assert "~ dockerfiles/Dockerfile: merged with yours\n~ requirements.txt\n" in upgraded
    assert f"imagekit {OLDER} → {imagekit.__version__}: 2 files written" in upgraded
    text = (family / "dockerfiles/Dockerfile").read_text()
    assert text.startswith(LINE)
    assert text.endswith("LABEL team=research\n")
    assert record.read(family).imagekit == imagekit.__version__
    assert shell.run("git status --porcelain") == ""
    assert f"imagekit, version {imagekit.__version__}" in shell.run(".venv/bin/imagekit --version")
    hooks = [pathlib.Path(sys.executable).with_name("pre-commit"), "run", "--all-files"]
    done = subprocess.run(hooks, cwd=family, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("Passed")) == (0, 4), done.stdout + done.stderr
    # The README's two commands are those of the tutorial, and its table is that of the config.
    readme = (family / "README.md").read_text()
    assert re.findall(r"^(make \w+)  ", readme, re.MULTILINE) == ["make generate", "make test"]
    assert "13.0.4" in readme


def built(shell, family, command, docker):
    """Build on base images of the tests, behind whatever proxy this machine has.

    The matrix of other tests has the same base, so what is installed with apt is shared.
    """
    config = family / "config/images.yaml"
    before = config.read_text()
    replace(config, "BASE_IMAGE: ubuntu:24.04", f"BASE_IMAGE: {COMPILING}/ubuntu:trixie")
    replace(
        config,
        "cpu: {test: dockerfiles/tests/python.yaml}",
        "cpu: {test: dockerfiles/tests/python.yaml, build_args: {UV_IMAGE: imagekit.test/uv:1}}",
    )
    secret = f"id=ca_bundle,src={CA_BUNDLE}"
    said = shell.run(f"{command} --docker {docker} --network host --secret {secret}")
    config.write_text(before)
    return said


def test_imagekit_is_an_image(docker, bases, wheels, tmp_path):
    tag = "imagekit.test/imagekit:1"
    ran(
        *("env", "DOCKER_BUILDKIT=1", docker, "build", "--network", "host"),
        *("--secret", f"id=ca_bundle,src={CA_BUNDLE}"),
        *("--build-arg", "BASE_IMAGE=imagekit.test/ubuntu:bookworm"),
        *("--build-arg", "UV_IMAGE=imagekit.test/uv:1"),
        *("-f", str(ROOT / "docker/Dockerfile"), "-t", tag, str(wheels["new"].parent)),
    )
    family = tmp_path / "family"
    family.mkdir()
    os.chown(family, 1234, 1234)

    def imagekit_in_a_container(*arguments):
        user = ("-u", "1234:1234", "-v", f"{family}:/work")
        return ran(docker, "run", "--rm", "--network", "none", *user, tag, *arguments)

    try:
        assert f"version {imagekit.__version__}" in imagekit_in_a_container("--version")
        imagekit_in_a_container("init")
        ran("git", "-C", str(family), "-c", "safe.directory=*", "init", "-q")
        assert "4 images" in imagekit_in_a_container("generate")
        assert "up to date" in imagekit_in_a_container("generate", "--check")
        imagekit_in_a_container("run", "explore")
        assert imagekit_in_a_container("runs").count("succeeded") == 1
        assert {path.stat().st_uid for path in (family / "runs").iterdir()} == {1234}
        asked = (docker, "image", "inspect", "-f", "{{.Config.User}}", tag)
        assert ran(*asked).strip() == "65532:65532"
    finally:
        ran(docker, "image", "rm", tag)


@pytest.fixture(scope="module")
def dependencies(wheels, tmp_path_factory):
    """The temporary folder of a runner, whose environment has all but imagekit itself.

    That pip finds and installs what imagekit needs is what the tutorial shows.
    """
    folder = tmp_path_factory.mktemp("runner")
    python = ("--python", str(folder / "imagekit/bin/python"))
    ran(str(UV), "venv", "-q", "--python", sys.executable, str(folder / "imagekit"))
    pins = ("-c", str(ROOT / "constraints.txt"))
    ran(str(UV), "pip", "install", "-q", *python, *pins, f"imagekit[run] @ file://{wheels['new']}")
    return folder


@pytest.mark.parametrize("version", ["", imagekit.__version__], ids=["its own", "named"])
def test_the_action(environment, wheels, dependencies, tmp_path, version):
    shutil.copy(wheels["new"], tmp_path / "index")
    program = dependencies / "imagekit/bin/python"
    ran(str(UV), "pip", "uninstall", "-q", "--python", str(program), "imagekit")
    if version:
        # As on Debian, where pip is a package of its own.
        python = tmp_path / "venv/bin/python"
        ran(str(UV), "pip", "uninstall", "-q", "--python", str(python), "pip")
    family = tmp_path / "family"
    ran(sys.executable, "-m", "imagekit", "init", str(family))
    config = family / "config/mine.yaml"
    shutil.copy(family / "config/images.yaml", config)
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: about["default"] for name, about in action["inputs"].items()}
    inputs |= {"version": version, "config": str(config)}
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    known["github.action_path"] = str(ROOT)

    def run(step):
        assert step["shell"] == "bash"
        values = {
            name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], value)
            for name, value in step["env"].items()
        }
        return subprocess.run(
            # As GitHub's runner calls bash.
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=family,
            env=environment | values | {"RUNNER_TEMP": str(dependencies)},
            capture_output=True,
            text=True,
            check=False,
        )

    install, use = action["runs"]["steps"]
    done = run(install)
    assert done.returncode == 0, done.stderr
    assert any((dependencies / "imagekit/bin").glob("pip*")) == bool(version)
    done = run(use)
    assert (done.returncode, done.stderr) == (
        4,
        "cloudbuild.json does not exist. Generate it and commit it.\n",
    )
    for command in ("generate", "generate --check"):
        known["inputs.command"] = command
        done = run(use)
        assert done.returncode == 0, done.stderr


def test_the_action_runs_what_exists():
    program = pathlib.Path(sys.executable).with_name("check-jsonschema")
    ran(str(program), "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml"))


def test_the_wheel_has_what_a_family_starts_with(wheels):
    names = set(zipfile.ZipFile(wheels["new"]).namelist())
    listed = ran("git", "-C", str(ROOT), "ls-files", "dockerfiles", "notebooks", "config")
    assert {f"imagekit/shipped/{name}" for name in listed.splitlines()} <= names


RUN_ALL = """
import sys
from imagekit.cli.app import main

for name in sys.argv[1:]:
    try:
        main(["run", name])
    except SystemExit as end:
        assert end.code == 0, name
"""
"""`imagekit run` for each of several notebooks, without loading papermill each time."""


def test_uvx_runs_it_and_its_notebooks(wheels, tmp_path):
    """In a folder that has a config and nothing else, and that git does not know."""
    source = f"imagekit[run] @ file://{wheels['new']}"
    uvx = [UV, "tool", "run", "-q", "--python", sys.executable, "--from", source]
    uvx += ["--constraints", ROOT / "constraints.txt"]
    folder = tmp_path / "any/where"
    (folder / "config").mkdir(parents=True)
    (folder / "below").mkdir()
    shutil.copy(ROOT / "config/caliban.json", folder / "config/images.yaml")
    others = ("generate", "history", "build", "images", "start")
    for command in (["imagekit", "run", "explore"], ["python", "-c", RUN_ALL, *others]):
        done = subprocess.run(
            [*uvx, *command], cwd=folder / "below", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in folder.iterdir()} == {
        *("below", "config", "runs", "cloudbuild.json")
    }
    assert len(list((folder / "runs").glob("*.ipynb"))) == 6


@pytest.fixture
def repository(tmp_path):
    """A family in a git repository, with a build file and everything added."""
    family = tmp_path / "family"
    ran(sys.executable, "-m", "imagekit", "init", str(family))
    for command in (
        [sys.executable, "-m", "imagekit", "generate"],
        ["git", "init", "-q"],
        ["git", "add", "."],
    ):
        subprocess.run(command, cwd=family, check=True, capture_output=True)
    return family


def test_the_hooks(repository, tmp_path):
    """The real pre-commit installs imagekit, as the page on CI says, and runs each hook."""
    # A copy, so that the hooks are those of the files as they are, committed or not.
    source = tmp_path / "imagekit"
    listed = ran("git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard").split("\0")
    for name in (name for name in listed if name and not name.startswith("tests/")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    mine = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    tagged = ["tag", f"v{imagekit.__version__}"]
    for command in (["init", "-q"], ["add", "."], [*mine, "commit", "-qm", "one"], tagged):
        ran("git", "-C", str(source), *command)
    page = (ROOT / "docs/howto/ci.md").read_text(encoding="utf-8")
    (settings,) = (block for _, block in console.BLOCK.findall(page) if block.startswith("repos:"))
    config = tmp_path / "hooks.yaml"
    config.write_text(settings)
    replace(config, "https://github.com/imagekit/imagekit", str(source))
    program = pathlib.Path(sys.executable).with_name("pre-commit")
    command = [program, "run", "--config", config, "--all-files", "--color=never"]
    environment = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}

    def checked():
        done = subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True, check=False
        )
        found = re.findall(r"^(.*?)\.{3,}.*?(Passed|Failed|Skipped)$", done.stdout, re.MULTILINE)
        return done.stdout + done.stderr, dict(found)

    names = ("the config is valid", "the build file is up to date", "notebooks are clean")
    said, results = checked()
    assert results == dict.fromkeys(names, "Passed"), said
    replace(repository / "config/images.yaml", "13.0.3", "13.0.4")
    notebook = repository / "notebooks/start.ipynb"
    replace(notebook, '"name": "python"\n', '"name": "python",\n   "version": "3.13.1"\n')
    said, results = checked()
    assert list(results.values()) == ["Passed", "Failed", "Failed"], said
    replace(repository / "config/images.yaml", "base_images", "base_imagse")
    said, results = checked()
    assert results[names[0]] == "Failed", said
    assert "did you mean 'base_images'?" in said
