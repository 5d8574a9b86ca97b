"""Problems, the exceptions of imagekit, and the exit code of each exception."""

from __future__ import annotations

import collections
import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence, Sized
from typing import Literal

import msgspec

Path = tuple[str | int, ...]
"""A position in a config: `("images", 3, "gpu")` is `images[3].gpu`."""


MARKED = r"""'[^']*'|"[^"]*"|[^\s,:{}\[\]]+"""
"""What is marked in an excerpt: a quoted text or a word; compiled only for one."""
MAX_LINE = 100
"""The maximum number of characters of a line in an excerpt."""


class Place(msgspec.Struct, frozen=True):
    """A position in a file."""

    file: str
    """The file name, as shown in messages."""
    line: int
    """The line, starting at 1."""
    column: int
    """The column in characters, starting at 1."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error or warning: its position, its message, and how to fix it."""

    message: str
    """What is wrong and how to fix it."""
    path: Path = ()
    """The config value that has the problem."""
    on_key: bool = False
    """Whether the problem is the key at `path` rather than its value."""
    see: Path = ()
    """A related config value; the message refers to its line."""
    intended_path: Path = ()
    """For a misspelled key: the path with the correct key."""
    caused_by: tuple[Path, ...] = ()
    """A problem at, above or below one of these paths may cause this one and hides it."""
    severity: Literal["error", "warning"] = "error"
    """Whether the problem stops the command."""
    place: Place | None = None
    """The position in the file; None for a config made in Python, where `path` is shown."""
    line: str = ""
    """The line of the file at `place`; empty if it is not known."""

    def excerpt(self) -> str:
        """Return the line of the file, with the problem marked below it; empty if unknown."""
        if self.place is None or not self.line.strip():
            return ""
        start = self.place.column - 1
        token = re.compile(MARKED).match(self.line, start)
        length = len(token[0]) if token else 1
        # Of a long line, the part around the problem is shown.
        first = 0 if start + length <= MAX_LINE else max(0, start - MAX_LINE // 4)
        text = one_line(self.line[first : first + MAX_LINE].replace("\t", " "))
        before = " " * len(one_line(self.line[first:start].replace("\t", " ")))
        number = str(self.place.line)
        mark = "^" * min(length, MAX_LINE)
        return f"  {number} | {text}\n  {' ' * len(number)} | {before}{mark}"

    def __str__(self) -> str:
        where = str(self.place or show_path(self.path))
        warning = "warning: " if self.severity == "warning" else ""
        return one_line(
            f"{where}: {warning}{self.message}" if where else f"{warning}{self.message}"
        )


def root_causes(causes: Iterable[Problem], problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that none of the causes explains, so that a mistake is reported once.

    A cause counts only if no other cause explains it; two problems cannot hide each other.
    """
    errors = [cause for cause in causes if cause.severity == "error" and cause.path]
    roots = _Roots()
    for cause in sorted(errors, key=lambda cause: len(cause.caused_by)):
        if not roots.explain(cause):
            roots.add(cause)
    return [problem for problem in problems if not roots.explain(problem)]


class _Roots:
    """Root causes, and the paths that they explain."""

    def __init__(self) -> None:
        self.paths: dict[Problem, Path] = {}
        self.at: collections.Counter[Path] = collections.Counter()
        self.above: collections.Counter[Path] = collections.Counter()

    def add(self, root: Problem) -> None:
        path = root.intended_path or root.path
        if root in self.paths:
            return
        self.paths[root] = path
        self.at[path] += 1
        self.above.update(path[:length] for length in range(len(path)))

    def explain(self, problem: Problem) -> bool:
        """Whether another problem is at, above or below one of the causes of this one."""
        own = self.paths.get(problem)
        for cause in problem.caused_by:
            number = self.above[cause] + sum(self.at[cause[:n]] for n in range(len(cause) + 1))
            if own is not None and own[: len(cause)] == cause[: len(own)]:
                number -= 1
            if number:
                return True
        return False


def show_path(path: Path) -> str:
    """Format a path: `("images", 3, "gpu")` as `images[3].gpu`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def one_line(text: str) -> str:
    """Return the text with line breaks and other non-printable characters escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to a misspelled one, or None if none is close."""
    import difflib  # Not at the top: it takes a while to load, and is rarely needed.

    folded = name.casefold()[:MAX_LINE]
    by_folded, forward, backward = _sorted_once(known)
    if len(by_folded) > MAX_COMPARED:
        by_folded = {near: by_folded[near] for near in _nearest(folded, forward, backward)}
    close = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


MAX_COMPARED = 20
"""The maximum number of known names that a misspelled one is compared with."""


_Sorted = tuple[dict[str, str], list[str], list[str]]
_LAST: collections.deque[tuple[Iterable[str], int, _Sorted]] = collections.deque(maxlen=8)
"""The known names of the last mistakes, their number, and what `_sorted` made of them."""


def _sorted_once(known: Iterable[str]) -> _Sorted:
    """The same as `_sorted`, which takes long, for the names that many mistakes share."""
    number = len(known) if isinstance(known, Sized) else -1
    for names, its_number, found in _LAST:
        # Names that have been added since are looked at, too.
        if names is known and number == its_number:
            return found
    found = _sorted(tuple(known))
    if number >= 0:
        _LAST.append((known, number, found))
    return found


@functools.lru_cache(maxsize=8)
def _sorted(known: tuple[str, ...]) -> _Sorted:
    """The known names without case, sorted, and sorted from their ends.

    What is longer than a line is nobody's mistake.
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    by_folded = {name: own for name, own in by_folded.items() if len(name) <= MAX_LINE}
    return by_folded, sorted(by_folded), sorted(name[::-1] for name in by_folded)


def _nearest(name: str, forward: Sequence[str], backward: Sequence[str]) -> Iterator[str]:
    """The known names that have the most in common with a name at its beginning or end.

    Comparing takes long, and a misspelled name has most of its beginning or its end in common.
    """
    import bisect  # Not at the top: it is rarely needed.

    half = MAX_COMPARED // 4
    place = bisect.bisect_left(forward, name)
    yield from forward[max(0, place - half) : place + half]
    place = bisect.bisect_left(backward, name[::-1])
    yield from (other[::-1] for other in backward[max(0, place - half) : place + half])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` if a known name is close, else an empty text."""
    near = closest(name, known)
    return "" if near is None else f"; did you mean {near!r}?"


def listed(names: Iterable[str]) -> str:
    """Format names, separated by commas; of many, the first, and the number of the others."""
    every = names if isinstance(names, Collection) else list(names)
    more = len(every) - MAX_LISTED
    shown = ", ".join(itertools.islice(every, MAX_LISTED if more > 1 else None))
    return f"{shown} and {more} more" if more > 1 else shown


MAX_LISTED = 20
"""The maximum number of names that a message lists."""


def counted(number: int, noun: str) -> str:
    """Format a number with its noun: `1 image`, `2 images`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class ImagekitError(Exception):
    """Base class: a user error or a failure of an external service, never a bug in imagekit."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """Return what Jupyter shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(ImagekitError):
    """Invalid usage: an unknown parameter or a value of the wrong type."""

    exit_code = 2


class ProblemsError(ImagekitError):
    """An error with a list of problems: `problems`, sorted by position."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""


class UnknownRunError(UsageError):
    """No run has this name."""


class ParametersError(ProblemsError, UsageError):
    """Unknown parameters of a notebook, or invalid values for them."""

    exit_code = 2


class NotebookError(ProblemsError, UsageError):
    """A file is not a notebook."""

    exit_code = 2


class ConfigError(ProblemsError):
    """The config, or a selection from it, is invalid."""

    exit_code = 3


class DriftError(ImagekitError):
    """The committed output is out of date."""

    exit_code = 4


class MergeError(ImagekitError):
    """Some files of an update could not be merged and need a person."""

    exit_code = 5


class LimitError(ProblemsError):
    """A preflight check found something that the builder would reject."""

    exit_code = 5


class BuildFileError(ProblemsError):
    """A build file uses a feature that a local build does not support."""

    exit_code = 5


class EngineError(ImagekitError):
    """The Docker engine is not available, or does not support what a build needs."""

    exit_code = 6


class BuildError(ImagekitError):
    """A build failed or was interrupted."""

    exit_code = 6


class CloudError(ImagekitError):
    """Google Cloud rejected a request or could not be reached."""

    exit_code = 7


class StoreError(ImagekitError):
    """A remote run store rejected a request or could not be reached."""

    exit_code = 7


class ConfigWarning(UserWarning):
    """A config is valid but probably not what was intended."""


INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM."""


def error_of(exit_code: int, message: str) -> ImagekitError:
    """The error that a command which exited with this code would have raised, with its message.

    BuildError for a code that is none of ours.
    """
    kind = _BY_EXIT_CODE.get(exit_code, BuildError)
    return kind([Problem(message=message)]) if issubclass(kind, ProblemsError) else kind(message)


_BY_EXIT_CODE: dict[int, type[ImagekitError]] = {
    kind.exit_code: kind
    for kind in (UsageError, ConfigError, DriftError, LimitError, EngineError, CloudError)
}
"""The error that stands for each exit code, where several have the same."""

EXIT_CODES = {
    kind.__name__: kind.exit_code
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, ImagekitError)
}
"""The exit code of every error, by the name of its class."""


def exit_code_of(name: str) -> int:
    """Return the exit code of an exception by its class name; 1 if the name is unknown.

    A notebook kernel reports an exception by name, so a run that failed with a `DriftError`
    exits like the command line does.
    """
    return EXIT_CODES.get(name, 1)
