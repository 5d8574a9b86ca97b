"""Projects on images of the matrix, built and run with the real Docker engine."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from tests.system.conftest import CA_BUNDLE, run, wait_until

MATRIX = """
base_url: imagekit.test/projects
base_images: {bookworm: {BASE_IMAGE: "imagekit.test/ubuntu:bookworm", UBUNTU_VERSION: bookworm}}
python_versions: {py311: {PYTHON_VERSION: 3.11}}
images: [{base_image: bookworm, python: py311}]
recipes: {cpu: {build_args: {UV_IMAGE: "imagekit.test/uv:1"}}}
"""
IMAGEKIT = (sys.executable, "-m", "imagekit")
BUILD = ("--network", "host", "--secret", f"id=ca_bundle,src={CA_BUNDLE}")
UV = ("--uv-image", "imagekit.test/uv:1")
BLANK = "from importlib import metadata; print(*sorted(d.name for d in metadata.distributions()))"


@pytest.fixture(scope="module")
def matrix(docker, bases, tmp_path_factory):
    """A matrix whose one image is on the engine."""
    root = pathlib.Path(__file__).parents[2]
    folder = tmp_path_factory.mktemp("matrix")
    shutil.copytree(root / "dockerfiles", folder / "dockerfiles")
    (folder / "images.yaml").write_text(MATRIX)
    command = [*IMAGEKIT, "build", "-c", "images.yaml", "--docker", docker, *BUILD]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "images.yaml"


@pytest.fixture
def project(tmp_path):
    """A code directory, made of its files."""
    folder = tmp_path / "a project"

    def make(**files):
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return make


@pytest.fixture
def build(docker, matrix, tmp_path):
    """Build a code directory: its image's name."""

    def call(folder, *options):
        name = f"imagekit.test/project:{abs(hash(tmp_path)) % 10**8}"
        command = [*IMAGEKIT, "project", "build", str(folder), "-c", str(matrix), "-t", name]
        command += ["--docker", docker, "--uid", "1234", "--gid", "1234", *UV, *BUILD, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        call.said = done.stderr
        return name

    yield call
    name = f"imagekit.test/project:{abs(hash(tmp_path)) % 10**8}"
    subprocess.run([docker, "image", "rm", "--force", name], capture_output=True, check=False)


@pytest.fixture
def inside(docker):
    """Run something in a container of an image: what it prints."""

    def call(image, *command, **options):
        more = [part for name, value in options.items() for part in (f"--{name}", value)]
        return run(docker, "run", "--rm", "--network", "host", *more, image, *command).strip()

    return call


def test_a_package_from_the_index_and_nothing_else(project, build, inside):
    image = build(project(**{"requirements.txt": "six==1.17.0\n"}))
    assert inside(image, "python", "-c", BLANK) == "pip six"
    failing = "try:\n import yaml\nexcept ImportError:\n print('not there')"
    assert inside(image, "python", "-c", failing) == "not there"


PYPROJECT = """
[project]
name = "thing"
version = "1"
dependencies = ["six"]

[project.optional-dependencies]
cpu = ["idna"]
gpu = ["wheel"]
more = ["toml"]

[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""


def test_a_local_package_with_extras(project, build, inside, docker):
    folder = project(**{"pyproject.toml": PYPROJECT, "thing/__init__.py": "WORD = 'one'\n"})
    image = build(folder, "--extra", "more", "--cmd", "python -c 'import thing; print(thing.WORD)'")
    assert inside(image, "python", "-c", BLANK) == "idna pip six thing toml"
    assert inside(image) == "one"
    layers = run(docker, "image", "inspect", "--format", "{{json .RootFS.Layers}}", image)
    # Another code stands on the same layers of dependencies.
    (folder / "thing/__init__.py").write_text("WORD = 'two'\n")
    image = build(folder, "--extra", "more", "--cmd", "python -c 'import thing; print(thing.WORD)'")
    assert inside(image) == "two"
    again = run(docker, "image", "inspect", "--format", "{{json .RootFS.Layers}}", image)
    assert json.loads(again)[:-2] == json.loads(layers)[:-2]
    assert again != layers
    # It was installed, and no trace of building lies beside the code.
    assert inside(image, "ls", "/app") == "pyproject.toml\nthing"


def test_names_that_a_shell_or_copy_would_read_otherwise(project, build, inside):
    name = """a folder/é $HOME 'x' "y" [1]* \\z.txt"""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    image = build(project(**{"requirements.txt": f'-r "{quoted}"\n', name: "six\n"}))
    assert inside(image, "python", "-c", BLANK) == "pip six"
    assert inside(image, "cat", name) == "six"


def test_a_directory_that_its_requirements_name_is_installed_once(project, build, inside):
    files = {"pyproject.toml": PYPROJECT, "thing/__init__.py": "WORD = 'one'\n"}
    image = build(project(**files, **{"requirements.txt": "-e .[more]\n"}))
    # setuptools leaves traces beside the code when it installs that where it lies.
    assert inside(image, "python", "-c", BLANK, workdir="/") == "idna pip six thing toml"
    where = "import thing; print(thing.__file__)"
    assert inside(image, "python", "-c", where, workdir="/") == "/app/thing/__init__.py"


def test_a_dependency_from_a_git_repository(project, build, inside, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(pathlib.Path(__file__).parents[1] / "projects/package/project", source)
    text = (source / "pyproject.toml").read_text().replace('dependencies = ["numpy', 'x = ["numpy')
    (source / "pyproject.toml").write_text(text.replace('x = ["numpy', "dependencies = []\n#"))
    git = ("git", "-C", str(source), "-c", "user.name=n", "-c", "user.email=e@example.com")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        run(*git, *words)
    run(*git, "clone", "-q", "--bare", str(source), str(tmp_path / "thing.git"))
    with port_of() as port:
        pass
    daemon = ["git", "daemon", f"--port={port}", "--listen=127.0.0.1", "--export-all"]
    with subprocess.Popen([*daemon, f"--base-path={tmp_path}", "--reuseaddr"]) as server:
        try:
            wait_until(lambda: answers(port))
            address = f"git+git://127.0.0.1:{port}/thing.git"
            image = build(project(**{"requirements.txt": f"thing-one @ {address}\n"}))
        finally:
            # The daemon's own child serves.
            subprocess.run(["pkill", "-P", str(server.pid)], check=False)
            server.terminate()
    assert inside(image, "python", "-c", "import thing; print(thing.__name__)") == "thing"


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def port_of():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


def test_debian_packages(project, build, inside):
    image = build(project(**{"apt.txt": "bc # sums\n"}), "--apt", "tree")
    assert inside(image, "sh", "-c", "echo 2+3 | bc; tree --version | cut -c1-4") == "5\ntree"
    # apt's lists are those of the base image, and no others.
    lists = ("ls", "-R", "/var/lib/apt/lists")
    assert inside(image, *lists) == inside("imagekit.test/projects:cpu-bookworm-py311", *lists)


def test_whoever_runs_it_writes_where_they_may(project, build, inside, tmp_path):
    image = build(project(**{"code.py": "open('made', 'w').write('x')\n"}), "--script", "code.py")
    written = tmp_path / "written"
    written.mkdir()
    os.chown(written, 1234, 1234)
    (written / "code.py").write_text("open('made', 'w').write('x')\n")
    assert inside(image, volume=f"{written}:/app") == ""
    assert ((written / "made").stat().st_uid, (written / "made").stat().st_gid) == (1234, 1234)
    shown = inside(image, "-c", "id; cd; pwd; touch x; touch /etc/x || true", entrypoint="sh")
    assert shown.splitlines()[0].startswith("uid=1234(app) gid=1234(app)")
    assert shown.splitlines()[1] == "/home/app"


def test_a_notebook_server_answers_on_its_port(project, build, docker):
    with port_of() as port:
        pass
    image = build(project(**{"a.ipynb": "{}"}), "--notebook", "--port", str(port))
    name = f"imagekit-test-{port}"
    run(docker, "run", "--detach", "--rm", "--network", "host", "--name", name, image)
    try:
        wait_until(lambda: status(f"http://127.0.0.1:{port}/api") == 200, 90)
        assert status(f"http://127.0.0.1:{port}/api/contents") == 403, (
            "nobody gets in without a token"
        )
    finally:
        run(docker, "rm", "--force", name)


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_what_a_lock_file_says(project, build, inside):
    text = PYPROJECT.replace('dependencies = ["six"]', 'dependencies = ["six", "helper"]')
    own = PYPROJECT.replace('name = "thing"', 'name = "helper"').replace('["six"]', "[]")
    folder = project(
        **{
            "pyproject.toml": f'{text}[tool.uv.sources]\nhelper = {{path = "libs/helper"}}\n',
            "src/thing/__init__.py": "",
            "libs/helper/pyproject.toml": own,
            "libs/helper/helper/__init__.py": "",
        }
    )
    uv = str(pathlib.Path(sys.executable).with_name("uv"))
    run(uv, "lock", "-q", "--project", str(folder))
    image = build(folder)
    assert inside(image, "python", "-c", BLANK) == "helper idna pip six thing"
    lock = ("--format", "pylock.toml", "-o", str(folder / "pylock.toml"))
    without = ("--no-emit-project", "--no-emit-package", "helper")
    run(uv, "export", "-q", "--project", str(folder), *lock, *without)
    (folder / "uv.lock").unlink()
    image = build(folder)
    assert inside(image, "python", "-c", BLANK) == "pip six thing"


def test_a_secret_is_used_and_in_no_layer(project, build, docker, tmp_path):
    secret = tmp_path / "netrc"
    secret.write_text("machine example.com login me password verysecret\n")
    folder = project(**{"requirements.txt": "six\n", ".env": "TOKEN=verysecret\n"})
    image = build(folder, "--secret", f"id=netrc,src={secret}")
    saved = tmp_path / "image.tar"
    run(docker, "image", "save", "--output", str(saved), image)
    run("tar", "-C", str(tmp_path), "-xf", str(saved))
    layers = [*tmp_path.rglob("layer.tar"), *tmp_path.glob("blobs/sha256/*")]
    assert len(layers) > 2
    for layer in layers:
        assert b"verysecret" not in layer.read_bytes()
    history = run(docker, "history", "--no-trunc", image)
    assert "verysecret" not in history
    names = run(docker, "run", "--rm", image, "ls", "-A", "/app").split()
    assert names == ["requirements.txt"]


def test_the_printed_dockerfile_goes_straight_into_docker(project, matrix, docker):
    folder = project(**{"x.py": "print('straight')\n"})
    printed = f"{sys.executable} -m imagekit dockerfile . -c {matrix} --script x.py {' '.join(UV)}"
    piped = f"{printed} | DOCKER_BUILDKIT=1 {docker} build -q -t imagekit.test/straight -f - ."
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", piped], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert run(docker, "run", "--rm", "imagekit.test/straight").strip() == "straight"
