"""What a change of the config would bring: the model behind the explorer, without widgets."""

from __future__ import annotations

import contextlib
import difflib
import pathlib
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from imagekit import api
from imagekit.compare import inventory
from imagekit.compare.changes import Changes, compare
from imagekit.compare.spec import Inventory, with_same_names
from imagekit.config import edit
from imagekit.config.schema import Choice, Config, Exclude
from imagekit.errors import ConfigError, ImagekitError, UsageError, counted
from imagekit.notebook import estimate
from imagekit.planning import preflight
from imagekit.planning.excludes import IDLE, Excludes, all_but
from imagekit.planning.load import Checked, check_text
from imagekit.planning.matrix import Cell
from imagekit.planning.plan import tag_of
from imagekit.runs import history
from imagekit.runs.store import Store
from imagekit.support import git
from imagekit.support.files import read_utf8, replace_file
from imagekit.support.workspace import DEFAULT_BUILD_FILE

SUFFIXES = (".yaml", ".yml", ".json")
NOT_WANTED = "not wanted"
"""The reason of a rule that was made without one."""

IN_BETWEEN = "the changed config"
"""The name, in messages, of a config that is changed further."""

Change = Callable[[str, Checked], str]
"""Changes a config's text; it gets the text and what is known of it."""


def configs_beside(config: str) -> list[str]:
    """The configuration files in the folder of `config`, including `config` itself."""
    folder = pathlib.Path(config).parent
    paths = {str(path) for path in folder.iterdir() if path.suffix in SUFFIXES}
    return sorted(paths | {str(pathlib.Path(config))})


# ---- what if


class Comparison(msgspec.Struct, frozen=True):
    """The changed config against something else."""

    against: str
    """What it is compared with."""
    changes: Changes
    """The differences."""
    before: int
    """The number of images there."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to know about a changed config."""

    before: Checked
    """The config as it is."""
    checked: Checked
    """The changed config with its matrix and plan."""
    warnings: tuple[str, ...]
    """The warnings that the config as it is does not have."""
    comparisons: tuple[Comparison, ...]
    """Against the config, HEAD and the last run, as far as there are any."""
    steps: tuple[int, int]
    """The number of build steps before and after."""
    files: tuple[int, int]
    """The number of build files before and after."""
    seconds: tuple[float | None, float | None]
    """The estimated build time in seconds before and after; None if unknown."""
    difference: str
    """The changes of the file, as a unified diff."""

    def sentences(self) -> Iterator[str]:
        """What changes, in words."""
        after = len(self.checked.plan.images)
        for one in self.comparisons:
            yield f"{one.before} → {after} images against {one.against}: {_numbers(one.changes)}"
        steps, files = self.steps, self.files
        config = self.checked.config
        if gone := [*_removed_aliases(self.before.config, config)]:
            yield f"aliases removed: {', '.join(gone)}"
        if rules := len(self.before.config.exclude) - len(config.exclude):
            yield f"{counted(abs(rules), 'rule')} {'removed' if rules > 0 else 'added'}"
        in_files = counted(files[1], "build file")
        yield f"{steps[0]} → {steps[1]} build steps in {in_files} (now {files[0]})"
        if self.seconds[0] is not None and self.seconds[1] is not None:
            before, now = (f"{value / 60:.1f}" for value in self.seconds if value is not None)
            yield f"{before} → {now} minutes to build, estimated from the last build"


