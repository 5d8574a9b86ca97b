"""Give text of anybody to the parsers of libraries; whatever they raise for it is a ValueError."""

from __future__ import annotations

import ast
import configparser
import functools
import re
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from imagekit.docker.quoting import BREAKS

Value = TypeVar("Value")

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The names of packages, extras and groups (packaging.python.org/en/latest/specifications/
name-normalization)."""
MAX_SHOWN = 200
"""The maximum number of characters of a value in a message."""
MAX_REQUIREMENT = 5_000
"""The maximum number of characters of a requirement, without its hashes."""
MAX_VERSIONS = 500
"""The maximum number of characters that say which versions of Python are supported."""
MAX_INI = 100_000
"""The maximum number of characters of an INI file: its parser takes time in their square."""


def is_name(text: str) -> bool:
    """Whether a text is a valid name of a package, an extra or a group."""
    return len(text) <= 255 and NAME.fullmatch(text) is not None


def not_one_line(text: str) -> str:
    """Return why a text cannot be a word of a Dockerfile; empty if it can."""
    return "it has a line break or a control character" if BREAKS.search(text) else ""


def short(text: str) -> str:
    """Return a text for a message, without the rest of a long one."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _parsed(parse: Callable[[str], Value], text: str, limit: int) -> Value:
    """Return what a parser makes of a text. Raises ValueError, with the reason in one line."""
    if len(text) > limit:
        raise ValueError(f"longer than {limit:,} characters")
    try:
        return parse(text)
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply") from None
    except (ValueError, SyntaxError, ArithmeticError, LookupError, configparser.Error) as error:
        raise ValueError(" ".join(str(error).partition("\n")[0].split())) from None


@functools.lru_cache(maxsize=4096)
def requirement(text: str) -> Requirement | str:
    """Return a requirement, or why it is not valid."""
    if not text.isprintable():
        return "it contains a control character"
    try:
        return _parsed(Requirement, text, MAX_REQUIREMENT)
    except ValueError as error:
        return str(error)


@functools.lru_cache(maxsize=64)
def specifier(text: str) -> SpecifierSet:
    """Return a version specifier, such as `>=3.11`. Raises ValueError."""
    return _parsed(SpecifierSet, text, MAX_VERSIONS)


@functools.lru_cache(maxsize=64)
def poetry_constraint(text: str) -> Any:
    """Return a constraint in Poetry's syntax, such as `^3.11`. Raises ValueError."""
    # Only for Poetry's projects.
    from poetry.core.constraints.version import parse_constraint

    return _parsed(parse_constraint, text, MAX_VERSIONS)


@functools.lru_cache(maxsize=2)
def python(source: str) -> ast.Module:
    """Return the syntax tree of Python code; an empty one if it is not valid."""
    with warnings.catch_warnings():
        # Such as for an invalid escape, which is not this command's to tell.
        warnings.simplefilter("ignore")
        try:
            return _parsed(ast.parse, source, len(source))
        except ValueError:
            return ast.Module([], [])


def ini(text: str) -> configparser.ConfigParser:
    """Return an INI file, such as setup.cfg, without interpolation. Raises ValueError."""

    def parse(text: str) -> configparser.ConfigParser:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        return parser

    return _parsed(parse, text, MAX_INI)
