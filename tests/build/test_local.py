"""The engine's order and endings, with real processes: a step's entrypoint may be any program."""

import asyncio
import ctypes
import functools
import os
import pathlib
import signal
import sys

import msgspec
import pytest
from rich.console import Console

from imagekit.build import execution, local, progress
from imagekit.build.placement import Rules
from imagekit.build.report import read
from imagekit.document.steps import BUILDER, STRUCTURE_TEST, Build, Step
from imagekit.errors import EngineError

pytestmark = pytest.mark.edge


DEFAULTS = {"jobs": 2, "on_host": True}


def shell(name, script, *needs, **more):
    args = ("-c", script)
    return Step(id=name, builder=BUILDER, entrypoint="sh", args=args, needs=needs, **more)


@pytest.fixture
def run(tmp_path):
    def build(*steps, timeout=None, **options):
        chosen = execution.Options(directory=tmp_path, logs=tmp_path / "logs", **DEFAULTS | options)
        doing = local.LocalBuild(
            Build(steps=steps, timeout=timeout), "b.json", chosen, progress.plain
        )
        report = asyncio.run(doing.run())
        assert read(tmp_path / "logs/report.json") == report
        return report

    return build


def states(report):
    return {entry.id: entry.state for entry in report.steps}


def test_a_failure_stops_what_depends_on_it_and_nothing_else(run, tmp_path):
    report = run(
        shell("a", "echo said; echo loud >&2; exit 3"),
        shell("b", "touch b", "a"),
        shell("c", "touch c", "b"),
        shell("d", "touch d"),
        shell("e", "touch e", "d"),
    )
    expected = {"a": "failed", "b": "blocked", "c": "blocked", "d": "succeeded", "e": "succeeded"}
    assert states(report) == expected
    assert report.outcome == "failed"
    assert report.steps[0].exit_code == 3
    assert (tmp_path / "logs" / report.steps[0].log).read_text() == "said\nloud\n"
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "d", "e"}


def test_fail_fast_stops_everything(run, tmp_path):
    report = run(
        shell("a", "exit 1"),
        shell("b", "sleep 60; touch b"),
        shell("c", "true", "b"),
        fail_fast=True,
    )
    assert states(report) == {"a": "failed", "b": "interrupted", "c": "blocked"}
    assert not (tmp_path / "b").exists()


def test_steps_run_at_once_as_far_as_they_may(run):
    # Each of the two ends only when it has seen the other: one after the other, they never would.
    meet = "touch {0}; while ! test -e {1}; do sleep 0.02; done"
    report = run(shell("a", meet.format("x", "y")), shell("b", meet.format("y", "x")), timeout=30)
    assert report.outcome == "succeeded"


def test_no_more_run_at_once_than_there_are_jobs(run):
    alone = "mkdir lock && sleep 0.1 && rmdir lock"
    report = run(*(shell(str(number), alone) for number in range(4)), jobs=1)
    assert report.outcome == "succeeded"


def test_env_and_dir_reach_the_step(run, tmp_path):
    (tmp_path / "sub").mkdir()
    report = run(shell("a", 'test "$X" = 1 && touch here', env={"X": "1"}, dir="sub"))
    assert report.outcome == "succeeded"
    assert (tmp_path / "sub/here").exists()


def test_a_failure_may_be_allowed(run):
    report = run(
        shell("a", "exit 1", allow_failure=True),
        shell("b", "exit 4", allow_exit_codes=(4,)),
        shell("c", "true", "a", "b"),
        shell("d", "sleep 300", timeout=0.2, allow_failure=True),
    )
    assert states(report) == dict.fromkeys("abcd", "succeeded")
    assert report.steps[0].reason == "exit code 1, allowed"
    assert report.steps[3].reason == "timed out after 0.2 s, allowed"


def test_a_step_s_time_out_ends_all_of_its_processes(run, tmp_path):
    report = run(
        # Long enough for the shell to write, also where everything is slow.
        shell("a", "sleep 300 & echo $! > child; wait", timeout=3),
        shell("b", "true", "a"),
    )
    assert states(report) == {"a": "timed out", "b": "blocked"}
    child = int((tmp_path / "child").read_text())
    assert not is_running(child)


def test_a_time_out_ends_processes_that_outlive_their_parent(run, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "GRACE", 0.5)
    script = "(trap '' TERM; while :; do sleep 1; done) & echo $! > child; wait"
    report = run(shell("a", script, timeout=3))
    assert states(report) == {"a": "timed out"}
    assert not is_running(int((tmp_path / "child").read_text()))


