"""What a run of the generate notebook computed, as the notebook keeps it."""

from __future__ import annotations

import collections
import pathlib

import msgspec

import imagekit
from imagekit import inventory
from imagekit.changes import Changes
from imagekit.images import Plan
from imagekit.notebook import project
from imagekit.notebook.display import Result
from imagekit.trees import Folder, with_files


def of(plan: Plan, changes: Changes, *, config: str, output: str) -> Result:
    """Hashes (SHA-256) of what went in and came out, counts, commit and version.

    Paths are as given, from the working directory. A Dockerfile that is not there has no hash.
    `build`, which machines see only, is the inventory that runs are compared by.
    """
    dockerfiles = sorted({image.dockerfile for image in plan.images})
    recipes = collections.Counter(str(image.combination.recipe) for image in plan.images)
    return Result(
        {
            "config": config,
            "inputs": {path: project.sha256(path) for path in (config, *dockerfiles)},
            "outputs": {path: project.sha256(path) for path in imagekit.files(plan, output)},
            "images": {"total": len(plan.images), **dict(sorted(recipes.items()))},
            "changes": {
                "added": len(changes.added),
                "removed": len(changes.removed),
                "changed": len(changes.changed),
            },
            "commit": project.commit(pathlib.Path.cwd()),
            "imagekit": imagekit.__version__,
        },
        {"build": msgspec.to_builtins(with_files(inventory.of_plan(plan), Folder(pathlib.Path())))},
    )
