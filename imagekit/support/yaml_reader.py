"""Read YAML or JSON into plain values, and find the position of a value when it is needed.

Values are dicts, lists, text, `Null` and `Unsupported`. Nothing else: every scalar is the text in
the file. If a file is read with types, a number, truth value or date without quotes is a `Typed`
text. Merge keys are applied. Positions cost more than values, so they are looked up only for a
problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from imagekit.errors import ConfigError, Path, Place, Problem
from imagekit.support.aliases import MAX_VALUES, stands_for
from imagekit.support.json_positions import positions

YAML = "tag:yaml.org,2002:"
MERGE = YAML + "merge"
PLAIN_TAGS = {YAML + kind for kind in ("str", "int", "float", "bool", "timestamp", "value")}
NULLS = {"", "~", "null", "Null", "NULL"}
MAX_EXACT = 100_000
"""The most characters of a file whose positions are found by the parser in Python."""
MAX_DEPTH = 200
"""The maximum number of mappings and lists around a value."""

FORBIDDEN = r"\r(?!\n)|[^\t\n\r\x20-\x7e{}]"
"""Characters that YAML does not allow (yaml.org/spec/1.1/#id868518), and those that are line breaks
to it but not to git, grep and most editors. The braces stand for what is not ASCII."""
NOT_ASCII = r"\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff"

HINTS = {
    "'\\t'": "indent with spaces, not tabs",
    "mapping values are not allowed": "quote text that contains ': '",
    "that cannot start any token": "quote text that starts with this character",
}


class Null(str):
    """An unquoted null, as written: `null`, `~` or empty."""

    __slots__ = ()


class Unsupported(str):
    """A scalar with a YAML tag that has no plain text, such as `!!binary`; the text is the tag."""

    __slots__ = ()


class Typed(str):
    """A scalar that is no text to YAML or JSON, as written, such as `3.10`, `yes`, `2026-01-31`."""

    __slots__ = ()
    kind = ""
    """What it is, in words."""


class Integer(Typed):
    """An integer."""

    __slots__ = ()
    kind = "number"


class Float(Typed):
    """A number with a fraction or an exponent."""

    __slots__ = ()
    kind = "number"


class Boolean(Typed):
    """A truth value."""

    __slots__ = ()
    kind = "truth value"

    @property
    def value(self) -> bool:
        """What it says."""
        return self.lower() in ("true", "yes", "on", "y")


class Date(Typed):
    """A date, or a date and a time."""

    __slots__ = ()
    kind = "date"


TYPES: dict[str, type[Typed]] = {
    YAML + "int": Integer,
    YAML + "float": Float,
    YAML + "bool": Boolean,
    YAML + "timestamp": Date,
}
"""The class of each scalar that is no text, by its tag."""

SINGLE_LETTERS = ("y", "Y", "n", "N")
"""Truth values of YAML 1.1 (yaml.org/type/bool.html) that PyYAML takes for text."""

WITHOUT_DOT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")
"""A number that is one to other readers, and text to PyYAML."""


class Mapping(dict[str, Any]):
    """A mapping in YAML."""

    problems: Any = ()
    """The invalid keys: for each a message, the key if it is text, and its position."""
    merged: Any = ()
    """The mappings under its merge key, of which the first has precedence."""
    sources: Any = ()
    """Those of them that have invalid keys, or have merged a mapping that does."""

    def all_problems(self) -> Iterator[tuple[Mapping, Any]]:
        """Yield the problems of this mapping and of those that are merged into it, each once."""
        waiting, seen = [self], {id(self)}
        while waiting:
            mapping = waiting.pop()
            yield from ((mapping, problem) for problem in mapping.problems)
            # They are told where the mapping is read first.
            mapping.problems = ()
            new = [source for source in mapping.sources if id(source) not in seen]
            seen.update(map(id, new))
            waiting += new


class Source:
    """A parsed file: its name, its text and its value."""

    def __init__(self, name: str, text: str, value: dict[str, Any]) -> None:
        self.name = name
        self.text = text
        self.value = value
        self.renamed: dict[str, str] = {}
        """The keys in the file that `value` has under other names, by those names."""
        self._root: Any = None
        self._keys: dict[int, dict[str, Any]] = {}
        self._lines: list[int] = []
        self._texts: dict[int, str] = {}

    def locate(self, problem: Problem) -> Problem:
        """Return the problem with its position and the line of the file there.

        The position is that of the value at its path, or of the nearest parent.
        """
        message = problem.message
        if problem.see:
            line = self._place(self._mark(problem.see, on_key=False)).line
            message = f"{message} (see line {line})"
        # A problem of a key has a position already, without the name of the file.
        place = problem.place or self._place(self._mark(problem.path, problem.on_key))
        place = msgspec.structs.replace(place, file=self.name)
        located = msgspec.structs.replace(problem, message=message, place=place)
        # A problem of the whole file has no line to show.
        return self._shown(located) if problem.path or problem.place else located

    def at(self, problem: Problem, index: int) -> Problem:
        """Return the problem with the position of a character."""
        return self._shown(msgspec.structs.replace(problem, place=self._place(index)))

    def _shown(self, problem: Problem) -> Problem:
        number = problem.place.line if problem.place else 1
        if number not in self._texts:
            start = self._starts()[number - 1]
            end = self.text.find("\n", start)
            # A file may be one long line, which its problems then share.
            self._texts[number] = self.text[start : None if end < 0 else end].rstrip("\r")
        return msgspec.structs.replace(problem, line=self._texts[number])

    def _mark(self, path: Path, on_key: bool) -> int:
        """The index of the first character of a key or value."""
        node = self._nodes()
        if node is None:
            return 0
        mark = node.start_mark
        for part in path:
            key, child = self._step(node, part)
            if child is None:
                break
            wants_key = on_key and part == path[-1] and key is not None
            mark, node = (key if wants_key else child).start_mark, child
        return int(mark.index)

    def _nodes(self) -> Any:
        if self._root is None:
            import yaml

            # The parser in Python is exact about empty values; that in C is ten times faster.
            # Each accepts a few files that the other does not.
            loaders = [yaml.SafeLoader, _loader()]
            for loader in loaders if len(self.text) <= MAX_EXACT else reversed(loaders):
                try:
                    self._root = yaml.compose(self.text, Loader=loader)
                    break
                except (yaml.YAMLError, RecursionError):
                    continue
        return self._root

    def _step(self, node: Any, part: str | int) -> tuple[Any, Any]:
        if isinstance(node.value, str):
            return None, None
        if node.id == "mapping":
            keys = self._keys_of(node)
            key = str(part)
            key = key if key in keys else self.renamed.get(key, key)
            pair: tuple[Any, Any] = keys.get(key, (None, None))
            return pair
        if isinstance(part, int) and part < len(node.value):
            return None, node.value[part]
        return None, None

    def _keys_of(self, node: Any) -> dict[str, Any]:
        """The nodes of the keys and values of a mapping, with those that are merged into it."""
        waiting = [(node, False)]
        while waiting:
            one, is_read = waiting.pop()
            if is_read:
                keys = self._keys[id(one)]
                for other in _merged_into(one):
                    keys |= {**self._keys[id(other)], **keys}
            elif id(one) not in self._keys:
                # Of duplicate keys, the first is used.
                pairs = [(clean(k.value), (k, v)) for k, v in one.value if k.id == "scalar"]
                self._keys[id(one)] = dict(reversed(pairs))
                waiting += [(one, True), *((other, False) for other in _merged_into(one))]
        return self._keys[id(node)]

    def _starts(self) -> list[int]:
        """The index of each line's first character."""
        if not self._lines:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self.text))]
        return self._lines

    def _place(self, index: int) -> Place:
        """The position of a character. PyYAML counts more line breaks than editors do."""
        import bisect  # Not at the top: it is only needed where something is wrong.

        starts = self._starts()
        line = bisect.bisect_right(starts, index)
        return Place(self.name, line, index - starts[line - 1] + 1)


