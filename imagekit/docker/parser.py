"""Split a Dockerfile into instructions, as BuildKit does, and expand the words of one.

The rules are those of the reference (docs.docker.com/reference/dockerfile) and of BuildKit's
parser; the tests compare with that parser itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import msgspec

DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
DIRECTIVES = ("syntax", "escape", "check")
"""The parser directives. Another one is a comment, after which there are no more."""
SPACE = " \t\v\f\r"
"""What separates words."""
HEREDOC = re.compile(r"(\d*)<<(-?)([^<]*)")
WITH_HEREDOC = ("ADD", "COPY", "RUN")
"""The instructions that can have here-documents."""
IN_JSON = ("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME")
"""The instructions whose arguments can be a JSON list of texts."""


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """One instruction of a Dockerfile."""

    name: str
    """The name, in capitals."""
    flags: tuple[str, ...]
    """The flags before the arguments, such as `--from=builder`, without quotes."""
    rest: str
    """The arguments as one text."""
    words: tuple[str, ...]
    """The arguments: those of a JSON list, or what white space separates, with its quotes."""
    is_json: bool
    """Whether the arguments are a JSON list."""
    escape: str
    """The escape character of the file."""
    heredocs: tuple[str, ...] = ()
    """The texts of its here-documents."""
    line: int
    """The number of its first line, from 1."""
    end: int
    """The number of its last line."""


def instructions(dockerfile: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile; a here-document without an end goes to the last line.

    Whether an instruction exists and makes sense is not checked.
    """
    lines = _Lines(dockerfile)
    while (text := lines.next()) is not None:
        escape = lines.directives(text)
        start = lines.number
        first, goes_on = _continued(_without_comment(text.lstrip(SPACE)), escape)
        if not first and not goes_on:
            continue
        parts = [first]
        while goes_on and (text := lines.next()) is not None:
            if not text.strip(SPACE) or text.lstrip(SPACE).startswith("#"):
                # Comments and empty lines within an instruction are left out.
                continue
            more, goes_on = _continued(text, escape)
            parts.append(more)
        joined = "".join(parts)
        heredocs = tuple(lines.heredocs(joined)) if "<<" in joined else ()
        if joined.strip():
            yield _instruction(joined, escape, heredocs, (start, lines.number))


class _Lines:
    """The lines of a file, one after the other."""

    def __init__(self, text: str) -> None:
        # Not splitlines: only a line feed ends a line.
        self.lines: list[str] = re.findall(r"[^\n]*\n|[^\n]+", text.removeprefix("\ufeff"))
        self.number = 0
        self.escape = "\\"
        self.at_top = True

    def next(self) -> str | None:
        """The next line without its end; None after the last."""
        if self.number == len(self.lines):
            return None
        self.number += 1
        return self.lines[self.number - 1].removesuffix("\n").removesuffix("\r")

    def directives(self, line: str) -> str:
        """The escape character, which a directive at the top of the file can set."""
        match = DIRECTIVE.fullmatch(line) if self.at_top else None
        self.at_top = match is not None and match[1].lower() in DIRECTIVES
        if match and match[1].lower() == "escape" and match[2] in ("\\", "`"):
            self.escape = match[2]
        return self.escape

    def heredocs(self, joined: str) -> Iterator[str]:
        """The texts of the here-documents of an instruction, which follow it.

        Within their names, the escape character is always a backslash.
        """
        name, _, rest = _split(joined)
        if name == "ONBUILD":
            name, _, rest = _split(rest)
        if name not in WITH_HEREDOC or (_json(rest) is not None):
            return
        for word in shell_words(rest) if not _is_open(rest) else ():
            match = HEREDOC.fullmatch(word)
            terminator = match and unquoted(match[3])
            if not match or not terminator:
                continue
            content = []
            while (line := self.next()) is not None:
                if (line.lstrip("\t") if match[2] else line) == terminator:
                    break
                content.append(self.lines[self.number - 1])
            yield "".join(content)


def _without_comment(text: str) -> str:
    return "" if text.startswith("#") else text


