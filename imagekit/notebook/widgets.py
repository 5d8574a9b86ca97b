"""The widgets of the explorer.

They need ipywidgets and anywidget, so only an interactive front end loads them.
"""

from __future__ import annotations

import html
import pathlib
import shlex
from typing import Any

import anywidget
import ipywidgets
import traitlets

from imagekit.errors import ImagekitError, UsageError
from imagekit.notebook import graph, tables, whatif
from imagekit.notebook.display import CSS, Table, escaped
from imagekit.notebook.whatif import View, WhatIf
from imagekit.planning.plan import Image
from imagekit.planning.rows import label, named, rows

MESSAGE = '<pre role="alert" style="white-space: pre-wrap; font-weight: bold">! {}</pre>'
HINT = "Click a cell of the grid or an image of the graph for its details, and to change it."


class Page(anywidget.AnyWidget):  # type: ignore[misc]
    """HTML in which images can be chosen: `send` gives the tag of the one that was clicked."""

    _esm = pathlib.Path(__file__).with_name("explorer.js").read_text(encoding="utf-8")
    _css = CSS
    html = traitlets.Unicode("").tag(sync=True)
    copied = traitlets.Unicode("").tag(sync=True)


class Explorer(ipywidgets.VBox):  # type: ignore[misc]
    """Changes of a config, and what they bring; nothing is written before *Save*.

    `config` is the file to start with, and `axes` are the rows and columns of the grid. `plain` is
    shown by viewers of the saved notebook that do not support widgets.
    """

    def __init__(self, config: str, axes: tuple[list[str], list[str]], plain: Table) -> None:
        self.plain, self.grid_axes = plain, axes
        self.what_if = WhatIf(str(pathlib.Path(config)))
        self.tag = ""
        self.config = ipywidgets.Dropdown(
            options=whatif.configs_beside(config),
            value=str(pathlib.Path(config)),
            description="config",
        )
        self.boxes = ipywidgets.VBox()
        self.new = _NewValue(self._change)
        self.summary, self.message = ipywidgets.HTML(), ipywidgets.HTML()
        self.grid, self.graph, self.difference = Page(), Page(), Page(copied="-")
        self.config.observe(self._open, "value")
        for page in (self.grid, self.graph):
            page.on_msg(lambda _, content, __: self._choose(content["tag"]))
        top = [self.config, self.boxes, self.new, self.message, self.summary]
        middle = [self._details(), self._buttons(), self.grid]
        super().__init__([*top, *middle, self.difference, self.graph])
        self._open()

    def _details(self) -> Any:
        """What there is to say of the chosen combination, and its button."""
        self.chosen = ipywidgets.HTML(f"<p>{HINT}</p>")
        self.reason = ipywidgets.Text(
            description="reason", placeholder="why it is not built", continuous_update=False
        )
        self.reason.observe(self._give_reason, "value")
        self.toggle = _button("Exclude", self._toggle)
        return ipywidgets.VBox([self.chosen, self._line(self.reason, self.toggle)])

    def _buttons(self) -> Any:
        self.undo = _button("Undo", lambda _: self._do(self.what_if.undo))
        self.reset = _button("Reset", lambda _: self._do(self.what_if.reset))
        self.save = _button("Save…", self._ask)
        self.confirm = _button("Write the file", self._write)
        return self._line(self.undo, self.reset, self.save, self.confirm)

    def _repr_mimebundle_(self, **more: Any) -> dict[str, Any]:
        shown: dict[str, Any] = super()._repr_mimebundle_(**more)
        return {**shown, "text/html": self.plain.html(), "text/plain": str(self.plain)}

    @staticmethod
    def _line(*widgets: Any) -> Any:
        return ipywidgets.HBox(widgets, layout=ipywidgets.Layout(flex_flow="row wrap"))

    # ---- what a person does

    def _open(self, _: Any = None) -> None:
        """Start again with another config."""
        try:
            self.what_if = WhatIf(self.config.value)
        except (ImagekitError, OSError, UnicodeError) as error:
            # What is shown stays that of the config before.
            self.config.unobserve(self._open, "value")
            self.config.value = self.what_if.path
            self.config.observe(self._open, "value")
            self._tell(str(error))
            return
        self.offered: dict[str, list[str]] = {}
        self._show()

    def _offer(self) -> None:
        """Offer a box for each value and recipe, those that are added or removed here, too."""
        _, checked = self.what_if.state
        original = self.what_if.original
        offered = {
            axis: [*dict.fromkeys([*original.config.axis(axis), *checked.config.axis(axis)])]
            for axis in original.matrix.recipes.axes
        }
        cells = original.matrix.cells
        recipes = [*dict.fromkeys(cell.combination.recipe for cell in cells if cell.path)]
        offered[""] = recipes if len(recipes) > 1 else []
        if offered == self.offered:
            return
        self.offered = offered
        self.ticks: dict[str, Any] = {}
        lines = [
            self._checks(named(axis) if axis else "recipe", names, axis)
            for axis, names in offered.items()
        ]
        self.boxes.children = [line for line in lines if line is not None]
        self.new.offer(checked)

    def _checks(self, words: str, names: list[str], axis: str) -> Any:
        """A line with a box for each name; an empty `axis` stands for the recipes."""
        if not names:
            return None
        boxes = [_box(name) for name in names]
        for box, name in zip(boxes, names, strict=True):
            change = whatif.remove_value(axis, name) if axis else whatif.remove_recipe(name)
            key = f"{axis}={name}"
            self.ticks[key] = box
            box.observe(
                lambda event, key=key, change=change: self._tick(event, key, change), "value"
            )
        head = ipywidgets.Label(words, layout=ipywidgets.Layout(width="90px"))
        return ipywidgets.HBox([head, self._line(*boxes)])

    def _tick(self, event: Any, key: str, change: whatif.Change) -> None:
        known = any(name == key for name, _ in self.what_if.edits)
        if event["new"] == known and not self._do(
            lambda: self.what_if.undo(key) if known else self.what_if.apply(key, change)
        ):
            event["owner"].value = not event["new"]

    def _change(self, key: str, change: whatif.Change) -> bool:
        return self._do(lambda: self.what_if.apply(key, change))

    def _choose(self, tag: str) -> None:
        self.tag = tag
        self.reason.value = ""
        self._show_details()

    def _is_changed(self, prefix: str) -> bool:
        """Whether the chosen combination was excluded, or included, here."""
        return any(name == f"{prefix} {self.tag}" for name, _ in self.what_if.edits)

    def _toggle(self, _: Any) -> None:
        tag, is_built = self.tag, self.toggle.description == "Exclude"
        for prefix in ("exclude", "include"):
            if self._is_changed(prefix):
                self._do(lambda: self.what_if.undo(f"{prefix} {tag}"))  # noqa: B023 - run at once
                return
        if is_built:
            self._change(f"exclude {tag}", whatif.exclude(tag, self.reason.value))
        else:
            self._change(f"include {tag}", whatif.include(tag))

    def _give_reason(self, _: Any) -> None:
        """The reason may be written, or arrive, after the button was pressed."""
        if self.reason.value and self._is_changed("exclude"):
            change = whatif.exclude(self.tag, self.reason.value)
            self._do(lambda: self.what_if.replace(f"exclude {self.tag}", change))

    def _ask(self, _: Any) -> None:
        self.confirm.layout.display = None

    def _write(self, _: Any) -> None:
        if self._do(self.what_if.save):
            self._open()
            then = "imagekit generate writes its build file"
            self.message.value = f"<p>{escaped(self.what_if.path)} is written; {then}.</p>"

    def _do(self, work: Any) -> bool:
        """Do what was asked for. Returns whether it is valid; if not, nothing has changed."""
        try:
            work()
        except (ImagekitError, OSError) as error:
            self._tell(f"{error}\nNothing was changed.")
            return False
        self._show()
        return True

    # ---- what a person sees

    def _tell(self, message: str) -> None:
        self.message.value = MESSAGE.format(html.escape(message))

    def _show(self) -> None:
        view = self.what_if.view()
        checked = view.checked
        rows_, columns = self.grid_axes
        try:
            grid = tables.grid(checked.matrix, checked.plan, rows=rows_, columns=columns)
        except UsageError:
            # Another config has other axes.
            grid = tables.grid(checked.matrix, checked.plan)
        self.message.value = ""
        self.summary.value = _summary(view)
        self.grid.html = grid.html()
        self.graph.html = graph.build_graph(checked.plan).html()
        text, _ = self.what_if.state
        self.difference.copied = text
        self.difference.html = _difference(view.difference)
        changed = bool(view.difference)
        for button in (self.undo, self.reset, self.save):
            button.disabled = not changed
        self.confirm.layout.display = "none"
        self._offer()
        self._sync_boxes()
        self._show_details()

    def _sync_boxes(self) -> None:
        """Tick what is not taken away: a change may have been undone."""
        gone = {name for name, _ in self.what_if.edits}
        for key, box in self.ticks.items():
            box.value = key not in gone

    def _show_details(self) -> None:
        _, checked = self.what_if.state
        row = next((r for r in rows(checked.matrix, checked.plan) if r.tag == self.tag), None)
        self.reason.layout.display = self.toggle.layout.display = "none"
        if row is None:
            self.chosen.value = f"<p>{HINT}</p>"
            return
        image = next((image for image in checked.plan.images if image.tag == self.tag), None)
        lines = [f"{label(row.status)}" + (f": {row.reason}" if row.reason else "")]
        if image is not None:
            lines += self._of_image(image)
        items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
        self.chosen.value = (
            f'<div class="imagekit-details"><b><code>{html.escape(self.tag)}</code></b>'
            f"<ul>{items}</ul></div>"
        )
        if image is None or image.listed:
            self.toggle.description = "Include" if image is None else "Exclude"
            self.toggle.layout.display = None
            shown = image is not None or self._is_changed("exclude")
            self.reason.layout.display = None if shown else "none"

    def _of_image(self, image: Image) -> list[str]:
        _, checked = self.what_if.state
        plan = checked.plan
        number = graph.dependants(plan).get(image.tag, 0)
        lines = list(graph.details(image, number))[1:]
        children = [other.tag for other in plan.images if other.parent == image.tag]
        if children:
            lines.append(f"children: {whatif.names(children)}")
        return [*lines, f"reference: {plan.reference(image.tag)}"]