def _numbers(changes: Changes) -> str:
    parts = {"added": changes.added, "removed": changes.removed, "changed": changes.changed}
    texts = [f"{len(names)} {kind}" for kind, names in parts.items() if names]
    return ", ".join(texts) or "the same images"


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known of a config, before or after the changes."""

    images: Inventory
    steps: int
    files: int
    seconds: float | None
    warnings: list[str]


class WhatIf:
    """A config file and changes of it that are not written yet.

    Raises ConfigError if the file is invalid.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.data = api.read(path)
        self.original = check_text(self.data, path)
        self.text = self.data.decode("utf-8")
        self.edits: list[tuple[str, Change]] = []
        self.state = (self.text, self.original)
        self.report = estimate.last_build()
        self._before = self._facts(self.original)
        self._others = (("the config", self._before.images), *_others(path))

    def apply(self, name: str, change: Change) -> None:
        """Make a change. Raises an ImagekitError, and changes nothing, if it is not valid."""
        self._replay([*self.edits, (name, change)])

    def replace(self, name: str, change: Change) -> None:
        """Make a change in place of the one with a name, such as with another reason."""
        self._replay([(known, change if known == name else old) for known, old in self.edits])

    def undo(self, name: str = "") -> None:
        """Take the last change back, or the last one with a name."""
        places = [i for i, (known, _) in enumerate(self.edits) if name in ("", known)]
        if places:
            self._replay([*self.edits[: places[-1]], *self.edits[places[-1] + 1 :]])

    def reset(self) -> None:
        """Take all changes back."""
        self._replay([])

    def _replay(self, edits: list[tuple[str, Change]]) -> None:
        text, checked = self.text, self.original
        for _, change in edits:
            text = change(text, checked)
            text, checked = _tidied(text, self.path)
        self.edits, self.state = edits, (text, checked)

    def view(self) -> View:
        """What the changes bring."""
        text, checked = self.state
        before, now = self._before, self._facts(checked)
        comparisons = [
            Comparison(name, _compare(other, now.images), len(other.images))
            for name, other in self._others
        ]
        known = {*before.warnings}
        return View(
            before=self.original,
            checked=checked,
            warnings=tuple(warning for warning in now.warnings if warning not in known),
            comparisons=tuple(comparisons),
            steps=(before.steps, now.steps),
            files=(before.files, now.files),
            seconds=(before.seconds, now.seconds),
            difference=difference(self.text, text, self.path),
        )

    def _facts(self, checked: Checked) -> _Facts:
        steps, files = _document(checked)
        return _Facts(
            images=_inventory(checked),
            steps=steps,
            files=files,
            seconds=estimate.duration(checked.plan, self.report, self.original.plan),
            warnings=_warnings(checked),
        )

    def save(self) -> None:
        """Write the changed config. Raises UsageError if the file has changed meanwhile."""
        path = pathlib.Path(self.path)
        if api.read(path) != self.data:
            raise UsageError(f"{self.path} has changed on disk; run this cell again")
        text, _ = self.state
        replace_file(path, text.encode())
        self.__init__(self.path)  # type: ignore[misc]


def _tidied(text: str, path: str) -> tuple[str, Checked]:
    """A changed config without the rules and aliases that are now about nothing.

    Raises ConfigError if anything else is wrong with it.
    """
    while True:
        try:
            return text, check_text(text.encode(), path)
        except ConfigError as error:
            rules = {p.path[1] for p in error.problems if p.message.startswith(IDLE)}
            of_aliases = [p.path for p in error.problems if p.path[:1] == ("aliases",)]
            if len(error.problems) > len(rules) + len(of_aliases):
                raise
            left = edit.remove_entries(text, "exclude", [int(number) for number in rules])
            left = edit.remove_aliases(left, of_aliases)
            if left == text:
                raise
            text = left


def _removed_aliases(before: Config, after: Config) -> Iterator[str]:
    """The names of aliases that are gone, or stand for fewer images."""
    old, new = (Counter(name for name, *_ in config.each_alias()) for config in (before, after))
    for name, number in (old - new).items():
        yield name if name not in new else f"{name} ({number} of {old[name]})"


