"""The clock of builds and runs."""

from __future__ import annotations

import datetime
import time


class Clock:
    """The time of day in UTC when it was made, moved on by a clock that nobody sets.

    So no step or run ends before it has started, and none takes an hour more in a night of October.
    """

    def __init__(self) -> None:
        self._start = datetime.datetime.now(datetime.UTC)
        self._monotonic = time.monotonic()

    def now(self) -> datetime.datetime:
        """The current time."""
        return self._start + datetime.timedelta(seconds=time.monotonic() - self._monotonic)
