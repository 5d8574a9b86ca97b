"""What can go wrong, told so that a person can mend it, and the exit code of each kind."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

import msgspec

Path = tuple[str | int, ...]
"""Where something stands in a config: `("images", 3, "gpu")` is `images[3].gpu`."""


class Place(msgspec.Struct, frozen=True):
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: where, what, and what to do about it.

    `on_key` says that the key at `path` is meant and not its value. `see` is another place that
    belongs to it. `meant` is where a misspelt key would have stood. A problem at or below one
    of the paths in `follows` may be the cause of this one, which then is not worth telling.
    `place` is filled in by whoever knows the file; a config that was made in Python has none,
    and the path is shown.
    """

    message: str
    path: Path = ()
    on_key: bool = False
    see: Path = ()
    intended_path: Path = ()
    caused_by: tuple[Path, ...] = ()
    severity: Literal["error", "warning"] = "error"
    place: Place | None = None

    def __str__(self) -> str:
        where = str(self.place or show_path(self.path))
        warning = "warning: " if self.severity == "warning" else ""
        return one_line(
            f"{where}: {warning}{self.message}" if where else f"{warning}{self.message}"
        )


def root_causes(causes: Iterable[Problem], problems: Iterable[Problem]) -> list[Problem]:
    """The problems that no cause explains, for one mistake is to be told once.

    Only a problem that no other cause explains is a cause, so that two never explain each other
    away.
    """
    roots: list[Problem] = []
    errors = [cause for cause in causes if cause.severity == "error" and cause.path]
    for cause in sorted(errors, key=lambda cause: len(cause.caused_by)):
        if not _explained(cause, roots):
            roots.append(cause)
    return [problem for problem in problems if not _explained(problem, roots)]


def _explained(problem: Problem, roots: Iterable[Problem]) -> bool:
    paths = [root.intended_path or root.path for root in roots if root != problem]
    return any(_touches(follow, path) for follow in problem.caused_by for path in paths)


def _touches(follow: Path, cause: Path) -> bool:
    """Whether a cause stands at, below or above a path."""
    shorter = min(len(follow), len(cause))
    return follow[:shorter] == cause[:shorter]


def show_path(path: Path) -> str:
    """`("images", 3, "gpu")` as `images[3].gpu`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def one_line(text: str) -> str:
    """A text with its line breaks and other invisible characters as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely stands for, if one is close."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` where a known name is close, else nothing."""
    near = closest(name, known)
    return "" if near is None else f"; did you mean {near!r}?"


def counted(number: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class ImagekitError(Exception):
    """Every mistake of a user and every refusal of the outside world; never a bug of ours."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback, which would hide the message."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(ImagekitError):
    """The call itself is wrong: an unknown parameter, a value of the wrong type."""

    exit_code = 2


class ProblemsError(ImagekitError):
    """Something has problems; `problems` holds all of them, sorted by place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ParametersError(ProblemsError, UsageError):
    """Parameters that a notebook does not have, or values that they do not take."""

    exit_code = 2


class ConfigError(ProblemsError):
    """The config, or a selection from it, is wrong."""

    exit_code = 3


class DriftError(ImagekitError):
    """The committed output is not what the config gives."""

    exit_code = 4


class LimitError(ProblemsError):
    """A preflight check found what the builder would refuse."""

    exit_code = 5


class BuildFileError(ProblemsError):
    """A build file asks for what the engine here cannot do."""

    exit_code = 5


class EngineError(ImagekitError):
    """There is no Docker engine, or it does not do what a build needs."""

    exit_code = 6


class BuildError(ImagekitError):
    """A build ended otherwise than well: an image failed, or it was interrupted."""

    exit_code = 6


class CloudError(ImagekitError):
    """Google Cloud refuses, or cannot be reached."""

    exit_code = 7


class StoreError(ImagekitError):
    """A run store on another machine does not answer, or refuses."""

    exit_code = 7


class ConfigWarning(UserWarning):
    """Something in a config that works and deserves a look."""


INTERRUPTED = 130
"""The exit code after Ctrl-C or SIGTERM."""


EXIT_CODES = {
    kind.__name__: kind.exit_code
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, ImagekitError)
}
"""The exit code of every error, by the name of its class."""


def exit_code_of(name: str) -> int:
    """The exit code of an exception that is known by its class's name only, 1 for a stranger.

    A notebook's kernel reports an exception by name; this lets a run that failed with a
    `DriftError` exit like the command line does.
    """
    return EXIT_CODES.get(name, 1)
