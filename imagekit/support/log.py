"""Debug messages about what is read and run, in the logger `imagekit`.

`logging` takes as long to load as a small config to generate, so it is not loaded here: until the
program that uses imagekit, or `--verbose`, has loaded it, nobody listens.
"""

from __future__ import annotations

import sys

NAME = "imagekit"


def debug(message: str, *values: object) -> None:
    """Log a message; `values` replace its placeholders."""
    if logging := sys.modules.get("logging"):
        logging.getLogger(NAME).debug(message, *values)


def is_debugging() -> bool:
    """Whether debug messages are shown."""
    logging = sys.modules.get("logging")
    return logging is not None and bool(logging.getLogger(NAME).isEnabledFor(logging.DEBUG))
