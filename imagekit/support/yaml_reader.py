"""Parse YAML or JSON into nodes with positions, and decode nodes into typed values."""

from __future__ import annotations

import json
import re
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from imagekit.errors import ConfigError, Path, Place, Problem, closest, did_you_mean, show_path

Report = Callable[[Problem], None]
Decoder = Callable[[yaml.Node, Path, Report], Any]

KIND = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "text"}
YAML = "tag:yaml.org,2002:"
PLAIN_TAGS = {YAML + kind for kind in ("str", "int", "float", "bool", "null", "timestamp", "value")}

LINE_BREAKS = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
"""Line breaks of YAML 1.1 that git, grep and most editors do not treat as such."""

MAX_QUOTED = 40
"""The maximum number of characters of a value that a message quotes."""

HINTS = {
    "'\\t'": "indent with spaces, not tabs",
    "mapping values are not allowed": "quote text that contains ': '",
    "that cannot start any token": "quote text that starts with this character",
}


class Source:
    """A parsed file: its name, its text and its nodes with their positions."""

    def __init__(self, name: str, text: str, root: yaml.MappingNode) -> None:
        self.name = name
        self.text = text
        self.root = root

    def locate(self, problem: Problem) -> Problem:
        """Return the problem with its position: the node at its path, or the nearest parent."""
        message = problem.message
        if problem.see:
            message = f"{message} (see line {self._place(problem.see, on_key=False).line})"
        place = problem.place or self._place(problem.path, problem.on_key)
        # A problem reported while decoding has a position but no file name.
        place = msgspec.structs.replace(place, file=self.name)
        return msgspec.structs.replace(problem, message=message, place=place)

    def _place(self, path: Path, on_key: bool) -> Place:
        mark, node = self.root.start_mark, self.root
        for part in path:
            key, child = _step(node, part)
            if child is None:
                break
            wants_key = on_key and part == path[-1] and key is not None
            mark, node = (key if wants_key else child).start_mark, child
        return _place(self.name, self.text, mark.index)


