"""Generate the reference pages from the code, so that they match it."""

import inspect
import types
import typing

import msgspec
from sphinx.pycode import ModuleAnalyzer

from imagekit import errors
from imagekit.config import cloudbuild, schema
from imagekit.project import settings
from imagekit.runs import entry, record

SECTIONS = {
    "The file": schema.Config,
    "An entry of `images`": schema.Entry,
    "A rule of `exclude`": schema.Exclude,
    "An alias": schema.Alias,
    "A recipe": schema.RecipeChange,
    "`cloudbuild`": cloudbuild.CloudBuild,
    "`cloudbuild.limits`": cloudbuild.Limits,
    "`cloudbuild.trigger`": cloudbuild.Trigger,
    "A project's settings": settings.Settings,
}


def pages() -> dict[str, str]:
    """Return the Markdown of each generated page, by its path in the site's source."""
    return {
        "reference/keys.md": keys(),
        "reference/exit-codes.md": exit_codes(),
        "reference/records.md": records(),
    }


def keys() -> str:
    """Return the page of all config keys with their types and defaults."""
    parts = [
        "# All keys\n\nGenerated from the types that read the config. See [config](../config.md) "
        "for examples."
    ]
    for title, kind in SECTIONS.items():
        summary = kind.__doc__.partition("\n")[0]
        parts.append(f"## {title}\n\n{summary}\n\n{_table(kind, 'key')}")
    return "\n\n".join(parts) + "\n"


def exit_codes() -> str:
    """Return the page of all exit codes with their errors."""
    by_code: dict[int, list[type[errors.ImagekitError]]] = {}
    for kind in dict.fromkeys(_errors(errors.ImagekitError)):
        by_code.setdefault(kind.exit_code, []).append(kind)
    lines = [
        f"| {code} | `{kind.__name__}` | {_first(kind)} |"
        for code, kinds in sorted(by_code.items())
        for kind in kinds
        # Base classes, which are never raised themselves.
        if kind not in (errors.ImagekitError, errors.ProblemsError)
    ]
    stopped = "Ctrl-C, SIGTERM or a closed terminal"
    lines.append(f"| {errors.INTERRUPTED} | `KeyboardInterrupt` | {stopped} |")
    return (
        "# Exit codes\n\n0 is success.\n\n"
        "`imagekit run` exits with the code of the error that the notebook failed with, and with "
        "1 for errors that are not listed here. If a notebook calls `sys.exit(N)`, `imagekit run` "
        "exits with N; without an argument that is 0, and with a text it is 1. "
        "`imagekit diff --exit-code` exits with 1 if there are differences.\n\n"
        "| code | error | when |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def records() -> str:
    """Return the page of the fields and outcomes of a run's record."""
    written = typing.get_args(record.Outcome)
    in_record = _outcomes(word for word in entry.OUTCOMES if word in written)
    derived = _outcomes(word for word in entry.OUTCOMES if word not in written)
    return (
        "# Run records\n\n`imagekit run` writes two files with one name into the run store: the "
        "executed notebook, and this record as JSON. The record is written when the run starts, "
        "with the outcome `running`, and again when it ends. After that it never changes. "
        "The result of the notebook is in the record, and in the notebook under the media type "
        f"`{record.RESULT_TYPE}`.\n\n## Fields\n\n{inspect.getdoc(record.Record)}\n\n"
        f"{_table(record.Record, 'field')}\n\n"
        f"## Outcomes\n\nOutcomes in a record:\n\n{in_record}\n\n"
        "Outcomes that only the history shows:\n\n"
        f"{derived}\n\n`unreadable` and `not a run` have a row in the history and are not "
        "counted as runs.\n\n"
        "## Cell of a failed run\n\n"
        f"{inspect.getdoc(record.CellError)}\n\n{_table(record.CellError, 'field')}\n"
    )


def _outcomes(words: typing.Iterable[str]) -> str:
    rows = [f"| `{word}` | {entry.OUTCOMES[word]} |" for word in words]
    return "\n".join(["| outcome | when |", "| --- | --- |", *rows])


def _errors(kind: type) -> list[type]:
    return [kind, *(error for sub in kind.__subclasses__() for error in _errors(sub))]


def _first(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0].rstrip(".")


def _table(kind: type, head: str) -> str:
    hints = typing.get_type_hints(kind, include_extras=True)
    meanings = _meanings(kind)
    rows = [
        [
            f"`{field.name}`",
            _type(hints[field.name]),
            _default(field),
            *([meanings.get(field.name, "")] if meanings else []),
        ]
        for field in msgspec.structs.fields(kind)
    ]
    heads = [head, "type", "default", *(["meaning"] if meanings else [])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


def _meanings(kind: type) -> dict[str, str]:
    """Return the docstrings of a class's attributes, each in one line, by attribute."""
    docs = ModuleAnalyzer.for_module(kind.__module__).find_attr_docs()
    return {
        attribute: " ".join(" ".join(lines).split()).replace("|", "\\|")
        for (owner, attribute), lines in docs.items()
        if owner == kind.__name__
    }


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    if value is msgspec.UNSET or value is None or isinstance(value, msgspec.Struct):
        return ""
    return f"`{value}`" if value not in ((), {}) else ""


def _type(hint: typing.Any) -> str:
    """Return a type in words. `Meta(description=...)` describes a type with several notations."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        meta = args[1]
        bounds = f", at most {meta.le}" if meta.le else ""
        return f"{meta.description or _type(args[0])}{bounds}"
    if origin in (typing.Union, types.UnionType):
        kinds = [arg for arg in args if arg not in (type(None), msgspec.UnsetType)]
        return " or ".join(map(_type, kinds))
    in_words = {
        typing.Literal: lambda: ", ".join(f"`{word}`" for word in args),
        dict: lambda: f"name → {_type(args[1])}",
        tuple: lambda: f"a list of {_type(args[0])}",
    }
    if origin in in_words:
        return in_words[origin]()
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {"CellError": "see below", "Entry": "entries", "Exclude": "rules"}.get(
            hint.__name__, f"a mapping ({hint.__name__})"
        )
    words = {str: "text", int: "a whole number", float: "a number", typing.Any: "anything"}
    return words.get(hint, str(hint))
