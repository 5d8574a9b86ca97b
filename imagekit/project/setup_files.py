"""Read the dependencies in requirement files, setup.cfg and setup.py, without running code."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """The dependencies of a package."""

    name: str = ""
    """The name of the package."""
    required: tuple[str, ...] = ()
    """Requirements of the package."""
    extras: dict[str, tuple[str, ...]] = {}
    """Requirements of each extra."""
    python: str = ""
    """The supported Python versions, as a specifier."""


def requirement_error(text: str) -> str | None:
    """Return why a requirement is invalid, or None if it is valid."""
    try:
        Requirement(text)
    except InvalidRequirement as error:
        return str(error).partition("\n")[0]
    return None if text.isprintable() else "it contains a control character"


def expanded(
    name: str, groups: Mapping[str, Sequence[str]], wanted: Iterable[str]
) -> Iterator[str]:
    """Return the requirements of extras, which may list other extras of the same package."""
    waiting: list[tuple[str, tuple[str, ...]]] = [(extra, ()) for extra in wanted]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        step = waiting.pop(0)
        if step in seen:
            continue
        seen.add(step)
        extra, conditions = step
        for text in groups.get(extra, ()):
            if requirement_error(text):
                yield text
                continue
            requirement = Requirement(text)
            own = () if requirement.marker is None else (str(requirement.marker),)
            # Without duplicates, because extras may include each other in a cycle.
            markers = tuple(dict.fromkeys([*conditions, *own]))
            if name and canonicalize_name(requirement.name) == canonicalize_name(name):
                waiting += [(other, markers) for other in sorted(requirement.extras)]
            elif conditions:
                requirement.marker = None
                yield f"{requirement} ; {' and '.join(f'({marker})' for marker in markers)}"
            else:
                yield text


def number(requirements: Sequence[str]) -> str:
    """Return the number of dependencies as text: `1 dependency`, `2 dependencies`."""
    many = len(requirements)
    return "1 dependency" if many == 1 else f"{many} dependencies"


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Return the logical lines of a requirement file, each with its first line number."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if joined else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line[:-1]
            continue
        logical_line = re.sub(r"(^|\s)#.*$", "", joined + line).strip()
        joined = ""
        if logical_line:
            yield first, logical_line


def specifier(version: str) -> str:
    """Convert conda's `=3.11`, `==3.11.4`, `=3.11=build` or `>=3.10,<3.13` to pip's syntax."""
    exact = re.match(r"={0,2}\s*(\d+(?:\.\d+)*)", version)
    if exact is None:
        return version
    return f"=={exact[1]}.*" if exact[1].count(".") < 2 else f"=={exact[1]}"


# ---- setup.py and setup.cfg

Fields = dict[str, Any]
"""The fields of a Package that a file sets; None if the value is known only by running it."""


def of_setup(cfg: str, setup: str) -> Package | None:
    """Combine setup.cfg and setup.py; None if a value is computed or set in both."""
    first, second = _from_cfg(cfg), _from_setup(setup)
    if first is None or second is None or first.keys() & second.keys():
        return None
    fields = first | second
    return None if None in fields.values() else Package(**fields)


def _from_cfg(text: str) -> Fields | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    fields: Fields = {}
    for section, option, field in (
        ("metadata", "name", "name"),
        ("options", "python_requires", "python"),
        ("options", "install_requires", "required"),
    ):
        if parser.has_option(section, option):
            value = parser.get(section, option)
            fields[field] = _lines(value) if field == "required" else value.strip()
            if value.strip().startswith(("file:", "attr:")):
                fields[field] = None
    section = "options.extras_require"
    if parser.has_section(section):
        extras = dict(parser.items(section))
        known = not any(text.strip().startswith("file:") for text in extras.values())
        fields["extras"] = {k: _lines(v) for k, v in extras.items()} if known else None
    return fields


def _lines(text: str) -> tuple[str, ...]:
    bare = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in text.splitlines())
    return tuple(line for line in bare if line)


ARGUMENTS = {
    "name": "name",
    "install_requires": "required",
    "extras_require": "extras",
    "python_requires": "python",
}


def _from_setup(text: str) -> Fields | None:
    """Return the literal arguments of the only call of setuptools' `setup`."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    names = set(_setup_names(tree))
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]
    if len(calls) != 1 or any(word.arg is None for word in calls[0].keywords):
        return None
    arguments = {ARGUMENTS[w.arg]: w.value for w in calls[0].keywords if w.arg in ARGUMENTS}
    return {field: _literal(field, value) for field, value in arguments.items()}


def _setup_names(tree: ast.AST) -> Iterator[str]:
    """Return the names of setuptools' `setup` in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("setuptools", "distutils.core"):
            yield from (a.asname or a.name for a in node.names if a.name == "setup")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ("setuptools", "distutils.core"):
                    yield f"{alias.asname or alias.name}.setup"


def _literal(field: str, node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if field in ("name", "python"):
        return value if isinstance(value, str) else None
    if field == "required":
        return _listed(value)
    if not isinstance(value, dict):
        return None
    groups = {str(key): _listed(part) for key, part in value.items()}
    return None if None in groups.values() else groups


def _listed(value: Any) -> tuple[str, ...] | None:
    """Return a list of requirements; like setuptools, split a string into lines."""
    if isinstance(value, str):
        return _lines(value)
    is_list = isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)
    return tuple(value) if is_list else None
