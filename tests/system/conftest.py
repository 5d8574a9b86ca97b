"""A real Docker engine, base images and a registry, started and stopped here.

No image is pulled: the base images are Debian releases from mmdebstrap under names of our own,
so that an engine that serves other work keeps its images. Two releases give two Pythons.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from tests.conftest import one_at_a_time
from tests.system import bases as base_images
from tests.system import engine as engines
from tests.system.bases import COMPILING, RELEASES, run
from tests.system.browser import CHROMIUM, FLAGS
from tests.system.engine import CLIENTS, answers, any_answers, wait_until

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
INSTALL = "apt-get install docker.io mmdebstrap docker-registry"
TINY = "imagekit.test/tiny:1"


LONGEST = (
    *("test_init.py", "test_site_pages.py", "test_build.py", "test_cloud.py"),
    *("test_projects.py", "test_browser.py", "test_families.py"),
)
"""The modules that come first, each on a core of its own: short ones then fill both to the end.

While the first makes the base images, for which all with an engine wait, the second needs none.
"""


def pytest_collection_modifyitems(items):
    here = pathlib.Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.edge)

    def turn(item):
        long = item.path.parent == here and item.path.name in LONGEST
        return LONGEST.index(item.path.name) if long else len(LONGEST)

    items.sort(key=turn)


def missing(what):
    """Skip a test for want of a program; fail it in CI, which has to have them all."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        missing("no browser: apt-get install chromium")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def engine(together):
    """The folder of the engine that runs for the tests of all processes.

    Where this machine has an engine of its own, that is used, and the folder is of these tests.
    """
    if any_answers():
        yield together
        return
    needs_dockerd()
    with engines.shared(together) as folder:
        yield folder


@pytest.fixture(scope="session")
def docker(engine):
    """The client that can build on the engine."""
    return client()


def client():
    return next(client for client in CLIENTS if answers(client))


def needs_dockerd():
    if not shutil.which("dockerd") or os.geteuid() != 0:
        missing(f"no Docker engine can be started: {INSTALL} (as root)")


@pytest.fixture(scope="session")
def bases(docker, engine, tmp_path_factory):
    """Base images by release: a Debian with its Python, the same with a CUDA library, and uv.

    They come from a registry, like everybody's: so the engine knows their layers as packed, and
    has not to pack them for every registry that it pushes to. Returns the registry's folder.
    """
    if not shutil.which("mmdebstrap") or os.geteuid() != 0:
        missing(f"base images are made with mmdebstrap: {INSTALL} (as root)")
    kept = base_images.kept(serving)
    with one_at_a_time(engine / "bases.lock") as first:
        if first:
            folder = tmp_path_factory.mktemp("bases")
            with serving(folder, kept) as found:
                base_images.pull(docker, found.address)
            (folder / "uv").mkdir()
            shutil.copy(pathlib.Path(sys.executable).with_name("uv"), folder / "uv")
            load(docker, folder / "uv", "imagekit.test/uv:1")
    return kept


def load(docker, tree, name):
    with subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run([docker, "import", "-", name], stdin=tar.stdout, check=True)


class Registry:
    def __init__(self, address):
        self.address = address

    def get(self, path, accept="application/json"):
        asked = urllib.request.Request(
            f"http://{self.address}/v2/{path}", headers={"Accept": accept}
        )
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - it is our own, on loopback
            return answer.headers, answer.read()

    def tags(self):
        try:
            return sorted(json.loads(self.get("ml/tags/list")[1])["tags"] or [])
        except urllib.error.HTTPError:
            return []

    def digest(self, tag):
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        return self.get(f"ml/manifests/{tag}", kind)[0]["Docker-Content-Digest"]


