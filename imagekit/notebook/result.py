"""The result of a run of the generate notebook."""

from __future__ import annotations

import collections
import pathlib
import textwrap

import msgspec

import imagekit
from imagekit.compare import inventory
from imagekit.compare.changes import Changes, written
from imagekit.compare.files import with_files
from imagekit.config.schema import Config
from imagekit.notebook.display import Result
from imagekit.planning.plan import Plan
from imagekit.support import git
from imagekit.support.checkout import Folder
from imagekit.support.files import sha256


def of(plan: Plan, loaded: Config, changes: Changes, *, config: str, output: str) -> Result:
    """The result: hashes of the inputs and outputs, counts, commit and version.

    Paths are relative to the working directory, as given. The hash of a missing Dockerfile is
    None. Not displayed are `build`, the inventory that comparisons of runs use, and `summary`,
    the lines that `imagekit run` ends with.
    """
    dockerfiles = sorted({image.dockerfile for image in plan.images})
    recipes = collections.Counter(image.recipe for image in plan.images)
    files = list(imagekit.files(plan, loaded, output))
    build = inventory.of_plan(plan, loaded.cloudbuild)
    return Result(
        {
            "config": config,
            "inputs": {path: sha256(path) for path in (config, *dockerfiles)},
            "outputs": {path: sha256(path) for path in files},
            "images": {"total": len(plan.images), **dict(sorted(recipes.items()))},
            "changes": {
                "added": len(changes.added),
                "removed": len(changes.removed),
                "changed": len(changes.changed),
            },
            "commit": git.commit(pathlib.Path.cwd()),
            "imagekit": imagekit.__version__,
        },
        {
            "build": msgspec.to_builtins(with_files(build, Folder(pathlib.Path()))),
            "summary": [written(files, len(plan.images), changes), *_shown(changes)],
        },
        folded=("inputs", "outputs"),
    )


def _shown(changes: Changes) -> list[str]:
    lines = [textwrap.shorten(line, MAX_LENGTH, placeholder=" …") for line in changes.lines()]
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], f"… and {more} more lines, see above"] if more > 1 else lines


MAX_LINES, MAX_LENGTH = 10, 160
"""The most lines of changes in a summary, and the most characters of each."""
