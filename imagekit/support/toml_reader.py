"""Read TOML of anybody, such as a project's pyproject.toml or uv.lock, into plain values."""

from __future__ import annotations

import re
from typing import Any

from imagekit.errors import ConfigError, Place, Problem
from imagekit.support.yaml_reader import decode_utf8

WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
"""How tomllib says where an error is."""
DEEP = re.compile(r"""(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
"""A key of so many parts, each of which is a table."""
TOO_DEEP = "the file is nested too deeply"


def parse(data: bytes, name: str) -> dict[str, Any]:
    """Return the values of a TOML file; `name` is its name in messages.

    Raises ConfigError, with the position, if it is not UTF-8 or not TOML, or nested too deeply.
    """
    import tomllib  # Not at the top: few commands read TOML.

    # TOML has no other line breaks, and tomllib leaves these alone within text.
    text = decode_utf8(data, name).replace("\r\n", "\n")
    line, column = 1, 1
    # To split a key takes tomllib time in the square of its parts.
    if deep := DEEP.search(text):
        before = text[: deep.start()]
        place = Place(name, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise ConfigError([Problem(message=TOO_DEEP, place=place)])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        if (match := WHERE.search(message)) is not None:
            lines = text.split("\n")
            last = str(len(lines)), str(len(lines[-1]) + 1)
            line, column = map(int, match.groups() if match[1] else last)
        message = f"invalid TOML: {WHERE.sub('', message)}"
    except RecursionError:
        message = TOO_DEEP
    except ValueError:
        # Python converts no number of thousands of digits, and no date that does not exist.
        message = "invalid TOML: a number is too long, or a date does not exist"
    place = Place(name, line, column)
    shown = text.split("\n")[line - 1]
    raise ConfigError([Problem(message=message, place=place, line=shown)])