def test_the_first_process_of_a_container_leaves_no_zombies(run, tmp_path):
    become_parent_of_orphans = functools.partial(ctypes.CDLL(None).prctl, 36)
    assert become_parent_of_orphans(1) == 0
    try:
        run(shell("a", "sleep 300 & echo $! > child; wait", timeout=3))
        assert not pathlib.Path("/proc", (tmp_path / "child").read_text().strip()).exists()
    finally:
        become_parent_of_orphans(0)


def is_running(process):
    try:
        status = pathlib.Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_build_s_time_out_ends_it(run):
    report = run(shell("a", "sleep 300"), shell("b", "true", "a"), timeout=0.5)
    assert report.outcome == "failed"
    assert "running" not in states(report).values()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_processes_and_is_reported(run, tmp_path, number):
    script = f"echo $$ > child; kill -{int(number)} {os.getpid()}; sleep 300"
    report = run(shell("a", script), shell("b", "true", "a"))
    assert report.outcome == "interrupted"
    assert states(report) == {"a": "interrupted", "b": "interrupted"}
    assert not is_running(int((tmp_path / "child").read_text()))


def test_a_step_that_cannot_even_start_is_a_failed_one(run):
    report = run(shell("a", "true", dir="absent"), shell("b", "true", "a"), shell("c", "true"))
    assert states(report) == {"a": "failed", "b": "blocked", "c": "succeeded"}
    assert report.steps[0].reason.startswith("No such file or directory: ")


def test_a_missing_program_is_said_before_anything_is_done(monkeypatch):
    step = Step(id="t", builder=STRUCTURE_TEST, args=("test", "--image", "x"))
    local.check_programs(Build(steps=(step, shell("a", "true"))), Rules())
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineError, match="program not found: container-structure-test"):
        local.check_programs(Build(steps=(step,)), Rules())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "docker.* not found; install Docker"),
        ("exit 1", "the Docker engine does not answer"),
        ("test $1 = version && echo '28.1 28.1'", "needs its buildx plugin"),
    ],
)
def test_an_engine_that_cannot_build_is_said_with_the_remedy(tmp_path, script, message):
    client = tmp_path / "docker"
    if script is not None:
        client.write_text(f"#!/bin/sh\n{script}\n")
        client.chmod(0o755)
    with pytest.raises(EngineError, match=message):
        local.check_engine(str(client))


def test_without_push_nothing_leaves_the_machine(run):
    report = run(Step(id="p", builder=BUILDER, args=("push", "h/x:1")), docker="false")
    assert states(report) == {"p": "not pushed"}
    assert report.outcome == "succeeded"


def test_the_live_table_has_a_line_for_each_image_that_is_not_done(run):
    build = Step(id="r:a", builder=BUILDER, args=("build", "-t", "r:a", "."))
    test = Step(id="r:a-test", builder=STRUCTURE_TEST, args=("test", "--image", "r:a"))
    report = run(build, msgspec.structs.replace(test, needs=("r:a",)), docker="false")
    console = Console(width=80)
    with console.capture() as capture:
        console.print(progress.Live(lambda: report)._table())
    lines = [line.split() for line in capture.get().splitlines()]
    assert lines == [["✗", "failed", "a", "build", "0", "s"], ["2", "of", "2", "steps", "done"]]


def test_the_summary_shows_the_end_of_a_failed_step_s_log(run, tmp_path):
    report = run(shell("a", "seq 100; exit 1"), shell("b", "true", "a"))
    lines = list(progress.summary(report, tmp_path / "logs"))
    assert lines[0].startswith("✗ a: exit code 1; whole log: ")
    assert lines[progress.TAIL] == "    100"
    assert lines[-2:] == ["⊘ b: a did not succeed", "1 failed, 1 blocked"]


def test_the_report_of_the_build_before_is_kept(run, tmp_path):
    logs = tmp_path / "logs"
    first = run(shell("a", "true"))
    assert not (logs / "previous.json").exists()
    run(shell("a", "exit 1"))
    assert read(logs / "previous.json") == first
    assert read(logs / "report.json").outcome == "failed"


def test_a_report_says_how_large_a_built_image_is(run, tmp_path):
    client = tmp_path / "docker"
    client.write_text('#!/bin/sh\n[ "$1" = build ] || echo "sha256:1 2048 3"\n')
    client.chmod(0o755)
    build = Step(id="r:a", builder=BUILDER, args=("build", "-t", "r:a", "."))
    (entry,) = run(build, docker=str(client), force=True).steps
    assert (entry.digest, entry.size, entry.layers) == ("sha256:1", 2048, 3)
    (entry,) = run(build, docker="false", force=True).steps
    assert (entry.digest, entry.size, entry.layers) == (None, None, None)
