"""A run in the few words that a table has room for, in the terminal and in notebooks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from imagekit.errors import counted
from imagekit.runs.entry import NO_RUN, Entry
from imagekit.runs.index import Counts


def changed(numbers: Counts) -> str:
    """`+1 -2 ~3` of images added, removed and changed, `~` where only the build, `=` for none."""
    marks = (f"{mark}{number}" for mark, number in zip("+-~", numbers[:3], strict=True) if number)
    return " ".join(marks) or ("~" if numbers.whole else "=")


def given(entry: Entry) -> str:
    """The parameters that a run was given, as NAME=VALUE."""
    values = entry.parameters.items()
    return " ".join(f"{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in values)


def tally(shown: Sequence[Entry], every: Sequence[Entry], store: str) -> str:
    """`2 runs of 27, 1 unreadable in runs`: what is shown of a store; only runs count as runs."""
    total = sum(entry.outcome not in NO_RUN for entry in every)
    runs = sum(entry.outcome not in NO_RUN for entry in shown)
    parts = [counted(runs, "run") + (f" of {total}" if len(shown) < len(every) else "")]
    for outcome, word in zip(NO_RUN, ("unreadable", "no run"), strict=True):
        number = sum(entry.outcome == outcome for entry in shown)
        parts += [f"{number} {word}"] if number else []
    return f"{', '.join(parts)} in {store}"


def short_commit(commit: str | None) -> str:
    """A commit as people write it, with what tells that it was not all."""
    name, _, dirty = (commit or "").partition("-")
    return f"{name[:10]}{'-dirty' if dirty else ''}"


def why(entry: Entry) -> str:
    """Where and with what a run ended, if not well, and what is wrong with its files."""
    parts = [entry.problem] if entry.problem else []
    if entry.cell is not None:
        where = f"cell {entry.cell.number}: " if entry.cell.number else ""
        first = entry.cell.message.strip().partition("\n")[0].rstrip(":")
        parts.insert(0, f"{where}{entry.cell.error}: {first}")
    return "; ".join(parts)
