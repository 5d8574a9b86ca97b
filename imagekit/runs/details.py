"""Everything that is known of one run: what the index keeps of it, and what only its files say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from imagekit.errors import one_line
from imagekit.runs import entry as entries
from imagekit.runs.entry import Entry
from imagekit.runs.formatting import given
from imagekit.runs.record import Record
from imagekit.runs.store import Store

INDENT = " " * 12
"""As wide as the column of names is."""


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run's own files say beyond its entry, as far as they can be read."""

    finished: str | None = None
    exit_code: int | None = None
    notebook_sha256: str | None = None
    executed_sha256: str | None = None
    versions: dict[str, str] = {}
    result: dict[str, Any] | None = None


def read(store: Store, run: str) -> Details:
    """The details of a run from its record, or else from its executed notebook."""
    files = dict(store.read([f"{run}.json", f"{run}.ipynb"]))
    record, notebook = files[f"{run}.json"], files[f"{run}.ipynb"]
    if isinstance(record, bytes):
        try:
            found = msgspec.json.decode(record, type=Record)
        except (ValueError, RecursionError):
            pass
        else:
            values = {name: getattr(found, name) for name in Details.__struct_fields__}
            return Details(**values)
    if isinstance(notebook, bytes):
        try:
            finished, result = entries.end_of_notebook(notebook)
        except (ValueError, RecursionError):
            return Details()
        return Details(finished=finished, result=result)
    return Details()


def lines(entry: Entry, details: Details, files: str) -> Iterator[str]:
    """A run for people: a line for each thing that is known, more below it where it is longer."""
    for name, value in _about(entry, details, files):
        first, *more = value or [""]
        if first:
            yield f"{name:<{len(INDENT)}}{one_line(first)}"
            yield from (f"{INDENT}{one_line(line)}" for line in more)


def _about(entry: Entry, details: Details, files: str) -> Iterator[tuple[str, list[str]]]:
    yield "run", [entry.run]
    yield "notebook", [_named(entry.notebook, details.notebook_sha256)]
    yield "outcome", [entry.outcome]
    yield "exit code", ["" if details.exit_code is None else str(details.exit_code)]
    yield "error", _error(entry)
    yield "problem", [entry.problem]
    yield "began", [entry.started]
    yield "finished", [details.finished or ""]
    yield "took", ["" if entry.seconds is None else f"{entry.seconds:.1f} s"]
    yield "parameters", [given(entry)]
    yield "commit", [entry.commit or ""]
    yield "versions", [", ".join(f"{name} {text}" for name, text in details.versions.items())]
    yield "config", [_named(entry.config or "", entry.config_sha256)]
    result = dict(details.result or {})
    # What machines compare runs by is longer than anybody reads; --json has it.
    result.pop("build", None)
    for name in ("inputs", "outputs"):
        if isinstance(result.get(name), dict):
            hashes = result.pop(name)
            yield name, [_named(path, text or "no such file") for path, text in hashes.items()]
    yield "result", json.dumps(result, indent=2, ensure_ascii=False).splitlines() if result else []
    yield "executed", [_named("sha256", details.executed_sha256) if details.executed_sha256 else ""]
    yield "files", [files]


def _error(entry: Entry) -> list[str]:
    """The cell that a run ended at, and its whole message, however many lines that has."""
    if entry.cell is None:
        return []
    where = f"cell {entry.cell.number}: " if entry.cell.number else ""
    first, *more = entry.cell.message.strip().splitlines() or [""]
    return [f"{where}{entry.cell.error}: {first}", *more]


def _named(name: str, text: object) -> str:
    return f"{name}  {text}" if name and text else name
