"""How many values a YAML file stands for, so that a few aliases do not stand for billions."""

from __future__ import annotations

from typing import Any

MAX_VALUES = 1_000_000
"""The number of values that a file may stand for; or as many as it has characters."""


def stands_for(value: Any) -> int:
    """Return the number of values in a value, with each alias counted as what it stands for.

    Where a value contains itself, that counts as one: reading it with types ends there. It takes
    time in the length of the file.
    """
    sizes: dict[int, int] = {}
    waiting: list[tuple[Any, bool]] = [(value, False)]
    while waiting:
        node, is_read = waiting.pop()
        children = node.values() if isinstance(node, dict) else node
        inner = [child for child in children if isinstance(child, dict | list)]
        if is_read:
            sizes[id(node)] = 1 + len(node) + sum(sizes[id(child)] for child in inner)
        elif id(node) not in sizes:
            # Until it is read, it is met again only within itself.
            sizes[id(node)] = 1
            waiting.append((node, True))
            waiting += ((child, False) for child in inner)
    return sizes[id(value)]
