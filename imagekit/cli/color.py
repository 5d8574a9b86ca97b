"""Whether to print colors, for all that prints them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def is_wanted(stream: TextIO) -> bool:
    """Whether to print colors to a stream.

    NO_COLOR (no-color.org), which --no-color sets, is stronger than FORCE_COLOR (force-color.org).
    Without both, a terminal gets colors.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console() -> Console:
    """Rich's console for standard output."""
    # Imported here because rich takes a tenth of a second to load.
    from rich.console import Console

    # The layout depends on whether it is a terminal, and not on whether there are colors.
    is_terminal = sys.stdout.isatty()
    colors = is_wanted(sys.stdout)
    return Console(
        highlight=False, force_terminal=is_terminal, color_system="standard" if colors else None
    )
