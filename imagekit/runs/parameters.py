"""The parameters of a notebook: their types, and the conversion of values.

papermill only warns about an unknown parameter (nteract/papermill#818) and turns 3.10 on its
command line into the number 3.1 (#55). This module checks both against the annotations of the
notebook before it runs.
"""

from __future__ import annotations

import ast
import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
import papermill
from nbformat import NBFormatError
from nbformat.reader import NotJSONError
from nbformat.validator import ValidationError

from imagekit.errors import ParametersError, Problem, UsageError, did_you_mean


def typed(notebook: pathlib.Path, arguments: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The values of parameters, converted from text to the annotated types.

    A list is a name that occurs several times, or a JSON list. Raises ParametersError with all
    unknown names and invalid values.
    """
    types = declared(notebook)
    texts: dict[str, list[str]] = {}
    for name, text in arguments:
        texts.setdefault(name, []).append(text)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value_texts in texts.items():
        try:
            if name not in types:
                near = did_you_mean(name, types) or f"; it has {', '.join(types) or 'none'}"
                raise ValueError(f"not a parameter of the notebook{near}")
            values[name] = _value(types[name], value_texts)
        except ValueError as error:
            problems.append(Problem(message=f"parameter {name!r}: {error}"))
    if problems:
        raise ParametersError(problems)
    return values


def declared(notebook: pathlib.Path) -> dict[str, str]:
    """The types of a notebook's parameters, by name. Raises UsageError for an invalid notebook."""
    return {name: _type(about) for name, about in _inspect(notebook).items()}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a notebook."""

    name: str
    """Its name."""
    default: str
    """Its default value, as Python."""
    description: str
    """What it means: the comment on its line; empty if there is none."""


def described(notebook: pathlib.Path) -> list[Parameter]:
    """The parameters of a notebook in order. Raises UsageError for an invalid notebook."""
    return [
        Parameter(name, about["default"], about["help"])
        for name, about in _inspect(notebook).items()
    ]


def _inspect(notebook: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What papermill finds about each parameter of a notebook."""
    try:
        inspected: dict[str, dict[str, Any]] = papermill.inspect_notebook(unformatted(notebook))
    except (
        NotJSONError,
        NBFormatError,
        ValidationError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{notebook}: not a valid notebook: {first}") from None
    return inspected


def unformatted(path: pathlib.Path) -> str:
    """A path with its braces escaped, because papermill formats paths."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _type(about: dict[str, Any]) -> str:
    annotated = about["inferred_type_name"]
    if annotated != "None":
        return re.split(r"[\[ ]", annotated.lower())[0]
    try:
        return type(ast.literal_eval(about["default"])).__name__
    except (ValueError, SyntaxError):
        return "str"


def _value(kind: str, texts: list[str]) -> Any:
    if kind == "list":
        return _list(texts)
    if len(texts) > 1:
        raise ValueError(f"given {len(texts)} times, but not a list")
    return _scalar(kind, texts[0])


def _list(texts: list[str]) -> list[Any]:
    if len(texts) > 1 or not texts[0].startswith("["):
        return texts
    try:
        elements = json.loads(texts[0])
    except (ValueError, RecursionError):
        # Globs may start with a bracket, too.
        return texts
    if not all(isinstance(element, str) for element in elements):
        raise ValueError(f"{texts[0]!r} must contain only strings; quote its elements")
    return list(elements)


def _scalar(kind: str, text: str) -> Any:
    readers: dict[str, tuple[Any, str]] = {
        "int": (int, "a whole number"),
        "float": (float, "a number"),
        "bool": ({"true": True, "false": False}.__getitem__, "true or false"),
    }
    if kind not in readers:
        return text
    read, expected = readers[kind]
    try:
        return read(text.strip().lower())
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is not {expected}") from None
