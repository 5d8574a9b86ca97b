"""The project root, and the default paths of the config, the build file and the run store."""

from __future__ import annotations

import pathlib

from imagekit.errors import UsageError

DEFAULT_CONFIG = "config/images.yaml"
DEFAULT_BUILD_FILE = "cloudbuild.json"
DEFAULT_LOGS = "runs/build"
"""The default input and output of commands."""

FAMILY_RECORD = ".imagekit.json"
"""What `imagekit init` wrote, and with which version."""

MARKERS = (".git", "pyproject.toml", FAMILY_RECORD, DEFAULT_CONFIG)
"""Files and folders that mark the root of a project."""


def root(start: pathlib.Path | None = None) -> pathlib.Path:
    """Return the nearest project root at or above `start`, else `start` itself.

    `start` defaults to the working directory. A project may be part of a larger repository.
    """
    here = (start or pathlib.Path.cwd()).resolve()
    above = (here, *here.parents)
    return next((d for d in above if any((d / name).exists() for name in MARKERS)), here)


def logs(folder: str) -> pathlib.Path:
    """Return the folder of a build's logs.

    Raises UsageError for the default one if a link in the checkout leads out of the project.
    """
    path = pathlib.Path(folder)
    if folder == DEFAULT_LOGS and not path.resolve().is_relative_to(root()):
        message = f"{folder} is a link that leads out of the project; name a folder with --logs"
        raise UsageError(message)
    return path


def runs() -> pathlib.Path:
    """Return the run store of the project, the same for every folder below its root."""
    return root() / "runs"
