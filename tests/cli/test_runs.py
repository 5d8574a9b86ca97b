"""`imagekit runs` and `imagekit diff`."""

import io
import json
import re
import shutil
import sys

import fsspec
import pytest

from imagekit.cli import runs as cli_runs
from imagekit.cli.app import main
from imagekit.runs.store import Store
from imagekit.support.workspace import root, runs
from tests.runs.conftest import record

CONFIG = """\
base_url: h/r
python_versions: {py312: {PYTHON_VERSION: 3.12}, py313: {PYTHON_VERSION: 3.13}}
gpu_versions: {cuda: {CUDA: "13"}}
images: [{python: [py312, py313]}, {python: py313, gpu: cuda}]
"""

# git is asked for what may be a file in a revision.
pytestmark = pytest.mark.edge


@pytest.fixture
def project(tmp_path, monkeypatch, family):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(family / "notebooks/example-runs", "runs")
    (tmp_path / "old.yaml").write_text(CONFIG)
    (tmp_path / "new.yaml").write_text(
        CONFIG.replace('"13"', '"14"').replace("[py312, py313]", "py313")
    )
    return tmp_path


@pytest.fixture
def call(project, capsys):
    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main(list(args))
        return stop.value.code, *capsys.readouterr()

    return run


def test_a_diff_as_a_table(call):
    code, out, _ = call("diff", "old.yaml", "new.yaml")
    assert code == 0
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["-", "removed", "cpu-py312"],
        ["~", "changed", "gpu-base-cuda", "CUDA", "13", "14"],
        ["↻", "rebuilt", "gpu-cuda-py313", "because", "gpu-base-cuda", "changed"],
        ["1", "removed,", "1", "changed,", "1", "rebuilt"],
    ]


def test_the_exit_code_tells_only_when_asked(call):
    assert call("diff", "old.yaml", "new.yaml", "--exit-code")[0] == 1
    assert call("diff", "old.yaml", "old.yaml", "--exit-code")[0] == 0


def test_an_empty_diff_says_so(call):
    same = "no change: old.yaml and old.yaml describe the same images\n"
    assert call("diff", "old.yaml", "old.yaml")[1] == same
    assert "No change" in call("diff", "old.yaml", "old.yaml", "--markdown")[1]
    assert json.loads(call("diff", "old.yaml", "old.yaml", "--json")[1])["added"] == []


def original(repository="gcr.io/p/q", python="3.7"):
    """A file as the original generator wrote it (google/caliban, cloudbuild.json)."""

    def steps(tag, dockerfile, args, wait_for):
        name = f"{repository}:{tag}"
        pairs = [part for arg in args for part in ("--build-arg", arg)]
        build = ["build", "-t", name, "-f", f"dockerfiles/{dockerfile}", *pairs, "."]
        builder = "gcr.io/cloud-builders/docker"
        yield {"id": name, "name": builder, "args": build, "waitFor": [wait_for]}
        yield {"id": f"{name}-push", "name": builder, "args": ["push", name], "waitFor": [name]}

    base = f"{repository}:gpu-base-100"
    pythons = [f"PYTHON_VERSION={python}", "MINICONDA_VERSION=py37_4.8.2"]
    found = [
        *steps("gpu-base-100", "Dockerfile.gpu", ["CUDA=10.0"], "-"),
        *steps("cpu-py37", "Dockerfile", ["BASE_IMAGE=ubuntu:18.04", *pythons], "-"),
        *steps("gpu-100-py37", "Dockerfile", [f"BASE_IMAGE={base}", *pythons], base),
    ]
    return json.dumps({"steps": found, "timeout": "86400s"}, indent=2)


def test_files_of_the_original_generator_are_read(call, project):
    (project / "a.json").write_text(original())
    (project / "b.json").write_text(original(python="3.7.1"))
    out = call("diff", "a.json", "b.json", "--json")[1]
    version = {"what": "PYTHON_VERSION", "before": "3.7", "after": "3.7.1", "rebuilds": True}
    assert json.loads(out)["changed"] == {"cpu-py37": [version], "gpu-100-py37": [version]}


