"""The build report, the same for local builds and for Cloud Build."""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import re
from typing import Literal

import msgspec

from imagekit.document.steps import Kind
from imagekit.support.files import RECORD, read_bytes, replace_file
from imagekit.support.json_text import decode

FORMAT = 1
"""The version of the report format."""

NAME = "report.json"
"""The file name of a report, in the log directory of the build."""

DEFAULT = pathlib.Path("runs/build", NAME)
"""The report of `imagekit build` without `--logs`."""

PREVIOUS = "previous.json"
"""The file name of the report of the build before, in the same directory."""

State = Literal[
    "waiting",
    "running",
    "succeeded",
    "up to date",  # its image exists with the same content
    "not pushed",  # without --push
    "failed",
    "timed out",
    "blocked",  # a step that it waits for did not succeed
    "interrupted",
]
DONE: tuple[State, ...] = ("succeeded", "up to date", "not pushed")
"""The states in which dependent steps can start."""


class StepReport(msgspec.Struct, kw_only=True):
    """The result of one step."""

    id: str
    """The step id in the build file."""
    kind: Kind
    """What the step does."""
    needs: tuple[str, ...] = ()
    """The ids of the steps that it waits for."""
    images: tuple[str, ...] = ()
    """The images that it builds, tests or pushes."""
    where: str = ""
    """Where it runs: a program of this machine, or a container of an image."""
    state: State = "waiting"
    """Its current state."""
    started: str | None = None
    """The start time in UTC, as ISO 8601."""
    finished: str | None = None
    """The end time in UTC, as ISO 8601."""
    exit_code: int | None = None
    """The exit code of its process."""
    digest: str | None = None
    """The digest of a pushed image, or the image id of a built one."""
    size: int | None = None
    """The size of a built image in bytes, with the layers of its base."""
    layers: int | None = None
    """The number of layers of a built image, with those of its base."""
    log: str | None = None
    """The path of its log, relative to the report."""
    reason: str = ""
    """Why it is in this state."""


class Submitted(msgspec.Struct, kw_only=True):
    """A build file that was submitted to Cloud Build."""

    file: str
    """The name of the build file."""
    sha256: str
    """The hash of the build file and its inputs."""
    id: str = ""
    """The build id; empty before the file is submitted."""
    project: str = ""
    """The Google Cloud project."""
    status: str = ""
    """The build status, as Cloud Build names it."""
    log_url: str = ""
    """The address of the log in the Cloud console."""


class Report(msgspec.Struct, kw_only=True):
    """The report of a build."""

    file: str
    """The build file or manifest."""
    jobs: int
    """The number of parallel steps; 0 for Cloud Build."""
    started: str
    """The start time in UTC, as ISO 8601."""
    format: int = FORMAT
    """The version of the report format."""
    finished: str | None = None
    """The end time in UTC, as ISO 8601."""
    outcome: Literal["running", "succeeded", "failed", "interrupted"] = "running"
    """The result; "running" until the build has ended."""
    steps: list[StepReport] = []
    """All steps in the order of the build file."""
    builds: list[Submitted] = []
    """The builds on Cloud Build; empty for a local build."""


def log_name(number: int, step: str) -> str:
    """The file name of a step's log, from its number (starting at 1) and its id."""
    return f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', step.rpartition('/')[2])[:120]}.log"


def is_log(name: str) -> bool:
    """Whether a file name is that of a step's log or of a build's full log."""
    return bool(re.fullmatch(r"\d{3,}-[\w.-]*\.log|log-[\w-]+\.txt", name))


def write(report: Report, path: pathlib.Path) -> None:
    """Write the report atomically."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    replace_file(path, text, follow=False)


def keep_previous(logs: pathlib.Path) -> None:
    """Keep the report in a log directory as that of the build before, if there is one.

    The logs of its steps are overwritten by those of the new build.
    """
    with contextlib.suppress(FileNotFoundError):
        (logs / NAME).replace(logs / PREVIOUS)


def read(path: pathlib.Path) -> Report:
    """Read a report. Raises OSError if it cannot be read, and ValueError if it is none."""
    return parse(read_bytes(path, RECORD))


def parse(data: bytes) -> Report:
    """Return the report in a file's bytes. Raises ValueError if it is none."""
    report = decode(data, Report)
    moments = [report.started, report.finished]
    moments += [moment for step in report.steps for moment in (step.started, step.finished)]
    for moment in moments:
        if moment is not None and datetime.datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError(f"{moment!r} is a time without a time zone")
    for step in report.steps:
        # The log is read from the same folder, and nowhere else.
        if step.log is not None and not is_log(step.log):
            raise ValueError(f"{step.log!r} is not the name of a log")
    return report
