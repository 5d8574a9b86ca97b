"""The JSON Schema of the config, for editors, made from the types that read the config.

It accepts what `decode` accepts: numbers and booleans where text is meant, and null for a key that
then counts as absent. `make goldens` rewrites it; a test compares.
"""

import ast
import inspect
import itertools
import pathlib
import tomllib
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from imagekit.config.cloudbuild import Count, Flag, Seconds
from imagekit.config.schema import (
    OLDER,
    SECTION,
    Alias,
    Aliased,
    ArgName,
    BuildArgs,
    Choice,
    Config,
    Entry,
    Exclude,
    Parents,
    Words,
)
from imagekit.support.decode import OWN_KEYS
from imagekit.support.json_text import dumps

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "imagekit" / "imagekit.schema.json"
DRAFT = "http://json-schema.org/draft-07/schema#"
"""The version of JSON Schema that most editors support."""

Schema = dict[str, Any]

TEXT: Schema = {"type": ["string", "number", "boolean"]}
"""What YAML makes of a text without quotes: 3.10 is a number there, and true a boolean."""
ELEMENT: Schema = {"type": [*TEXT["type"], "null"]}
"""A text in a list; there, null is a text as well."""
LIST_OR_TEXT: Schema = {"type": [*TEXT["type"], "null", "array"], "items": ELEMENT}
ARG_NAME = get_args(ArgName)[1].pattern
COUNT, SECONDS = get_args(Count)[1], get_args(Seconds)[1]

SPECIAL: dict[Any, Schema] = {
    BuildArgs: {
        "type": ["object", "array"],
        "propertyNames": {"pattern": ARG_NAME},
        "additionalProperties": TEXT,
        "items": {"type": "string", "pattern": ARG_NAME.removesuffix("$") + "="},
    },
    Choice: LIST_OR_TEXT | {"minItems": 1},
    Words: LIST_OR_TEXT,
    Parents: LIST_OR_TEXT,
    ArgName: {"type": ["string", "boolean"], "pattern": ARG_NAME},
    Flag: {"type": ["boolean", "string"], "pattern": "^(true|false)$"},
    Count: {
        "type": ["integer", "string"],
        "minimum": COUNT.ge,
        "maximum": 999_999_999,
        "pattern": "^[1-9][0-9]{0,8}$",
    },
    Seconds: {
        "type": ["integer", "string"],
        "minimum": SECONDS.ge,
        "maximum": SECONDS.le,
        "pattern": "^[0-9]{1,9}[smh]?$",
    },
}
"""The schemas of types that have their own decoders.

A keyword applies only to values of its kind (`items` to lists, `pattern` to strings). So one schema
describes several notations, and an editor's message is about the notation that was used.
"""

CHOOSERS = (Entry, Exclude, Alias)
"""Types whose `axes` are keys of the mapping itself."""


def text() -> str:
    """Return the text of the schema file."""
    head = {"$schema": DRAFT, "$id": address(), "title": "imagekit config"}
    return dumps(head | config()) + "\n"


def address() -> str:
    """Return where the site has the schema, which configs name for editors."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return f"{settings['project']['urls']['Documentation']}/{FILE.name}"


def config() -> Schema:
    """Return the schema of the config, with the older names of its keys."""
    schema = schema_of(Config)
    properties = schema["properties"]
    for new, old in OLDER.items():
        # An older name of an axis needs no property: any key of an entry is an axis.
        if new in properties:
            properties[old] = _described(properties[new], f"The older name of `{new}`.")
    return schema


def schema_of(hint: Any) -> Schema:
    """Return the schema of the values that `decode` reads as a type."""
    if hint in SPECIAL or hint == Aliased:
        return SPECIAL.get(hint) or _one_or_more(schema_of(Alias))
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _or_null(schema_of(args[0]))
    if origin is Literal:
        return {"enum": [*args]}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(args[1])}
    if origin is tuple:
        return {"type": "array", "items": ELEMENT if args[0] is str else schema_of(args[0])}
    return TEXT if hint is str else _mapping(hint)


def _mapping(struct: type[msgspec.Struct]) -> Schema:
    """Return the schema of a mapping that is read as a Struct."""
    meanings = _attribute_docs(struct)
    hints = get_type_hints(struct, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    others: Schema | bool = False
    properties: dict[str, Schema] = {}
    if struct in CHOOSERS:
        del fields["axes"]
        others = schema_of(get_args(get_type_hints(struct)["axes"])[1])
        for axis, section in SECTION.items():
            properties[axis] = _described(others, f"The axis `{axis}`, see `{section}`.")
    for name, field in fields.items():
        schema = schema_of(hints[name])
        if not field.required:
            schema = _or_null(schema)
        if isinstance(field.default, str | int):
            schema = schema | {"default": field.default}
        properties[name] = _described(schema, meanings[name])
    schema = {
        "type": "object",
        "properties": properties,
        "patternProperties": {f"^{OWN_KEYS}": {}},
        "additionalProperties": others,
    }
    if required := [name for name, field in fields.items() if field.required]:
        schema["required"] = required
    return _described(schema, _paragraphs(struct.__doc__))


def _one_or_more(schema: Schema) -> Schema:
    """Return a schema that accepts a mapping or a list of such mappings."""
    return schema | {"type": ["object", "array"], "items": schema, "minItems": 1}


def _or_null(schema: Schema) -> Schema:
    """Return a schema that accepts null as well."""
    if "enum" in schema:
        return schema if None in schema["enum"] else schema | {"enum": [*schema["enum"], None]}
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return schema if "null" in kinds else schema | {"type": [*kinds, "null"]}


def _described(schema: Schema, meaning: str) -> Schema:
    """Return a schema with a description, which is its first key."""
    return {"description": meaning} | schema | {"description": meaning}


def _attribute_docs(class_: type) -> dict[str, str]:
    """Return the docstrings under the attributes of a class, which only its source has."""
    (definition,) = ast.parse(inspect.getsource(class_)).body
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for statement, following in itertools.pairwise(definition.body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(doc))),
            ):
                docs[name] = _paragraphs(doc)
    return docs


def _paragraphs(doc: str) -> str:
    """Return a docstring without its indentation and line breaks, except between paragraphs."""
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(doc).split("\n\n"))


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
