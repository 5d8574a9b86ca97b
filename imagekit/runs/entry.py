"""One run of a store as an entry of the history, even if its files are damaged."""

from __future__ import annotations

import datetime
import hashlib
import platform
from typing import Any

import msgspec

from imagekit.compare.inventory import Inventory
from imagekit.runs.record import RESULT_TYPE, CellError, Record, moment, seconds_between

OUTCOMES = {
    "running": "the run has started and not ended",
    "succeeded": "every cell completed",
    "failed": "a cell raised an error, or the kernel could not start",
    "exited": "a cell called `sys.exit`, with any status",
    "timed out": "a cell took longer than `--cell-timeout`",
    "kernel died": "the kernel process ended while it executed a cell",
    "interrupted": "the run was stopped by Ctrl-C, SIGTERM or a closed terminal",
    "killed": "the process ended without a final record; detected only on its own machine",
    "unfinished": "papermill without `imagekit run` started it, and it has no end yet",
    "not a run": "a notebook that papermill did not execute",
    "unreadable": "neither the record nor the notebook can be read",
}
"""The outcomes of runs in the history, each with its meaning."""

NO_RUN = ("unreadable", "not a run")
"""The outcomes of entries that do not count as runs."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run in the history. Invalid values in its files are left out."""

    run: str
    """The name of the run: its path in the store, without the suffix."""
    outcome: str
    """One of OUTCOMES."""
    notebook: str = ""
    """The path of the notebook, relative to the project's root."""
    started: str = ""
    """The start, ISO 8601 in UTC; empty if unknown."""
    seconds: float | None = None
    """The duration in seconds."""
    cell: CellError | None = None
    """The cell that the run ended at, if it did not succeed."""
    parameters: dict[str, Any] = {}
    """The parameters passed to the run, by name."""
    commit: str | None = None
    """The git commit of the project, with `-dirty` if files had changed."""
    config: str | None = None
    """The path of the config."""
    config_sha256: str | None = None
    """The SHA-256 hash of the config."""
    images: int | None = None
    """The number of generated images."""
    build: str | None = None
    """The hash of the generated inventory, by which the index stores it."""
    host: str | None = None
    """The name of the machine, while the run is running."""
    process: int | None = None
    """The process id, while the run is running."""
    left_notebook: bool = False
    """Whether the executed notebook was written beside the record."""
    problem: str = ""
    """What is wrong with the files of the run; empty if nothing."""


class _Output(msgspec.Struct, frozen=True):
    data: dict[str, Any] = {}
    output_type: str = ""
    ename: str = ""
    evalue: str = ""


class _Cell(msgspec.Struct, frozen=True):
    outputs: tuple[_Output, ...] = ()
    execution_count: int | None = None
    metadata: dict[str, Any] = {}


class _Notebook(msgspec.Struct, frozen=True):
    cells: tuple[_Cell, ...]
    metadata: dict[str, Any] = {}


def of_record(run: str, data: bytes) -> tuple[Entry, Inventory | None]:
    """The entry and inventory of a record. Raises ValueError if the bytes are not a record."""
    record = msgspec.json.decode(data, type=Record)
    entry = Entry(
        run=run,
        outcome=record.outcome,
        notebook=record.notebook,
        started=_time(record.started),
        seconds=_seconds(record.seconds),
        cell=_cell(record.cell),
        parameters=record.parameters,
        commit=record.commit,
        host=record.host,
        process=_number(record.process, 1, 2**31 - 1),
        left_notebook=record.executed_sha256 is not None,
    )
    return _with_result(entry, record.result)


def of_notebook(run: str, data: bytes) -> tuple[Entry, Inventory | None]:
    """The entry and inventory of an executed notebook without a record.

    Raises ValueError if the bytes are not a notebook.
    """
    notebook = msgspec.json.decode(data, type=_Notebook)
    about = notebook.metadata.get("papermill")
    if not isinstance(about, dict) or not isinstance(about.get("start_time"), str):
        return Entry(run=run, outcome="not a run", problem="not executed by papermill"), None
    cell = _cell(_error(notebook))
    parameters = about.get("parameters")
    entry = Entry(
        run=run,
        outcome=_outcome(notebook, about, cell),
        notebook=str(about.get("input_path") or ""),
        started=_time(about["start_time"]),
        seconds=_seconds(about.get("duration")),
        cell=cell,
        parameters=parameters if isinstance(parameters, dict) else {},
    )
    return _with_result(entry, _result(notebook))


