"""The keys of a Cloud Build file, made from Google's own published types.

They are the messages of google-cloud-build that a build is made of, with the names and the types of
their JSON form. The library is large and optional, so the package has this small copy of what it
says. `make goldens` rewrites it; a test compares.
"""

import pathlib
from collections.abc import Iterator
from typing import Any

from google.cloud.devtools.cloudbuild_v1.types import Build

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "imagekit" / "document" / "build_schema.py"

HEAD = '''"""The keys of a Cloud Build file, as google-cloud-build has them.

Written by `python -m tools.build_schema`; do not edit.
"""

MESSAGES: dict[str, dict[str, str]] = {
'''
MIDDLE = '''}
"""The types of the fields of each message, by name: `T[]` is a list and `{T}` a mapping of T."""

ENUMS: dict[str, dict[str, int]] = {
'''
END = '''}
"""The values of each enumeration, with their numbers."""
'''

AS_TEXT = ("google.protobuf.Duration", "google.protobuf.Timestamp")
"""Messages that JSON writes as text (protobuf.dev/programming-guides/json)."""


def text() -> str:
    """Return the text of the module."""
    messages, enums = dict[str, Any](), dict[str, Any]()
    root = Build.pb(Build()).DESCRIPTOR
    _collect(root, root.file.package, messages, enums)
    return "".join([HEAD, *_lines(messages), MIDDLE, *_lines(enums), END])


def _collect(message: Any, package: str, messages: dict[str, Any], enums: dict[str, Any]) -> None:
    """Note the fields of a message, and those of the messages in it."""
    name = _name(message, package)
    if name in messages:
        return
    fields = messages[name] = {}
    for field in message.fields:
        inner = field.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        value = inner.fields_by_name["value"] if is_map else field
        kind = _kind(value, package)
        fields[field.json_name] = (
            f"{{{kind}}}" if is_map else f"{kind}[]" if field.is_repeated else kind
        )
        if value.enum_type is not None:
            enums[kind] = {member.name: member.number for member in value.enum_type.values}
        elif value.message_type is not None and value.message_type.full_name not in AS_TEXT:
            _collect(value.message_type, package, messages, enums)


def _kind(field: Any, package: str) -> str:
    """The type of one value."""
    other = field.message_type or field.enum_type
    if other is not None:
        return "string" if other.full_name in AS_TEXT else _name(other, package)
    names = {
        field.TYPE_BOOL: "bool",
        field.TYPE_INT32: "int",
        field.TYPE_INT64: "int",
        field.TYPE_STRING: "string",
        field.TYPE_BYTES: "string",
    }
    return names[field.type]


def _name(message: Any, package: str) -> str:
    return str(message.full_name).removeprefix(f"{package}.")


def _lines(groups: dict[str, Any]) -> Iterator[str]:
    """The entries of a dict of dicts, as `ruff format` has them."""
    for name in sorted(groups):
        inner = groups[name]
        yield f'    "{name}": {{{"" if inner else "},"}\n'
        for key, value in inner.items():
            shown = value if isinstance(value, int) else f'"{value}"'
            yield f'        "{key}": {shown},\n'
        if inner:
            yield "    },\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