class _NewValue(ipywidgets.HBox):  # type: ignore[misc]
    """A new value of an axis: its name, the value it is like, and its build args."""

    def __init__(self, change: Any) -> None:
        self.change = change
        self.axis = ipywidgets.Dropdown(description="add to")
        self.like = ipywidgets.Dropdown(description="like")
        self.name = ipywidgets.Text(description="name", placeholder="its name")
        self.build_args = ipywidgets.Text(
            description="build args",
            placeholder="NAME=value",
            layout=ipywidgets.Layout(width="32em"),
        )
        self.add = _button("Add value", self._add)
        self.axis.observe(self._offer_values, "value")
        self.like.observe(self._offer_args, "value")
        shown = [self.axis, self.like, self.name, self.build_args, self.add]
        super().__init__(shown, layout=ipywidgets.Layout(flex_flow="row wrap"))

    def offer(self, checked: Any) -> None:
        """Offer the axes of a config."""
        self.checked = checked
        config = checked.config
        axes = [axis for axis in config.axis_names() if config.axis(axis)]
        self.axis.options = [(named(axis), axis) for axis in axes]
        self.axis.value = axes[0] if axes else None
        self._offer_values()

    def _offer_values(self, _: Any = None) -> None:
        names = list(self.checked.config.axis(self.axis.value)) if self.axis.value else []
        self.like.options = names
        self.like.value = names[-1] if names else None
        self._offer_args()

    def _offer_args(self, _: Any = None) -> None:
        args = self.checked.config.axis(self.axis.value or "").get(self.like.value, {})
        self.build_args.value = shlex.join(f"{name}={value}" for name, value in args.items())
        self.name.placeholder = f"like {self.like.value}" if self.like.value else ""

    def _add(self, _: Any) -> None:
        axis, name, text = self.axis.value, self.name.value.strip(), self.build_args.value
        if self.change(f"{axis}+{name}", whatif.add_value(axis, name, self.like.value, text)):
            self.name.value = ""


