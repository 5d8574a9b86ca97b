"""A real Docker engine, base images and a registry, started and stopped here.

No image is pulled: the base images are Debian releases from debootstrap under names of our own,
so that an engine that serves other work keeps its images. Two releases give two Pythons.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import pytest

from imagekit.build import local
from imagekit.errors import EngineError
from tests.system.browser import CHROMIUM, FLAGS

RELEASES = {"bookworm": "3.11", "trixie": "3.13"}
PACKAGES = {
    "bookworm": ("python3", "python3-venv", "ca-certificates", "git"),
    "trixie": ("python3", "python3-venv", "liberror-perl", "libcurl3t64-gnutls", "openssl"),
}
"""What each release has. Most tests build on bookworm, where the shipped Dockerfile finds its
packages installed; on trixie it has to install them, though not what they depend on."""
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
INSTALL = "apt-get install docker.io debootstrap docker-registry"
COMPILING = "imagekit.test/compiling"
"""Where the base images are on which uv compiles what it installs. The shipped tests start pip
twice in each image of the matrix, and it would compile itself each time."""


LONGEST = (
    *("test_init.py", "test_build.py", "test_projects.py", "test_cloud.py"),
    *("test_site_pages.py", "test_browser.py", "test_families.py"),
)
"""The modules that come first, each on a core of its own: short ones then fill both to the end."""


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


def wait_until(condition, seconds=300):
    """What a condition gives, as soon as that is true; what it waits for may take long."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.1)
    return found


def answers(docker):
    with contextlib.suppress(EngineError):
        local.check_engine(docker)
        return True
    return False


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        missing("no browser: apt-get install chromium")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


CLIENTS = [client for client in ("docker", "/usr/bin/docker") if shutil.which(client)]


class Engine:
    """A Docker engine of our own, that may be killed and started again."""

    def __init__(self, folder):
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self.process = None
        self.starts = 0

    def start(self):
        self.starts += 1
        # What an engine that was killed leaves of its run-time state would keep the next from
        # starting; after a reboot it would be gone, too.
        state = self.folder / f"state{self.starts}"
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("dockerd", "--iptables=false", "--bridge=none", "--host", self.address),
                    *("--data-root", str(self.folder / "data"), "--exec-root", str(state)),
                    *("--pidfile", str(self.folder / f"pid{self.starts}")),
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: any(answers(client) for client in CLIENTS))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(300)
        # An engine that was killed leaves its containerd and its mounts behind.
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(self.folder).encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def engine():
    """The engine that runs for these tests; None where this machine has one of its own."""
    if any(answers(client) for client in CLIENTS):
        yield None
        return
    if not shutil.which("dockerd") or os.geteuid() != 0:
        missing(f"no Docker engine answers, and none can be started: {INSTALL} (as root)")
    # Not among pytest's folders: what is still mounted there would spoil their removal.
    own = Engine(pathlib.Path(tempfile.mkdtemp(prefix="imagekit-engine-")))
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = own.address
    try:
        own.start()
        yield own
    finally:
        own.stop()
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before


@pytest.fixture(scope="session")
def docker(engine):
    """The client that can build on the engine."""
    return next(client for client in CLIENTS if answers(client))


def images_of(release):
    """The base images of a release, by the tag that they are kept under."""
    return {
        release: f"imagekit.test/ubuntu:{release}",
        f"cuda-{release}": f"imagekit.test/cuda:13.0.3-base-ubuntu{release}",
    }


@pytest.fixture(scope="session")
def bases(docker, tmp_path_factory):
    """Base images by release: a Debian with its Python, the same with a CUDA library, and uv.

    They come from a registry, like everybody's: so the engine knows their layers as packed, and
    has not to pack them for every registry that it pushes to. Returns the registry's folder.
    """
    if not shutil.which("debootstrap") or os.geteuid() != 0:
        missing(f"base images are made with debootstrap: {INSTALL} (as root)")
    folder = tmp_path_factory.mktemp("bases")
    kept = kept_bases(docker)
    with serving(folder, kept) as found:
        for release in RELEASES:
            for tag, name in images_of(release).items():
                run(docker, "pull", f"{found.address}/ml:{tag}")
                run(docker, "tag", f"{found.address}/ml:{tag}", name)
                run(docker, "image", "rm", f"{found.address}/ml:{tag}")
                text = f"FROM {name}\nENV UV_COMPILE_BYTECODE=1"
                build = f"{docker} build -t {name.replace('imagekit.test', COMPILING)} -"
                run("sh", "-c", f"echo '{text}' | DOCKER_BUILDKIT=1 {build}")
    tool = folder / "uv"
    tool.mkdir()
    shutil.copy(pathlib.Path(sys.executable).with_name("uv"), tool)
    load(docker, tool, "imagekit.test/uv:1")
    return kept