def _step(node: yaml.Node, part: str | int) -> tuple[Any, Any]:
    if isinstance(node, yaml.MappingNode):
        # Of duplicate keys, the first is used.
        return next((pair for pair in node.value if _text(pair[0]) == part), (None, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def _place(name: str, text: str, index: int) -> Place:
    """Return the position of a character. PyYAML counts more line breaks than editors do."""
    before = text[:index]
    return Place(name, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def parse(data: bytes, name: str) -> Source:
    """Parse a YAML or JSON file; `name` is its name in messages.

    Raises ConfigError, with the position, if the text is not valid UTF-8, is not valid YAML or
    JSON, is empty, or is not a mapping.
    """
    text = _decode_utf8(data, name)
    is_json = text.lstrip()[:1] in ("{", "[")
    if line_break := LINE_BREAKS.search(text):
        raise _forbidden(name, text, line_break.start(), line_break[0])
    if is_json:
        # JSON allows tabs between tokens and YAML does not. A JSON string contains tabs only as
        # the escape \t, so every literal tab is between tokens.
        text = text.replace("\t", " ")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _malformed(error, name, text, is_json) from None
    except yaml.reader.ReaderError as error:
        raise _forbidden(name, text, error.position, text[error.position]) from None
    except (ValueError, OverflowError):
        # PyYAML passes the number of a \U escape to chr() unchecked.
        message = "invalid \\U escape: there is no such character"
        raise _one_problem(message, name, text) from None
    except RecursionError:
        raise _one_problem("the config is nested too deeply", name, text) from None
    if root is None:
        raise _one_problem("the file is empty; a config must have 'images'", name, text)
    if not isinstance(root, yaml.MappingNode):
        message = f"a config must be a mapping, not {KIND[type(root)]}"
        raise _one_problem(message, name, text, root.start_mark.index)
    return Source(name, text, root)


def _decode_utf8(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        message = f"invalid UTF-8 byte 0x{data[error.start]:02x}; save the file as UTF-8"
        raise _one_problem(message, name, before, len(before)) from None


def _malformed(error: yaml.MarkedYAMLError, name: str, text: str, is_json: bool) -> ConfigError:
    if is_json:
        try:
            json.loads(text)
        except json.JSONDecodeError as reason:
            message = f"invalid JSON: {reason.msg}"
            return _one_problem(message, name, text, reason.pos)
    mark = error.problem_mark or error.context_mark
    context = ""
    if error.context and error.context_mark:
        line = _place(name, text, error.context_mark.index).line
        context = f" ({error.context}, starting at line {line})"
    hint = next((f"; {hint}" for sign, hint in HINTS.items() if sign in str(error.problem)), "")
    message = f"invalid YAML: {error.problem}{context}{hint}"
    return _one_problem(message, name, text, mark.index if mark else 0)


def _forbidden(name: str, text: str, index: int, character: str) -> ConfigError:
    message = (
        f"the character U+{ord(character):04X} is not allowed in a config; remove it, or write it "
        f'as "\\u{ord(character):04X}" in double quotes'
    )
    return _one_problem(message, name, text, index)


def _one_problem(message: str, name: str, text: str, index: int = 0) -> ConfigError:
    return ConfigError([Problem(message=message, place=_place(name, text, index))])


def is_null(node: yaml.Node) -> bool:
    """Whether a node is an unquoted null (`null`, `~` or empty)."""
    return bool(node.tag == YAML + "null")


def kind(node: yaml.Node) -> str:
    """Return the kind of a node, as used in messages."""
    return "nothing" if is_null(node) else KIND[type(node)]


def unexpected(expected: str, node: yaml.Node, path: Path) -> Problem:
    """Return the problem of a node that has the wrong kind."""
    actual = kind(node)
    if actual == "text":
        text = str(node.value)
        actual += f" {text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + '…'!r}"
    return Problem(message=f"{show_path(path)}: expected {expected}, found {actual}", path=path)


def _text(node: yaml.Node) -> str | None:
    """Return a scalar's text. JSON escapes a character above U+FFFF as a pair; YAML keeps both."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def scalar(node: yaml.Node, path: Path, report: Report) -> str | None:
    """Return a scalar as written in the file: 3.10 is "3.10" and no is "no"."""
    text = _text(node)
    if text is None:
        report(unexpected("text", node, path))
    elif node.tag not in PLAIN_TAGS:
        tag = node.tag.replace(YAML, "!!")
        report(
            Problem(
                message=f"the YAML tag {tag} is not supported; write the plain value", path=path
            )
        )
    elif "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:
        which = "a NUL character" if "\0" in text else "an unpaired surrogate"
        report(Problem(message=f"contains {which}; remove it", path=path))
    else:
        return text
    return None


def items(node: yaml.Node, path: Path, report: Report) -> Iterator[tuple[str, yaml.Node, Path]]:
    """Yield a mapping's keys, values and paths. Duplicate or non-text keys are reported."""
    if not isinstance(node, yaml.MappingNode):
        report(unexpected("a mapping", node, path))
        return
    seen: set[str] = set()
    for key_node, value in node.value:
        place = Place("", key_node.start_mark.line + 1, key_node.start_mark.column + 1)

        def report_key(problem: Problem, place: Place = place) -> None:
            report(msgspec.structs.replace(problem, place=place))

        if key_node.tag == YAML + "merge":
            message = "merge keys are not supported; write the keys out"
            report_key(Problem(message=message, path=path))
            continue
        if not isinstance(key_node, yaml.ScalarNode):
            message = f"a key must be text, not {kind(key_node)}"
            report_key(Problem(message=message, path=path))
            continue
        key = scalar(key_node, path, report_key)
        if key is None:
            continue
        if key in seen:
            message = f"duplicate key {key!r}; remove one"
            report_key(Problem(message=message, path=(*path, key), see=(*path, key)))
            continue
        seen.add(key)
        yield key, value, (*path, key)


def no_value(key: str, node: yaml.Node, path: Path) -> Problem:
    """Return the problem of a key without a value, where no default would be right."""
    quoted = f", or quote {node.value!r} to use it as text" if node.value else ""
    return Problem(message=f"{key!r} has no value; use '' for an empty value{quoted}", path=path)


def elements(node: yaml.Node, path: Path, report: Report) -> Iterator[tuple[yaml.Node, Path]]:
    """Yield a list's elements and their paths."""
    if not isinstance(node, yaml.SequenceNode):
        report(unexpected("a list", node, path))
        return
    for index, child in enumerate(node.value):
        yield child, (*path, index)


def decode(
    node: yaml.Node, type_: Any, path: Path, report: Report, special: dict[Any, Decoder]
) -> Any:
    """Decode a node as a type: Struct, dict, tuple, Literal or text.

    `special` maps types to their own decoders. An invalid value is reported and skipped, or is
    None if it cannot be skipped, so that all other values are still decoded.
    """
    if type_ in special:
        return special[type_](node, path, report)
    origin, args = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        return None if is_null(node) else decode(node, args[0], path, report, special)
    if origin is dict:
        pairs = {}
        for key, child, at in items(node, path, report):
            if args[1] is str and is_null(child):
                report(no_value(key, child, at))
            else:
                pairs[key] = decode(child, args[1], at, report, special)
        return {key: value for key, value in pairs.items() if value is not None}
    if origin is tuple:
        members = elements(node, path, report)
        values = [decode(child, args[0], at, report, special) for child, at in members]
        blank = _blank(args[0])
        kept = (blank if value is None else value for value in values)
        return tuple(value for value in kept if value is not None)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _decode_struct(node, type_, path, report, special)
    return _decode_text(node, args if origin is Literal else None, path, report)


def _blank(type_: Any) -> Any:
    """Return a placeholder for an invalid Struct, so that later elements keep their index."""
    if not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)):
        return None
    return type_(**{f.name: "" for f in msgspec.structs.fields(type_) if f.required})


def _decode_text(
    node: yaml.Node, allowed: tuple[str, ...] | None, path: Path, report: Report
) -> str | None:
    text = scalar(node, path, report)
    if text is None or allowed is None or text in allowed:
        return text
    expected = did_you_mean(text, allowed) or f"; allowed: {', '.join(allowed)}"
    report(Problem(message=f"{text!r} is not allowed here{expected}", path=path))
    return None


def _decode_struct(
    node: yaml.Node,
    type_: type[msgspec.Struct],
    path: Path,
    report: Report,
    special: dict[Any, Decoder],
) -> Any:
    """Decode a mapping as a Struct. A key without a value counts as absent, if null is invalid."""
    hints = get_type_hints(type_, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(type_)}
    values: dict[str, Any] = {}
    for key, child, at in items(node, path, report):
        if key not in fields:
            report(_unknown_key(key, list(fields), at))
            continue
        if is_null(child) and not _admits_null(hints[key]):
            continue
        value = decode(child, hints[key], at, report, special)
        if value is not None or is_null(child):
            values[key] = value
    if not isinstance(node, yaml.MappingNode):
        return None
    missing = [name for name, field in fields.items() if field.required and name not in values]
    for name in missing:
        at = (*path, name)
        report(Problem(message=f"{name!r} is missing", path=path, caused_by=(at,)))
    return None if missing else type_(**values)


def _admits_null(hint: Any) -> bool:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return type(None) in get_args(plain)


def _unknown_key(key: str, known: list[str], path: Path) -> Problem:
    listed = did_you_mean(key, known) or f"; allowed: {', '.join(known)}"
    return Problem(
        message=f"unknown key {key!r}{listed}",
        path=path,
        on_key=True,
        intended_path=(*path[:-1], closest(key, known) or key),
    )
