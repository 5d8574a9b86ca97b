"""The record of a run: one small JSON file beside the executed notebook, in a run store."""

from __future__ import annotations

import datetime
import pathlib
import re
from typing import Any, Literal

import msgspec

from imagekit.runs.store import Store
from imagekit.support import workspace

FORMAT = 1
"""The version of the record format."""

RECORD = re.compile(r"(.*/)?\d{8}T\d{6}\.\d+Z-[^/]*-[0-9a-f]{8}\.json")
"""The names of record files; other JSON files in a store are ignored."""

RESULT_TYPE = "application/vnd.imagekit.run+json"
"""The media type of a notebook's result in its outputs."""

RUN_VARIABLE = "IMAGEKIT_RUN"
"""Environment variable of a kernel under `imagekit run`: the address of its record, without the
suffix. It tells a notebook its store, and lets the history leave out the current run."""

Outcome = Literal[
    "running", "succeeded", "failed", "exited", "timed out", "kernel died", "interrupted"
]
"""The outcomes in a record; `entry.OUTCOMES` has their meanings."""


class CellError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cell that a run ended at, and its error."""

    number: int | None
    """The execution count of the cell; None if unknown."""
    error: str
    """The name of the exception's class."""
    message: str
    """The message of the exception."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record of a run. Fields without a value are absent."""

    run: str
    """The name of the run, which is the name of its files without the suffix."""
    notebook: str
    """The path of the notebook, relative to the project's root."""
    outcome: Outcome
    """How the run ended, or `running`."""
    started: str
    """The start, ISO 8601 in UTC."""
    format: int = FORMAT
    """The version of the record format."""
    finished: str | None = None
    """The end, ISO 8601 in UTC."""
    seconds: float | None = None
    """The duration in seconds."""
    exit_code: int | None = None
    """The exit code of `imagekit run`."""
    cell: CellError | None = None
    """The cell that the run ended at, if it did not succeed."""
    parameters: dict[str, Any] = {}
    """The parameters passed to the run, by name."""
    notebook_sha256: str | None = None
    """The SHA-256 hash of the notebook before the run."""
    executed_sha256: str | None = None
    """The SHA-256 hash of the executed notebook; absent if papermill could not start."""
    commit: str | None = None
    """The git commit of the project, with `-dirty` if files had changed."""
    versions: dict[str, str] = {}
    """The versions of Python and of the packages that execute the notebook."""
    host: str | None = None
    """The name of the machine; absent after the end of the run."""
    process: int | None = None
    """The process id; absent after the end of the run."""
    result: dict[str, Any] | None = None
    """The result that the notebook displayed, if any."""


def now() -> datetime.datetime:
    """The current time in UTC."""
    return datetime.datetime.now(datetime.UTC)


def moment(text: str) -> datetime.datetime | None:
    """The UTC time of an ISO 8601 text, by default in UTC; None if the text is invalid."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return time.replace(tzinfo=time.tzinfo or datetime.UTC).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def seconds_between(started: str, ended: datetime.datetime) -> float:
    """The seconds from a record's time to another time, rounded to milliseconds."""
    return round((ended - datetime.datetime.fromisoformat(started)).total_seconds(), 3)


def new_run(notebook: pathlib.Path, started: datetime.datetime) -> str:
    """A unique name for a run, which sorts by start time."""
    import secrets  # Not at the top: only runs need it, and it takes a while to load.

    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", notebook.stem)
    return f"{started:%Y%m%dT%H%M%S.%fZ}-{stem}-{secrets.token_hex(4)}"


def write(store: Store, record: Record) -> None:
    """Write the record to the store in one step."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    store.write(f"{record.run}.json", portable(text.decode(), workspace.root()).encode())


def portable(text: str, root: pathlib.Path) -> str:
    """A JSON text with paths of the project relative to its root, and the home folder as `~`.

    A record is shared, and says nothing of the machine and of who ran it.
    """
    for folder, short in ((root, "."), (_home(), "~")):
        if folder is not None and len(folder.parts) > 1:
            plain = msgspec.json.encode(str(folder)).decode()[1:-1]
            if plain not in text:
                continue  # The usual case, which the expressions take long to find out.
            own = re.escape(plain)
            within = "" if short == "." else f"{short}/"
            text = re.sub(rf"(?<![\w.-]){own}/", within, text)
            text = re.sub(rf"(?<![\w.-]){own}(?![\w.-])", short, text)
    return text


def _home() -> pathlib.Path | None:
    try:
        return pathlib.Path.home()
    except RuntimeError:
        return None
