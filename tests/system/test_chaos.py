"""Commands that are killed, run at once, or find no room: old or new, and never a mix.

`make chaos` runs many rounds; without it there are a few.
"""

import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from imagekit import api
from imagekit.errors import UsageError

pytestmark = [pytest.mark.edge, pytest.mark.slow]

ROUNDS = int(os.environ.get("IMAGEKIT_CHAOS", "4"))
AT_ONCE = 50 if ROUNDS > 20 else 6
DOCKER = pathlib.Path(__file__).resolve().parent.parent / "hostile/docker"
IMAGEKIT = (sys.executable, "-m", "imagekit")
NOBODY = 65534


def config(images, steps=300):
    """A config of so many images; with few steps a file, it is split."""
    values = "".join(f"  py{n}: {{PYTHON_VERSION: '3.{n}'}}\n" for n in range(images))
    return (
        f"base_url: example.com/p/r/ml\npython_versions:\n{values}images:\n"
        f"  - {{python: [{', '.join(f'py{n}' for n in range(images))}]}}\n"
        f"cloudbuild: {{limits: {{steps: {steps}}}}}\n"
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "small.yaml": config(3),
        "large.yaml": config(300, 10_000),
        "few.yaml": config(40, 20),
        "many.yaml": config(90, 20),
    }.items():
        pathlib.Path(name).write_text(text)
    pathlib.Path("dockerfiles").mkdir()
    pathlib.Path("dockerfiles/Dockerfile").write_text("FROM x\nARG PYTHON_VERSION\n")
    return tmp_path


def start(*args, **options):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*IMAGEKIT, *args], **quiet, **options)


def run(*args, **options):
    return subprocess.run(
        [*IMAGEKIT, *args], check=False, capture_output=True, text=True, **options
    )


def generate(name, *more):
    done = run("generate", "-c", name, "--yes", *more)
    assert done.returncode == 0, done.stderr
    return done


def seconds(*args):
    begin = time.monotonic()
    assert run(*args).returncode == 0
    return time.monotonic() - begin


def killed(whole, *args):
    """Start a command and kill it at a random moment of its time; whether it had ended."""
    process = start(*args)
    # Most of the time goes by before the first file is written.
    time.sleep(random.triangular(0, 1.2 * whole, 0.9 * whole))  # noqa: S311
    process.kill()
    return process.wait() != -signal.SIGKILL


def left_over(folder):
    return [path.name for path in folder.rglob(".*.tmp")]


def documents():
    return {path.name: path.read_text() for path in pathlib.Path().glob("cloudbuild*.json")}


def wanted(name):
    """The files of a config as they are when nothing interferes."""
    checked = api.check(name)
    return dict(api.files(api.plan(checked.config), checked.config, "cloudbuild.json"))


def test_a_killed_generate_leaves_the_old_file_or_the_new_one(here):
    versions = [wanted("small.yaml"), wanted("large.yaml")]
    generate("small.yaml")
    whole = seconds("generate", "-c", "large.yaml", "--yes")
    for number in range(ROUNDS):
        killed(whole, "generate", "-c", ("small.yaml", "large.yaml")[number % 2], "--yes")
        assert documents() in versions
    generate("small.yaml")
    assert left_over(here) == []
    generate("small.yaml", "--check")


def test_a_killed_split_generate_is_old_or_new_or_noticed(here):
    versions = [wanted("few.yaml"), wanted("many.yaml")]
    generate("few.yaml")
    whole = seconds("generate", "-c", "many.yaml", "--yes")
    for number in range(ROUNDS):
        killed(whole, "generate", "-c", ("few.yaml", "many.yaml")[number % 2], "--yes")
        for text in documents().values():
            json.loads(text)
        if documents() not in versions:
            with pytest.raises(UsageError, match=r"generate them again|no such file"):
                api.read_build("cloudbuild-manifest.json")
    for name in ("few.yaml", "many.yaml", "few.yaml"):
        generate(name)
    assert left_over(here) == []
    assert documents() == versions[0]


def test_many_at_once_leave_one_whole_set(here):
    names = ["few.yaml", "many.yaml"] * (AT_ONCE // 2)
    several = [start("generate", "-c", name, "--yes") for name in names]
    assert {process.wait() for process in several} == {0}
    assert documents() in [wanted("few.yaml"), wanted("many.yaml")]
    assert left_over(here) == []


def test_a_killed_build_leaves_a_report_that_can_be_read(here):
    options = ("-c", "small.yaml", "--docker", str(DOCKER), "--jobs", "2")
    whole = seconds("build", *options)
    for _ in range(ROUNDS):
        killed(whole, "build", *options)
        for path in pathlib.Path("runs/build").glob("*.json"):
            json.loads(path.read_bytes())
    assert run("build", *options).returncode == 0
    assert json.loads(pathlib.Path("runs/build/report.json").read_bytes())["outcome"] == "succeeded"
    assert left_over(here) == []


def test_killed_runs_are_in_the_history_and_damage_nothing(here):
    notebooks = pathlib.Path(__file__).resolve().parent.parent / "notebooks"
    shutil.copy(notebooks / "succeeds.ipynb", "n.ipynb")
    rounds = max(1, ROUNDS // 4)
    ended = [killed(8.0, "run", "n.ipynb") for _ in range(rounds)]
    for _ in range(rounds):
        killed(1.0, "runs", "list")
    found = json.loads(run("runs", "list", "--json").stdout)
    assert sum(ended) <= len(found) <= rounds
    assert {entry["outcome"] for entry in found} <= {"succeeded", "killed", "running"}


@pytest.mark.parametrize("args", [("generate", "-c", "many.yaml", "--yes"), ("readme",)])
def test_a_full_disk_changes_nothing(here, args):
    """A limit on the size of files stands for it: writing fails in the middle."""
    generate("few.yaml")
    marks = "<!-- begin: imagekit readme -->\n<!-- end: imagekit readme -->\n"
    pathlib.Path("README.md").write_text(marks)
    before = documents()
    more = ("-c", "few.yaml") if args == ("readme",) else ()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    # Nor could Python write the bytecode of what it imports, which it would not notice.
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = run(*args, *more, preexec_fn=limit, env=env)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert documents() == before
    assert pathlib.Path("README.md").read_text() == marks
    assert left_over(here) == []


@pytest.mark.parametrize("name", ["large.yaml", "many.yaml"])
def test_a_folder_of_somebody_else_is_left_as_it_is(here, name):
    new = wanted(name)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path = pathlib.Path(folder, "cloudbuild.json")
        path.write_text("{}")
        pathlib.Path(folder).chmod(0o555)
        if os.geteuid() == 0:
            # root may write anywhere.
            os.seteuid(NOBODY)
            stack.callback(os.seteuid, 0)
        with pytest.raises(UsageError, match="cannot be written: Permission denied"):
            api.write({f"{folder}/{own}": text for own, text in new.items()}, path, replace=True)
        assert [found.name for found in pathlib.Path(folder).iterdir()] == ["cloudbuild.json"]
        assert path.read_text() == "{}"
