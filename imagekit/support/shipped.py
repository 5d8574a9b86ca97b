"""The files that imagekit brings along: Dockerfiles, notebooks, example configs and runs.

They are the folders `dockerfiles`, `notebooks` and `config` of imagekit's repository. The wheel has
a copy in `imagekit/shipped`; a checkout has them beside the package.
"""

from __future__ import annotations

import pathlib

PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def root() -> pathlib.Path:
    """Return the folder that holds the shipped folders."""
    packed = PACKAGE / "shipped"
    return packed if packed.is_dir() else PACKAGE.parent


def notebook_folders(project: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Return where notebooks have a name: the folder of a project, then that of imagekit."""
    return project / "notebooks", root() / "notebooks"


def notebooks(project: pathlib.Path) -> list[pathlib.Path]:
    """Return the notebooks that have a name, sorted by it; the project's own come first."""
    folders = reversed(notebook_folders(project))
    by_name = {path.stem: path for folder in folders for path in folder.glob("*.ipynb")}
    return [by_name[name] for name in sorted(by_name)]


def found(path: str) -> pathlib.Path:
    """Return a path of the project, or of the shipped file for one of `notebooks/` it has not."""
    shipped = root() / path
    is_shipped = pathlib.Path(path).parts[:1] == ("notebooks",) and shipped.exists()
    return shipped if is_shipped and not pathlib.Path(path).exists() else pathlib.Path(path)
