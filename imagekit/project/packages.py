"""What the files of Python packages say of dependencies, read without being run."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def expanded(
    name: str, groups: Mapping[str, Sequence[str]], wanted: Iterable[str]
) -> Iterator[str]:
    """The requirements of a package's extras; one may name others of the same package."""
    own = re.compile(rf"{re.escape(_plain(name))}\[([^\]]*)\]\s*$") if name else None
    waiting, seen = list(wanted), set[str]()
    while waiting:
        extra = waiting.pop(0)
        if extra in seen:
            continue
        seen.add(extra)
        for text in groups.get(extra, ()):
            match = own.match(_plain(text)) if own else None
            if match:
                waiting += [part.strip() for part in match[1].split(",")]
            else:
                yield text


def number(requirements: Sequence[str]) -> str:
    """How many dependencies there are, in words."""
    many = len(requirements)
    return "1 dependency" if many == 1 else f"{many} dependencies"


def _plain(name: str) -> str:
    """A package's name as PyPI compares it, at the beginning of a text."""
    head = re.match(r"[\w.-]*", name)
    bare = head[0] if head else ""
    return re.sub(r"[-_.]+", "-", bare).lower() + name[len(bare) :]


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a requirement file as pip reads them, each with the number it begins at."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if joined else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line[:-1]
            continue
        whole = re.sub(r"(^|\s)#.*$", "", joined + line).strip()
        joined = ""
        if whole:
            yield first, whole


Required = tuple[list[str], dict[str, list[str]]]
"""What a package always needs, and what its extras need."""


def specifier(version: str) -> str:
    """Conda's `=3.11`, `==3.11.4`, `=3.11=build` or `>=3.10,<3.13` as pip writes it."""
    exact = re.match(r"={1,2}\s*(\d+(?:\.\d+)*)", version)
    if exact is None:
        return version
    return f"=={exact[1]}.*" if exact[1].count(".") < 2 else f"=={exact[1]}"


def from_cfg(text: str) -> Required | None:
    """What a setup.cfg says; None where it says nothing, or has it read from elsewhere."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    required = _lines(parser.get("options", "install_requires", fallback=""))
    section = "options.extras_require"
    extras = dict(parser.items(section)) if parser.has_section(section) else {}
    groups = {name: _lines(text) for name, text in extras.items()}
    says = required or groups
    return (required, groups) if says and "file:" not in str(says) else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def from_setup(text: str) -> Required | None:
    """The literal arguments of a `setup(…)` call; None where they are computed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "setup" in ast.unparse(node.func).split("."):
            given = {word.arg: word.value for word in node.keywords}
            if None in given:
                return None
            return _literal(given.get("install_requires"), given.get("extras_require"))
    return None


def _literal(required: ast.expr | None, extras: ast.expr | None) -> Required | None:
    try:
        found: Any = [] if required is None else ast.literal_eval(required)
        groups: Any = {} if extras is None else ast.literal_eval(extras)
        return [str(text) for text in found], {str(k): [*map(str, v)] for k, v in groups.items()}
    except (ValueError, TypeError, AttributeError):
        return None
