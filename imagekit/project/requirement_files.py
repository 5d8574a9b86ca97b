"""Read what requirement files refer to: other files, local packages, the directory itself.

uv installs from the files. What is read here decides what it needs beside them, and reports
what cannot be installed. The format is pip's (pip.pypa.io/en/stable/reference/
requirements-file-format); no maintained library parses it with line numbers.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator
from urllib.parse import unquote

import msgspec

from imagekit.errors import one_line
from imagekit.project import parsing
from imagekit.project.directory import Directory

INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links")
"""Options that name places of packages."""
OPTIONS = (*INDEX_OPTIONS, "--no-index", "--no-binary", "--only-binary", "--require-hashes")
"""Options that uv reads in requirement files."""
COMMAND_LINE_OPTIONS = ("--pre", "--trusted-host")
"""Options of requirement files that uv takes only on its command line."""
WITHOUT_EFFECT = ("--prefer-binary", "--use-feature", "--use-pep517")
"""Options that concern pip's own workings."""
MAX_INCLUDED = 50
"""The maximum number of requirement files that include each other."""
UNSUPPORTED = re.compile(r"(svn|hg|bzr)\+|git\+(git|http|file):|git:")
"""Addresses that pip installs from, and uv does not (uv 0.13, tried)."""


class Itself(msgspec.Struct, frozen=True):
    """A requirement that is the directory itself, as in `-e .[train]`."""

    editable: bool
    """Whether it is installed where it lies."""
    extras: tuple[str, ...]
    """The extras that it names."""


