"""Name the files of a directory that some tool installs from, and that are not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from imagekit.project.directory import Directory
from imagekit.support import files

OTHER_PLACE = "list it with -r in requirements.txt to install it, too"
KNOWN = (
    # (glob, why it is left aside or what to do), the first that matches counts
    ("pyproject.toml", ""),
    ("uv.lock", ""),
    ("pylock.toml", ""),
    ("pylock.*.toml", ""),
    ("poetry.lock", ""),
    ("pdm.lock", ""),
    ("Pipfile.lock", ""),
    ("Pipfile", ""),
    ("setup.py", ""),
    ("setup.cfg", ""),
    ("requirements.lock", ""),
    ("requirements-dev.lock", "packages for development"),
    ("constraints*.txt", "name it with -c in requirements.txt to have its versions"),
    ("requirements.txt", ""),
    ("requirements*.txt", OTHER_PLACE),
    ("*requirements.txt", OTHER_PLACE),
    ("requirements*.in", "it is what pip-compile makes a requirements.txt from"),
    ("requirements/*.txt", OTHER_PLACE),
    ("requirements/*.in", "it is what pip-compile makes a requirements.txt from"),
    ("environment*.yml", "only environment.yml is read"),
    ("environment*.yaml", "only environment.yml is read"),
    ("runtime.txt", ""),
    (".python-version", ""),
    (".tool-versions", ""),
    ("apt.txt", ""),
    ("packages.txt", "list Debian packages in apt.txt"),
    ("Aptfile", "list Debian packages in apt.txt"),
    ("cog.yaml", ""),
    ("pip.conf", ""),
    ("nltk.txt", "download the data when the container runs"),
    ("meta.yaml", "conda's recipes are not built"),
    ("recipe.yaml", "conda's recipes are not built"),
    ("Project.toml", "only Python packages are installed"),
    ("REQUIRE", "only Python packages are installed"),
    ("install.R", "only Python packages are installed"),
    ("DESCRIPTION", "only Python packages are installed"),
    ("renv.lock", "only Python packages are installed"),
    ("package.json", "only Python packages are installed"),
    ("Gemfile", "only Python packages are installed"),
    ("default.nix", "only Python packages are installed"),
    ("flake.nix", "only Python packages are installed"),
    ("Cargo.toml", "only the build of the Python package uses it"),
    ("go.mod", "only Python packages are installed"),
)
"""Files that tools install from. Sources: repo2docker.readthedocs.io/en/latest/configuration,
devcenter.heroku.com/articles/python-support, and the documentation of each tool."""


def notes(directory: Directory, instead: str) -> Iterator[str]:
    """Return a note for each file that is left aside.

    Args:
        directory: the directory, with the files that were read.
        instead: what took the place of a file without a reason of its own, such as `uv.lock`.
    """
    named: set[str] = set()
    for glob, why in KNOWN:
        for name in directory.names(glob):
            if name in directory.used | directory.declares_nothing | named:
                continue
            named.add(name)
            reason = why or (
                f"{instead} took its place" if instead else "nothing is installed from it"
            )
            yield f"{name}: left aside; {reason}"
    yield from _scripts(directory)
    yield from (f"{name}: ignored" for name in directory.ignored)


def _scripts(directory: Directory) -> Iterator[str]:
    for name in directory.names("*.py"):
        if name not in directory.used and inline_metadata(_start(directory, name))[1]:
            yield f"{name}: its inline dependencies are left aside; --script {name} installs them"


def inline_metadata(text: str) -> tuple[int, list[str]]:
    """Return the lines of a script's metadata, and the number of the first; 0 and none without.

    They begin with `# /// script`, end with the last `# ///` that only comments are before
    (packaging.python.org/en/latest/specifications/inline-script-metadata). The expression there
    takes time in the square of the length.
    """
    start, end, lines = -1, -1, text.split("\n")
    for index, line in enumerate([*lines, ""]):
        if start >= 0 and not (line == "#" or line.startswith("# ")):
            if end > start + 1:
                break
            start = -1
        elif start < 0 and line == "# /// script":
            start, end = index, -1
        elif line == "# ///":
            end = index
    return (start + 1, lines[start : end + 1]) if start >= 0 else (0, [])


def _start(directory: Directory, name: str) -> str:
    with contextlib.suppress(OSError), files.open_file(directory.root / name) as file:
        return file.read(100_000).decode(errors="replace")
    return ""
