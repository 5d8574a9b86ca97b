"""The files of a code directory, and what its requirement files name there."""

from __future__ import annotations

import pathlib
import posixpath
import re
import shlex
from collections.abc import Sequence

from imagekit.errors import Place, Problem
from imagekit.project import dockerignore, setup_files


class RequirementFiles:
    """Reads a directory's files, and gathers what is to be copied and what is wrong.

    files and folders: what requirement files name, and they themselves, last.
    """

    def __init__(self, directory: pathlib.Path, ignored: Sequence[str]) -> None:
        self.directory, self.ignored = directory, ignored
        self.problems: list[Problem] = []
        self.files: list[str] = []
        self.folders: set[str] = set()

    def check_secret(self, name: str, line: int, text: str) -> None:
        """A login in an address would be in a layer, with the file or in the layer's history."""
        if re.search(r"://[^/\s@$]+@", text) and not re.search(r"(ssh|git)(\+\w+)?://git@", text):
            message = (
                "the address holds a login, which would be in a layer of the image; put it into "
                "a netrc and give that to the build: --secret id=netrc,src=$HOME/.netrc"
            )
            self.wrong(name, message, line)

    def is_there(self, name: str) -> bool:
        """Whether there is such a file, that can be sent to a builder and is to be read."""
        path = self.directory / name
        if path.is_symlink() and not path.exists():
            self.wrong(name, f"{name} is a link that leads nowhere")
            return False
        if path.is_symlink() and not dockerignore.is_inside(path, self.directory):
            self.wrong(name, f"{name} is a link that leads out of the directory; copy the file in")
            return False
        return path.is_file() and name not in self.ignored

    def text_of(self, name: str) -> str:
        """What stands in a file, or nothing when that cannot be read, which is told."""
        try:
            return (self.directory / name).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self.wrong(name, f"{name} is no UTF-8; save it as that")
        except OSError as error:
            self.wrong(name, f"{name} cannot be read: {error.strerror}")
        return ""

    def wrong(self, name: str, message: str, line: int = 1, column: int = 1) -> None:
        """Keep a problem of a file in mind."""
        place = Place(str(self.directory / name), line, column)
        self.problems.append(Problem(message=message, place=place))

    def included(self, name: str, above: list[str]) -> bool:
        """Take over a requirement file and those that it includes. Whether it needs the code."""
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
        """Take over a file that another names, as a shell reads it. Whether it needs the code."""
        try:
            target = shlex.split(words)[0]
        except (ValueError, IndexError):
            self.wrong(name, f"{words}: no file is called like this", line)
            return False
        if re.match(r"\w+://", target):
            return False
        path = (self.directory / name).parent / target
        if not dockerignore.is_inside(path, self.directory):
            self.wrong(name, f"{target} lies outside the directory; copy it in", line)
        elif not path.is_file():
            self.wrong(name, f"{target}: there is no such file", line)
        else:
            # As it is called there: a link is copied under its own name.
            folder = posixpath.dirname(name)
            return self.included(posixpath.normpath(posixpath.join(folder, target)), above)
        return False

    def local(self, name: str, number: int, line: str) -> bool:
        """A requirement that is a path: it is copied, or it is the directory itself.

        pip takes for a path what has a slash or begins with a dot, and an archive that is there,
        from where it is run.
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
            message = f"{target} lies outside the directory; copy it in, or name a repository"
            self.wrong(name, message, number)
        elif path.resolve() == self.directory.resolve():
            return True
        elif not path.exists():
            self.wrong(name, f"{target}: there is no such file or folder", number)
        elif path.is_dir():
            self.folders.add(posixpath.normpath(bare))
        else:
            self.files.append(posixpath.normpath(bare))
        return False
