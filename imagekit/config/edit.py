"""Change the text of a config, and leave everything else of the file as it is.

The explorer of the notebooks uses it. A library that writes YAML again changes other lines, too,
and loses comments (docs/architecture.md), so the changes are made in the text, at the positions
that the YAML parser gives.
"""

from __future__ import annotations

import bisect
import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from imagekit.config.schema import OLDER, SECTION, Choice, Exclude, is_arg_name
from imagekit.errors import Path, UsageError
from imagekit.support.decode import OWN_KEYS
from imagekit.support.yaml_reader import MERGE

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*(:[A-Za-z0-9_./+-]+)*")
"""A value that needs no quotes anywhere."""
PLAIN_TEXT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _./+(),;'\"-]|:(?! |$))*(?<! )")
"""A value that needs no quotes on a line of its own."""
WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
"""What YAML takes for something else than text."""


def add_value(
    text: str, axis: str, name: str, build_args: Mapping[str, str], like: str | None = None
) -> str:
    """Return a config with a new value of an axis.

    Entries of `images` and rules of `exclude` that list the value `like`, by default the last one,
    list the new one after it. Raises UsageError if the axis has no values in the file, if the
    value exists, or if a name is not valid.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UsageError(f"{name!r} is not a name: use letters, digits, '_', '.' and '-'")
    if wrong := [arg for arg in build_args if not is_arg_name(arg)]:
        raise UsageError(f"{wrong[0]!r} is not a build arg; write NAME=VALUE")
    file = _File(text)
    section = file.section(axis)
    names = [key.value for key, _ in section.value]
    like = like or names[-1]
    if name in names:
        raise UsageError(f"{axis} has the value {name!r} already")
    if like not in names:
        raise UsageError(f"{axis} has no value {like!r}")
    file.insert(section, names.index(like), lambda plain: file.pair(name, build_args, plain))
    for chooser in (*file.entries("images"), *file.entries("exclude")):
        if (node := file.values(chooser, axis)) is not None:
            file.list_beside(node, like, name)
    return file.changed()


def remove_value(text: str, axis: str, name: str) -> str:
    """Return a config without a value of an axis, and without what is only about it.

    Entries, rules and aliases that name no other value are removed. Raises UsageError if it is the
    last value.
    """
    file = _File(text)
    section = file.section(axis)
    names = [key.value for key, _ in section.value]
    if name not in names:
        raise UsageError(f"{axis} has no value {name!r}")
    if len(names) == 1:
        raise UsageError(f"{name!r} is the last value of {axis}; remove the axis in the file")
    file.remove(section, [names.index(name)])
    for key in ("images", "exclude"):
        entries = file.entries(key)
        gone = [i for i, entry in enumerate(entries) if file.unlist(entry, axis, {name})]
        file.remove(file.child(file.root, key), gone)
    file.unalias(
        lambda _name, _number, alias: (
            (node := file.values(alias, axis)) is not None and node.value == name
        )
    )
    return file.changed()


def remove_entries(text: str, key: str, numbers: Iterable[int]) -> str:
    """Return a config without some elements of `images` or `exclude`."""
    file = _File(text)
    file.remove(file.child(file.root, key), sorted(numbers))
    return file.changed()


def remove_aliases(text: str, paths: Iterable[Path]) -> str:
    """Return a config without some aliases, or some combinations of one, each given by its path."""
    file = _File(text)
    gone = {path[1 : 3 if len(path) > 2 and isinstance(path[2], int) else 2] for path in paths}
    file.unalias(lambda name, number, _: (name,) in gone or (name, number) in gone)
    return file.changed()


def remove_recipe(text: str, number: int, recipe: str) -> str:
    """Return a config whose entry of `images` does not name a recipe any more."""
    file = _File(text)
    entry = file.entries("images")[number]
    if file.unlist(entry, "recipe", {recipe}):
        file.remove(file.child(file.root, "images"), [number])
    return file.changed()


def exclude(text: str, rule: Exclude) -> str:
    """Return a config with one more rule, after the others."""
    file = _File(text)
    section = file.child(file.root, "exclude")
    if section is not None and section.value:
        last = len(section.value) - 1
        file.insert(section, last, lambda plain: file.rule(rule, plain))
    elif section is not None:
        raise UsageError("'exclude' is empty in the file; remove the key, or write a rule there")
    else:
        images = [key.value for key, _ in file.root.value].index("images")
        file.insert(file.root, images, lambda plain: file.new_rules(rule, plain))
    return file.changed()


def include(text: str, number: int, rules: Iterable[Exclude]) -> str:
    """Return a config with other rules in place of one.

    The first is the old one with other values; the others, if there are any, follow it.
    """
    file = _File(text)
    new = list(rules)
    if new:
        file.replace(file.child(file.root, "exclude"), number, new)
        return file.changed()
    return remove_entries(text, "exclude", [number])


def add_entry(text: str, values: Mapping[str, str], recipe: str | None) -> str:
    """Return a config that also lists a combination."""
    file = _File(text)
    images = file.child(file.root, "images")
    chosen = dict(values) if recipe is None else {**values, "recipe": recipe}
    file.insert(images, len(images.value) - 1, lambda plain: file.mapping(chosen, plain))
    return file.changed()


def _quoted(text: str) -> str:
    """A text in double quotes, on one line."""
    quoted = json.dumps(text, ensure_ascii=False)
    # YAML ends a line at these, too.
    return re.sub("[\x85\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", quoted)


class _Alias:
    """A place where a node is used again."""

    id = "alias"
    flow_style = None

    def __init__(self, event: Any, target: Any) -> None:
        self.start_mark, self.end_mark, self.target = event.start_mark, event.end_mark, target
        self.value = target.value


def _composed(text: str) -> tuple[Any, list[int]]:
    """The nodes of a YAML text, with aliases as nodes of their own, and where its dashes are."""
    import yaml  # Not at the top: only the explorer changes a config.

    dashes: list[int] = []

    class Loader(yaml.SafeLoader):
        def get_token(self) -> Any:
            token = super().get_token()  # type: ignore[no-untyped-call]
            if isinstance(token, yaml.BlockEntryToken):
                dashes.append(token.start_mark.index)
            return token

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                event = self.get_event()  # type: ignore[no-untyped-call]
                return _Alias(event, self.anchors[event.anchor])
            return super().compose_node(parent, index)

    return yaml.compose(text, Loader=Loader), dashes


def _resolved(node: Any) -> Any:
    return node.target if isinstance(node, _Alias) else node


def _merged(mapping: Any) -> Iterator[Any]:
    """The mappings that a mapping has under merge keys."""
    for name, value in mapping.value:
        if name.tag == MERGE:
            node = _resolved(value)
            yield from map(_resolved, node.value if node.id == "sequence" else [node])


def _list(node: Any) -> list[Any]:
    """The names of an entry, also if it is one."""
    return [node] if node.id == "scalar" else list(node.value)


def _name(node: Any) -> str | None:
    return None if node.tag.endswith(":null") else str(node.value)


def _constant(text: str, indent: str | None) -> str:
    return text


class _File:
    """The text of a config, the places of its values, and changes that are made at the end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.root, self.dashes = _composed(text)
        self.changes: list[tuple[int, int, str]] = []
        self.json = self.text.lstrip("\ufeff \t\r\n").startswith("{")
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.seen: set[int] = set()

    def changed(self) -> str:
        """The text with every change."""
        parts, at = [], 0
        # Insertions at one place keep their order.
        for start, end, new in sorted(self.changes, key=lambda change: change[:2]):
            parts += [self.text[at:start], new]
            at = max(at, end)
        return "".join([*parts, self.text[at:]])

    # ---- finding

    def child(self, mapping: Any, key: str) -> Any:
        """The value of a key, for an alias the one that it stands for; None if there is none."""
        for name, value in mapping.value:
            if name.value == key:
                return _resolved(value)
        merged = (self.child(one, key) for one in _merged(mapping))
        return next((value for value in merged if value is not None), None)

    def entries(self, key: str) -> list[Any]:
        """The elements of a list."""
        found = self.child(self.root, key)
        return [] if found is None else [_resolved(entry) for entry in found.value]

    def section(self, axis: str) -> Any:
        """The values of an axis."""
        axes = self.child(self.root, "axes")
        found = None if axes is None or axes.id != "mapping" else self.child(axes, axis)
        if found is None and axis in SECTION:
            name = SECTION[axis]
            found = self.child(self.root, name) or self.child(self.root, OLDER.get(name, name))
        if found is None or found.id != "mapping" or not found.value:
            raise UsageError(f"{axis} has no values in the file; write the first one there")
        if any(name.tag == MERGE for name, _ in found.value):
            raise UsageError(f"{axis} has values of another mapping (<<); change them in the file")
        return found

    def values(self, entry: Any, axis: str) -> Any:
        """The list or the name that an entry gives for an axis; None if it gives none."""
        return self.child(entry, axis) or self.child(entry, OLDER.get(axis, axis))

    # ---- changing

    def list_beside(self, node: Any, like: str, name: str) -> None:
        """Add a name after another one to those of an entry or a rule, if it has that one."""
        if id(node) in self.seen:
            return
        self.seen.add(id(node))
        if node.id == "scalar" and node.value == like:
            self._check_anchor(node)
            written = self.text[self._start(node) : self._end(node)]
            both = f"[{written}, {self.scalar(name)}]"
            self.changes.append((self._start(node), self._end(node), both))
        elif node.id == "sequence":
            names = [one.value for one in node.value]
            if like in names and name not in names:
                self.insert(node, names.index(like), lambda _: self.scalar(name))

    def unlist(self, entry: Any, axis: str, names: set[str]) -> bool:
        """Remove names from those of an entry. Returns whether none would be left."""
        node = self.values(entry, axis)
        if node is None or node.id == "scalar":
            return node is not None and node.value in names
        gone = [i for i, one in enumerate(node.value) if one.value in names]
        if gone and len(gone) == len(node.value):
            return True
        if id(node) not in self.seen:
            self.seen.add(id(node))
            self.remove(node, gone)
        return False

    def unalias(self, is_gone: Callable[[str, int, Any], bool]) -> None:
        """Remove combinations of aliases; an alias of which none is left goes, too.

        `is_gone` gets the name of the alias, the number of a combination and its node.
        """
        section = self.child(self.root, "aliases")
        places = []
        for place, (name, value) in enumerate([] if section is None else section.value):
            node = _resolved(value)
            nodes = [*map(_resolved, node.value)] if node.id == "sequence" else [node]
            gone = [i for i, one in enumerate(nodes) if is_gone(name.value, i, one)]
            if len(gone) == len(nodes):
                places.append(place)
            elif id(node) not in self.seen:
                self.seen.add(id(node))
                self.remove(node, gone)
        self.remove(section, places)

    def insert(self, collection: Any, after: int, make: Callable[[str | None], str]) -> None:
        """Insert an element or a pair after another one.

        `make` gets the indentation of what it makes, or None if it is on a line with others.
        """
        first, last = self._span(collection, after)
        before = self.text[self._line(first) : first]
        if collection.flow_style:
            between = f"{self.newline}{before}" if not before.strip() else " "
            self.changes.append((last, last, f",{between}{make(None)}"))
            return
        # The first pair of an element stands behind its dash.
        indent = " " * len(before)
        dash = "- " if collection.id == "sequence" else ""
        end = self._end_of_line(last)
        begin = "" if self.text[end - 1 : end] == "\n" else self.newline
        made = make(indent + " " * len(dash)).replace("\n", self.newline)
        self.changes.append((end, end, f"{begin}{indent}{dash}{made}{self.newline}"))

    def replace(self, section: Any, place: int, rules: list[Exclude]) -> None:
        """Put rules in the place of one: the first is that one with other values."""
        old = _resolved(section.value[place])
        chosen: dict[str, Choice] = dict(rules[0].axes)
        if rules[0].recipe is not None:
            chosen["recipe"] = rules[0].recipe
        keys = [key.value for key, _ in old.value]
        named = (n for n, key in enumerate(keys) if not key.startswith(("reason", OWN_KEYS)))
        last = max(named, default=0)
        for axis, names in chosen.items():
            key = axis if axis in keys else OLDER.get(axis, axis)
            if key not in keys:
                pair = f"{self.scalar(axis)}: {self.names(names)}"
                self.insert(old, last, functools.partial(_constant, pair))
                continue
            value = old.value[keys.index(key)][1]
            if [*map(_name, _list(_resolved(value)))] != [*names]:
                self.changes.append((self._start(value), self._end(value), self.names(names)))
        for rule in rules[1:]:
            self.insert(section, place, functools.partial(self.rule, rule))

    def remove(self, collection: Any, places: list[int]) -> None:
        """Remove elements or pairs; with the last one, the key of the file goes, too."""
        if collection is None or not places:
            return
        if len(places) == len(collection.value):
            own = [
                n
                for n, (key, value) in enumerate(self.root.value)
                if _resolved(value) is collection and not key.value.startswith(OWN_KEYS)
            ]
            collection, places = self.root, own
        for number, place in enumerate(places):
            first, last = self._span(collection, place)
            end = self._end_of_line(last)
            alone = not self.text[self._line(first) : first].strip()
            rest = self.text[last:end].lstrip(" \t,").strip()
            own_line = alone and not self.json and (not rest or rest.startswith("#"))
            if not collection.flow_style or own_line:
                self.changes.append((self._line(first), end, ""))
            elif place == number:
                # All before it are gone, too.
                self.changes.append((first, self._span(collection, place + 1)[0], ""))
            else:
                self.changes.append((self._span(collection, place - 1)[1], last, ""))

    def _check_anchor(self, node: Any) -> None:
        if self.text[self._start(node)] in "&!":
            raise UsageError(f"line {node.start_mark.line + 1} of the file has an anchor or a tag")

    # ---- places

    def _span(self, collection: Any, place: int) -> tuple[int, int]:
        """Where an element or a pair begins, with its dash, and where it ends."""
        element = collection.value[place]
        key, value = element if collection.id == "mapping" else (element, element)
        start = self._start(key)
        if collection.id == "sequence" and not collection.flow_style:
            start = self.dashes[bisect.bisect_left(self.dashes, start) - 1]
        return start, self._end(value)

    def _start(self, node: Any) -> int:
        return int(node.start_mark.index)

    def _end(self, node: Any) -> int:
        """Where a node ends: that of a block is in the parser's eyes where the next one begins."""
        end = int(node.end_mark.index)
        if node.id == "scalar":
            start = self._start(node)
            # A text of several lines ends with its last line.
            return start + len(self.text[start:end].rstrip())
        if node.id == "alias" or node.flow_style:
            return end
        last = node.value[-1]
        return self._end(last[1] if node.id == "mapping" else last)

    def _line(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def _end_of_line(self, index: int) -> int:
        end = self.text.find("\n", index)
        return len(self.text) if end < 0 else end + 1

    # ---- writing

    def scalar(self, value: str | None) -> str:
        """A name as YAML or JSON."""
        if value is None:
            return "null"
        plain = PLAIN.fullmatch(value) and value.lower() not in WORDS
        return value if plain and not self.json else _quoted(value)

    def names(self, choice: Choice) -> str:
        """One name, or a list of names."""
        names = [self.scalar(name) for name in choice]
        return names[0] if len(names) == 1 else f"[{', '.join(names)}]"

    def mapping(self, values: Mapping[str, str], indent: str | None) -> str:
        """Names by key, on one line."""
        pairs = {key: self.scalar(value) for key, value in values.items()}
        return "{" + ", ".join(f"{self.scalar(key)}: {text}" for key, text in pairs.items()) + "}"

    def pair(self, name: str, values: Mapping[str, str], indent: str | None) -> str:
        """A value of an axis with its build args."""
        return f"{self.scalar(name)}: {self.mapping(values, indent)}"

    def rule(self, rule: Exclude, indent: str | None) -> str:
        """A rule, on lines of its own where there is room."""
        pairs = {axis: self.names(names) for axis, names in rule.axes.items()}
        if rule.recipe is not None:
            pairs["recipe"] = self.names(rule.recipe)
        plain = PLAIN_TEXT.fullmatch(rule.reason) and rule.reason.lower() not in WORDS
        pairs["reason"] = rule.reason if plain and indent is not None else _quoted(rule.reason)
        lines = [f"{self.scalar(key)}: {text}" for key, text in pairs.items()]
        return "{" + ", ".join(lines) + "}" if indent is None else f"\n{indent}".join(lines)

    def new_rules(self, rule: Exclude, indent: str | None) -> str:
        """The key `exclude` with its first rule."""
        if indent is None:
            return f"{self.scalar('exclude')}: [{self.rule(rule, None)}]"
        return f"exclude:\n{indent}  - {self.rule(rule, f'{indent}    ')}"
