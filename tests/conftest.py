"""What all tests stand on: no network and no processes, except where a test is marked `edge`."""

import contextlib
import fcntl
import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
import pytest_socket
from hypothesis import is_hypothesis_test, settings

from tools import pure, site
from tools.family import FAMILY, ROOT

# Tests start hundreds of Pythons, and packages that uv installs are not compiled: each would
# compile what it imports, where the environment forbids to keep bytecode, as images of Python do.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# pip would compile all that it installs, though a test imports a fifth of that.
os.environ["PIP_COMPILE"] = "0"
# NumPy's threads, of which no test has a use, wait for work busily as it is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

MEMORY = pathlib.Path("/dev/shm")  # noqa: S108 - pytest and tempfile make folders of their own in it
ROOM = 8 << 30
"""The bytes that have to be free for temporary files in memory; a whole run takes about 3 GiB."""


def has_room():
    """Whether temporary files fit into memory, next to what the tests need."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        return False
    # Docker's own cannot hold programs.
    if os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return False
    known = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return int(known["MemAvailable"].split()[0]) << 10 > 1.5 * ROOM


# Environments and images are tens of thousands of files, which are made and removed again. On a
# disk, a tenth of the time of a run goes into that.
if "TMPDIR" not in os.environ and has_room():
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None

# No deadline: the first example pays for imports, and a shared CI machine has slow moments.
# In CI the examples are the same each time, so that a red build is red for its commit's sake.
# No database: a checkout stays as clean as it was.
settings.register_profile(
    "imagekit", deadline=None, max_examples=40, derandomize="CI" in os.environ, database=None
)
settings.load_profile("imagekit")


WITHOUT_COVERAGE = (
    *("cli", "family", "hostile", "notebook", "project", "properties", "repository", "runs"),
    *("scaffold", "support", "system"),
)
"""The folders of tests that run without coverage, with which Python takes up to twice as long.

What is pure has to be covered by the other tests, and nothing else has to be covered.
"""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session):
    """Only what the pure modules do as they are imported is measured while tests are collected."""
    controller = getattr(session.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if controller is None:
        return (yield)
    for path in pure.files():
        if path.stem != "__init__":
            importlib.import_module(".".join(path.with_suffix("").parts))
    controller.pause()
    try:
        return (yield)
    finally:
        controller.resume()


COVERED = pytest.StashKey[bool]()
"""Whether the last test was measured."""


def pytest_collection_modifyitems(items):
    folders = tuple(f"tests/{name}/" for name in WITHOUT_COVERAGE)
    for item in items:
        # What hypothesis tries is no proof that a line is tested each time.
        by_chance = is_hypothesis_test(item.obj)
        if by_chance or item.nodeid.startswith(folders):
            item.add_marker(pytest.mark.no_cover)


def pytest_runtest_setup(item):
    """After a test without coverage, functions that keep their answers are called anew."""
    covered = item.get_closest_marker("no_cover") is None
    if covered and not item.config.stash.get(COVERED, True):
        modules = [module for name, module in sys.modules.items() if name.startswith("imagekit.")]
        for function in (value for module in modules for value in vars(module).values()):
            if hasattr(function, "cache_clear"):
                function.cache_clear()
    item.config.stash[COVERED] = covered


@pytest.fixture(autouse=True)
def _no_outside(request, monkeypatch):
    """Tests marked `edge` use the real thing; for all others the outside does not exist."""
    if request.node.get_closest_marker("edge"):
        yield
        return

    def refuse(*args, **_):
        raise AssertionError(f"a unit test started a process: {args}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    for name in ("system", "fork", "posix_spawn", "posix_spawnp"):
        monkeypatch.setattr(os, name, refuse)
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture
def root():
    """The checkout."""
    return ROOT


@pytest.fixture
def family():
    """The family of images that tests read; the checkout's own may be any."""
    return FAMILY


@pytest.fixture
def config_file(tmp_path, monkeypatch):
    """Write a config into an empty working directory and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="images.yaml"):
        pathlib.Path(name).write_text(text, encoding="utf-8")
        return name

    return write


@pytest.fixture(scope="session")
def together(tmp_path_factory):
    """The folder that all test processes of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextlib.contextmanager
def one_at_a_time(path):
    """Only one of the test processes is in here; whether it is the first that gets to the end."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not path.stat().st_size
        lock.write("done\n")


@pytest.fixture(scope="session")
def site_html(together):
    """The folder of the site, built once for all test processes.

    Its notebooks are the executed ones of the tests' family; that a build executes them has tests
    of its own.
    """
    folder = together / "site"
    with one_at_a_time(folder.with_suffix(".lock")) as first:
        if first:
            project = site.project(folder / "project")
            code, said = site.build(folder, project, "-D", "nb_execution_mode=off")
            assert code == 0, said
    return folder / "html"