def _continued(text: str, escape: str) -> tuple[str, bool]:
    """A line without the escape character at its end, and whether the next line belongs to it."""
    stripped = text.rstrip(" \t")
    if not stripped.endswith(escape) or stripped.endswith(escape * 2):
        return text, False
    return stripped[:-1], True


def _split(text: str) -> tuple[str, tuple[str, ...], str]:
    """The name of an instruction, its flags and the rest."""
    name, *rest = re.split(f"[{SPACE}]+", text.strip(), maxsplit=1)
    flags, left = _flags(rest[0]) if rest else ((), "")
    return name.upper(), flags, left


def _flags(text: str) -> tuple[tuple[str, ...], str]:
    """The flags at the beginning of arguments, without their quotes, and the rest."""
    flags: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at] in SPACE:
            at += 1
        if not text.startswith("--", at):
            break
        quote, word = "", ""
        while at < len(text) and (quote or text[at] not in SPACE):
            char = text[at]
            if char == "\\":
                # Within single quotes, too, the next character is itself.
                at += 1
                word += text[at : at + 1]
            elif char == quote or (not quote and char in "'\""):
                quote = "" if quote else char
            else:
                word += char
            at += 1
        if word == "--":
            return tuple(flags), text[at:].strip()
        flags.append(word)
    return tuple(flags), text[at:].strip()


def _instruction(
    text: str, escape: str, heredocs: tuple[str, ...], lines: tuple[int, int]
) -> Instruction:
    name, flags, rest = _split(text)
    listed = _json(rest) if name in IN_JSON else None
    return Instruction(
        name=name,
        flags=flags,
        rest=rest,
        words=tuple(_at_space(rest) if listed is None else listed),
        is_json=listed is not None,
        escape=escape,
        heredocs=heredocs,
        line=lines[0],
        end=lines[1],
    )


def _at_space(text: str) -> list[str]:
    return [word for word in re.split(f"[{SPACE}]+", text) if word]


