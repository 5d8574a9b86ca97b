"""The details of one run: its entry, and the fields that only its files have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from imagekit.errors import one_line
from imagekit.runs import entry as entries
from imagekit.runs.entry import Entry
from imagekit.runs.formatting import parameters_text
from imagekit.runs.record import Record
from imagekit.runs.store import Store

INDENT = " " * 12
"""The width of the column of names."""


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a run's files that its entry does not have; see `Record`."""

    finished: str | None = None
    """The end, ISO 8601 in UTC."""
    exit_code: int | None = None
    """The exit code of `imagekit run`."""
    notebook_sha256: str | None = None
    """The SHA-256 hash of the notebook before the run."""
    executed_sha256: str | None = None
    """The SHA-256 hash of the executed notebook."""
    versions: dict[str, str] = {}
    """The versions of Python and of the packages that executed the notebook."""
    result: dict[str, Any] | None = None
    """The result that the notebook displayed."""


def read(store: Store, run: str) -> Details:
    """The details of a run from its record, else from its executed notebook, else empty."""
    files = dict(store.read([f"{run}.json", f"{run}.ipynb"]))
    record, notebook = files[f"{run}.json"], files[f"{run}.ipynb"]
    if isinstance(record, bytes):
        try:
            decoded = msgspec.json.decode(record, type=Record)
        except (ValueError, RecursionError):
            pass
        else:
            values = {name: getattr(decoded, name) for name in Details.__struct_fields__}
            return Details(**values)
    if isinstance(notebook, bytes):
        try:
            finished, result = entries.end_of_notebook(notebook)
        except (ValueError, RecursionError):
            return Details()
        return Details(finished=finished, result=result)
    return Details()


def lines(entry: Entry, details: Details, files: str) -> Iterator[str]:
    """The lines of `imagekit runs show`: one per known field, more if its value has more."""
    for name, value in _fields(entry, details, files):
        first, *more = value or [""]
        if first:
            yield f"{name:<{len(INDENT)}}{one_line(first)}"
            yield from (f"{INDENT}{one_line(line)}" for line in more)


def _fields(entry: Entry, details: Details, files: str) -> Iterator[tuple[str, list[str]]]:
    yield "run", [entry.run]
    yield "notebook", [_with_text(entry.notebook, details.notebook_sha256)]
    yield "outcome", [entry.outcome]
    yield "exit code", ["" if details.exit_code is None else str(details.exit_code)]
    yield "error", _error(entry)
    yield "problem", [entry.problem]
    yield "began", [entry.started]
    yield "finished", [details.finished or ""]
    yield "took", ["" if entry.seconds is None else f"{entry.seconds:.1f} s"]
    yield "parameters", [parameters_text(entry)]
    yield "commit", [entry.commit or ""]
    yield "versions", [", ".join(f"{name} {text}" for name, text in details.versions.items())]
    yield "config", [_with_text(entry.config or "", entry.config_sha256)]
    result = dict(details.result or {})
    # The inventory is too long to display; --json includes it. The summary repeats the rest.
    for hidden in ("build", "summary"):
        result.pop(hidden, None)
    for name in ("inputs", "outputs"):
        if isinstance(result.get(name), dict):
            hashes = result.pop(name)
            yield name, [_with_text(path, text or "not found") for path, text in hashes.items()]
    yield "result", json.dumps(result, indent=2, ensure_ascii=False).splitlines() if result else []
    executed = details.executed_sha256
    yield "executed", [_with_text("sha256", executed) if executed else ""]
    yield "files", [files]


def _error(entry: Entry) -> list[str]:
    """The cell that a run ended at, and the whole message of its error, by line."""
    if entry.cell is None:
        return []
    where = f"cell {entry.cell.number}: " if entry.cell.number else ""
    first, *more = entry.cell.message.strip().splitlines() or [""]
    return [f"{where}{entry.cell.error}: {first}", *more]


def _with_text(name: str, text: object) -> str:
    return f"{name}  {text}" if name and text else name
