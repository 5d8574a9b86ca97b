"""The project that one stands in, and where its runs are kept unless something else is said."""

from __future__ import annotations

import pathlib

MARKERS = (".git", "pyproject.toml")

DEFAULT_CONFIG = "config/images.yaml"
DEFAULT_BUILD_FILE = "cloudbuild.json"
"""What commands read and write where nobody says otherwise."""


def root(start: pathlib.Path | None = None) -> pathlib.Path:
    """The nearest folder at or above `start` that is a project's, else `start` itself.

    `start` is the working directory by default. A project may lie inside a larger repository.
    """
    here = (start or pathlib.Path.cwd()).resolve()
    above = (here, *here.parents)
    return next((d for d in above if any((d / name).exists() for name in MARKERS)), here)


def runs() -> pathlib.Path:
    """The run store of the project: one and the same wherever below its root one stands."""
    return root() / "runs"