def difference(before: str, after: str, path: str) -> str:
    """The changes of a file as a unified diff; empty if there are none."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(old, new, path, f"{path} (changed)", n=2))


def _warnings(checked: Checked) -> list[str]:
    found = preflight.dockerfiles(checked.plan, checked.config, read_utf8)
    return [problem.message for problem in (*checked.warnings, *found)]


def _inventory(checked: Checked) -> Inventory:
    return inventory.of_plan(checked.plan, checked.config.cloudbuild)


def _compare(before: Inventory, after: Inventory) -> Changes:
    return compare(*with_same_names(before, after))


def _document(checked: Checked) -> tuple[int, int]:
    """The number of build steps and of build files."""
    files = api.files(checked.plan, checked.config, DEFAULT_BUILD_FILE)
    builds = [msgspec.json.decode(text, type=_Build) for text in files.values()]
    parts = [build for build in builds if build.steps]
    return sum(len(build.steps) for build in parts), len(parts)


class _Build(msgspec.Struct):
    steps: list[msgspec.Raw] = []


def _others(path: str) -> Iterator[tuple[str, Inventory]]:
    """The last commit and the last run, as far as their images are known."""
    committed = git.blob(pathlib.Path(path).parent, f"HEAD:./{pathlib.Path(path).name}")
    if committed is not None:
        # The last commit's config may be invalid.
        with contextlib.suppress(ImagekitError):
            yield "HEAD", _inventory(check_text(committed, f"HEAD:{path}"))
    try:
        runs = history.read(Store("runs"))
    except ImagekitError:
        return
    same = (run for run in reversed(runs.entries) if run.build and run.config == path)
    last = next(same, None)
    if last is not None and (build := runs.build(last)) is not None:
        yield f"the last run ({last.started[:16].replace('T', ' ')})", _without_files(build)


def _without_files(build: Inventory) -> Inventory:
    """A recorded inventory without the hashes of files, which a plan does not have."""
    images = {n: msgspec.structs.replace(i, files=()) for n, i in build.images.items()}
    return msgspec.structs.replace(build, images=images, files={})


# ---- changes


def add_value(axis: str, name: str, like: str | None, build_args: str) -> Change:
    """A new value of an axis, wherever another one is used.

    `build_args` are NAME=value, separated by spaces and quoted as in a shell.
    """

    def change(text: str, checked: Checked) -> str:
        args = _build_args(build_args)
        known = checked.config.axis(axis)
        if args and args == known.get(like or "", {}):
            raise UsageError(f"the build args are those of {like!r}; change them for {name!r}")
        return edit.add_value(text, axis, name, args, like)

    return change


def _build_args(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError:
        raise UsageError(f"build args: {text!r} has a quote without an end") from None
    args: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise UsageError(f"build args: {word!r} is not NAME=value")
        if name in args:
            raise UsageError(f"build args: {name} is given twice")
        args[name] = value
    return args


def remove_value(axis: str, name: str) -> Change:
    """No more of a value of an axis."""
    return lambda text, _: edit.remove_value(text, axis, name)


def remove_recipe(name: str) -> Change:
    """No more images of a recipe, by entries that name it or have no other."""

    def change(text: str, checked: Checked) -> str:
        number = len(checked.config.images)
        recipes: dict[int, set[str]] = {}
        for cell in checked.matrix.cells:
            if cell.path:
                recipes.setdefault(int(cell.path[1]), set()).add(cell.combination.recipe)
        for place in reversed(range(number)):
            if recipes.get(place) == {name}:
                text = edit.remove_entries(text, "images", [place])
            elif name in recipes.get(place, ()):
                if checked.config.images[place].recipe is None:
                    raise UsageError(
                        f"images[{place}] gives recipe {name!r} and others; "
                        "name its recipes in the file first"
                    )
                text = edit.remove_recipe(text, place, name)
        return text

    return change


def exclude(tag: str, reason: str) -> Change:
    """A rule for one combination, so that it is not built."""

    def change(text: str, checked: Checked) -> str:
        cell = _cell(checked, tag)
        axes = checked.matrix.recipes.axes
        chosen: dict[str, Choice] = {
            axis: (value,)
            for axis, value in zip(axes, cell.combination.values, strict=True)
            if value is not None or checked.config.axis(axis)
        }
        twins = (other for other in checked.matrix.cells if other.combination != cell.combination)
        values = cell.combination.values
        several = any(other.combination.values == values for other in twins)
        recipe = (cell.combination.recipe,) if several else None
        rule = Exclude(reason=reason.strip() or NOT_WANTED, axes=chosen, recipe=recipe)
        return edit.exclude(text, rule)

    return change


def include(tag: str) -> Change:
    """A combination that is excluded or not listed, to be built."""

    def change(text: str, checked: Checked) -> str:
        cell = _cell(checked, tag)
        if cell.status == "not listed":
            text, checked = _tidied(edit.add_entry(text, *_entry(checked, cell)), IN_BETWEEN)
        while rule := _rule(checked, cell):
            place, matched = rule
            axes = checked.matrix.recipes.axes
            new = all_but(checked.config.exclude[place], cell.combination, matched, axes)
            text = edit.include(text, place, new)
            text, checked = _tidied(text, IN_BETWEEN)
        return text

    return change


def _entry(checked: Checked, cell: Cell) -> tuple[dict[str, str], str]:
    pairs = zip(checked.matrix.recipes.axes, cell.combination.values, strict=True)
    return {a: v for a, v in pairs if v is not None}, cell.combination.recipe


def _cell(checked: Checked, tag: str) -> Cell:
    for cell in checked.matrix.cells:
        if tag_of(checked.matrix, cell) == tag:
            return cell
    if any(image.tag == tag for image in checked.plan.images):
        raise UsageError(f"{tag} is only built as a parent; change the images that need it")
    raise UsageError(f"the matrix has no image {tag}")


def _rule(checked: Checked, cell: Cell) -> tuple[int, list[object]] | None:
    """The first rule that matches a combination, and the others that it matches."""
    rules = Excludes(checked.config, checked.matrix.recipes)
    bits = rules.matching(cell.combination.values, cell.combination.recipe)
    if not bits:
        return None
    first = (bits & -bits).bit_length() - 1
    others: list[object] = [
        other.combination
        for other in checked.matrix.cells
        if other.path
        and other.combination != cell.combination
        and rules.matching(other.combination.values, other.combination.recipe) >> first & 1
    ]
    return first, others


def names(texts: Sequence[str], repository: str = "") -> str:
    """Some names on one line, without a repository, with the number of those that are left out."""
    texts = [text.removeprefix(f"{repository}/").removeprefix(f"{repository}:") for text in texts]
    more = len(texts) - MOST_NAMES
    return ", ".join(texts[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


MOST_NAMES = 12
"""The most images that a sentence names."""
