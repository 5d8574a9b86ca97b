"""Generate the reference pages from the code, so that they match it."""

import inspect
import pathlib
import re
import types
import typing

import msgspec
from sphinx.pycode import ModuleAnalyzer

from imagekit import errors
from imagekit.config import cloudbuild, schema
from imagekit.project import settings
from imagekit.runs import entry, record

KEYS = {
    "": schema.Config,
    "images.": schema.Entry,
    "exclude.": schema.Exclude,
    "aliases.": schema.Alias,
    "recipes.": schema.RecipeChange,
    "cloudbuild.": cloudbuild.CloudBuild,
    "cloudbuild.limits.": cloudbuild.Limits,
    "cloudbuild.trigger.": cloudbuild.Trigger,
}
"""The types of the config, and what stands before their keys in the name of a key."""
SETTINGS = "settings."
"""What stands before the name of a key of a project's settings."""
DEFAULTS = {
    "recipes.dockerfile": "required in a recipe of your own",
    "recipes.context": "default `.`",
    "recipes.parent_arg": "default `BASE_IMAGE`",
    "recipes.parent_only": "default `false`",
    "recipes.tag": "required in a recipe of your own, if there is no `tags`",
    "images": "required",
    "cloudbuild.timeout": "default `86400`, at most 24 hours",
    "cloudbuild.trigger.topic": "default is the trigger's name with `-schedule`",
}
"""The defaults that are not those of the type."""
TYPES = {
    schema.BuildArgs: "build args: a mapping, or a list of `NAME=value`",
    schema.Choice: "one name or a list of names; `null` for none",
    schema.Choices: "for each axis, one name or a list of names; `null` for none",
    schema.Parents: "one name or a list of names; `null` for none",
    schema.Words: "text, or a list of texts",
    cloudbuild.Seconds: "number of seconds, or a text such as `90m` or `24h`",
    cloudbuild.Flag: "`true` or `false`",
    dict[str, schema.BuildArgs]: "mapping: name of a value → build args",
    dict[str, dict[str, schema.BuildArgs]]: "mapping: axis → name of a value → build args",
    tuple[schema.Entry, ...]: "list of entries",
    tuple[schema.Exclude, ...]: "list of rules",
    dict[str, schema.Aliased]: "mapping: name of a tag → combination, or list of combinations",
    dict[str, schema.RecipeChange]: "mapping: name of a recipe → recipe",
    dict[str, str | None]: "for each axis, one name",
    settings.Words: "list of texts, or one list for `cpu` and one for `gpu`",
    settings.Name: "text, or one for `cpu` and one for `gpu`",
}
"""Types in words that are shorter than what `_type` makes of them."""
KEY = re.compile(r"^<!-- key ([a-z_.]+) -->$", re.MULTILINE)
"""What stands below the heading of a key, in the place of its type and default."""


def pages(root: pathlib.Path) -> dict[str, str]:
    """Return the Markdown of each page that is generated, by its path in the site's source."""
    made = {
        "reference/exit-codes.md": exit_codes(),
        "reference/records.md": records(),
    }
    for name in ("config.md", "howto/project.md"):
        if (root / "docs" / name).exists():
            made[name] = with_facts((root / "docs" / name).read_text(encoding="utf-8"))
    if (root / "CHANGELOG.md").exists():
        made["changelog.md"] = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    return made


def with_facts(text: str) -> str:
    """Return a page with the type and the default of each key that it describes."""
    known = facts()
    return KEY.sub(lambda match: f"{{.key}}\n{known[match[1]]}", text)


def facts() -> dict[str, str]:
    """Return the type and the default of each key in words, by the name of the key."""
    found = {}
    for before, kind in {**KEYS, SETTINGS: settings.Settings}.items():
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            name = f"{before}{field.name}"
            kind_in_words = _type(hints[field.name])
            default = DEFAULTS.get(name, _default_in_words(field))
            words = f"{kind_in_words[:1].upper()}{kind_in_words[1:]}"
            found[name] = (
                f"{words}. {default[:1].upper()}{default[1:]}." if default else f"{words}."
            )
    return found


def _default_in_words(field: msgspec.structs.FieldInfo) -> str:
    default = _default(field)
    return f"default {default}" if default not in ("", "required") else default


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
        "# Exit codes\n\nWhat each command exits with, and the error that it stands for. 0 is "
        "success.\n\n"
        "`imagekit run` exits with the code of the error that the notebook failed with, and with "
        "1 for errors that are not listed here. If a notebook calls `sys.exit(N)`, `imagekit run` "
        "exits with N; without an argument that is 0, and with a text it is 1. "
        "`imagekit diff --exit-code` exits with 1 if there are differences.\n\n"
        "`imagekit project shell`, `notebook` and `run` exit with the code of the command in the "
        "container. 125 is Docker's code for a container that cannot be started.\n\n"
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
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ((), {}) else ""


def _type(hint: typing.Any) -> str:
    """Return a type in words. `Meta(description=...)` describes a type with several notations."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if known := next((text for kind, text in TYPES.items() if kind == hint), ""):
        return known
    if origin is typing.Annotated:
        meta = args[1]
        bounds = f", at most {meta.le}" if meta.le else ""
        return f"{meta.description or _type(args[0])}{bounds}"
    if origin in (typing.Union, types.UnionType):
        kinds = [arg for arg in args if arg not in (type(None), msgspec.UnsetType)]
        return " or ".join(map(_type, kinds))
    in_words = {
        typing.Literal: lambda: _one_of([f"`{word}`" for word in args]),
        dict: lambda: f"mapping: name → {_type(args[1])}",
        tuple: lambda: f"list of {_plural(_type(args[0]))}",
    }
    if origin in in_words:
        return in_words[origin]()
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {"CellError": "see below"}.get(hint.__name__, "mapping")
    words = {str: "text", int: "whole number", float: "number", typing.Any: "anything"}
    return words.get(hint, str(hint))


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"one of {', '.join(words[:-1])} or {words[-1]}"


def _plural(words: str) -> str:
    return {"text": "texts", "whole number": "whole numbers"}.get(words, words)