@pytest.fixture(scope="session")
def tiny_tree(tmp_path_factory):
    """The files of a small image with a shell: this machine's programs, and their libraries."""
    tree = tmp_path_factory.mktemp("tiny")
    for program in ("sh", "cat", "sleep"):
        found = shutil.which(program)
        libraries = re.findall(r"(/\S+) \(", run("ldd", found))
        for source, to in [(found, f"/bin/{program}"), *((path, path) for path in libraries)]:
            (tree / to[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, tree / to[1:])
    return tree


@pytest.fixture(scope="session")
def tiny(docker, tiny_tree):
    """A small image with a shell, for tests to which it is all the same what is in an image."""
    load(docker, tiny_tree, TINY)
    return TINY


@contextlib.contextmanager
def new_engine(tree, name):
    """An engine for one test only, which it may kill, with one image."""
    needs_dockerd()
    own = engines.Engine(engines.make_folder())
    with engines.at(own.folder):
        own.start()
        try:
            wait_until(any_answers)
            load(client(), tree, name)
            yield own
        finally:
            own.stop()


@contextlib.contextmanager
def serving(folder, content):
    """A registry on loopback that keeps what it is given in `content`."""
    if not shutil.which("docker-registry"):
        missing(f"pushes go to a registry of our own: {INSTALL}")
    settings, log = folder / "registry.yml", folder / "registry.log"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {content}}}}}\n"
        "http: {addr: '127.0.0.1:0'}\n"
    )
    with log.open("wb") as said:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(settings)], stdout=said, stderr=said
        )

    def listening():
        # A port that was looked for here might be another's by the time that it is used.
        assert server.poll() is None, log.read_text()
        return re.search(r"listening on (127\.0\.0\.1:\d+)", log.read_text())

    try:
        yield Registry(wait_until(listening)[1])
    finally:
        server.terminate()
        server.wait(300)


@pytest.fixture
def registry(bases, tmp_path):
    """A registry without an image on loopback, for this test only.

    It has the layers of the base images, so that not every test sends them.
    """

    def copy(source, to):
        # The registry never writes into the data of a blob.
        if source.endswith("/data"):
            pathlib.Path(to).symlink_to(source)
        else:
            shutil.copy(source, to)

    content = tmp_path / "registry"
    manifests = shutil.ignore_patterns("_manifests")
    shutil.copytree(bases, content, copy_function=copy, ignore=manifests)
    with serving(tmp_path, content) as found:
        yield found


@pytest.fixture
def bare_registry(tmp_path):
    """A registry on loopback with nothing in it, for this test only."""
    with serving(tmp_path, tmp_path / "registry") as found:
        yield found


MATRIX = """
base_url: {url}
source: https://example.com/imagekit
base_images:
  bookworm: {{BASE_IMAGE: "{bookworm}", UBUNTU_VERSION: bookworm}}
  trixie: {{BASE_IMAGE: "{trixie}", UBUNTU_VERSION: trixie}}
python_versions:
  py311: {{PYTHON_VERSION: 3.11}}
  py313: {{PYTHON_VERSION: 3.13}}
gpu_versions:
  cuda130: {{CUDA: 13.0.3}}
images:
  - {{base_image: trixie, python: py313}}
  - {{base_image: bookworm, python: py311, gpu: {gpu}}}
recipes:
  cpu:
    test: dockerfiles/tests/python.yaml
    build_args: {{UV_IMAGE: "imagekit.test/uv:1"}}
  gpu:
    test: [dockerfiles/tests/python.yaml, dockerfiles/tests/cuda.yaml]
    build_args: {{UV_IMAGE: "imagekit.test/uv:1"}}
  gpu-base: {{test: dockerfiles/tests/cuda.yaml, build_args: {{CUDA_IMAGE: "{cuda}"}}}}
"""


@pytest.fixture
def project(tmp_path, root, registry, bases):
    """A folder with the shipped Dockerfiles and tests, and a matrix on the base images.

    Each image takes many seconds: one installs its packages, and the other has them and is for a
    GPU. Tests that build the second use its layers again.
    """
    folder = tmp_path / "project"
    shutil.copytree(root / "dockerfiles", folder / "dockerfiles")
    named = {release: f"{COMPILING}/ubuntu:{release}" for release in RELEASES}
    named |= {"cuda": f"{COMPILING}/cuda", "gpu": "cuda130"}
    text = MATRIX.format(url=f"{registry.address}/ml", **named)
    (folder / "images.yaml").write_text(text)
    return folder


def command(docker, *more):
    return [
        *(sys.executable, "-m", "imagekit", "build", "-c", "images.yaml", "--docker", docker),
        *("--network", "host", "--secret", f"id=ca_bundle,src={CA_BUNDLE}", *more),
    ]


def built(docker, folder, *more):
    """Run `imagekit build` in a folder: its finished process."""
    asked = command(docker, *more)
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def build(docker, project):
    """Run `imagekit build` in the project: its finished process."""
    return functools.partial(built, docker, project)


def report_of(project):
    return json.loads((project / "runs/build/report.json").read_text())


def states(project):
    return {step["id"].rpartition(":")[2]: step["state"] for step in report_of(project)["steps"]}
