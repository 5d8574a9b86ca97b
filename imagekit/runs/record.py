"""The record of a run: one small JSON file beside the executed notebook, in a run store."""

from __future__ import annotations

import datetime
import pathlib
import re
import secrets
from typing import Any, Literal

import msgspec

from imagekit.runs.store import Store

FORMAT = 1

RESULT_TYPE = "application/vnd.imagekit.run+json"
"""The media type under which a notebook keeps what it computed, for machines to read."""

RUN_VARIABLE = "IMAGEKIT_RUN"
"""Environment variable: a kernel under `imagekit run` finds in it the address of its own record,
without the suffix. So a notebook knows its store, and a history does not count itself."""

Outcome = Literal[
    "running", "succeeded", "failed", "exited", "timed out", "kernel died", "interrupted"
]
"""What a record can say of how its run ended; `entry.OUTCOMES` tells what each means."""


class CellError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cell that a run ended at: its execution count, and what it raised."""

    number: int | None
    error: str
    message: str


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a run. Times are ISO 8601 in UTC, durations seconds.

    `result` is what the notebook itself computed, where it got that far. `executed_sha256` is the
    hash of the executed notebook that was left, none where papermill could not even begin one.
    `host` and `process` tell which runner is at it, as long as it runs.
    """

    run: str
    notebook: str
    outcome: Outcome
    started: str
    format: int = FORMAT
    finished: str | None = None
    seconds: float | None = None
    exit_code: int | None = None
    cell: CellError | None = None
    parameters: dict[str, Any] = {}
    notebook_sha256: str | None = None
    executed_sha256: str | None = None
    commit: str | None = None
    versions: dict[str, str] = {}
    host: str | None = None
    process: int | None = None
    result: dict[str, Any] | None = None


def now() -> datetime.datetime:
    """The present, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def moment(text: str) -> datetime.datetime | None:
    """A time in UTC from ISO 8601, which means UTC where it names no zone; None for other texts."""
    try:
        found = datetime.datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or datetime.UTC).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def seconds_between(started: str, ended: datetime.datetime) -> float:
    """How long it is from a record's time to another, to the millisecond."""
    return round((ended - datetime.datetime.fromisoformat(started)).total_seconds(), 3)


def new_run(notebook: pathlib.Path, started: datetime.datetime) -> str:
    """A run's name: it sorts by time and is nobody else's."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", notebook.stem)
    return f"{started:%Y%m%dT%H%M%S.%fZ}-{stem}-{secrets.token_hex(4)}"


def write(store: Store, record: Record) -> None:
    """Put the record into the store, whole."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    store.write(f"{record.run}.json", text)