def end_of_notebook(data: bytes) -> tuple[str | None, dict[str, Any] | None]:
    """The end time and result of an executed notebook. Raises ValueError if it is not one."""
    notebook = msgspec.json.decode(data, type=_Notebook)
    about = notebook.metadata.get("papermill")
    ended = about.get("end_time") if isinstance(about, dict) else None
    return _text(ended), _result(notebook)


def invalid_reason(data: bytes) -> str:
    """Why the bytes are not a notebook; empty if they are one."""
    try:
        msgspec.json.decode(data, type=_Notebook)
    except ValueError as error:
        return str(error)
    return ""


def with_current_state(entry: Entry, now: datetime.datetime) -> Entry:
    """The entry of a running run with its current state and duration; other entries as they are."""
    if entry.outcome != "running":
        return entry
    if _is_gone(entry):
        return msgspec.structs.replace(
            entry, outcome="killed", problem="its process no longer exists"
        )
    where = f"on {entry.host}" if entry.host else ""
    # Another machine's clock may be ahead of this one's.
    elapsed = max(0.0, seconds_between(entry.started, now)) if entry.started else None
    return msgspec.structs.replace(entry, seconds=elapsed, problem=where)


def _is_gone(entry: Entry) -> bool:
    """Whether the process of a run no longer exists; False for a run on another machine."""
    if entry.process is None or entry.host != platform.node():
        return False
    try:
        import psutil

        process_started = psutil.Process(entry.process).create_time()
    except ImportError:
        return False
    except psutil.Error:
        return True
    started = moment(entry.started)
    # A process that started after the run has only reused its id.
    return started is not None and bool(process_started > started.timestamp() + 1)


def _result(notebook: _Notebook) -> dict[str, Any] | None:
    values = (out.data.get(RESULT_TYPE) for cell in notebook.cells for out in cell.outputs)
    results = [value for value in values if isinstance(value, dict)]
    return results[-1] if results else None


def _error(notebook: _Notebook) -> CellError | None:
    for cell in notebook.cells:
        for out in cell.outputs:
            if out.output_type == "error":
                return CellError(number=cell.execution_count, error=out.ename, message=out.evalue)
    return None


def _outcome(notebook: _Notebook, about: dict[str, Any], cell: CellError | None) -> str:
    """The outcome. Papermill reports `exception` for sys.exit(0), and nothing for a dead kernel."""
    if cell is not None:
        return "exited" if cell.error == "SystemExit" else "failed"
    states = (cell.metadata.get("papermill") for cell in notebook.cells)
    waiting = any(isinstance(s, dict) and s.get("status") in ("pending", "running") for s in states)
    if not about.get("end_time") or waiting:
        return "unfinished"
    return "failed" if about.get("exception") else "succeeded"


def _with_result(entry: Entry, result: Any) -> tuple[Entry, Inventory | None]:
    """The entry with the values of the notebook's result that have the expected types."""
    if not isinstance(result, dict):
        return entry, None
    images, commit, config = result.get("images"), result.get("commit"), result.get("config")
    inputs = result.get("inputs")
    hashes = inputs if isinstance(inputs, dict) else {}
    build, inventory = None, None
    if isinstance(result.get("build"), dict):
        try:
            inventory = msgspec.convert(result["build"], Inventory)
            build = digest(inventory)
        except ValueError:
            inventory = None
    total = images.get("total") if isinstance(images, dict) else None
    complete = msgspec.structs.replace(
        entry,
        commit=entry.commit or (commit if isinstance(commit, str) else None),
        config=config if isinstance(config, str) else None,
        config_sha256=_text(hashes.get(config)) if isinstance(config, str) else None,
        images=_number(total),
        build=build,
    )
    return complete, inventory


def _time(text: str) -> str:
    """A time in the format of all entries, which sorts; empty if it is invalid."""
    time = moment(text)
    return "" if time is None else time.isoformat()


def _number(value: Any, least: int = 0, most: int = 2**63 - 1) -> int | None:
    """An integer in a range, by default of 64 bits; None for other values and for booleans."""
    number = isinstance(value, int) and not isinstance(value, bool)
    return value if number and least <= value <= most else None


def _seconds(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(float(value), 3) if number and abs(value) < 2**53 else None


def _cell(cell: CellError | None) -> CellError | None:
    return cell and msgspec.structs.replace(cell, number=_number(cell.number))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def digest(inventory: Inventory) -> str:
    """The hash of an inventory; equal inventories have equal hashes."""
    return hashlib.sha256(msgspec.json.encode(inventory)).hexdigest()
