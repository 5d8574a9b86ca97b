"""Read any Cloud Build file as gcloud does, into one structure.

The authority for keys and types is `build_schema`, which is made from Google's types. As for gcloud
(api_lib/cloudbuild/cloudbuild_util.py, and apitools), keys may be in snake_case, a single value may
stand where a list is meant, and text that YAML takes for something else must be quoted.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from imagekit.config.cloudbuild import SUBSTITUTION
from imagekit.document.build_schema import ENUMS, MESSAGES
from imagekit.errors import BuildFileError, ConfigError, Path, Place, Problem, show_path
from imagekit.support.decode import is_null, items, missing_key, scalar, unexpected, unknown_key
from imagekit.support.json_text import dumps
from imagekit.support.yaml_reader import Boolean, Form, Source, Typed, clean, parse

FORM = Form("a Cloud Build file", "'steps'", typed=True)

MAX_VALUES = 200_000
"""The number of values that the lists of a file may have, with what its aliases stand for; or as
many as it has characters, which without aliases are more. The longest build has a tenth of it."""
MAX_DEPTH = 50
"""The number of mappings and lists around a value that is not understood."""
MAX_SHOWN = 10_000
"""The number of characters that are kept of a value that is not understood."""

REST, OTHERS = "(rest)", "(others)"
"""Keys that no file has, for what has no field of its own."""
NONE: Mapping[str, Any] = types.MappingProxyType({})
"""No such fields."""


class Volume(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True):
    """A volume that steps share."""

    name: str = ""
    """Its name."""
    path: str = ""
    """Where a step has it."""


class FileStep(
    msgspec.Struct, rename="camel", omit_defaults=True, forbid_unknown_fields=True, gc=False
):
    """A step as it is written. The fields are those of Google's `BuildStep`.

    It is not changed once it is read, as builds that are compared share their steps. Lists that few
    steps have are tuples: all empty tuples are one object.
    """

    name: str = ""
    args: list[str] = []
    id: str = ""
    wait_for: list[str] = []
    dir: str = ""
    entrypoint: str = ""
    env: tuple[str, ...] = ()
    secret_env: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    timeout: str = ""
    script: str = ""
    automap_substitutions: bool | None = None
    allow_failure: bool = False
    allow_exit_codes: tuple[int, ...] = ()
    rest: Mapping[str, Any] = msgspec.field(default=NONE, name=REST)
    """The other fields, which Cloud Build sets."""
    others: Mapping[str, str] = msgspec.field(default=NONE, name=OTHERS)
    """What is no field, or of a wrong type, as text; only of a file that is read leniently."""


class FileBuild(msgspec.Struct):
    """A build as it is written."""

    steps: list[FileStep]
    timeout: str = ""
    images: list[str] = []
    substitutions: dict[str, str] = {}
    options: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    """The other fields."""
    others: dict[str, str] = {}
    """What is no field, or of a wrong type, as text; only of a file that is read leniently."""
    starts: tuple[int, ...] = (0,)
    """Where the steps of each file start, if this is the build of several, which run in order."""

    @property
    def is_dynamic(self) -> bool:
        """Whether values of substitutions contain others."""
        return bool(self.options.get("dynamicSubstitutions"))

    @property
    def is_loose(self) -> bool:
        """Whether a substitution without a value is no error."""
        return self.options.get("substitutionOption") == "ALLOW_LOOSE"


STEP_KEYS = {
    field.name: field.encode_name
    for field in msgspec.structs.fields(FileStep)
    if field.encode_name not in (REST, OTHERS)
}
"""The fields of a step that are read by name, and their keys."""

FEW = ("env", "secret_env", "allow_exit_codes")
"""The lists of a step that are tuples, besides its volumes."""

FIELDS = frozenset(STEP_KEYS.values())
"""The keys of a step that are read by name."""

OWN = ("timeout", "images", "substitutions", "options")
"""The fields of a build, besides its steps, that are read by name."""


class Read(msgspec.Struct):
    """A build file that was read."""

    build: FileBuild
    """The build."""
    source: Source
    """The file, for the positions of problems."""
    problems: list[Problem]
    """What Cloud Build or gcloud would not accept, without positions."""


def read(text: str, name: str) -> FileBuild:
    """Read a Cloud Build file in JSON or YAML; `name` is its name in messages.

    Raises BuildFileError with everything that Cloud Build or gcloud would not accept.
    """
    found = read_all(text, name)
    if found.problems:
        raise BuildFileError(located(found.source, found.problems))
    return found.build


def read_all(text: str, name: str) -> Read:
    """Like `read`, but return the problems. Raises BuildFileError if the text is malformed."""
    try:
        source = parse(text.encode(errors="surrogatepass"), name, FORM)
    except ConfigError as error:
        raise BuildFileError(error.problems) from None
    reader = _Reader(source.text)
    build = reader.build(source.value)
    source.renamed = reader.renamed
    return Read(build, source, [*reader.problems, *_rules(source.value, build)])


def read_leniently(text: str) -> FileBuild | None:
    """Read a Cloud Build file as far as it is understood, and keep the rest as text.

    None if it is none: it is malformed, or has no list of steps.
    """
    try:
        source = parse(text.encode(errors="surrogatepass"), "", FORM)
    except ConfigError:
        return None
    steps = source.value.get("steps")
    written = steps if isinstance(steps, list) else [steps]
    if not all(isinstance(step, dict) for step in written):
        return None
    return _Reader(source.text, lenient=True).build(source.value)


def without_steps(values: Mapping[str, Any]) -> tuple[FileBuild, list[Problem]]:
    """The build of what a file says besides its steps, and what is wrong there."""
    reader = _Reader("", lenient=True)
    return reader.build(values), reader.problems


def write(build: FileBuild) -> str:
    """The text of a build file."""
    own = {name: getattr(build, name) for name in OWN}
    steps = [_written(step) for step in build.steps]
    document = {"steps": steps, **{name: value for name, value in own.items() if value}}
    return dumps(document | build.rest) + "\n"


def _written(step: FileStep) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(step)
    return {**{name: value for name, value in fields.items() if name in FIELDS}, **step.rest}


def located(source: Source, problems: Sequence[Problem]) -> list[Problem]:
    """The problems with their positions, each once, in the order of the file."""
    located = {}
    for problem in problems:
        found = source.locate(problem)
        # What an alias stands for is one place, under several paths.
        located[(found.place, found.message)] = found

    def position(problem: Problem) -> tuple[int, int]:
        place = problem.place or Place("", 0, 0)
        return place.line, place.column

    return sorted(located.values(), key=position)


_WRONG: Any = object()
"""Stands for a value that could not be read."""


class _Reader:
    """Reads values by Google's schema, and notes every problem.

    Paths in problems have the keys of the schema; `renamed` are those that are written otherwise.
    """

    def __init__(self, text: str, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.problems: list[Problem] = []
        self.renamed: dict[str, str] = {}
        self._left = max(MAX_VALUES, len(text))
        self._others: list[tuple[Path, Any]] = []

    def build(self, value: Mapping[str, Any]) -> FileBuild:
        """Read a whole build."""
        document = self._message(value, "Build", ())
        steps = [_step(fields) for fields in document.pop("steps", ())]
        build = FileBuild(steps, **{name: document.pop(name) for name in OWN if name in document})
        build.rest = document
        for path, other in self._others:
            # Without a list of steps that can be read, there are none.
            is_step = path[0] == "steps" and len(path) > 2 and bool(steps)
            holder, inner = (steps[int(path[1])], path[2:]) if is_step else (build, path)
            holder.others = {**holder.others, show_path(inner): shown(other)}
        return build

    def _report(self, problem: Problem) -> None:
        self.problems.append(problem)

    def _value(self, value: Any, kind: str, path: Path) -> Any:
        """Read a value of a type of the schema; what cannot be read is `_WRONG`."""
        if kind.endswith("[]"):
            return self._list(value, kind[:-2], path)
        if kind == "string":
            return self._text(value, path)
        if kind in MESSAGES:
            return self._message(value, kind, path)
        if kind in ENUMS:
            return self._member(value, ENUMS[kind], path)
        if kind.startswith("{"):
            return self._map(value, kind[1:-1], path)
        return self._number(value, path) if kind == "int" else self._truth(value, path)

    def _message(self, value: Any, name: str, path: Path) -> Any:
        fields, found = MESSAGES[name], dict[str, Any]()
        for message, *_ in getattr(value, "problems", ()):
            self._others.append(((*path, message), ""))
        for key, child, at in items(value, path, self._report):
            camel = camel_case(key)
            if camel not in fields:
                known = unknown_key(key, [*fields], at)
                self._report(known)
                self._others.append((at, child))
                continue
            if is_null(child):
                continue
            if camel in found:
                message = f"{key!r} and {self.renamed.get(camel, camel)!r} are one key; remove one"
                self._report(Problem(message=message, path=at, on_key=True))
            if camel != key:
                self.renamed[camel] = key
            place = (*path, camel)
            decoded = self._value(child, fields[camel], place)
            if decoded is _WRONG:
                self._others.append((place, child))
            else:
                found[camel] = decoded
        return found if isinstance(value, dict) else _WRONG

    def _list(self, value: Any, kind: str, path: Path) -> Any:
        members = value if isinstance(value, list) else [value]
        self._left -= len(members)
        if self._left < 0:
            message = "the aliases of this file stand for too many values; write fewer"
            raise BuildFileError([Problem(message=message)])
        if kind == "string" and _is_plain(members):
            return members
        read = [self._element(child, kind, (*path, i)) for i, child in enumerate(members)]
        return _WRONG if any(one is _WRONG for one in read) else read

    def _element(self, value: Any, kind: str, path: Path) -> Any:
        if is_null(value):
            message = "an element of a list has no value; remove it, or quote it"
            self._report(Problem(message=message, path=path))
            return _WRONG
        return self._value(value, kind, path)

    def _map(self, value: Any, kind: str, path: Path) -> Any:
        """A mapping whose keys are the user's own."""
        found = {}
        for key, child, at in items(value, path, self._report):
            if is_null(child):
                # A substitution that must be given; where it is used, it has no value.
                self._others.append((at, None))
                continue
            decoded = self._value(child, kind, at)
            if decoded is _WRONG:
                self._others.append((at, child))
            else:
                found[key] = decoded
        return found if isinstance(value, dict) else _WRONG

    def _text(self, value: Any, path: Path) -> Any:
        if isinstance(value, Typed | bool | int | float):
            written = str(value).lower() if isinstance(value, bool) else str(value)
            kind = value.kind if isinstance(value, Typed) else _kind(value)
            message = (
                f"{show_path(path)}: expected text, found the {kind} {written}; "
                f"quote it: '{written}'"
            )
            self._report(Problem(message=message, path=path))
            return str(written)
        text = scalar(value, path, self._report)
        return _WRONG if text is None else text

    def _number(self, value: Any, path: Path) -> Any:
        if not isinstance(value, bool) and (found := _integer(str(value))) is not None:
            return found
        self._report(_expected("a whole number", value, path))
        return _WRONG

    def _truth(self, value: Any, path: Path) -> Any:
        if isinstance(value, bool):
            return value
        if isinstance(value, Boolean):
            return value.value
        self._report(_expected("true or false, without quotes", value, path))
        return _WRONG

    def _member(self, value: Any, members: Mapping[str, int], path: Path) -> Any:
        """A member of an enumeration, by its name or its number."""
        if type(value) is str and value in members:
            return value
        number = None if isinstance(value, bool) else _integer(str(value))
        names = [name for name, its in members.items() if its == number]
        if names:
            return names[0]
        known = [name for name, its in members.items() if its or len(members) == 1]
        self._report(_expected(f"one of {', '.join(known)}", value, path))
        return str(value) if self.lenient and isinstance(value, str) else _WRONG