def _json(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        # What follows the list is ignored.
        words, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        # Like Docker, treat invalid JSON as the shell form.
        return None
    return words if all(isinstance(word, str) for word in words) else None


# ---- words


def shell_words(text: str, escape: str = "\\") -> list[str]:
    """Split a text at white space outside quotes; quotes and escape characters stay."""
    words: list[str] = []
    word, quote, at = "", "", 0
    while at < len(text):
        char = text[at]
        if char == escape and quote != "'" and at + 1 < len(text):
            word += text[at : at + 2]
            at += 2
            continue
        if quote or not char.isspace():
            word += char
        elif word:
            words.append(word)
            word = ""
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        at += 1
    return [*words, word] if word else words


def _is_open(text: str) -> bool:
    """Whether a quote in a text has no end."""
    quote, at = "", 0
    while at < len(text):
        char = text[at]
        if char == "\\" and quote != "'":
            at += 1
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        at += 1
    return bool(quote)


def unquoted(word: str, escape: str = "\\") -> str:
    """A word without its quotes and escape characters; variables stay as they are."""
    return _Expansion(word, escape, None).text()


def expanded(word: str, values: Mapping[str, str], escape: str = "\\") -> str | None:
    """A word without quotes, its variables replaced; None if it cannot be known.

    It is not known where a variable is not in `values`, and where `${X:?}` stops the build.
    """
    expansion = _Expansion(word, escape, values)
    text = expansion.text()
    return None if expansion.unknown else text


MAX_DEPTH = 50
"""The number of variables around a variable, as in `${A:-${B}}`."""
MAX_STEPS = 1_000_000
"""The number of steps that removing or replacing a part of a value may take."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]|[@*#]")


class _Expansion:
    """Replaces the variables of a word, from left to right."""

    def __init__(self, word: str, escape: str, values: Mapping[str, str] | None) -> None:
        self.word, self.escape, self.values = word, escape, values
        self.at = 0
        self.unknown = False
        self.in_pattern = False
        self.depth = 0

    def text(self, end: str = "") -> str:
        """The text up to a character outside quotes, or to the end of the word."""
        parts: list[str] = []
        while self.at < len(self.word) and self.word[self.at] != end:
            char = self.word[self.at]
            if char == "'":
                closing = self.word.find("'", self.at + 1)
                last = len(self.word) if closing < 0 else closing
                parts.append(self.word[self.at + 1 : last])
                self.at = last + 1
            elif char == '"':
                self.at += 1
                parts.append(self._double_quoted())
            else:
                parts.append(self._next(char))
        return "".join(parts)

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while self.at < len(self.word) and self.word[self.at] != '"':
            char = self.word[self.at]
            following = self.word[self.at + 1 : self.at + 2]
            if char == self.escape and following and following not in f'"${self.escape}':
                parts.append(char)
                self.at += 1
                continue
            parts.append(self._next(char))
        self.at += 1
        return "".join(parts)

    def _next(self, char: str) -> str:
        """A character, one after the escape character, or a variable."""
        if char == self.escape:
            self.at += 2
            taken = self.word[self.at - 1 : self.at]
            # In a pattern, it is not one of the characters that stand for others.
            return f"\\{taken}" if self.in_pattern else taken
        if char == "$" and self.values is not None:
            self.depth += 1
            text = self._variable() if self.depth <= MAX_DEPTH else self._end()
            self.depth -= 1
            return text
        self.at += 1
        return char

    def _variable(self) -> str:
        self.at += 1
        if self.word[self.at : self.at + 1] != "{":
            match = VARIABLE.match(self.word, self.at)
            if match is None:
                return "$"
            self.at = match.end()
            return self._value(match[0]) or ""
        self.at += 1
        match = VARIABLE.match(self.word, self.at)
        self.at = match.end() if match else self.at
        modifier = re.compile(r":?[-+?]|##?|%%?|//?|").match(self.word, self.at)
        sign = modifier[0] if modifier else ""
        self.at += len(sign)
        self.in_pattern = sign[:1] in ("#", "%", "/") and bool(sign)
        operand = self.text("/" if sign.startswith("/") else "}") if sign else ""
        self.in_pattern = False
        replacement = ""
        if sign.startswith("/") and self.word[self.at : self.at + 1] == "/":
            self.at += 1
            replacement = self.text("}")
        if match is None or self.word[self.at : self.at + 1] != "}":
            return self._end()
        self.at += 1
        return self._modified(match[0], sign, operand, replacement)

    def _end(self) -> str:
        """Give up: what the word stands for cannot be known."""
        self.unknown = True
        self.at = len(self.word)
        return ""

    def _value(self, name: str, *, needed: bool = True) -> str | None:
        value = (self.values or {}).get(name)
        self.unknown |= needed and value is None
        return value

    def _modified(self, name: str, sign: str, operand: str, replacement: str) -> str:
        if sign[-1:] in ("-", "+", "?") and sign:
            value = self._value(name, needed=False)
            given = value is not None and (value != "" or ":" not in sign)
            if sign[-1] == "+":
                return operand if given else ""
            if not given and sign[-1] == "?":
                self.unknown = True
            return (value or "") if given else operand
        value = self._value(name) or ""
        if sign and len(value) ** (1 + operand.count("*")) > MAX_STEPS:
            # Every way to divide the value among the wildcards may have to be tried.
            self.unknown, sign = True, ""
        if sign in ("#", "##"):
            match = re.compile(_pattern(operand, greedy=sign == "##"), re.DOTALL).match(value)
            return value[match.end() :] if match else value
        if sign in ("%", "%%"):
            return _without_suffix(value, operand, longest=sign == "%%")
        if sign in ("/", "//"):
            pattern = re.compile(_pattern(operand, greedy=True), re.DOTALL)
            return pattern.sub(lambda _: replacement, value, count=sign == "/")
        return value


def _without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    whole = re.compile(_pattern(pattern, greedy=True), re.DOTALL)
    starts = range(len(value) + 1)
    for start in starts if longest else reversed(starts):
        if whole.fullmatch(value, start):
            return value[:start]
    return value


def _pattern(text: str, *, greedy: bool) -> str:
    """A shell pattern as a regular expression."""
    every = ".*" if greedy else ".*?"
    parts, at = [], 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            at += 1
            parts.append(re.escape(text[at]))
        else:
            parts.append({"*": every, "?": "."}.get(char) or re.escape(char))
        at += 1
    return "".join(parts)
