"""`imagekit readme`: the grid of the matrix in a README."""

from __future__ import annotations

import pathlib

import click

from imagekit.cli.common import say
from imagekit.cli.options import config_option, grid_options, planned
from imagekit.errors import DriftError, UsageError
from imagekit.planning.grid import as_markdown, grid
from imagekit.support.files import read_bytes, replace_file
from imagekit.support.markdown import BEGIN, END

FENCES = ("```", "~~~")


@click.command()
@click.argument("file", default="README.md", metavar="[FILE]")
@config_option
@grid_options
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 4 if the grid is out of date, and show why."
)
def readme(
    file: str, config: str, rows: tuple[str, ...], columns: tuple[str, ...], check: bool
) -> None:
    """Write the grid of the matrix into README.md.

    FILE is any Markdown file. The grid is written between the lines
    "<!-- begin: imagekit readme -->" and "<!-- end: imagekit readme -->"; the rest of the file
    stays as it is.
    """
    checked, plan = planned(config, base_url=None, only=(), skip=())
    shown = grid(checked.matrix, plan, rows=rows, columns=columns, versions=True)
    old = _read(file)
    new = replaced(old, as_markdown(shown), file)
    if new == old:
        say(f"{file} is up to date")
    elif check:
        raise DriftError(
            f"{file} is out of date:\n{_difference(old, new)}\n"
            "Write it again with `imagekit readme` and commit it."
        )
    else:
        replace_file(pathlib.Path(file), new.encode())
        say(f"{file} written")


def _read(file: str) -> str:
    try:
        # Not read_text: line breaks must stay as they are.
        return read_bytes(file).decode()
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: cannot be read: it is not UTF-8") from None


def replaced(text: str, block: str, file: str) -> str:
    """Return a Markdown text with a block between the markers, and all else as it is.

    Raises UsageError if there is not one of each marker, or if they are in the wrong order.
    """
    lines = text.splitlines(keepends=True)
    begins, ends = (list(_places(lines, marker)) for marker in (BEGIN, END))
    if not begins and not ends:
        raise UsageError(
            f"{file}: there is no place for the grid; add these two lines where it belongs:\n"
            f"  {BEGIN}\n  {END}"
        )
    if len(begins) != 1 or len(ends) != 1 or begins > ends:
        where = [f"  {file}:{n + 1}: {lines[n].strip()}" for n in sorted([*begins, *ends])]
        message = f"{file}: the grid belongs between one line {BEGIN} and one {END} after it"
        raise UsageError("\n".join([f"{message}; there are:", *where]))
    first, last = begins[0], ends[0]
    # Windows' line breaks, if the file has them.
    newline = lines[first][len(lines[first].rstrip("\r\n")) :] or "\n"
    inside = f"\n{block}\n".replace("\n", newline)
    return "".join([*lines[: first + 1], inside, *lines[last:]])


def _places(lines: list[str], marker: str) -> list[int]:
    """The lines that are a marker and not an example of one in a code block."""
    found, fence = [], ""
    for number, line in enumerate(lines):
        text = line.strip()
        if fence:
            fence = "" if text.startswith(fence) else fence
        elif text.startswith(FENCES):
            fence = text[:3]
        elif text == marker:
            found.append(number)
    return found


def _difference(old: str, new: str) -> str:
    import difflib

    found = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    # The first two lines are the names of the files.
    return "\n".join(f"  {line}" for line in list(found)[2:] if not line.startswith("@@"))
