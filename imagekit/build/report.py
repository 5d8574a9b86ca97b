"""What became of a build: the same report for every engine."""

from __future__ import annotations

import datetime
import pathlib
import re
from typing import Literal

import msgspec

from imagekit.document.steps import Kind
from imagekit.support.files import replace_file

FORMAT = 1

NAME = "report.json"
"""What a report is called, in the folder of a build's logs."""

State = Literal[
    "waiting",
    "running",
    "succeeded",
    "up to date",  # its image stands already, with this content
    "not pushed",  # pushing was not asked for
    "failed",
    "timed out",
    "blocked",  # a step that it waits for did not succeed
    "interrupted",
]
DONE: tuple[State, ...] = ("succeeded", "up to date", "not pushed")
"""What lets the steps that wait go on."""


class StepReport(msgspec.Struct, kw_only=True):
    """One step: times are ISO 8601 in UTC; `log` is a path from the report's folder."""

    id: str
    kind: Kind
    needs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    state: State = "waiting"
    started: str | None = None
    finished: str | None = None
    exit_code: int | None = None
    digest: str | None = None
    log: str | None = None
    reason: str = ""


class Submitted(msgspec.Struct, kw_only=True):
    """A build file that was submitted to Cloud Build: its hash, and the build that came of it."""

    file: str
    sha256: str
    id: str = ""
    project: str = ""
    status: str = ""
    log_url: str = ""


class Report(msgspec.Struct, kw_only=True):
    """A whole build. `outcome` is "running" until it has ended.

    `builds` are those at Cloud Build that it consisted of; a local build has none.
    """

    file: str
    jobs: int
    started: str
    format: int = FORMAT
    finished: str | None = None
    outcome: Literal["running", "succeeded", "failed", "interrupted"] = "running"
    steps: list[StepReport] = []
    builds: list[Submitted] = []


def log_name(number: int, step: str) -> str:
    """What the log of a step is called, by its place in the build, from 1, and its id."""
    return f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', step.rpartition('/')[2])[:120]}.log"


def is_log(name: str) -> bool:
    """Whether a file is the log of a step, or a build's whole log."""
    return bool(re.fullmatch(r"\d{3,}-.*\.log|log-[\w-]+\.txt", name))


def now() -> str:
    """The present as a report says it."""
    return datetime.datetime.now(datetime.UTC).isoformat()


def write(report: Report, path: pathlib.Path) -> None:
    """Put the report in place, whole."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    replace_file(path, text)


def read(path: pathlib.Path) -> Report:
    """A report as it was written."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
