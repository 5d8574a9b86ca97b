"""A notebook's parameters: what it takes, and whether what it is given fits.

papermill only warns of an unknown parameter (nteract/papermill#818) and turns 3.10 on its
command line into the number 3.1 (#55). Here both are settled by the notebook's own annotations,
before anything runs.
"""

from __future__ import annotations

import ast
import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

import papermill
from nbformat import NBFormatError
from nbformat.reader import NotJSONError
from nbformat.validator import ValidationError

from imagekit.errors import ParametersError, Problem, UsageError, did_you_mean


def typed(notebook: pathlib.Path, given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The given names and texts as values of the types that the notebook annotates.

    A list is given by naming it several times, or as a JSON list. Raises ParametersError with
    everything that does not fit.
    """
    types = declared(notebook)
    texts: dict[str, list[str]] = {}
    for name, text in given:
        texts.setdefault(name, []).append(text)
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, found in texts.items():
        try:
            if name not in types:
                near = did_you_mean(name, types) or f"; it has {', '.join(types) or 'none'}"
                raise ValueError(f"the notebook has no such parameter{near}")
            values[name] = _value(types[name], found)
        except ValueError as error:
            problems.append(Problem(message=f"parameter {name!r}: {error}"))
    if problems:
        raise ParametersError(problems)
    return values


def declared(notebook: pathlib.Path) -> dict[str, str]:
    """The parameters that a notebook takes, each with the name of its type."""
    try:
        found = papermill.inspect_notebook(unformatted(notebook))
    except (
        NotJSONError,
        NBFormatError,
        ValidationError,
        ValueError,
        KeyError,
        AttributeError,
    ) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{notebook}: this is no notebook: {first}") from None
    return {name: _type(about) for name, about in found.items()}


def unformatted(path: pathlib.Path) -> str:
    """A path as papermill takes it, for whom braces are format fields."""
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
        raise ValueError(f"it is given {len(texts)} times, but is no list")
    return _scalar(kind, texts[0])


def _list(texts: list[str]) -> list[Any]:
    if len(texts) > 1 or not texts[0].startswith("["):
        return texts
    try:
        found = json.loads(texts[0])
    except ValueError:
        # A glob may start with a bracket, too.
        return texts
    if not all(isinstance(element, str) for element in found):
        raise ValueError(f"{texts[0]!r} holds something other than text; write it in quotes")
    return list(found)


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