class RequirementFiles:
    """Reads requirement files. `files` has those that a file refers to before the file itself."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.files: list[str] = []
        self.folders: set[str] = set()
        self.itself: list[Itself] = []
        self.edits: dict[str, list[str]] = {}
        """sed commands by file, for lines that cannot be installed as they are."""
        self.hashed: set[str] = set()
        """Files with hashes, in themselves or in what they include."""
        self.without_hash: list[tuple[str, int, str]] = []
        """Requirements without a hash: the file, the line and the requirement."""
        self.options: list[str] = []
        """Options that uv takes only on the command line."""
        self._told: set[str] = set()
        self.indexes: list[str] = []
        """The URLs and folders of the options that name places of packages."""
        self.variables: set[str] = set()
        """The names in `${NAME}`."""
        self.names: set[str] = set()
        """The packages that are named."""

    def read(self, name: str, above: tuple[str, ...] = ()) -> None:
        """Read a requirement file and what it includes."""
        if name in above or name in self.files:
            return
        lines = list(logical_lines(self.directory.text_of(name)))
        has_hashes = any(" --hash" in line for _, _, line in lines)
        for first, last, line in lines:
            if include := re.match(r"(-r|-c|--requirements?|--constraints?)[\s=]*(\S.*)", line):
                before = len(self.without_hash)
                target = self.include(name, first, include[2], (*above, name))
                if include[1].startswith(("-c", "--c")):
                    del self.without_hash[before:]
                self.hashed |= {name} if target in self.hashed else set()
            else:
                self.read_line(name, first, line, last)
                if not line.startswith("-") and " --hash" not in line:
                    self.without_hash.append((name, first, line))
        self.hashed |= {name} if has_hashes else set()
        self.files.append(name)

    def check_hashes(self) -> None:
        """Report requirements without a hash: an installer demands one for all, or for none."""
        for name, line, requirement in self.without_hash:
            short = parsing.short(requirement)
            message = f"{short!r} has no hash, but others have; pip needs a hash for each"
            self.directory.add_problem(name, message, line)

    def include(self, name: str, line: int, words: str, above: tuple[str, ...] = ()) -> str:
        """Read an included file. Return its name; empty for a URL and for a problem."""
        add_problem = self.directory.add_problem
        if wrong := self._unusable(words):
            add_problem(name, wrong, line)
            return ""
        if len(above) > MAX_INCLUDED:
            add_problem(name, f"more than {MAX_INCLUDED} files include each other", line)
            return ""
        try:
            target = shlex.split(words)[0]
        except (ValueError, IndexError):
            add_problem(name, f"{parsing.short(words)}: not a valid file name", line)
            return ""
        if re.match(r"\w+://", target):
            self.directory.check_secret(name, line, target)
            return ""
        # Keep the name as written: a link is copied under its own name.
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        if not self.directory.is_inside(path):
            add_problem(
                name,
                f"{parsing.short(target)} is outside the directory; copy it into the directory",
                line,
            )
        elif not self.directory.is_file(path):
            add_problem(name, f"{parsing.short(target)}: no such file", line)
        else:
            self.read(path, above)
            return path
        return ""

    def read_line(self, name: str, number: int, line: str, last: int = 0) -> None:
        """Read a line that includes no file; `last` is the number of the last physical line."""
        self.directory.check_secret(name, number, line)
        self.variables |= variables(line)
        if wrong := self._unusable(line):
            self.directory.add_problem(name, wrong, number)
            return
        option, _, value = (
            re.sub(r"^(-[a-z])(?=[^\s=])", r"\1 ", line)
            .replace("=", " ", 1 if line.startswith("--") else 0)
            .partition(" ")
        )
        editable = option in ("-e", "--editable")
        if line.startswith("-") and not editable:
            self._option(name, number, option, value.strip())
            return
        requirement, *options = re.split(r"\s--(?=[a-z])", value.strip() if editable else line)
        if others := [text for text in options if not re.match(r"hash[ =]", text)]:
            message = f"uv has no --{others[0]} for a single requirement; remove it"
            self.directory.add_problem(name, message, number)
        self._requirement(name, (number, last), requirement.strip(), editable)

    def _unusable(self, line: str) -> str:
        """Return why a line cannot be read; empty if it can."""
        if wrong := parsing.not_one_line(line):
            return one_line(f"{parsing.short(line)!r} cannot be read: {wrong}")
        words = re.split(r"\s--(?=[a-z])", line, maxsplit=1)[0]
        if len(words) > parsing.MAX_REQUIREMENT:
            return f"the line is longer than {parsing.MAX_REQUIREMENT:,} characters without hashes"
        return ""

    def _option(self, name: str, number: int, option: str, value: str) -> None:
        if option in INDEX_OPTIONS:
            self.indexes.append(value)
            if option in ("-f", "--find-links") and not re.match(r"\w+://", value):
                self._local(name, number, value)
        elif option in COMMAND_LINE_OPTIONS:
            words = [option, *([value] if value else [])]
            # As a set, because there may be thousands.
            self.options += words if words[-1] not in self._told else []
            self._told.update(words)
        elif option in WITHOUT_EFFECT:
            self.directory.notes.append(f"{name}:{number}: {option} has no effect with uv")
        elif option not in OPTIONS:
            message = f"{option} is not an option of requirement files; remove it"
            self.directory.add_problem(name, message, number)

    def _requirement(
        self, name: str, numbers: tuple[int, int], requirement: str, editable: bool
    ) -> None:
        """Read a requirement: a URL, a path or a package, with or without `NAME @`."""
        number = numbers[0]
        named = re.match(r"([A-Za-z0-9][\w.-]*)\s*+(?:\[[^\]]*\]\s*+)?@\s*(\S+)", requirement)
        target = named[2] if named else requirement.strip("\"'")
        if UNSUPPORTED.match(target):
            short = parsing.short(target)
            message = f"{short}: uv installs from git+https and git+ssh, and from archives"
            self.directory.add_problem(name, message, number)
        elif re.match(r"[\w+.-]+://", target) and not target.startswith("file:"):
            if editable:
                # uv installs only directories as editable.
                self._edit(name, rf"{number}s/^[ \t]*\(-e\|--editable\)[ \t=]*//")
            egg = named or re.search(r"#(?:.*&)?egg=([A-Za-z0-9][\w.-]*)", target)
            self.names |= {egg[1]} if egg else set()
        elif target.startswith("file:") or (not named and (editable or self._is_path(target))):
            if self._local(name, number, target):
                extras = re.search(r"\[([^\]]*)\]", target)
                names = [text.strip() for text in extras[1].split(",")] if extras else []
                for extra in filter(None, names):
                    self.directory.check_name("extra", extra, name, number)
                self.itself.append(Itself(editable, tuple(filter(None, names))))
                self._edit(name, f"{number},{max(numbers)}d")
        else:
            self._package(name, number, requirement)

    def _package(self, name: str, number: int, requirement: str) -> None:
        if error := requirement_error(requirement):
            message = one_line(
                f"{parsing.short(requirement)!r} is not a valid requirement: {error}"
            )
            self.directory.add_problem(name, message, number)
        else:
            self.names |= names_of(requirement)

    def _is_path(self, target: str) -> bool:
        """Like pip, take for a path what has a slash, begins with a dot, or is an archive."""
        bare = re.split(r"[\[;]", target)[0].strip()
        archive = bare.endswith((".whl", ".tar.gz", ".zip"))
        return bare.startswith(".") or "/" in bare or (archive and self._exists(bare))

    def _exists(self, path: str) -> bool:
        return self.directory.is_inside(path) and self.directory.exists(path)

    def _edit(self, name: str, command: str) -> None:
        self.edits.setdefault(name, []).append(command)

    def _local(self, name: str, number: int, target: str) -> bool:
        """Record a local path to copy. Return whether it is the directory itself."""
        bare = re.split(r"[\[;#]", target.strip("\"'"))[0].strip()
        path = re.sub(r"^file:(//(localhost)?(?=/))?", "", bare).replace("${PROJECT_ROOT}", ".")
        return self.copy(name, number, re.sub(r"^/\./", "./", unquote(path)), target)

    def copy(self, name: str, number: int, path: str, shown: str) -> bool:
        """Record a file or folder to copy. Return whether it is the directory itself."""
        directory, short = self.directory, parsing.short(shown)
        if wrong := parsing.not_one_line(path):
            directory.add_problem(name, one_line(f"{short!r} cannot be copied: {wrong}"), number)
        elif not self.directory.is_inside(path):
            message = f"{short} is outside the directory; copy it into the directory, or use a URL"
            self.directory.add_problem(name, message, number)
        elif directory.is_root(path):
            return True
        elif not directory.exists(path):
            directory.add_problem(name, f"{short}: no such file or directory", number)
        elif not directory.is_file(path):
            self.folders.add(posixpath.normpath(path))
        else:
            self.files.append(posixpath.normpath(path))
        return False


def names_of(text: str) -> set[str]:
    """Return the name of a requirement, alone and with each of its extras: `jax[cuda13]`.

    Of one that is not valid, there are none.
    """
    parsed = parsing.requirement(text)
    if isinstance(parsed, str):
        return set()
    return {parsed.name, *(f"{parsed.name}[{extra}]" for extra in parsed.extras)}


def variables(text: str) -> set[str]:
    """Return the environment variables that a text refers to, as in `${TOKEN}`."""
    # The directory, for PDM and uv.
    return set(re.findall(r"\$\{([A-Z_][A-Z0-9_]*)\}", text)) - {"PROJECT_ROOT"}


def requirement_error(text: str) -> str | None:
    """Return why a requirement is invalid, or None if it is valid."""
    parsed = parsing.requirement(text)
    return parsed if isinstance(parsed, str) else None


def logical_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Return the logical lines of a requirement file, each with its first and last line number."""
    joined, first = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")  # noqa: PLW2901
        first = first if joined else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += line[:-1]
            continue
        logical_line = re.sub(r"(^|\s)#.*$", "", joined + line).strip()
        joined = ""
        if logical_line:
            yield first, number, logical_line
