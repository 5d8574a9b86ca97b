"""Replace the substitutions of a build file, as Cloud Build does.

Plain ones are `$NAME` and `${NAME}`, in capitals; any other `$` is the shell's. With
`options.dynamicSubstitutions`, values may contain substitutions, and `${NAME…}` may have one of
bash's operations. Rules: cloud.google.com/build/docs/configuring-builds/substitute-variable-values,
…/use-bash-and-bindings-in-substitutions, and GoogleCloudPlatform/cloud-build-local, subst/subst.go.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from imagekit.errors import did_you_mean

ALWAYS = ("PROJECT_ID", "PROJECT_NUMBER", "LOCATION", "BUILD_ID")
"""The built-in substitutions that have a value in every build."""

BUILT_IN = {
    *ALWAYS,
    *("TRIGGER_NAME", "TRIGGER_BUILD_CONFIG_PATH", "REPO_NAME", "REPO_FULL_NAME"),
    *("BRANCH_NAME", "TAG_NAME", "REF_NAME", "REVISION_ID", "COMMIT_SHA", "SHORT_SHA"),
    *("SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL"),
}
"""All built-in substitutions."""

NAME = "[A-Z_][A-Z0-9_]*"
PLAIN = re.compile(rf"\$(?:(\$)|({NAME})|\{{({NAME})\}})")
"""A `$$`, or a plain substitution."""
OPERATION = re.compile(rf"\$\{{(?:#({NAME})\}}|({NAME})(?=[-:=+?#%/^,]))")
"""The beginning of a substitution with an operation, or the whole of `${#NAME}`."""
REFERENCE = re.compile(rf"\$(?:(\$)|\{{?#?({NAME}))")
"""A `$$`, or the beginning of any substitution."""

MAX_DEPTH = 50
"""The number of substitutions that one may be nested in."""
MAX_LENGTH = 1_000_000
"""The most characters that substitutions may make of a text."""

Missing = Literal["error", "empty", "keep"]
"""What becomes of a substitution without a value: it is an error, nothing, or left as it is."""


def references(text: str) -> set[str]:
    """The names of all substitutions in the text of a build file."""
    return {match[2] for match in REFERENCE.finditer(text) if match[2]}


class Substitutions:
    """The values of a build's substitutions, and what is wrong with those that were used."""

    def __init__(
        self, values: Mapping[str, str], *, dynamic: bool = False, missing: Missing = "error"
    ) -> None:
        self.values = values
        self.dynamic = dynamic
        self.missing = missing
        self.problems: list[str] = []
        self._resolved: dict[str, str] = {}
        self._resolving: list[str] = []
        self._depth = 0

    def __call__(self, text: str) -> str:
        """The text with its substitutions replaced."""
        if "$" not in text:
            return text
        if self._depth == MAX_DEPTH:
            self._report(f"substitutions are nested in more than {MAX_DEPTH} others; write fewer")
            return text
        self._depth += 1
        parts, length = [], 0
        for part in self._parts(text):
            parts.append(part)
            length += len(part)
            if length > max(MAX_LENGTH, len(text)):
                self._report(f"substitutions give more than {MAX_LENGTH} characters; write fewer")
                # Two builds are still told apart by what is written.
                parts = [text]
                break
        self._depth -= 1
        return "".join(parts)

    def environment(self) -> dict[str, str]:
        """All substitutions that have a value, as `automapSubstitutions` gives them to a step."""
        return {name: self._value(name) for name in self.values if self._is_known(name)}

    def _parts(self, text: str) -> Iterator[str]:
        at = 0
        while (start := text.find("$", at)) >= 0:
            yield text[at:start]
            if plain := PLAIN.match(text, start):
                yield "$" if plain[1] else self._plain(plain[2] or plain[3])
                at = plain.end()
            elif (found := OPERATION.match(text, start)) and (end := _end(text, start)):
                replaced = self._operated(found, text[found.end() : end - 1], text[start:end])
                # What is not Cloud Build's is the shell's, but plain substitutions in it are not.
                yield "$" if replaced is None else replaced
                at = start + 1 if replaced is None else end
            else:
                yield "$"
                at = start + 1
        yield text[at:]

    def _is_known(self, name: str) -> bool:
        return name in self.values and (name not in ALWAYS or self.values[name] != "")

    def _plain(self, name: str) -> str:
        if self._is_known(name):
            return self._value(name)
        if self.missing == "keep":
            return f"${{{name}}}"
        if self.missing == "error" or name in ALWAYS:
            self._report(self._no_value(name))
        return ""

    def _no_value(self, name: str) -> str:
        others = () if name.startswith("_") else BUILT_IN
        near = did_you_mean(name, {*self.values, *others})
        if name in BUILT_IN:
            empty = "" if name in ALWAYS else f", or {name}= to leave it empty"
            return f"substitution ${name} has no value here; use --substitution {name}=VALUE{empty}"
        if name.startswith("_"):
            return f"substitution ${name} has no value{near}; use --substitution {name}=VALUE"
        return (
            f"${name} is not a substitution of Cloud Build{near}; write $${name} for a variable "
            "of the shell"
        )

    def _report(self, message: str) -> None:
        self.problems.append(message)

    def _value(self, name: str) -> str:
        """The value of a known substitution, with those in it replaced."""
        if name not in self._resolved:
            text = self.values[name]
            if "$" not in text:
                self._resolved[name] = text
            elif not self.dynamic:
                self._resolved[name] = text
                self._check_nested(name, text)
            elif name in self._resolving:
                self._report(f"substitution ${name} contains itself; give it another value")
                return ""
            else:
                self._resolving.append(name)
                resolved = self(text)
                self._resolving.pop()
                self._resolved[name] = resolved
        return self._resolved[name]

    def _check_nested(self, name: str, text: str) -> None:
        """Report a value that only a dynamic build would replace something in."""
        inner = sorted(other for other in references(text) if other in self.values)
        if inner and self.missing != "keep":
            self._report(
                f"the value of ${name} contains ${inner[0]}, which Cloud Build replaces only "
                "with 'dynamicSubstitutions: true' under 'options'; add it"
            )

    def _operated(self, found: re.Match[str], operation: str, whole: str) -> str | None:
        """The result of an operation; None if it is not Cloud Build's."""
        counted, name = found[1], found[1] or found[2]
        if not self.dynamic:
            if self._is_known(name) and self.missing != "keep":
                self._report(
                    f"{whole}: Cloud Build has such operations only with "
                    "'dynamicSubstitutions: true' under 'options'; add it"
                )
            return None
        known = self._is_known(name)
        if not known and self.missing == "keep":
            return whole
        if counted:
            return str(len(self._plain(name)))
        if default := re.match(r"(:?)([-=+?])", operation):
            is_set = known and (not default[1] or self._value(name) != "")
            return self._default(name, default[2], is_set, operation[default.end() :])
        value = self._plain(name)
        result = _operate(value, operation, self)
        if result is None:
            self._report(f"{whole}: this operation is not known; write it as bash does")
            return ""
        return result

    def _default(self, name: str, sign: str, is_set: bool, word: str) -> str:
        if sign == "+":
            return self(word) if is_set else ""
        if is_set:
            return self._value(name)
        if sign == "?":
            self._report(f"substitution ${name} has no value: {self(word) or 'it is required'}")
            return ""
        return self(word)


