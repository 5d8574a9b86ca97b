"""A config file's text as positioned nodes, and nodes as typed values, with every problem."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from imagekit.errors import ConfigError, Path, Place, Problem, did_you_mean

Report = Callable[[Problem], None]
Decoder = Callable[[yaml.Node, Path, Report], Any]

KIND = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "text"}
NULL = "tag:yaml.org,2002:null"


class Source:
    """A file that was read: its name, its text's tree, and where each thing stands in it."""

    def __init__(self, name: str, root: yaml.Node) -> None:
        self.name = name
        self.root = root

    def locate(self, problem: Problem) -> Problem:
        """The same problem with its place: the node at its path, or the nearest one above."""
        mark, node = self.root.start_mark, self.root
        for part in problem.path:
            key, child = _step(node, part)
            if child is None:
                break
            on_key = problem.on_key and part == problem.path[-1] and key is not None
            mark, node = (key if on_key else child).start_mark, child
        return msgspec.structs.replace(
            problem, place=Place(self.name, mark.line + 1, mark.column + 1)
        )


def _step(node: yaml.Node, part: str | int) -> tuple[Any, Any]:
    if isinstance(node, yaml.MappingNode):
        found = [pair for pair in node.value if pair[0].value == part]
        # The last of two equal keys is the one to point at: it is the one too many.
        return found[-1] if found else (None, None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def parse(data: bytes, name: str) -> Source:
    """The tree of a YAML or JSON text.

    Raises ConfigError, with the place, where the text is no UTF-8, is not well-formed, is
    empty, or holds something other than a mapping.
    """
    text = _decode_utf8(data, name)
    if text.lstrip()[:1] in ("{", "["):
        # JSON allows tabs between its tokens and YAML does not; inside a JSON string a tab
        # is written \t, so every real one stands between tokens.
        text = text.replace("\t", " ")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        context = f"{error.context}, " if error.context else ""
        message = f"this is not well-formed YAML: {context}{error.problem}"
        raise _one_problem(message, name, mark) from None
    except yaml.reader.ReaderError as error:
        line, column = _line_and_column(text[: error.position])
        message = f"the character {error.character!r} may not stand in a config"
        raise ConfigError([Problem(message=message, place=Place(name, line, column))]) from None
    if root is None:
        raise _one_problem("the file is empty; a config has at least 'images'", name)
    if not isinstance(root, yaml.MappingNode):
        message = f"a config is a mapping, this is {KIND[type(root)]}"
        raise _one_problem(message, name, root.start_mark)
    return Source(name, root)


def _one_problem(message: str, name: str, mark: yaml.Mark | None = None) -> ConfigError:
    """One problem at a mark of the file, or at its start."""
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return ConfigError([Problem(message=message, place=Place(name, line, column))])


def _decode_utf8(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _line_and_column(data[: error.start].decode("utf-8", "replace"))
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError([Problem(message=message, place=Place(name, line, column))]) from None


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def is_null(node: yaml.Node) -> bool:
    """Whether a node is an unquoted null (`null`, `~` or nothing)."""
    return node.tag == NULL


def scalar(node: yaml.Node, path: Path, report: Report) -> str | None:
    """The text that stands in the file, so that 3.10 stays "3.10" and no stays "no"."""
    if not isinstance(node, yaml.ScalarNode):
        report(Problem(message=f"expected text, found {KIND[type(node)]}", path=path))
        return None
    # JSON writes a character above U+FFFF as two escapes, which YAML reads as two characters.
    text = node.value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:
        report(Problem(message="holds a character that no program can be given", path=path))
        return None
    return str(text)


def items(node: yaml.Node, path: Path, report: Report) -> Iterator[tuple[str, yaml.Node, Path]]:
    """A mapping's keys and values; a key that is given twice or is no text is a problem."""
    if not isinstance(node, yaml.MappingNode):
        report(Problem(message=f"expected a mapping, found {KIND[type(node)]}", path=path))
        return
    seen: set[str] = set()
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            report(Problem(message="a key must be text", path=path))
            continue
        key = key_node.value
        if key in seen:
            message = f"{key!r} is given twice; the first is lost, remove one"
            report(Problem(message=message, path=(*path, key), on_key=True))
            continue
        seen.add(key)
        yield key, value, (*path, key)


def elements(node: yaml.Node, path: Path, report: Report) -> Iterator[tuple[yaml.Node, Path]]:
    """A list's elements."""
    if not isinstance(node, yaml.SequenceNode):
        report(Problem(message=f"expected a list, found {KIND[type(node)]}", path=path))
        return
    for index, child in enumerate(node.value):
        yield child, (*path, index)


def decode(
    node: yaml.Node, type_: Any, path: Path, report: Report, special: dict[Any, Decoder]
) -> Any:
    """A node as a value of a type: Struct, dict, tuple, Literal, or text.

    `special` holds the decoders of types with a notation of their own. What does not fit is
    reported and left out, or is None where nothing can stand for it, so that everything else
    is still read.
    """
    if type_ in special:
        return special[type_](node, path, report)
    origin, args = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        nothing = type(None) in args and is_null(node)
        return None if nothing else decode(node, args[0], path, report, special)
    if origin is dict:
        pairs = items(node, path, report)
        return {key: decode(child, args[1], at, report, special) for key, child, at in pairs}
    if origin is tuple:
        members = elements(node, path, report)
        found = [decode(child, args[0], at, report, special) for child, at in members]
        return tuple(value for value in found if value is not None)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _decode_struct(node, type_, path, report, special)
    return _decode_text(node, args if origin is Literal else None, path, report)


def _decode_text(
    node: yaml.Node, allowed: tuple[str, ...] | None, path: Path, report: Report
) -> str | None:
    text = scalar(node, path, report)
    if text is None or allowed is None or text in allowed:
        return text
    expected = did_you_mean(text, allowed) or f"; it may be {', '.join(allowed)}"
    report(Problem(message=f"{text!r} is not allowed here{expected}", path=path))
    return None


def _decode_struct(
    node: yaml.Node,
    type_: type[msgspec.Struct],
    path: Path,
    report: Report,
    special: dict[Any, Decoder],
) -> Any:
    hints = get_type_hints(type_, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(type_)}
    values: dict[str, Any] = {}
    given: set[str] = set()
    for key, child, at in items(node, path, report):
        if key not in fields:
            known = ", ".join(fields)
            message = f"unknown key {key!r}{did_you_mean(key, fields) or f'; known are {known}'}"
            report(Problem(message=message, path=at, on_key=True))
            continue
        given.add(key)
        value = decode(child, hints[key], at, report, special)
        if value is not None or is_null(child):
            values[key] = value
    if not isinstance(node, yaml.MappingNode):
        return None
    missing = [name for name, field in fields.items() if field.required and name not in values]
    for name in missing:
        if name not in given:
            report(Problem(message=f"{name!r} is missing", path=path))
    return None if missing else type_(**values)
