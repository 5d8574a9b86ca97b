"""One run of a store as a line of the history, whatever its files hold."""

from __future__ import annotations

import datetime
import hashlib
import platform
from typing import Any

import msgspec

from imagekit.compare.inventory import Inventory
from imagekit.runs.record import RESULT_TYPE, CellError, Record, moment, seconds_between

OUTCOMES = {
    "running": "it has begun, and its record says no end",
    "succeeded": "every cell ran to its end",
    "failed": "a cell raised, or the kernel could not be started",
    "exited": "a cell called `sys.exit`, with whatever status",
    "timed out": "a cell took longer than `--cell-timeout`",
    "kernel died": "the process that executes the cells ended in mid-cell",
    "interrupted": "Ctrl-C, SIGTERM or a closed terminal stopped it",
    "killed": "its record says `running`, but its runner is gone; only its own machine knows",
    "unfinished": "papermill alone began it and wrote no end, or is still at it",
    "not a run": "a notebook in the store that papermill did not execute",
    "unreadable": "neither its record nor its notebook can be read",
}
"""How a run can have ended, as far as the history can tell, and what each word means."""

NO_RUN = ("unreadable", "not a run")
"""The outcomes of what lies in a store and cannot be counted as a run."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run as the history knows it. Times are ISO 8601 in UTC, durations seconds.

    What files say that cannot be is left out, so that an entry can be kept, sorted and reckoned
    with. `config` is the config's path and `config_sha256` its hash; `build` is the hash under
    which the inventory of what was generated is kept; `left_notebook` says that its executed
    notebook was left beside its record; `problem` says what is wrong with its files.
    """

    run: str
    outcome: str
    notebook: str = ""
    started: str = ""
    seconds: float | None = None
    cell: CellError | None = None
    parameters: dict[str, Any] = {}
    commit: str | None = None
    config: str | None = None
    config_sha256: str | None = None
    images: int | None = None
    build: str | None = None
    host: str | None = None
    process: int | None = None
    left_notebook: bool = False
    problem: str = ""


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
    """What a record says. Raises ValueError, with the reason, where the bytes are none."""
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
    """What an executed notebook without a record says.

    Raises ValueError, with the reason, where the bytes are no notebook.
    """
    notebook = msgspec.json.decode(data, type=_Notebook)
    about = notebook.metadata.get("papermill")
    if not isinstance(about, dict) or not isinstance(about.get("start_time"), str):
        return Entry(run=run, outcome="not a run", problem="papermill did not execute it"), None
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
    """When an executed notebook was finished, and what it computed; ValueError as above."""
    notebook = msgspec.json.decode(data, type=_Notebook)
    about = notebook.metadata.get("papermill")
    ended = about.get("end_time") if isinstance(about, dict) else None
    return _text(ended), _result(notebook)


def is_notebook(data: bytes) -> str:
    """What is wrong with an executed notebook's bytes; nothing where nothing is."""
    try:
        msgspec.json.decode(data, type=_Notebook)
    except ValueError as error:
        return str(error)
    return ""


def settled(entry: Entry, now: datetime.datetime) -> Entry:
    """An entry with what only the moment of reading can tell of a run that has no end."""
    if entry.outcome != "running":
        return entry
    if _is_gone(entry):
        return msgspec.structs.replace(entry, outcome="killed", problem="its runner was killed")
    where = f"on {entry.host}" if entry.host else ""
    # Another machine's clock may be ahead of this one's.
    elapsed = max(0.0, seconds_between(entry.started, now)) if entry.started else None
    return msgspec.structs.replace(entry, seconds=elapsed, problem=where)


def _is_gone(entry: Entry) -> bool:
    """Whether the runner of a run is no more. Of another machine's nothing can be said."""
    if entry.process is None or entry.host != platform.node():
        return False
    try:
        import psutil

        begun = psutil.Process(entry.process).create_time()
    except ImportError:
        return False
    except psutil.Error:
        return True
    started = moment(entry.started)
    # A process that began after the run only has its number.
    return started is not None and bool(begun > started.timestamp() + 1)


def _result(notebook: _Notebook) -> dict[str, Any] | None:
    shown = (out.data.get(RESULT_TYPE) for cell in notebook.cells for out in cell.outputs)
    found = [value for value in shown if isinstance(value, dict)]
    return found[-1] if found else None


def _error(notebook: _Notebook) -> CellError | None:
    for cell in notebook.cells:
        for out in cell.outputs:
            if out.output_type == "error":
                return CellError(number=cell.execution_count, error=out.ename, message=out.evalue)
    return None


def _outcome(notebook: _Notebook, about: dict[str, Any], cell: CellError | None) -> str:
    """Papermill says `exception` of sys.exit(0), and nothing of a kernel that was killed."""
    if cell is not None:
        return "exited" if cell.error == "SystemExit" else "failed"
    states = (cell.metadata.get("papermill") for cell in notebook.cells)
    waiting = any(isinstance(s, dict) and s.get("status") in ("pending", "running") for s in states)
    if not about.get("end_time") or waiting:
        return "unfinished"
    return "failed" if about.get("exception") else "succeeded"


def _with_result(entry: Entry, result: Any) -> tuple[Entry, Inventory | None]:
    """The entry with what the notebook computed, as far as it is what ours computes."""
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
    found = msgspec.structs.replace(
        entry,
        commit=entry.commit or (commit if isinstance(commit, str) else None),
        config=config if isinstance(config, str) else None,
        config_sha256=_text(hashes.get(config)) if isinstance(config, str) else None,
        images=_number(total),
        build=build,
    )
    return found, inventory


def _time(text: str) -> str:
    """A time as all entries write it, so that they sort; nothing where it is none."""
    found = moment(text)
    return "" if found is None else found.isoformat()


def _number(value: Any, least: int = 0, most: int = 2**63 - 1) -> int | None:
    """A whole number that a table has room for; JSON knows larger ones, and true is none."""
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
    """A hash that two inventories have in common if they are the same."""
    return hashlib.sha256(msgspec.json.encode(inventory)).hexdigest()