def _merged_into(node: Any) -> Iterator[Any]:
    """The nodes of the mappings that are merged into one."""
    for key, value in node.value:
        if key.tag == MERGE:
            for other in value.value if value.id == "sequence" else [value]:
                if other.id == "mapping":
                    yield other


class JsonSource(Source):
    """A parsed JSON file."""

    def _mark(self, path: Path, on_key: bool) -> int:
        if self._root is None:
            self._root = positions(self.text)
        node = self._root
        index: int = node.start
        for part in path:
            key = part if part in node.keys else self.renamed.get(str(part), part)
            if key in node.keys:
                at, node = node.keys[key]
                index = at if on_key and part == path[-1] else node.start
            elif isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                index = node.start
            else:
                break
        return index


class Form(msgspec.Struct, frozen=True):
    """What a file is, in messages, and how it is read."""

    noun: str
    """What it is, with its article."""
    needs: str
    """What it must have."""
    typed: bool = False
    """Whether scalars that are no text are told apart, and JSON may have every character that it
    allows."""


CONFIG = Form("a config", "'images'")


def parse(data: bytes, name: str, form: Form = CONFIG) -> Source:
    """Parse a YAML or JSON file; `name` is its name in messages.

    Raises ConfigError, with the position, if the text is not valid UTF-8, is not valid YAML or
    JSON, is empty, or is not a mapping.
    """
    text = decode_utf8(data, name)
    is_json = text.lstrip()[:1] in ("{", "[")
    value = _from_json(text, form) if is_json else None
    if value is None or not form.typed:
        # The large class takes longer to compile than a small file to read.
        others = "" if text.isascii() else NOT_ASCII
        if forbidden := re.search(FORBIDDEN.format(others), text):
            raise _forbidden(name, text, forbidden.start(), form)
    kind = Source if value is None else JsonSource
    if value is None:
        try:
            value = _from_yaml(text, name, form, is_json=is_json)
        except ConfigError:
            if not is_json or "\t" not in text:
                raise
            # JSON allows tabs between tokens, and YAML does not.
            text = text.replace("\t", " ")
            value = _from_yaml(text, name, form, is_json=True)
    if value is None:
        raise _one_problem(f"the file is empty; {form.noun} must have {form.needs}", name, text)
    if not isinstance(value, dict):
        what = "a list" if isinstance(value, list) else "text"
        message = f"{form.noun} must be a mapping, not {what}"
        raise ConfigError([kind(name, text, {}).locate(Problem(message=message))])
    # Reading one with types counts for itself, since it may leave out what it does not understand.
    is_small = form.typed or kind is JsonSource or "*" not in text
    if not is_small and stands_for(value) > max(MAX_VALUES, len(text)):
        message = "the aliases of this file stand for too many values; write fewer"
        raise ConfigError([kind(name, text, {}).locate(Problem(message=message))])
    return kind(name, text, value)