def _step(fields: dict[str, Any]) -> FileStep:
    volumes = [Volume(**volume) for volume in fields.pop("volumes", ())]
    own = {name: fields.pop(key) for name, key in STEP_KEYS.items() if key in fields}
    own |= {name: tuple(own[name]) for name in FEW if name in own}
    return FileStep(**own, volumes=tuple(volumes), rest=fields or NONE)


def _is_plain(members: list[Any]) -> bool:
    """Whether all members are text that needs no closer look."""
    for member in members:
        if type(member) is not str or "\0" in member or not member.isascii():
            return False
    return True


def _kind(value: float) -> str:
    return "truth value" if isinstance(value, bool) else "number"


def _expected(what: str, value: Any, path: Path) -> Problem:
    if isinstance(value, bool):
        value = str(value).lower()
    return unexpected(what, value, path)


def _integer(text: str) -> int | None:
    """An integer, as YAML 1.1 or JSON writes it."""
    if re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,18})", text):
        return int(text)
    return None


def camel_case(key: str) -> str:
    """A key in snake_case as gcloud renames it."""
    if "_" not in key:
        return key
    start = len(key) - len(key.lstrip("_"))
    first, *others = key[start:].split("_")
    return key[:start] + first + "".join(part.capitalize() for part in others)


def shown(value: Any) -> str:
    """A value that is not understood, as text of a limited length."""
    if isinstance(value, str):
        return clean(value[:MAX_SHOWN])
    return clean("".join(_limited(_json(value, set()))))


