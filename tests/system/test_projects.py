"""Projects on images of the matrix, built and run with the real Docker engine."""

import base64
import contextlib
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
import zipfile

import pytest
from pip._internal.models.index import PyPI

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
UV_PROGRAM = str(pathlib.Path(sys.executable).with_name("uv"))
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
    base = "imagekit.test/projects:cpu-bookworm-py311"
    assert inside(image, *lists, user="0") == inside(base, *lists, user="0")


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
    name = f"project-{port}"
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


MEMBER = """
[project]
name = "acme-{name}"
version = "1"
requires-python = ">=3.11"
dependencies = [{needs}]
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
"""


def test_a_workspace_of_uv(project, build, inside):
    folder = project(
        **{
            "pyproject.toml": """
[tool.uv.workspace]
members = ["members/*"]
[tool.uv.sources]
acme-core = { workspace = true }
""",
            "members/app/pyproject.toml": MEMBER.format(name="app", needs='"acme-core", "six"'),
            "members/app/acme_app/__init__.py": "",
            "members/core/pyproject.toml": MEMBER.format(name="core", needs=""),
            "members/core/acme_core/__init__.py": "WORD = 'one'\n",
            "members/other/pyproject.toml": MEMBER.format(name="other", needs='"toml"'),
            "members/other/acme_other/__init__.py": "",
        }
    )
    run(UV_PROGRAM, "lock", "-q", "--project", str(folder))
    image = build(folder, "--package", "acme-app")
    assert inside(image, "python", "-c", BLANK) == "acme-app acme-core pip six"
    # A member's code is built anew, although nothing that declares it has changed.
    # The engine may know the layers of an earlier run of the test.
    unique = uuid.uuid4().hex
    (folder / "members/core/acme_core/__init__.py").write_text(f"WORD = '{unique}'\n")
    image = build(folder, "--package", "acme-app")
    assert executed(build.said) == 1
    shown = inside(image, "python", "-c", "import acme_core; print(acme_core.WORD)", workdir="/")
    assert shown == unique


def executed(said):
    """The number of installation steps that a build ran, and did not take from its cache."""
    steps = set(re.findall(r"(?m)^(#\d+) \[.*\] RUN --mount=type=bind,from=uv", said))
    assert steps
    return len(steps - set(re.findall(r"(?m)^(#\d+) CACHED$", said)))


SCRIPT = """# /// script
# dependencies = ["idna"]
# ///
import app, importlib.metadata, idna
print(app.WORD, importlib.metadata.version("app"))
"""
HASHED = """six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
"""


def test_all_that_uv_reads_of_one_project(project, build, inside):
    """Hashes, a group, a script's own dependencies, and a version from git."""
    folder = project(
        **{
            "pyproject.toml": f"# {uuid.uuid4()}"
            """
[project]
name = "app"
dynamic = ["version"]
dependencies = ["six"]
[dependency-groups]
serve = ["toml"]
[tool.uv]
default-groups = ["serve"]
[tool.setuptools]
py-modules = ["app"]
[tool.setuptools_scm]
[build-system]
requires = ["setuptools", "setuptools-scm"]
build-backend = "setuptools.build_meta"
""",
            "requirements.txt": f"# {uuid.uuid4()}\n{HASHED}",
            "app.py": "WORD = 'one'\n",
            "job.py": SCRIPT,
        }
    )
    git = ("git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e@example.com")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1.2"]):
        run(*git, *words)
    image = build(folder, "--script", "job.py")
    assert executed(build.said) == 4
    assert inside(image) == "one 1.2"
    assert inside(image, "-c", BLANK, entrypoint="python") == "app idna pip six toml"
    assert ".git" not in inside(image, "-A", entrypoint="ls").split()
    (folder / "app.py").write_text(f"WORD = 'two'  # {uuid.uuid4()}\n")
    (folder / "job.py").write_text(SCRIPT + "print('more')\n")
    image = build(folder, "--script", "job.py")
    # Of the four steps, the one that installs the code itself.
    assert executed(build.said) == 1
    assert inside(image) == "two 1.2\nmore"


