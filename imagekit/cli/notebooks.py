"""`imagekit clean-notebooks`: notebooks without what differs from machine to machine."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterable

import click

from imagekit.cli.common import say
from imagekit.errors import DriftError, NotebookError, Place, Problem, UsageError
from imagekit.support import notebooks
from imagekit.support.files import read_bytes, replace_file

DEFAULT = "notebooks"
CHECKPOINTS = ".ipynb_checkpoints"
"""The folder where Jupyter keeps copies of its own."""


@click.command("clean-notebooks")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Write nothing; exit 4 if a notebook is not clean.")
def clean_notebooks(paths: tuple[str, ...], check: bool) -> None:
    """Remove versions, times and machine names from notebooks.

    What differs from machine to machine and the state of widgets and cells is removed; outputs
    stay. PATH is a notebook, or a folder with notebooks: notebooks/ by default. With - as the
    only PATH, a notebook is read from standard input and written to standard output; this is a
    filter for git: git config filter.imagekit.clean "imagekit clean-notebooks -".
    """
    if "-" in paths:
        if check or len(paths) > 1:
            raise click.UsageError("- is a filter, which takes no other path and no --check")
        (new,) = _cleaned([("standard input", sys.stdin.buffer.read())]).values()
        sys.stdout.buffer.write(new)
        return
    files = {path: _read(path) for path in _found(paths)}
    cleaned = _cleaned((str(path), data) for path, data in files.items())
    unclean = [path for path, data in files.items() if cleaned[str(path)] != data]
    if check and unclean:
        names = "".join(f"\n  {path}" for path in unclean)
        raise DriftError(
            f"notebooks with metadata of a machine or a front end:{names}\n"
            "Run imagekit clean-notebooks and commit them."
        )
    for path in unclean:
        replace_file(path, cleaned[str(path)])
        say(f"{path} cleaned")
    say(f"{len(files) - len(unclean)} of {len(files)} notebooks were clean")


def _read(path: pathlib.Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def _found(paths: tuple[str, ...]) -> list[pathlib.Path]:
    """The notebooks at these paths. Raises UsageError for a path that does not exist."""
    found: dict[pathlib.Path, None] = {}
    for name in paths or (DEFAULT,):
        path = pathlib.Path(name)
        if path.is_dir():
            inside = sorted(path.rglob("*.ipynb"))
            found |= dict.fromkeys(p for p in inside if CHECKPOINTS not in p.parts and p.is_file())
        elif path.is_file():
            found[path] = None
        elif paths:
            raise UsageError(f"{name}: no such file or folder")
    return [*found]


def _cleaned(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """The clean bytes of each notebook. Raises NotebookError, naming every file that is none."""
    cleaned, problems = {}, list[Problem]()
    for name, data in files:
        try:
            notebook = notebooks.read(data)
        except json.JSONDecodeError as error:
            place = Place(name, error.lineno, error.colno)
            problems.append(Problem(message=f"invalid JSON: {error.msg}", place=place))
        except ValueError as error:
            problems.append(Problem(message=str(error), place=Place(name, 1, 1)))
        else:
            notebooks.clean(notebook)
            cleaned[name] = notebooks.text(notebook)
    if problems:
        raise NotebookError(problems)
    return cleaned
