"""The runs that a person chooses with the filters of the history."""

from __future__ import annotations

import datetime
from collections.abc import Collection

import msgspec
import pandas as pd


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that a person chose. An empty value does not filter."""

    outcomes: Collection[str] = ()
    notebook: str = ""
    since: datetime.date | None = None
    until: datetime.date | None = None
    """The last day, which is included."""
    text: str = ""
    """A text in a run's name, reason, parameters, commit or config, in any case."""

    def of(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The chosen rows of a DataFrame of runs."""
        matches = pd.Series(True, index=runs.index)
        if self.outcomes:
            matches &= runs["outcome"].isin(list(self.outcomes))
        if self.notebook:
            matches &= runs["notebook"] == self.notebook
        if self.since:
            matches &= runs["began"] >= pd.Timestamp(self.since, tz="UTC")
        if self.until:
            matches &= runs["began"] < pd.Timestamp(self.until, tz="UTC") + pd.Timedelta(days=1)
        if self.text:
            found = pd.Series(runs.index.str.contains(self.text, case=False, regex=False))
            found.index = runs.index
            for name in ("why", "parameters", "commit", "config"):
                found |= runs[name].fillna("").str.contains(self.text, case=False, regex=False)
            matches &= found
        return runs[matches]
