"""How runs end. Each behaviour has a tiny notebook in tests/notebooks."""

import hashlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import fsspec
import nbformat
import pytest

from imagekit.errors import StoreError, UsageError
from imagekit.runs import execute as runner
from imagekit.runs.record import CellError
from imagekit.runs.store import Store

HERE = pathlib.Path(__file__).resolve().parent.parent / "notebooks"

ASKS = "import os\nprint(os.environ['IMAGEKIT_RUN'])"

pytestmark = pytest.mark.edge


def execute(name, store, **options):
    return runner.execute(HERE / f"{name}.ipynb", {}, store=Store(store), **options)


def stored(store):
    (record,) = store.glob("*.json")
    (notebook,) = store.glob("*.ipynb")
    assert record.stem == notebook.stem
    found = nbformat.read(notebook, as_version=4)
    nbformat.validate(found)
    return json.loads(record.read_text()), found


@pytest.mark.parametrize(
    ("name", "outcome", "code", "cell"),
    [
        ("succeeds", "succeeded", 0, None),
        (
            "raises",
            "failed",
            1,
            {"number": 2, "error": "ZeroDivisionError", "message": "division by zero"},
        ),
        (
            "drifts",
            "failed",
            4,
            {"number": 2, "error": "DriftError", "message": "cloudbuild.json is out of date"},
        ),
        ("exits", "exited", 0, {"number": 2, "error": "SystemExit", "message": "0"}),
        ("exits_with_3", "exited", 3, {"number": 1, "error": "SystemExit", "message": "3"}),
        (
            "kills_its_kernel",
            "kernel died",
            1,
            {"number": 2, "error": "DeadKernelError", "message": "the kernel died"},
        ),
    ],
)
def test_each_end_is_recorded_as_what_it_was(name, outcome, code, cell, tmp_path):
    ended = execute(name, tmp_path)
    record, notebook = stored(tmp_path)
    assert (record["outcome"], record["exit_code"], record.get("cell")) == (outcome, code, cell)
    assert notebook.metadata.imagekit == {"run": record["run"], "outcome": outcome}
    assert ended.record.outcome == outcome


def test_neither_file_of_a_run_says_where_it_was_executed(tmp_path, monkeypatch):
    shutil.copy(HERE / "raises.ipynb", tmp_path / "n.ipynb")
    monkeypatch.chdir(tmp_path)
    runner.execute(tmp_path / "n.ipynb", {"a": f"{tmp_path}/x"}, store=Store("runs"))
    record, notebook = stored(tmp_path / "runs")
    assert record["parameters"] == {"a": "x"}
    assert notebook.metadata.papermill.input_path == "n.ipynb"
    written = [path.read_text() for path in (tmp_path / "runs").iterdir()]
    assert not any(str(tmp_path) in text or f"{pathlib.Path.home()}/" in text for text in written)


@pytest.mark.parametrize(
    ("status", "code"), [("", 0), ("0", 0), ("3", 3), ("256", 0), ("-1", 255), ("a text", 1)]
)
def test_sys_exit_ends_as_it_would_in_a_shell(status, code):
    cell = CellError(number=1, error="SystemExit", message=status)
    assert runner._exit_code("exited", cell) == code