def decode_utf8(data: bytes, name: str) -> str:
    """Return a file's text. Raises ConfigError, with the position, if it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        message = f"invalid UTF-8 byte 0x{data[error.start]:02x}; save the file as UTF-8"
        raise _one_problem(message, name, before, len(before)) from None


# ---- JSON


def _from_json(text: str, form: Form) -> Any:
    """The value of a JSON text; None if it is not valid, or if only the YAML parser can explain it.

    Numbers are the text in the file, so that 3.10 is not 3.1.
    """
    number, fraction = (Integer, Float) if form.typed else (str, str)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=fraction,
            parse_int=number,
            parse_constant=fraction,
        )
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


# ---- YAML


def _loader() -> Any:
    import yaml

    # The parser in C is ten times faster; an installation from source may lack it.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _from_yaml(text: str, name: str, form: Form, *, is_json: bool) -> Any:
    """The value of a YAML text; None if it has no document. Raises ConfigError if it is invalid."""
    import yaml

    for loader in dict.fromkeys((_loader(), yaml.SafeLoader)):
        try:
            events = yaml.parse(text, Loader=loader)
            limit = max(MAX_VALUES, len(text))
            return _build(events, name, _typed if form.typed else _scalar, limit)
        except _TooManyKeysError:
            message = "the merge keys of this file stand for too many values; write fewer"
            raise _one_problem(message, name, text) from None
        except yaml.MarkedYAMLError as error:
            # The slower parser explains problems better, and accepts escapes of surrogate pairs.
            if loader is yaml.SafeLoader:
                raise _malformed(error, name, text, is_json) from None
        except (ValueError, OverflowError):
            # PyYAML passes the number of a \\U escape to chr() unchecked.
            message = "invalid \\U escape: there is no such character"
            raise _one_problem(message, name, text) from None
        except RecursionError:
            message = f"{form.noun.split()[-1]} is nested too deeply"
            raise _one_problem(f"the {message}", name, text) from None
    return None


_NO_KEY, _IGNORED = object(), object()
"""The next value of a mapping is a key; it is the value of an invalid key."""


_MERGE = object()
"""The next value of a mapping is merged into it."""


class _TooManyKeysError(Exception):
    """Merge keys copy more keys than a file may stand for."""


def _build(events: Iterator[Any], name: str, scalar: Callable[[Any], str], limit: int) -> Any:
    """Build plain values from the events of a YAML parser, without recursion.

    An alias is the same object as its anchor. `limit` is the number of keys that merge keys may
    copy; a mapping that is merged into the next is copied again. Raises yaml.MarkedYAMLError for
    what the events do not show to be wrong: an unknown alias, an anchor that is defined twice, two
    documents.
    """
    anchors: dict[str, Any] = {}
    stack: list[tuple[Any, Any]] = []
    root: list[Any] = []
    container: Any = root
    key: Any = _NO_KEY
    begin: Any = None
    copied = 0
    for event in events:
        kind = type(event).__name__
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            copied += _merge(container)
            if copied > limit:
                raise _TooManyKeysError
            container, key = stack.pop()
            continue
        value = _value(event, kind, anchors, begin, scalar)
        if value is None:
            continue
        if container is root:
            begin = event.start_mark
        if type(container) is list:
            container.append(value)
        elif key is _NO_KEY:
            key = _key(container, value, event, name)
        else:
            _set(container, key, value)
            key = _NO_KEY
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            if len(stack) > MAX_DEPTH:
                raise RecursionError
            stack.append((container, key))
            container, key = value, _NO_KEY
    return root[0] if root else None


def _set(mapping: Mapping, key: Any, value: Any) -> None:
    """Set a key of a mapping, or note what is merged into it."""
    if key is _MERGE:
        mapping.merged = (*mapping.merged, value)
    elif key is not _IGNORED:
        mapping[key] = value


def _merge(mapping: Mapping | list[Any]) -> int:
    """Add the keys of the merged mappings before those of a mapping, which it may have itself.

    Returns the number of keys that were merged.
    """
    if isinstance(mapping, list) or not mapping.merged:
        return 0
    values = [one for value in mapping.merged for one in (value if _is_list(value) else [value])]
    mapping.merged = ()
    mappings = [value for value in values if isinstance(value, Mapping)]
    if len(mappings) < len(values):
        problem = "what is merged with << must be a mapping", None, None
        mapping.problems = [*mapping.problems, problem]
    mapping.sources = [one for one in mappings if one.problems or one.sources]
    merged: dict[str, Any] = {}
    for one in mappings:
        for key, child in one.items():
            merged.setdefault(key, child)
    merged.update(mapping)
    mapping.clear()
    mapping.update(merged)
    return sum(map(len, mappings))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _value(
    event: Any, kind: str, anchors: dict[str, Any], begin: Any, scalar: Callable[[Any], str]
) -> Any:
    """The value that an event begins, or the scalar that it is; None if it is neither.

    `begin` is where the first document begins; None before.
    """
    if kind == "ScalarEvent":
        value: Any = scalar(event)
    elif kind == "MappingStartEvent":
        value = Mapping()
    elif kind == "SequenceStartEvent":
        value = []
    elif kind == "AliasEvent":
        if event.anchor not in anchors:
            raise _composer_error(f"found undefined alias {event.anchor!r}", event)
        return anchors[event.anchor]
    else:
        if kind == "DocumentStartEvent" and begin is not None:
            raise _composer_error("but found another document", event, begin)
        return None
    if event.anchor:
        if event.anchor in anchors:
            raise _composer_error(f"found duplicate anchor {event.anchor!r}", event)
        anchors[event.anchor] = value
    return value


def _composer_error(message: str, event: Any, begin: Any = None) -> Exception:
    from yaml.composer import ComposerError

    context = "expected a single document in the stream" if begin else None
    return ComposerError(context, begin, message, event.start_mark)


def _scalar(event: Any) -> str:
    value: str = event.value
    tag = event.tag
    if tag is None or tag == "!":
        if not event.implicit[0]:
            return value
        if value == "<<":
            return Unsupported(MERGE)
        return Null(value) if value in NULLS else value
    if tag in PLAIN_TAGS:
        return value
    return Null(value) if tag == YAML + "null" else Unsupported(tag)


def _typed(event: Any) -> str:
    """Like `_scalar`, with numbers, truth values and dates told from text."""
    value, tag = _scalar(event), event.tag
    if type(value) is not str:
        return value
    if tag in TYPES:
        return TYPES[tag](value)
    return value if tag not in (None, "!") or not event.implicit[0] else plain(value)


def plain(text: str) -> str:
    """What a scalar without quotes and tag is to YAML 1.1: a `Typed`, or the text itself."""
    import yaml

    if text in SINGLE_LETTERS:
        return Boolean(text)
    if WITHOUT_DOT.fullmatch(text):
        return Float(text)
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], ()):
        if tag in TYPES and pattern.match(text):
            return TYPES[tag](text)
    return text


def _key(mapping: Mapping, value: Any, event: Any, name: str) -> Any:
    """The key to store the next value under. An invalid key is noted in the mapping."""
    message, shown = None, None
    if not isinstance(value, str):
        message = f"a key must be text, not {'a list' if isinstance(value, list) else 'a mapping'}"
    elif type(value) is Unsupported and value == MERGE:
        return _MERGE
    elif wrong := invalid_text(value):
        message = wrong
    else:
        key = clean(str(value))
        if key not in mapping:
            return key
        message, shown = f"duplicate key {key!r}; remove one", key
    place = Place(name, event.start_mark.line + 1, event.start_mark.column + 1)
    if not mapping.problems:
        mapping.problems = []
    mapping.problems.append((message, shown, place))
    return _IGNORED


def clean(text: str) -> str:
    """Join escaped surrogate pairs; JSON escapes a character above U+FFFF as two characters.

    An unpaired surrogate becomes the replacement character.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def invalid_text(text: str) -> str | None:
    """Why a scalar cannot be used as text; None if it can."""
    if type(text) is Unsupported:
        tag = text.replace(YAML, "!!")
        return f"the YAML tag {tag} is not supported; write the plain value"
    if "\0" in text:
        return "contains a NUL character; remove it"
    if not text.isascii() and "\N{REPLACEMENT CHARACTER}" in clean(text):
        return "contains an unpaired surrogate; remove it"
    return None


