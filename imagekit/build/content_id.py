"""The content id of an image: a hash of everything that the image is built from.

A build whose content id is unchanged can be skipped. The content of an external base image is
not part of it, so an updated base image is picked up only with `--force`.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping

from imagekit.docker.context import made_of
from imagekit.document.cloudbuild import INLINE_CACHE
from imagekit.document.steps import Step
from imagekit.support.checkout import Folder

LABEL = "dev.imagekit.content-id"
"""The image label with the content id."""

DESCRIBING = ("-t", "--tag", "--label", "--cache-from")
"""Options that name or label an image, or set its cache sources."""


class Files:
    """The hashes of the files that images of a folder are made of, each Dockerfile read once."""

    def __init__(self, root: pathlib.Path) -> None:
        self.tree = Folder(root)
        self.known: dict[tuple[str, str], dict[str, str]] = {}

    def of(self, step: Step) -> dict[str, str]:
        """The hashes of what a build step copies, by path; empty without the Dockerfile."""
        source = step.dockerfile, step.context
        if source not in self.known:
            self.known[source] = made_of(self.tree, *source)
        return self.known[source]


def content_id(step: Step, files: Files, parents: Mapping[str, str]) -> str | None:
    """The content id of a build step's image, as hexadecimal SHA-256.

    It covers the Dockerfile, the context files that it copies, the build arguments except tags
    and labels, and the content ids of the parents that they name (`parents`: image name →
    content id). Returns None if the Dockerfile cannot be read; the build reports that error.
    """
    own = files.of(step)
    if not own:
        return None
    content = {
        "files": own,
        "arguments": _arguments(step),
        "parents": {
            value: parents[value] for value in step.build_args.values() if value in parents
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _arguments(step: Step) -> list[str]:
    """The arguments of a build step, without those that only name or describe the image."""
    kept: list[str] = []
    args = iter(step.args)
    for arg in args:
        flag, equals, value = arg.partition("=")
        has_value = not equals and flag in (*DESCRIBING, "--build-arg")
        value = next(args, "") if has_value else value
        if flag in DESCRIBING or (flag, value) == ("--build-arg", INLINE_CACHE):
            continue
        kept += [arg, value] if has_value else [arg]
    return kept
