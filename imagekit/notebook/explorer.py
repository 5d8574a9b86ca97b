"""The interactive explorer: select axis values and globs, and see the images that result.

Without an interactive front end, it is a table of the combinations by axis value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imagekit import api
from imagekit.notebook.choice import all_values, by_value, select
from imagekit.notebook.session import is_interactive
from imagekit.planning.load import as_list


def explore(config: str, *, only: str | Sequence[str] = (), skip: str | Sequence[str] = ()) -> Any:
    """The explorer of a config: widgets in an interactive front end, else a table.

    `config` is the file to start with; `only` and `skip` are globs on tags. Raises ConfigError
    if the file or a glob is invalid.
    """
    matrix = api.check(config).matrix
    only_globs, skip_globs = as_list(only), as_list(skip)
    plain = by_value(*select(matrix, all_values(matrix), only_globs, skip_globs))
    if is_interactive():
        try:
            from imagekit.notebook.widgets import Explorer
        except ImportError:
            return plain
        return Explorer(config, " ".join(only_globs), " ".join(skip_globs), plain)
    return plain
