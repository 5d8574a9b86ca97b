"""The reference pages that are made from the code, so that they cannot say something else."""

import types
import typing

import msgspec

from imagekit import errors
from imagekit.config import cloudbuild, schema
from imagekit.project import settings
from imagekit.runs import entry, record

SECTIONS = {
    "The file": schema.Config,
    "An entry of `images`": schema.Entry,
    "A rule of `exclude`": schema.Exclude,
    "A combination, for `aliases`": schema.Combination,
    "A recipe": schema.RecipeChange,
    "`cloudbuild`": cloudbuild.CloudBuild,
    "`cloudbuild.limits`": cloudbuild.Limits,
    "`cloudbuild.trigger`": cloudbuild.Trigger,
    "A project's settings": settings.Settings,
}


def pages() -> dict[str, str]:
    """Each page's path from the site's source, and its Markdown."""
    return {
        "reference/keys.md": keys(),
        "reference/exit-codes.md": exit_codes(),
        "reference/records.md": records(),
    }


def keys() -> str:
    """Every key of a config with its type and default."""
    parts = [
        "# Every key\n\nMade from the types that read the file. What a key means stands in "
        "[the configuration](../config.md)."
    ]
    for title, kind in SECTIONS.items():
        summary = kind.__doc__.partition("\n")[0]
        parts.append(f"## {title}\n\n{summary}\n\n{_table(kind, 'key')}")
    return "\n\n".join(parts) + "\n"


def exit_codes() -> str:
    """Every exit code with the errors that end in it."""
    found: dict[int, list[type[errors.ImagekitError]]] = {}
    for kind in _errors(errors.ImagekitError):
        found.setdefault(kind.exit_code, []).append(kind)
    lines = [
        f"| {code} | `{kind.__name__}` | {_first(kind)} |"
        for code, kinds in sorted(found.items())
        for kind in kinds
        # These two only gather others; nobody meets them.
        if kind not in (errors.ImagekitError, errors.ProblemsError)
    ]
    stopped = "Ctrl-C, SIGTERM or a closed terminal"
    lines.append(f"| {errors.INTERRUPTED} | `KeyboardInterrupt` | {stopped} |")
    return (
        "# Exit codes\n\n0 is success. A run of a notebook that fails with one of these errors "
        "exits with the same code, and with 1 for any other. A notebook that calls `sys.exit(N)` "
        "itself exits with N, whatever N stands for here: 0 and nothing are success, and a text "
        "is 1. `--exit-code` of `imagekit diff` exits with 1 where something differs.\n\n"
        "| code | error | when |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def records() -> str:
    """The record of a run, field by field."""
    written = typing.get_args(record.Outcome)
    in_record = _outcomes(word for word in entry.OUTCOMES if word in written)
    derived = _outcomes(word for word in entry.OUTCOMES if word not in written)
    return (
        "# Records of runs\n\n`imagekit run` leaves two files with one name in the run store: "
        "the executed notebook, and this record as JSON. It is written whole when the run begins, "
        "as `running`, and once more when it has ended; after that it never changes. "
        "What a notebook computed stands in it, and in the notebook under the media type "
        f"`{record.RESULT_TYPE}`.\n\n## Fields\n\n{record.Record.__doc__.strip()}\n\n"
        f"{_table(record.Record, 'field')}\n\n"
        f"## Outcomes\n\nThese stand in a record:\n\n{in_record}\n\n"
        "The history adds what no record can say of itself:\n\n"
        f"{derived}\n\nWhat is unreadable or not a run has a row in the history and is not "
        "counted as a run.\n\n"
        "## The cell that a run ended at\n\n"
        f"{record.CellError.__doc__}\n\n{_table(record.CellError, 'field')}\n"
    )


def _outcomes(words: typing.Iterable[str]) -> str:
    rows = [f"| `{word}` | {entry.OUTCOMES[word]} |" for word in words]
    return "\n".join(["| outcome | when |", "| --- | --- |", *rows])


def _errors(kind: type) -> list[type]:
    return [kind, *(found for sub in kind.__subclasses__() for found in _errors(sub))]


def _first(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0].rstrip(".")


def _table(kind: type, head: str) -> str:
    hints = typing.get_type_hints(kind, include_extras=True)
    rows = [
        f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} |"
        for field in msgspec.structs.fields(kind)
    ]
    return f"| {head} | what it takes | default |\n| --- | --- | --- |\n" + "\n".join(rows)


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
    """A type in words. What is written in more than one way says so itself."""
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
