"""The filters of the history. Needs ipywidgets, so only an interactive front end loads it."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import pandas as pd

from imagekit.errors import counted
from imagekit.notebook.display import Table
from imagekit.notebook.history_choice import Chosen

ANY = "any notebook"
STYLE = (
    "<style>.imagekit-history .dt-layout-cell:has(.dt-search) { display: none !important }</style>"
)
"""The search and filters of the table itself would only find the runs that it shows."""
NARROW = ipywidgets.Layout(width="auto", margin="0 1.5em 0 0")
WRAP = ipywidgets.Layout(flex_flow="row wrap")


class Browser(ipywidgets.VBox):  # type: ignore[misc]
    """Filters, and below them the number of runs that match and the latest of them as a table.

    `marks` has a symbol for each outcome, and `tabulate` makes a table of some runs with a title.
    Viewers of the saved notebook that do not support widgets show all runs.
    """

    def __init__(
        self,
        runs: pd.DataFrame,
        marks: Mapping[str, str],
        tabulate: Callable[[pd.DataFrame, str], Table],
    ) -> None:
        self.runs = runs
        self.tabulate = tabulate
        found = {*runs["outcome"]}
        self.outcomes = {
            outcome: _box(f"{mark} {outcome}")
            for outcome, mark in marks.items()
            if outcome in found
        }
        names = sorted({*self.runs["notebook"]} - {""})
        self.notebook = ipywidgets.Dropdown(
            options=[(ANY, ""), *((name, name) for name in names)], description="notebook"
        )
        self.since = ipywidgets.DatePicker(description="since (UTC)")
        self.until = ipywidgets.DatePicker(description="until (UTC)")
        self.text = ipywidgets.Text(
            description="search",
            placeholder="run, reason, parameter, commit or config",
            continuous_update=False,
            layout=ipywidgets.Layout(width="28em", max_width="100%"),
        )
        self.counts, self.shown = ipywidgets.HTML(), ipywidgets.Output()
        filters = [*self.outcomes.values(), self.notebook, self.since, self.until, self.text]
        for widget in filters:
            widget.observe(self._show, "value")
        self._show()
        boxes = ipywidgets.HBox(list(self.outcomes.values()), layout=WRAP)
        others = ipywidgets.HBox([self.notebook, self.since, self.until, self.text], layout=WRAP)
        super().__init__([boxes, others, self.counts, self.shown])
        self.add_class("imagekit-history")

    def _repr_mimebundle_(self, **more: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._repr_mimebundle_(**more)
        plain = self.tabulate(self.runs, self._tally(self.runs))
        return {**shown, "text/html": plain.html(), "text/plain": str(plain)}

    def _show(self, _: Any = None) -> None:
        chosen = Chosen(
            # Without any outcome there would be nothing to see.
            outcomes=[outcome for outcome, box in self.outcomes.items() if box.value],
            notebook=self.notebook.value,
            since=self.since.value,
            until=self.until.value,
            text=self.text.value.strip(),
        )
        runs = chosen.of(self.runs)
        text = f"{len(runs)} of {counted(len(self.runs), 'run')}"
        self.counts.value = f'{STYLE}<strong aria-live="polite">{html.escape(text)}</strong>'
        # In an output, and not in HTML, links lead to the files beside the notebook.
        data = self.tabulate(runs, self._tally(runs))._repr_mimebundle_()
        self.shown.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)

    def _tally(self, runs: pd.DataFrame) -> str:
        numbers = runs["outcome"].value_counts()
        parts = [f"{numbers[outcome]} {outcome}" for outcome in self.outcomes if numbers[outcome]]
        return ", ".join(parts) or "No run matches the filters"


def _box(words: str) -> Any:
    return ipywidgets.Checkbox(value=True, description=words, indent=False, layout=NARROW)
