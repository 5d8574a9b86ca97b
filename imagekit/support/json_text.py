"""JSON as imagekit writes it: indented, in UTF-8, the same bytes as `json.dumps(indent=2)`."""

from __future__ import annotations

from typing import Any

import msgspec


def dumps(value: Any) -> str:
    """Return a value as JSON, indented by two spaces, without a line break at the end.

    The bytes are those of `json.dumps(value, indent=2, ensure_ascii=False)`, several times faster.
    """
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