def _limited(parts: Iterator[str]) -> Iterator[str]:
    """The first parts of a text; aliases may stand for any number of them."""
    left = MAX_SHOWN
    for part in parts:
        yield part[:left]
        left -= len(part)
        if left <= 0:
            yield "…"
            return


def _json(value: Any, around: set[int]) -> Iterator[str]:
    """A value as JSON, in parts. An alias may stand inside what it stands for."""
    if not isinstance(value, dict | list):
        yield json.dumps(value, ensure_ascii=False)
    elif id(value) in around or len(around) > MAX_DEPTH:
        yield '"…"'
    else:
        around.add(id(value))
        is_list = isinstance(value, list)
        yield "[" if is_list else "{"
        for number, child in enumerate(value):
            yield ", " if number else ""
            if not is_list:
                yield f"{json.dumps(child, ensure_ascii=False)}: "
            yield from _json(child if is_list else value[child], around)
        yield "]" if is_list else "}"
        around.discard(id(value))


def seconds(text: str) -> float | None:
    """The seconds of a time; None if it is not one."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]{1,9})?)s", text)
    return float(match[1]) if match else None


def _untimely(text: str, path: Path) -> Iterator[Problem]:
    if text and seconds(text) is None:
        message = f"{text!r} is not a time; write seconds, such as 600s"
        yield Problem(message=message, path=path)


def _rules(value: Mapping[str, Any], build: FileBuild) -> Iterator[Problem]:
    """What else Cloud Build and gcloud do not accept."""
    steps = value.get("steps")
    if is_null(steps):
        yield Problem(message="not a Cloud Build file: it has no 'steps'")
    elif steps == []:
        yield Problem(message="a build must have at least one step", path=("steps",))
    for number, step in enumerate(build.steps):
        if not step.name and "name" not in step.others:
            yield missing_key("name", ("steps", number))
        yield from _untimely(step.timeout, ("steps", number, "timeout"))
    yield from _untimely(build.timeout, ("timeout",))
    for name in build.substitutions:
        if not re.fullmatch(SUBSTITUTION, name):
            message = f"{name!r} is not a valid substitution: write _NAME, in capitals"
            yield Problem(message=message, path=("substitutions", name), on_key=True)
    if "source" in build.rest:
        message = "a build file cannot have 'source'; remove it"
        yield Problem(message=message, path=("source",), on_key=True)
