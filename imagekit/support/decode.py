"""Decode the values of a YAML or JSON file into typed values, reporting every problem."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from imagekit.errors import Path, Problem, closest, did_you_mean, listed, show_path
from imagekit.support.yaml_reader import Mapping, Null, clean, invalid_text

Report = Callable[[Problem], None]
Decoder = Callable[[Any, Path, Report], Any]

MAX_QUOTED = 40
"""The maximum number of characters of a value that a message quotes."""

OWN_KEYS = "x-"
"""The beginning of keys that are left to the user, such as for YAML anchors."""


def is_null(value: Any) -> bool:
    """Whether a value is an unquoted null (`null`, `~` or empty)."""
    return value is None or type(value) is Null


def kind(value: Any) -> str:
    """Return the kind of a value, as used in messages."""
    if is_null(value):
        return "nothing"
    return "a mapping" if isinstance(value, dict) else "a list" if _is_list(value) else "text"


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def unexpected(expected: str, value: Any, path: Path) -> Problem:
    """Return the problem of a value that has the wrong kind."""
    actual = kind(value)
    if actual == "text":
        text = _text(value)
        actual += f" {text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + '…'!r}"
    return Problem(message=f"{show_path(path)}: expected {expected}, found {actual}", path=path)


def _text(value: Any) -> str:
    """Return a scalar's text. JSON and TOML have numbers and booleans, too."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else clean(str(value))


def scalar(value: Any, path: Path, report: Report) -> str | None:
    """Return a scalar as written in the file: 3.10 is "3.10" and no is "no"."""
    if isinstance(value, dict | list):
        report(unexpected("text", value, path))
        return None
    text = value if isinstance(value, str) else _text(value)
    if message := invalid_text(text):
        report(Problem(message=message, path=path))
        return None
    return clean(str(text))


def items(value: Any, path: Path, report: Report) -> Iterator[tuple[str, Any, Path]]:
    """Yield a mapping's keys, values and paths. Invalid keys are reported."""
    if not isinstance(value, dict):
        report(unexpected("a mapping", value, path))
        return
    if isinstance(value, Mapping):
        for mapping, (message, key, place) in value.all_problems():
            at = path if key is None else (*path, key)
            # The first of two keys is not found at the path of a mapping that merges them.
            see = at if key is not None and mapping is value else ()
            report(Problem(message=message, path=at, see=see, place=place))
    for key, child in value.items():
        if key.isascii() and "\0" not in key:
            yield key, child, (*path, key)
        elif message := invalid_text(key):
            report(Problem(message=message, path=(*path, clean(key)), on_key=True))
        else:
            yield clean(key), child, (*path, clean(key))


def no_value(key: str, value: Any, path: Path) -> Problem:
    """Return the problem of a key without a value, where no default would be right."""
    text = "null" if value is None else str(value)
    quoted = f", or quote {text!r} to use it as text" if text else ""
    return Problem(message=f"{key!r} has no value; use '' for an empty value{quoted}", path=path)


def elements(value: Any, path: Path, report: Report) -> Iterator[tuple[Any, Path]]:
    """Yield a list's elements and their paths."""
    if not isinstance(value, list):
        report(unexpected("a list", value, path))
        return
    for index, child in enumerate(value):
        yield child, (*path, index)


def decode(value: Any, type_: Any, path: Path, report: Report, special: dict[Any, Decoder]) -> Any:
    """Decode a value as a type: Struct, dict, tuple, Literal or text.

    `special` maps types to their own decoders. An invalid value is reported and skipped, or is
    None if it cannot be skipped, so that all other values are still decoded.
    """
    if type_ in special:
        return special[type_](value, path, report)
    origin, args = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        return None if is_null(value) else decode(value, args[0], path, report, special)
    if origin is dict:
        pairs = {}
        for key, child, at in items(value, path, report):
            if args[1] is str and is_null(child):
                report(no_value(key, child, at))
            else:
                pairs[key] = decode(child, args[1], at, report, special)
        return {key: value for key, value in pairs.items() if value is not None}
    if origin is tuple:
        members = elements(value, path, report)
        values = [decode(child, args[0], at, report, special) for child, at in members]
        blank = _blank(args[0])
        kept = (blank if value is None else value for value in values)
        return tuple(value for value in kept if value is not None)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _decode_struct(value, type_, path, report, special)
    return _decode_text(value, args if origin is Literal else None, path, report)


def _blank(type_: Any) -> Any:
    """Return a placeholder for an invalid Struct, so that later elements keep their index."""
    if not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)):
        return None
    return type_(**{f.name: "" for f in msgspec.structs.fields(type_) if f.required})


def _decode_text(
    value: Any, allowed: tuple[str, ...] | None, path: Path, report: Report
) -> str | None:
    text = scalar(value, path, report)
    if text is None or allowed is None or text in allowed:
        return text
    expected = did_you_mean(text, allowed) or f"; allowed: {', '.join(allowed)}"
    report(Problem(message=f"{text!r} is not allowed here{expected}", path=path))
    return None


@functools.cache
def _fields(type_: type[msgspec.Struct]) -> dict[str, tuple[Any, bool, bool]]:
    """The type of each field, whether it is required, and whether null is a valid value."""
    hints = get_type_hints(type_, include_extras=True)
    return {
        field.name: (hints[field.name], field.required, _admits_null(hints[field.name]))
        for field in msgspec.structs.fields(type_)
    }


def _decode_struct(
    value: Any,
    type_: type[msgspec.Struct],
    path: Path,
    report: Report,
    special: dict[Any, Decoder],
) -> Any:
    """Decode a mapping as a Struct. A key without a value counts as absent, if null is invalid."""
    fields = _fields(type_)
    values: dict[str, Any] = {}
    for key, child, at in items(value, path, report):
        if key not in fields:
            if not key.startswith(OWN_KEYS):
                report(unknown_key(key, list(fields), at))
            continue
        hint, _, admits_null = fields[key]
        if is_null(child) and not admits_null:
            continue
        decoded = decode(child, hint, at, report, special)
        if decoded is not None or is_null(child):
            values[key] = decoded
    if not isinstance(value, dict):
        return None
    missing = [name for name, (_, required, _) in fields.items() if required and name not in values]
    for name in missing:
        report(missing_key(name, path))
    return None if missing else type_(**values)


def missing_key(name: str, path: Path) -> Problem:
    """Return the problem of a mapping without a required key."""
    return Problem(message=f"{name!r} is missing", path=path, caused_by=((*path, name),))


def _admits_null(hint: Any) -> bool:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return type(None) in get_args(plain)


MEANT = {"args": "build_args"}
"""Keys of similar formats, which look like others of ours."""

MAX_KEYS = 50
"""The maximum number of allowed keys that a message lists."""


def unknown_key(key: str, known: list[str], path: Path) -> Problem:
    """Return the problem of a key that a mapping does not have."""
    near = MEANT[key] if MEANT.get(key) in known else closest(key, known)
    # All keys of a format, but of the axes of a config only the first.
    allowed = ", ".join(known) if len(known) <= MAX_KEYS else listed(known)
    hint = f"; allowed: {allowed}" if near is None else f"; did you mean {near!r}?"
    return Problem(
        message=f"unknown key {key!r}{hint}",
        path=path,
        on_key=True,
        intended_path=(*path[:-1], near or key),
    )