def test_moving_to_another_registry_is_told_once(call, project):
    (project / "a.json").write_text(original())
    (project / "b.json").write_text(original("us-docker.pkg.dev/p/q/r"))
    *_, row, summary = call("diff", "a.json", "b.json")[1].splitlines()
    assert row.split() == ["~", "build", "repository", "gcr.io/p/q", "us-docker.pkg.dev/p/q/r"]
    assert summary == "repository gcr.io/p/q → us-docker.pkg.dev/p/q/r"


def test_two_formats_at_once_are_refused(call):
    code, _, err = call("diff", "old.yaml", "new.yaml", "--json", "--markdown")
    assert code == 2
    assert "cannot be combined" in err


def test_the_history_as_a_table(call):
    code, out, _ = call("runs")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 13
    assert "failed" in lines[8]
    assert "cell 5: DriftError: cloudbuild.json is out of date (1 changed, 1 rebuilt)" in lines[8]
    assert lines[-1] == "10 runs in runs"


def test_a_part_of_the_history(call):
    assert call("runs", "-n", "2")[1].splitlines()[-1] == "10 runs in runs, the latest 2 shown"
    assert call("runs", "--outcome", "failed")[1].splitlines()[-1] == "2 runs of 10 in runs"
    out = call("runs", "-p", "check", "true", "--notebook", "generate", "--json")[1]
    assert [run["changes"] for run in json.loads(out)] == [[0, 0, 0, 0], [0, 0, 0, 0], None]
    assert len(json.loads(call("runs", "--json")[1])) == 10
    assert len(json.loads(call("runs", "--json", "-n", "3")[1])) == 3
    assert len(json.loads(call("runs", "--json", "-n", "0")[1])) == 10


def test_many_runs_are_all_in_the_json_and_the_latest_in_the_table(call, project):
    for number in range(30):
        record(Store("runs"), number)
    assert len(json.loads(call("runs", "--json")[1])) == 40
    assert call("runs")[1].endswith("40 runs in runs, the latest 20 shown\n")
    assert call("runs", "-n", "0")[1].endswith("40 runs in runs\n")


def test_what_is_no_run_is_not_counted_as_one(call, project):
    (project / "runs/damaged.ipynb").write_text("{")
    (project / "runs/foreign.ipynb").write_text('{"cells": []}')
    assert call("runs")[1].splitlines()[-1] == "10 runs, 1 unreadable, 1 not a run in runs"
    out = call("runs", "--outcome", "unreadable")[1]
    assert out.splitlines()[-1] == "0 runs of 10, 1 unreadable in runs"


def test_a_store_that_is_named_must_be_there(call, project):
    for args in (["runs"], ["runs", "show", "latest"], ["diff", "latest", "latest~1"]):
        code, out, err = call(*args, "--runs", "nothing-here")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert err.startswith("nothing-here: folder not found; name a folder of runs")
    shutil.rmtree(project / "runs")
    assert call("runs") == (0, "0 runs in runs; imagekit run NAME records one\n", "")
    assert call("runs", "show", "latest")[2].endswith("runs has 0 runs\n")


def test_options_of_the_list_are_refused_before_a_subcommand(call):
    for option in (["--since", "7d"], ["-n", "20"], ["--outcome", "failed"], ["-p", "a", "b"]):
        code, out, err = call("runs", *option, "show", "latest")
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert "belongs to the list of runs, not to imagekit runs show; leave it out" in err
    code, out, err = call("runs", "--json", "diff", "latest", "latest~1")
    assert (code, out) == (2, "")
    assert err.endswith("; write imagekit runs diff … --json\n")