def kept_bases(docker):
    """The folder of a registry with the base images, kept between runs: it takes two minutes."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    home = cache / "imagekit-tests"
    home.mkdir(parents=True, exist_ok=True)
    made_of = hashlib.sha256(repr((PACKAGES, KEPT_OUT)).encode()).hexdigest()[:12]
    kept = home / f"registry-{made_of}"
    # Tests run in several processes, and one is enough to make them.
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=home) as folder:
                make_bases(docker, pathlib.Path(folder))
                pathlib.Path(folder, "registry").rename(kept)
    return kept


def make_bases(docker, folder):
    soname = "-Wl,-soname,libcudart.so.13"
    library = folder / "context/libcudart.so.13"
    library.parent.mkdir()
    run("cc", "-shared", "-nostdlib", soname, "-x", "c", os.devnull, "-o", str(library))
    with serving(folder, folder / "registry") as found:
        for release, packages in PACKAGES.items():
            tree = folder / release
            include = f"--include={','.join(packages)}"
            run("debootstrap", "--variant=minbase", include, release, str(tree))
            slim(tree)
            debian, cuda = (f"{found.address}/ml:{tag}" for tag in images_of(release))
            load(docker, tree, debian)
            # As with NVIDIA's images, a layer upon the same system.
            (library.parent / "Dockerfile").write_text(
                f"FROM {debian}\nCOPY {library.name} /usr/local/cuda/lib64/\n"
            )
            context = str(library.parent)
            run("env", "DOCKER_BUILDKIT=1", docker, "build", "--tag", cuda, context)
            for name in (debian, cuda):
                run(docker, "push", name)
            run(docker, "image", "rm", debian, cuda)


KEPT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale")
"""What Ubuntu's and Debian's own images tell dpkg not to install, too."""


def slim(tree):
    """Leave out of a Debian what images do not have: every layer is packed, pushed and pulled."""
    for path in (*tree.glob("var/cache/apt/archives/*.deb"), *tree.glob("var/cache/apt/*.bin")):
        path.unlink()
    # The names of lists stay, so that one sees whether they are left alone.
    for path in tree.glob("var/lib/apt/lists/*_Packages"):
        path.unlink()
    for name in KEPT_OUT:
        shutil.rmtree(tree / name)
        (tree / name).mkdir()
    # Nor is anything in an image worth waiting for the disk after each file.
    excluded = "".join(f"path-exclude=/{name}/*\n" for name in KEPT_OUT)
    (tree / "etc/dpkg/dpkg.cfg.d/image").write_text(f"force-unsafe-io\n{excluded}")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


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
def project(tmp_path, root, registry, bases):
    """A folder with the shipped Dockerfiles and tests, and a matrix on the base images."""
    folder = tmp_path / "project"
    shutil.copytree(root / "dockerfiles", folder / "dockerfiles")
    (folder / "images.yaml").write_text(
        f"""
base_url: {registry.address}/ml
source: https://example.com/imagekit
base_images:
  bookworm: {{BASE_IMAGE: {COMPILING}/ubuntu:bookworm, UBUNTU_VERSION: bookworm}}
  trixie: {{BASE_IMAGE: {COMPILING}/ubuntu:trixie, UBUNTU_VERSION: trixie}}
python_versions:
  py311: {{PYTHON_VERSION: 3.11}}
  py313: {{PYTHON_VERSION: 3.13}}
gpu_versions:
  cuda130: {{CUDA: 13.0.3}}
images:
  - {{base_image: bookworm, python: py311, gpu: [null, cuda130]}}
  - {{base_image: trixie, python: py313, gpu: [null, cuda130]}}
recipes:
  cpu:
    test: dockerfiles/tests/python.yaml
    build_args: {{UV_IMAGE: "imagekit.test/uv:1"}}
  gpu:
    test: [dockerfiles/tests/python.yaml, dockerfiles/tests/cuda.yaml]
    build_args: {{UV_IMAGE: "imagekit.test/uv:1"}}
  gpu-base: {{test: dockerfiles/tests/cuda.yaml, build_args: {{CUDA_IMAGE: {COMPILING}/cuda}}}}
"""
    )
    return folder


def command(docker, *more):
    return [
        *(sys.executable, "-m", "imagekit", "build", "-c", "images.yaml", "--docker", docker),
        *("--network", "host", "--secret", f"id=ca_bundle,src={CA_BUNDLE}", *more),
    ]


@pytest.fixture
def build(docker, project):
    """Run `imagekit build` in the project: its finished process."""

    def call(*more):
        asked = command(docker, *more)
        return subprocess.run(asked, cwd=project, capture_output=True, text=True, check=False)

    return call


def report_of(project):
    return json.loads((project / "runs/build/report.json").read_text())


def states(project):
    return {step["id"].rpartition(":")[2]: step["state"] for step in report_of(project)["steps"]}
