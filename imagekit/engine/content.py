"""What an image is made of, as one hash: its content id.

Two builds with one content id need not both be done. What a base image from outside holds is no
part of it, so that a mended base is built upon only when it is asked for (`--force`).
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping

from imagekit.steps import Step
from imagekit.trees import Folder, made_of

LABEL = "dev.imagekit.content-id"


def content_id(step: Step, root: pathlib.Path, parents: Mapping[str, str]) -> str | None:
    """The content id of a build step's image, as hexadecimal SHA-256.

    In go the Dockerfile, the context's files that it copies, the arguments of the build other
    than tags and labels, and the content ids of the parents (image name → content id) that
    they name. None where the Dockerfile cannot be read, which the build itself will say.
    """
    found = made_of(Folder(root), step.dockerfile, step.context)
    if not found:
        return None
    described = {
        "files": found,
        "arguments": _arguments(step),
        "parents": {
            value: parents[value] for value in step.build_args.values() if value in parents
        },
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _arguments(step: Step) -> list[str]:
    """A build's arguments without those that only name or describe the image."""
    kept: list[str] = []
    args = iter(step.args)
    for arg in args:
        flag = arg.partition("=")[0]
        if flag in ("-t", "--tag", "--label"):
            if arg == flag:
                next(args, None)
            continue
        kept.append(arg)
    return kept
