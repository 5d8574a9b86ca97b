"""The matrix to play with: choose values and globs, and see what it comes to.

Where nobody watches, it is a table that says how much each value brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imagekit import api
from imagekit.config.schema import AXES
from imagekit.notebook.choice import by_value, chosen_of, values_of
from imagekit.notebook.session import watched
from imagekit.planning.load import as_list


def explore(config: str, *, only: str | Sequence[str] = (), skip: str | Sequence[str] = ()) -> Any:
    """What is shown last in a cell: widgets where somebody watches, else a table.

    `config` is the file to begin with, `only` and `skip` are globs on tags. Raises ConfigError
    where the file or a glob is wrong.
    """
    matrix = api.check(config).matrix
    first, second = as_list(only), as_list(skip)
    choice = {axis: [name for name, _ in values_of(matrix, axis)] for axis in AXES}
    plain = by_value(*chosen_of(matrix, choice, first, second))
    if watched():
        try:
            from imagekit.notebook.widgets import Explorer
        except ImportError:
            return plain
        return Explorer(config, " ".join(first), " ".join(second), plain)
    return plain