def _end(text: str, start: int) -> int:
    """The index behind the brace that closes the one after a `$`; 0 if there is none."""
    depth = 0
    at = start + 1
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "{" and text[at - 1] == "$":
            depth += 1
        elif character == "}":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return 0


# ---- bash's operations (gnu.org/software/bash/manual, "Shell Parameter Expansion")


def _operate(value: str, operation: str, substitute: Substitutions) -> str | None:
    """The value after an operation, such as `%%-*`; None if it is unknown."""
    if match := re.fullmatch(r":\s*(-?[0-9]+|\(-[0-9]+\))(?::\s*(-?[0-9]+))?", operation):
        return _slice(value, int(match[1].strip("()")), match[2])
    if match := re.match(r"##?|%%?", operation):
        return _trimmed(value, match[0], substitute(operation[match.end() :]))
    if match := re.match(r"/[/#%]?", operation):
        pattern, replacement = _split(operation[match.end() :])
        return _replaced(value, match[0][1:], substitute(pattern), substitute(replacement))
    if match := re.match(r"\^\^?|,,?", operation):
        return _cased(value, match[0], substitute(operation[match.end() :]) or "?")
    return None


def _slice(value: str, start: int, length: str | None) -> str:
    if start < 0:
        start += len(value)
        if start < 0:
            return ""
    if length is None:
        return value[start:]
    number = int(length)
    return value[start : start + number] if number >= 0 else value[start:number]


