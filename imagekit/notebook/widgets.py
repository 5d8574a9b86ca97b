"""The widgets of the explorer. Needs ipywidgets, so only an interactive front end loads it."""

from __future__ import annotations

import html
import pathlib
from typing import Any

import ipywidgets

from imagekit import api
from imagekit.errors import ImagekitError
from imagekit.notebook import choice
from imagekit.notebook.display import Table

SCROLLED = '<div style="overflow-x: auto; line-height: normal">{}</div>'
MESSAGE = '<pre role="alert" style="white-space: pre-wrap; font-weight: bold">! {}\n{}</pre>'
STALE = "Below is the last valid selection."


class Explorer(ipywidgets.VBox):  # type: ignore[misc]
    """The controls, and below them the counts, grid and build graph of the selection.

    `config` is the file to start with; `only` and `skip` are globs separated by spaces. `plain`
    is shown by viewers of the saved notebook that do not support widgets.
    """

    def __init__(self, config: str, only: str, skip: str, plain: Table) -> None:
        self.plain = plain
        self.config = ipywidgets.Dropdown(
            options=choice.configs_beside(config),
            value=str(pathlib.Path(config)),
            description="config",
        )
        self.only = _text("only", only, "globs on tags, such as gpu-*")
        self.skip = _text("skip", skip, "globs on tags, such as *-py311*")
        self.axes = ipywidgets.VBox()
        self.message, self.counts = ipywidgets.HTML(), ipywidgets.HTML()
        self.grid, self.graph = ipywidgets.HTML(), ipywidgets.HTML()
        self.config_error = ""
        self.boxes: dict[str, dict[str | None, ipywidgets.Checkbox]] = {}
        self.config.observe(self._read, "value")
        for text in (self.only, self.skip):
            text.observe(self._show, "value")
        self._read()
        choices = [self.config, self.axes, ipywidgets.HBox([self.only, self.skip])]
        super().__init__([*choices, self.message, self.counts, self.grid, self.graph])

    def _repr_mimebundle_(self, **more: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._repr_mimebundle_(**more)
        return {**shown, "text/html": self.plain.html(), "text/plain": str(self.plain)}

    def _read(self, _: Any = None) -> None:
        """Load the config and select every value of every axis."""
        try:
            self.matrix = api.check(self.config.value).matrix
        except ImagekitError as error:
            self.config_error = str(error)
            self._show_message(self.config_error)
            return
        self.config_error = ""
        self.boxes = {
            axis: {name: _box(words) for name, words in choice.values_of(self.matrix, axis)}
            for axis in self.matrix.recipes.axes
        }
        for boxes in self.boxes.values():
            for box in boxes.values():
                box.observe(self._show, "value")
        self.axes.children = [
            _line(axis.replace("_", " "), list(boxes.values()))
            for axis, boxes in self.boxes.items()
            if boxes
        ]
        self._show()

    def _show(self, _: Any = None) -> None:
        if self.config_error:
            # The boxes still belong to the previous config.
            self._show_message(self.config_error)
            return
        chosen = {
            axis: [name for name, box in boxes.items() if box.value]
            for axis, boxes in self.boxes.items()
        }
        view = choice.view(self.matrix, chosen, self.only.value, self.skip.value)
        if view.message:
            self._show_message(view.message)
            return
        self.message.value = ""
        self.counts.value = f'<strong aria-live="polite">{html.escape(view.counts)}</strong>'
        self.grid.value = SCROLLED.format(view.grid)
        self.graph.value = SCROLLED.format(view.graph)

    def _show_message(self, message: str) -> None:
        self.message.value = MESSAGE.format(html.escape(message), STALE)


def _text(name: str, value: str, hint: str) -> Any:
    return ipywidgets.Text(value=value, description=name, placeholder=hint)


def _box(words: str) -> Any:
    layout = ipywidgets.Layout(width="auto", margin="0 1.5em 0 0")
    return ipywidgets.Checkbox(value=True, description=words, indent=False, layout=layout)


def _line(words: str, boxes: list[Any]) -> Any:
    label = ipywidgets.Label(words, layout=ipywidgets.Layout(width="80px"))
    row = ipywidgets.Layout(flex_flow="row wrap")
    return ipywidgets.HBox([label, ipywidgets.HBox(boxes, layout=row)])
