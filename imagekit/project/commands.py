"""Shell commands that install packages with uv, for the RUN instructions of a Dockerfile."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

import msgspec

from imagekit.docker import quoting

SOURCE = "/mnt/source"
"""Where the build context is mounted to build the package, so that nothing is left beside the
code."""
POETRY = ("poetry==2.5.1", "poetry-plugin-export==1.10.1")
PDM = ("pdm==2.29.4", "hishel==1.4.0")
"""PDM 2.29 fails with hishel 2, which its requirements allow."""
PIPENV = ("pipenv==2026.10.3",)
TOOLS = '"$TMPDIR/requirements.txt"'
"""Where the tools write what uv is to install. The folder is removed after each step."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A RUN instruction that installs something."""

    commands: tuple[str, ...]
    """Shell commands; each runs if the one before succeeded."""
    source: str = ""
    """Where the build context is mounted; empty if it is not needed."""


def pip_install(words: Sequence[str]) -> str:
    """Return the command that installs packages into the image's Python.

    One argument a line keeps differences of Dockerfiles small.
    """
    lines = " \\\n        ".join(quoted(words))
    lines = re.sub(r"(?m)^( *)(-[rcef]|--extra|--group) \\\n +", r"\1\2 ", f"        {lines}")
    return f"uv pip install \\\n{lines}"


def exported(
    tool: Sequence[str],
    words: Sequence[str],
    before: Sequence[str] = (),
    after: str = "",
    *,
    has_hashes: bool = True,
) -> tuple[str, ...]:
    """Return the commands that install what a tool writes as a requirement file.

    Args:
        tool: the requirements of the tool, the first of which is the tool itself.
        words: the tool's arguments; it writes to standard output, or to the last of them.
        before: the tool's subcommands that run before it.
        after: a command on the requirement file.
        has_hashes: whether the file has hashes. Then a package may come from any of the indexes.
    """
    program = tool[0].partition("==")[0]
    extra = "".join(f"--with {shlex.quote(name)} " for name in tool[1:])
    # What the tool keeps in its home is not left in the image.
    quiet = "PDM_USE_VENV=0 PDM_CHECK_UPDATE=0 PDM_IGNORE_SAVED_PYTHON=1 "
    quiet = quiet if program == "pdm" else ""
    start = f'HOME="$TMPDIR" {quiet}uv tool run'
    run = f"{start} --from {shlex.quote(tool[0])} {extra}{program}"
    writes = f"-o {TOOLS}" if program != "pipenv" else f"> {TOOLS}"
    strategy = "UV_INDEX_STRATEGY=unsafe-best-match " if has_hashes else ""
    return (
        "export NETRC=/root/.netrc",
        *(f"{run} {command}" for command in before),
        f"{run} \\\n        {' '.join(quoted(words))} {writes}",
        *([after] if after else []),
        f"{strategy}uv pip install -r {TOOLS}",
    )


def quoted(words: Iterable[str]) -> list[str]:
    """Quote words for a shell."""
    return [quote(word) for word in words]


def quote(word: str) -> str:
    """Quote a word for a shell, with double quotes around single quotes for readability.

    Raises UsageError for a word that is not one line of text.
    """
    if "'" in word and not re.search(r'["$`\\!]', word):
        return f'"{quoting.checked(word)}"'
    return quoting.shell([word])[0]