def test_the_store_can_be_named_before_and_behind_a_subcommand(call, project):
    (project / "runs").rename(project / "other")
    before = call("runs", "--runs", "other", "show", "latest")
    assert before[0] == 0
    assert call("runs", "show", "latest", "--runs", "other") == before
    two = ("latest~2", "latest~1")
    found = call("runs", "diff", *two, "--runs", "other")
    assert found[0] == 0
    assert call("runs", "--runs", "other", "diff", *two) == found


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("address", "number", "shown"),
    [
        ("many", 199, False),
        ("many", 200, True),
        ("memory://b/r", 23, False),
        ("memory://b/r", 24, True),
    ],
)
def test_a_bar_for_who_would_wait(address, number, shown, project, monkeypatch):
    fsspec.filesystem("memory").store.clear()
    store = Store(address)
    for index in range(number):
        record(store, index)
    for stream, seen in ((Terminal(), shown), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("XDG_CACHE_HOME", str(project / f"cache-{id(stream)}"))
        assert len(cli_runs._history(store).entries) == number
        assert ("reading runs" in stream.getvalue()) == seen
    fsspec.filesystem("memory").store.clear()


def test_the_store_is_the_one_that_runs_are_written_to(call, project, monkeypatch):
    inner = project / "inner"
    (project / ".git").mkdir()
    (inner / "below").mkdir(parents=True)
    (inner / "pyproject.toml").touch()
    record(Store(runs()), 1)
    monkeypatch.chdir(inner / "below")
    name = record(Store(root() / "runs"), 2)
    assert [run["run"] for run in json.loads(call("runs", "--json")[1])] == [name]


def test_one_run(call):
    code, out, _ = call("runs", "show", "latest~2")
    assert code == 0
    lines = [re.split("  +", line, maxsplit=1) for line in out.splitlines()]
    told = {name: value[0] for name, *value in lines if name and value}
    assert told["outcome"] == "succeeded"
    assert (told["exit code"], told["took"]) == ("0", "2.2 s")
    assert told["finished"] > told["began"] > "2026"
    assert told["versions"].startswith("python 3.11")
    assert told["inputs"].startswith("config/images.yaml  3a42a35ff9")
    assert told["outputs"].startswith("cloudbuild.json  182998c348")
    assert re.search(r"^result +\{\n +\"changes\": \{\n", out, re.MULTILINE)
    assert "~ gpu-base-ubuntu2404-cuda130: CUDA 13.0.2 → 13.0.3\n" in out
    assert "\nparameters  only=" in call("runs", "show", "latest")[1]
    found = json.loads(call("runs", "show", "latest~2", "--json")[1])
    assert found["changes"]["rebuilt"] == {
        "gpu-ubuntu2404-py313-cuda130": "gpu-base-ubuntu2404-cuda130"
    }
    assert found["exit_code"] == 0
    assert found["result"]["outputs"].keys() == {"cloudbuild.json"}
    assert {"finished", "versions", "notebook_sha256"} <= found.keys()


def test_the_json_of_one_run_compares_like_a_diff(call):
    found = json.loads(call("runs", "show", "latest~1", "--json")[1])
    same = call("diff", found["changes"]["before"], found["changes"]["after"], "--json")
    assert found["changes"] == json.loads(same[1])
    assert found["changes"]["after"] == found["run"]
    assert "build" in found["changes"]
    assert json.loads(call("runs", "show", "latest", "--json")[1])["changes"] is None


def test_an_error_of_many_lines_is_shown_whole(call):
    out = call("runs", "show", "latest~3")[1]
    assert "error       cell 5: DriftError: cloudbuild.json is out of date (1 ch" in out
    assert "\n              ~ gpu-base-ubuntu2404-cuda130: CUDA 13.0.2 → 13.0.3\n" in out
    assert "\n            Generate it again and commit it.\n" in out


def test_two_runs(call):
    code, out, _ = call("runs", "diff", "latest~2", "latest~1", "--json")
    assert code == 0
    assert json.loads(out)["removed"] == ["cpu-ubuntu2404-py312"]
    assert call("runs", "diff", "latest", "latest~1")[0] == 2


def test_a_mistake_is_one_line(call):
    for args in (("runs", "show", "x"), ("runs", "--since", "x"), ("diff", "x", "y")):
        code, out, err = call(*args)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