def _trimmed(value: str, sign: str, pattern: str) -> str:
    """The value without the shortest or longest match at its beginning or end."""
    tokens = _glob(pattern)
    if sign[0] == "%":
        lengths = [*_matches(tokens[::-1], value[::-1])]
    else:
        lengths = [*_matches(tokens, value)]
    if not lengths:
        return value
    length = lengths[0] if len(sign) == 1 else lengths[-1]
    return value[length:] if sign[0] == "#" else value[: len(value) - length]


def _replaced(value: str, where: str, pattern: str, replacement: str) -> str:
    """The value with the first match replaced, each one, or the one at an end."""
    tokens, parts, at = _glob(pattern), list[str](), 0
    starts = range(1 if where == "#" else len(value) + 1)
    for start in starts:
        if start < at:
            continue
        lengths = [*_matches(tokens, value[start:])]
        if where == "%":
            lengths = [length for length in lengths if start + length == len(value)]
        # An empty match counts only at an end.
        if not lengths or not (lengths[-1] or where in ("#", "%")):
            continue
        parts += [value[at:start], replacement]
        at = start + lengths[-1]
        if where != "/":
            break
    return "".join([*parts, value[at:]])


def _cased(value: str, sign: str, pattern: str) -> str:
    """The value in the other case: its first character, or all, that match a pattern."""
    tokens = _glob(pattern)
    change = str.upper if sign[0] == "^" else str.lower
    end = len(value) if len(sign) == 2 else 1
    changed = [change(c) if 1 in _matches(tokens, c) else c for c in value[:end]]
    return "".join(changed) + value[end:]


def _split(text: str) -> tuple[str, str]:
    """A pattern and its replacement, which are separated by a slash."""
    pattern, replacement = SPLIT.findall(text)[0]
    return pattern, replacement


SPLIT = re.compile(r"((?:\\.|\$\{[^}]*\}|[^\\/])*)(?:/(.*))?", re.DOTALL)

Token = str | re.Pattern[str]
"""What matches one character, or the text `*`, which matches any number of them."""

ANY = "*"


def _glob(pattern: str) -> list[Token]:
    """A shell's pattern."""
    parts = re.findall(r"\\.|\[[!^]?(?:\]|[^]])[^]]*\]|.", pattern, re.DOTALL)
    return [_token(part) for part in parts]


def _token(part: str) -> Token:
    if part == ANY:
        return ANY
    if part == "?":
        return re.compile(".", re.DOTALL)
    if part[0] == "[" and len(part) > 1:
        inner = part[1:-1]
        negated = inner[0] in "!^"
        inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner[1:] if negated else inner)
        with contextlib.suppress(re.error):
            return re.compile(f"[{'^' if negated else ''}{inner}]")
    return re.compile(re.escape(part[-1] if part[0] == "\\" else part))


def _matches(tokens: Sequence[Token], text: str) -> Iterator[int]:
    """The lengths of the beginnings of a text that match, in order.

    All places in the pattern are followed at once, so that no pattern takes long.
    """
    states = _after(tokens, {0})
    if len(tokens) in states:
        yield 0
    for number, character in enumerate(text, start=1):
        following = set()
        for state in states - {len(tokens)}:
            token = tokens[state]
            if isinstance(token, str):
                following.add(state)
            elif token.fullmatch(character):
                following.add(state + 1)
        states = _after(tokens, following)
        if len(tokens) in states:
            yield number


def _after(tokens: Sequence[Token], states: set[int]) -> set[int]:
    """The states, and those behind each `*` that may match nothing."""
    reached = set(states)
    for state in states:
        after = state
        while after < len(tokens) and isinstance(tokens[after], str):
            after += 1
            reached.add(after)
    return reached
