"""The position of each key and value in a JSON text."""

from __future__ import annotations

import json
import re

import msgspec


class Node(msgspec.Struct, gc=False):
    """A value in a JSON text."""

    start: int
    """The index of its first character."""
    keys: dict[str, tuple[int, Node]] = {}
    """For an object, the index of each key, and its value."""
    items: list[Node] = []
    """For an array, its values."""


PART = r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]|[^\s{}\[\],:"]+'
"""A string, a bracket, or another value; compiled only if a position is needed."""


def positions(text: str) -> Node:
    """Return the positions in a text that is valid JSON, in one pass without recursion."""
    root = Node(0)
    node, is_object, key = root, False, None
    around: list[tuple[Node, bool]] = []
    for match in re.finditer(PART, text):
        part, start = match[0], match.start()
        if part in ("}", "]"):
            node, is_object = around.pop()
            continue
        if is_object and key is None:
            key = json.loads(part), start
            continue
        child = Node(start)
        if key is not None:
            node.keys[key[0]] = key[1], child
            key = None
        else:
            node.items.append(child)
        if part in ("{", "["):
            around.append((node, is_object))
            node, is_object = child, part == "{"
    return root.items[0]