@pytest.mark.parametrize(
    ("name", "lock", "listed"),
    [
        ("poetry", True, "helper pip pt six"),
        ("poetry", False, "helper pip pt six"),
        ("pdm", True, "pip pp six"),
        ("pipenv", True, "pip six"),
    ],
)
def test_the_project_of_another_program(build, inside, tmp_path, name, lock, listed):
    folder = tmp_path / name
    shutil.copytree(pathlib.Path(__file__).parent / "projects" / name, folder)
    for path in (path for path in folder.rglob("*") if path.is_file()):
        # The hash in a lock is that of the project with the index that pip has by itself.
        path.write_text(
            path.read_text().replace("https://index.example.com/simple", PyPI.simple_url)
        )
    if not lock:
        (folder / f"{name}.lock").unlink()
    image = build(folder)
    assert inside(image, "python", "-c", BLANK) == listed
    # Nothing of the programs is left.
    made = ("sh", "-c", "find /root /tmp /app -type f | grep -v /app/libs | sort")
    files = inside(image, *made, user="0").splitlines()
    kept = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    base = inside("imagekit.test/projects:cpu-bookworm-py311", *made, user="0").splitlines()
    expected = [f"/app/{path}" for path in kept if not path.startswith(("libs", ".dockerignore"))]
    assert sorted(set(files) - set(base)) == sorted(expected)


@pytest.fixture
def index(tmp_path):
    """A package index on loopback that demands a login: its address."""
    folder = tmp_path / "index/simple/acme-core"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "acme_core-1-py3-none-any.whl", "w") as wheel:
        about = "acme_core-1.dist-info"
        wheel.writestr("acme_core.py", "")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: acme-core\nVersion: 1\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    expected = "Basic " + base64.b64encode(b"me:verysecret").decode()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.headers["Authorization"] == expected:
                super().do_GET()
            else:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.end_headers()

    handler = functools.partial(Handler, directory=str(tmp_path / "index"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_a_private_index_gets_its_login_and_no_layer_does(project, build, docker, index, tmp_path):
    text = f"""
[project]
name = "app"
version = "1"
dependencies = ["acme-core"]
[[tool.uv.index]]
name = "acme"
url = "{index}"
default = true
"""
    secrets = []
    for what, value in (("USERNAME", "me"), ("PASSWORD", "verysecret")):
        (tmp_path / what).write_text(value)
        secrets += ["--secret", f"id=UV_INDEX_ACME_{what},src={tmp_path / what}"]
    image = build(project(**{"pyproject.toml": text, ".env": "TOKEN=verysecret\n"}), *secrets)
    listed = run(docker, "run", "--rm", image, "python", "-c", BLANK).strip()
    assert listed == "acme-core pip"
    saved = tmp_path / "image.tar"
    run(docker, "image", "save", "--output", str(saved), image)
    run("tar", "-C", str(tmp_path), "-xf", str(saved))
    layers = [*tmp_path.rglob("layer.tar"), *tmp_path.glob("blobs/sha256/*")]
    assert len(layers) > 2
    for layer in layers:
        assert b"verysecret" not in layer.read_bytes()
    assert "verysecret" not in run(docker, "history", "--no-trunc", image)
    assert run(docker, "run", "--rm", image, "ls", "-A", "/app").split() == ["pyproject.toml"]


def test_the_printed_dockerfile_goes_straight_into_docker(project, matrix, docker):
    folder = project(**{"x.py": "print('straight')\n"})
    printed = f"{sys.executable} -m imagekit dockerfile . -c {matrix} --script x.py {' '.join(UV)}"
    piped = f"{printed} | DOCKER_BUILDKIT=1 {docker} build -q -t imagekit.test/straight -f - ."
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", piped], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert run(docker, "run", "--rm", "imagekit.test/straight").strip() == "straight"
