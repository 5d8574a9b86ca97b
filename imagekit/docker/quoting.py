"""The one place where words of others become part of a Dockerfile that imagekit writes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable

from imagekit.errors import UsageError

BREAKS = re.compile(r"[\0-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
"""What ends a line to some reader, or is no text; in a Dockerfile, a line is an instruction."""


def checked(word: str) -> str:
    """Return a word that can stand in an instruction. Raises UsageError if it has a line break."""
    if BREAKS.search(word):
        raise UsageError(
            f"{word!r} cannot be written into a Dockerfile: it is not one line of text"
        )
    return word


def shell(words: Iterable[str]) -> list[str]:
    """Return words as those of a shell command, in RUN. Raises UsageError as `checked` does."""
    return [shlex.quote(checked(word)) for word in words]


def exec_form(words: Iterable[str]) -> str:
    """Return words as a JSON list, for CMD and COPY. Raises UsageError as `checked` does."""
    return json.dumps([checked(word) for word in words], ensure_ascii=False)
