"""The interactive explorer: change the matrix and see what that brings, before it is written.

Without an interactive front end, it is a table of what each value of an axis brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imagekit import api
from imagekit.notebook.session import is_interactive
from imagekit.notebook.tables import by_value
from imagekit.planning.load import select


def explore(
    config: str,
    *,
    only: str | Sequence[str] = (),
    skip: str | Sequence[str] = (),
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> Any:
    """The explorer of a config: widgets in an interactive front end, else a table.

    `config` is the file to start with; `only` and `skip` are globs on tags for the table, `rows`
    and `columns` the axes of the grid. Raises ConfigError if the file or a glob is invalid.
    """
    checked = api.check(config)
    plain = by_value(checked.matrix, select(checked, only, skip))
    if is_interactive():
        try:
            from imagekit.notebook.widgets import Explorer
        except ImportError:
            return plain
        return Explorer(config, (list(rows), list(columns)), plain)
    return plain