def _button(words: str, act: Any) -> Any:
    button = ipywidgets.Button(description=words, layout=ipywidgets.Layout(width="auto"))
    button.on_click(act)
    return button


def _box(words: str) -> Any:
    layout = ipywidgets.Layout(width="auto", margin="0 1.5em 0 0")
    return ipywidgets.Checkbox(value=True, description=words, indent=False, layout=layout)


def _summary(view: View) -> str:
    lines = [escaped(line) for line in view.sentences()]
    repository = view.checked.plan.repository
    added, removed = view.comparisons[0].changes.added, view.comparisons[0].changes.removed
    for words, names in (("added", added), ("removed", removed)):
        if names:
            lines.append(f"{words}: <code>{html.escape(whatif.names(names, repository))}</code>")
    lines += [f"warning: {escaped(warning)}" for warning in view.warnings]
    first, *rest = lines
    items = "".join(f"<li>{line}</li>" for line in rest)
    shown = f"<strong>{first}</strong><ul>{items}</ul>"
    return f'<div class="imagekit-summary" aria-live="polite">{shown}</div>'


def _difference(text: str) -> str:
    if not text:
        return "<p>Nothing is changed yet.</p>"
    shown = html.escape(text)
    return f'<div class="imagekit-difference"><pre tabindex="0">{shown}</pre></div>'