# ---- problems of the whole file


def _malformed(error: Any, name: str, text: str, is_json: bool) -> ConfigError:
    if is_json:
        try:
            json.loads(text)
        except json.JSONDecodeError as reason:
            return _one_problem(f"invalid JSON: {reason.msg}", name, text, reason.pos)
        except (ValueError, RecursionError):
            # Such as a number with more digits than Python converts.
            pass
    mark = error.problem_mark or error.context_mark
    context = ""
    if error.context and error.context_mark:
        line = text.count("\n", 0, error.context_mark.index) + 1
        context = f" ({error.context}, starting at line {line})"
    hint = next((f"; {hint}" for sign, hint in HINTS.items() if sign in str(error.problem)), "")
    message = f"invalid YAML: {error.problem}{context}{hint}"
    return _one_problem(message, name, text, mark.index if mark else 0)


def _forbidden(name: str, text: str, index: int, form: Form) -> ConfigError:
    code = f"{ord(text[index]):04X}"
    message = (
        f"the character U+{code} is not allowed in {form.noun}; remove it, or write it "
        f'as "\\u{code}" in double quotes'
    )
    return _one_problem(message, name, text, index)


def _one_problem(message: str, name: str, text: str, index: int = 0) -> ConfigError:
    return ConfigError([Source(name, text, {}).at(Problem(message=message), index)])