def test_a_cell_that_takes_too_long(tmp_path):
    execute("sleeps", tmp_path, cell_timeout=4)
    record, notebook = stored(tmp_path)
    assert (record["outcome"], record["exit_code"]) == ("timed out", 1)
    assert record["cell"] == {
        "number": 2,
        "error": "CellTimeoutError",
        "message": "exceeded 4 s",
    }
    assert notebook.cells[0].outputs


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_run_is_recorded_and_leaves_no_kernel(number, tmp_path):
    command = [sys.executable, "-m", "imagekit", "run", str(HERE / "sleeps.ipynb")]
    runner = subprocess.Popen(
        [*command, "--runs", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job has SIGINT ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    wait_until(lambda: is_in_second_cell(tmp_path))
    (running,) = tmp_path.glob("*.json")
    assert json.loads(running.read_text())["outcome"] == "running"
    children = pathlib.Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
    runner.send_signal(number)
    _, err = runner.communicate(timeout=300)
    record, _ = stored(tmp_path)
    assert runner.returncode == 130
    assert (record["outcome"], record["exit_code"], record["cell"]["number"]) == (
        "interrupted",
        130,
        2,
    )
    assert "Traceback" not in err
    assert children
    # One that has ended may be there until it is reaped.
    wait_until(lambda: not any(pathlib.Path("/proc", child).exists() for child in children))


def is_in_second_cell(store):
    text = "".join(path.read_text() for path in store.glob("*.ipynb"))
    return "execute_result" in text and '"status": "running"' in text


def wait_until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def test_a_runner_that_is_killed_leaves_a_record_that_says_running(tmp_path):
    command = [sys.executable, "-m", "imagekit", "run", str(HERE / "sleeps.ipynb")]
    runner = subprocess.Popen([*command, "--runs", str(tmp_path)])
    wait_until(lambda: is_in_second_cell(tmp_path))
    children = pathlib.Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
    runner.kill()
    runner.wait()
    for child in children:
        subprocess.run(["kill", "-9", child], check=True)
    record, _ = stored(tmp_path)
    assert record["outcome"] == "running"
    assert record["process"] == runner.pid


def test_a_kernel_that_does_not_exist_is_a_failed_run(tmp_path):
    notebook = nbformat.read(HERE / "succeeds.ipynb", as_version=4)
    notebook.metadata.kernelspec.name = "nonsense"
    path = tmp_path / "other.ipynb"
    nbformat.write(notebook, path)
    ended = runner.execute(path, {}, store=Store(tmp_path / "runs"))
    assert ended.record.outcome == "failed"
    assert ended.record.cell.message == "No such kernel named nonsense"


def test_the_kernel_is_told_which_run_it_is_in(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ASKS)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "asks.ipynb")
    ended = runner.execute(tmp_path / "asks.ipynb", {}, store=Store(tmp_path / "runs"))
    assert ended.outputs == (f"{tmp_path}/runs/{ended.record.run}",)


def test_names_sort_by_time_and_never_collide(tmp_path):
    first, second = (execute("succeeds", tmp_path).record.run for _ in range(2))
    assert first < second
    assert len(list(tmp_path.iterdir())) == 4


def test_braces_in_a_path_are_only_braces(tmp_path):
    store = tmp_path / "{odd}"
    assert execute("succeeds", store).record.outcome == "succeeded"
    stored(store)


def test_the_record_holds_what_came_in_and_what_came_out(tmp_path, family, monkeypatch):
    monkeypatch.chdir(family)
    parameters = {"output": str(tmp_path / "c.json"), "only": ["cpu"]}
    ended = runner.execute(
        family / "notebooks/generate.ipynb", parameters, store=Store(tmp_path / "runs")
    )
    record, _ = stored(tmp_path / "runs")
    assert record["parameters"] == parameters
    assert record["notebook"] == "notebooks/generate.ipynb"
    assert record["result"]["images"] == {"total": 1, "cpu": 1}
    assert record["started"] < record["finished"]
    assert record["seconds"] > 0
    assert "papermill" in record["versions"]
    assert any(": base image × python × GPU" in text for text in ended.outputs)
    # The result is told in a few lines, and its data is in the record.
    assert not any("sha256" in text or '"outputs"' in text for text in ended.outputs)
    assert ended.summary[0] == f"{parameters['output']} written: 1 image; 1 added, new file"
    assert ended.summary[1].startswith("+ cpu-")
    assert record["result"]["summary"] == [*ended.summary]
    (notebook,) = (tmp_path / "runs").glob("*.ipynb")
    assert record["executed_sha256"] == hashlib.sha256(notebook.read_bytes()).hexdigest()


def test_a_store_that_cannot_be_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot create the run store"):
        execute("succeeds", tmp_path / "file")


@pytest.mark.parametrize(
    ("lost", "writable"), [(".ipynb", True), (".json", True), (".ipynb", False)]
)
def test_what_a_bucket_refuses_at_the_end_is_kept_here(lost, writable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not writable:
        (tmp_path / "runs").write_text("no folder")
    store = Store("memory://bucket/runs")
    pipe, written = store.system.pipe_file, []

    def refuse(path, data, **more):
        written.append(path)
        if len(written) > 1 and path.endswith(lost):
            raise ConnectionError("the line\nis cut")
        pipe(path, data, **more)

    monkeypatch.setattr(store.system, "pipe_file", refuse)
    with pytest.raises(
        StoreError, match=r"does not answer: the line is cut; the run \(failed\)"
    ) as said:
        runner.execute(HERE / "raises.ipynb", {}, store=store)
    fsspec.filesystem("memory").store.clear()
    assert len(str(said.value).splitlines()) == 1
    kept = pathlib.Path(re.search(r"was saved as (.*?\.ipynb);", str(said.value))[1])
    assert kept.parent == pathlib.Path("runs") or not writable
    record, notebook = stored(kept.parent)
    assert (record["outcome"], notebook.metadata.imagekit.outcome) == ("failed", "failed")


def test_a_bucket_gets_the_same_two_files():
    from imagekit.runs import history

    store = Store("memory://bucket/runs")
    ended = runner.execute(HERE / "raises.ipynb", {}, store=store)
    assert ended.address == f"memory://bucket/runs/{ended.record.run}.ipynb"
    assert len(store.files()) == 2
    (entry,) = history.read(store).entries
    assert (entry.outcome, entry.cell.error) == ("failed", "ZeroDivisionError")
    fsspec.filesystem("memory").store.clear()


def test_a_name_is_a_notebook_of_the_project_or_else_a_shipped_one(tmp_path):
    from tests.conftest import ROOT

    assert runner.find("explore", tmp_path) == ROOT / "notebooks/explore.ipynb"
    own = tmp_path / "notebooks/explore.ipynb"
    own.parent.mkdir()
    own.write_text("{}")
    assert runner.find("explore", tmp_path) == own
    with pytest.raises(UsageError, match="did you mean 'generate'") as error:
        runner.find("genrate", tmp_path)
    assert f"not found in {tmp_path}/notebooks" in str(error.value)


def test_a_shipped_notebook_has_its_own_name_on_record(tmp_path):
    from imagekit.support import shipped

    shipped_one = shipped.root() / "notebooks/explore.ipynb"
    assert runner._name(shipped_one, tmp_path) == "notebooks/explore.ipynb"
    assert runner._name(tmp_path / "mine.ipynb", tmp_path) == "mine.ipynb"
