"""Short texts about runs for tables in the terminal and in notebooks."""

from __future__ import annotations

import json
from collections.abc import Sequence

from imagekit.errors import counted
from imagekit.runs.entry import NO_RUN, Entry
from imagekit.runs.index import Counts


def changed(numbers: Counts) -> str:
    """`+1 -2 ~3`: images added, removed and changed; `~` if only the build changed, else `=`."""
    marks = (f"{mark}{number}" for mark, number in zip("+-~", numbers[:3], strict=True) if number)
    return " ".join(marks) or ("~" if numbers.whole else "=")


def parameters_text(entry: Entry) -> str:
    """The parameters passed to a run, as NAME=VALUE."""
    values = entry.parameters.items()
    return " ".join(f"{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in values)


def tally(shown: Sequence[Entry], every: Sequence[Entry], store: str) -> str:
    """`2 runs of 27, 1 unreadable in runs`: the number of shown runs and of other entries."""
    total = sum(entry.outcome not in NO_RUN for entry in every)
    runs = sum(entry.outcome not in NO_RUN for entry in shown)
    parts = [counted(runs, "run") + (f" of {total}" if len(shown) < len(every) else "")]
    for outcome, word in zip(NO_RUN, ("unreadable", "not a run"), strict=True):
        number = sum(entry.outcome == outcome for entry in shown)
        parts += [f"{number} {word}"] if number else []
    return f"{', '.join(parts)} in {store}"


def short_commit(commit: str | None) -> str:
    """The short form of a commit, with `-dirty` if files had changed."""
    name, _, dirty = (commit or "").partition("-")
    return f"{name[:10]}{'-dirty' if dirty else ''}"


def why(entry: Entry) -> str:
    """The cell and error that a run ended with, if any, and what is wrong with its files."""
    parts = [entry.problem] if entry.problem else []
    if entry.cell is not None:
        where = f"cell {entry.cell.number}: " if entry.cell.number else ""
        first = entry.cell.message.strip().partition("\n")[0].rstrip(":")
        parts.insert(0, f"{where}{entry.cell.error}: {first}")
    return "; ".join(parts)
