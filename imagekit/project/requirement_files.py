"""Read requirement files and the local files and packages that they list."""

from __future__ import annotations

import pathlib
import posixpath
import re
import shlex
from collections.abc import Sequence

from imagekit.errors import Place, Problem
from imagekit.project import dockerignore, setup_files


class RequirementFiles:
    """Reads requirement files; collects the files and folders to copy, and problems.

    `files` has included and local files before the requirement files that list them.
    """

    def __init__(self, directory: pathlib.Path, ignored: Sequence[str]) -> None:
        self.directory, self.ignored = directory, ignored
        self.problems: list[Problem] = []
        self.files: list[str] = []
        self.folders: set[str] = set()

    def check_secret(self, name: str, line: int, text: str) -> None:
        """Report credentials in a URL, which a layer or the image's history would store."""
        if re.search(r"://[^/\s@$]+@", text) and not re.search(r"(ssh|git)(\+\w+)?://git@", text):
            message = (
                "the URL contains credentials, which would be stored in the image; move them to a "
                "netrc file and pass it to the build: --secret id=netrc,src=$HOME/.netrc"
            )
            self.add_problem(name, message, line)

    def has_file(self, name: str) -> bool:
        """Return whether a file exists and is not ignored; report links that cannot be copied."""
        path = self.directory / name
        if path.is_symlink() and not path.exists():
            self.add_problem(name, f"{name} is a broken link")
            return False
        if path.is_symlink() and not dockerignore.is_inside(path, self.directory):
            self.add_problem(name, f"{name} links outside the directory; replace it with a copy")
            return False
        return path.is_file() and name not in self.ignored

    def text_of(self, name: str) -> str:
        """Return the text of a file; if it cannot be read, report it and return an empty text."""
        try:
            return (self.directory / name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self.add_problem(name, f"{name} is not valid UTF-8; save it as UTF-8")
        except OSError as error:
            self.add_problem(name, f"{name} cannot be read: {error.strerror}")
        return ""

    def add_problem(self, name: str, message: str, line: int = 1, column: int = 1) -> None:
        """Record a problem of a file."""
        place = Place(str(self.directory / name), line, column)
        self.problems.append(Problem(message=message, place=place))

    def included(self, name: str, above: list[str]) -> bool:
        """Read a requirement file and its includes. Return whether they list the directory."""
        if name in above:
            return False
        text = self.text_of(name)
        needs_code = False
        for number, line in setup_files.logical_lines(text):
            match = re.match(r"(?:-r|-c|--requirement|--constraint)[\s=]*(\S.*)", line)
            if match:
                needs_code |= self.include(name, number, match[1], [*above, name])
                continue
            self.check_secret(name, number, line)
            needs_code |= self.local(name, number, line)
        self.files.append(name)
        return needs_code

    def include(self, name: str, line: int, words: str, above: list[str]) -> bool:
        """Read an included file. Return whether it lists the directory itself."""
        try:
            target = shlex.split(words)[0]
        except (ValueError, IndexError):
            self.add_problem(name, f"{words}: not a valid file name", line)
            return False
        if re.match(r"\w+://", target):
            return False
        path = (self.directory / name).parent / target
        if not dockerignore.is_inside(path, self.directory):
            self.add_problem(
                name, f"{target} is outside the directory; copy it into the directory", line
            )
        elif not path.is_file():
            self.add_problem(name, f"{target}: no such file", line)
        else:
            # Keep the name as written: a link is copied under its own name.
            folder = posixpath.dirname(name)
            return self.included(posixpath.normpath(posixpath.join(folder, target)), above)
        return False

    def local(self, name: str, number: int, line: str) -> bool:
        """Record a local path to copy. Return whether it is the directory itself.

        Like pip, treat a requirement as a path if it has a slash, begins with a dot, or is an
        existing archive.
        """
        option = re.match(r"(-e|--editable|-f|--find-links)[\s=]*", line)
        target = line[option.end() :] if option else line
        if (line.startswith("-") and not option) or re.match(r"[\w+.-]+://|[\w.-]+\s*@", target):
            return False
        bare = re.split(r"\[|;| --", target.strip("\"'").removeprefix("file:"))[0].strip()
        path = self.directory / bare
        is_archive = bare.endswith((".whl", ".tar.gz", ".zip")) and path.is_file()
        if not bare or not (bare.startswith(".") or "/" in bare or is_archive or option):
            return False
        if "\0" in bare or not dockerignore.is_inside(path, self.directory):
            message = f"{target} is outside the directory; copy it into the directory, or use a URL"
            self.add_problem(name, message, number)
        elif path.resolve() == self.directory.resolve():
            return True
        elif not path.exists():
            self.add_problem(name, f"{target}: no such file or directory", number)
        elif path.is_dir():
            self.folders.add(posixpath.normpath(bare))
        else:
            self.files.append(posixpath.normpath(bare))
        return False
