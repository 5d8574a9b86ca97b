"""What an image is made of, as one hash: its content id.

Two builds with one content id need not both be done. What a base image from outside holds is no
part of it, so that a mended base is built upon only when it is asked for (`--force`).
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping

from imagekit.dockerfile import context_sources
from imagekit.engine.steps import Step

LABEL = "dev.imagekit.content-id"


def content_id(step: Step, root: pathlib.Path, parents: Mapping[str, str]) -> str | None:
    """The content id of a build step's image, as hexadecimal SHA-256.

    In go the Dockerfile, the context's files that it copies, the arguments of the build other
    than tags and labels, and the content ids of the parents (image name → content id) that
    they name. None where the Dockerfile cannot be read, which the build itself will say.
    """
    context = root / step.dir / (step.args[-1] if step.args else ".")
    try:
        dockerfile = dockerfile_of(step, root).read_bytes()
    except OSError:
        return None
    sources = context_sources(dockerfile.decode(errors="replace"))
    described = {
        "dockerfile": hashlib.sha256(dockerfile).hexdigest(),
        "files": dict(_files(context, sources)),
        "arguments": _arguments(step),
        "parents": {
            value: parents[value] for value in build_args(step).values() if value in parents
        },
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def dockerfile_of(step: Step, root: pathlib.Path) -> pathlib.Path:
    """The Dockerfile of a build step: `-f`, from the step's directory, or the context's own."""
    given = step.options("-f", "--file")
    context = step.args[-1] if step.args else "."
    return root / step.dir / (given[-1] if given else f"{context}/Dockerfile")


def build_args(step: Step) -> dict[str, str]:
    """The build args of a build step."""
    pairs = (text.partition("=") for text in step.options("--build-arg"))
    return {name: value for name, _, value in pairs}


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


def _files(context: pathlib.Path, sources: list[str]) -> Iterator[tuple[str, str]]:
    found: set[pathlib.Path] = set()
    for source in sources:
        for path in [context] if source in (".", "./") else context.glob(source.rstrip("/")):
            found |= {path} if path.is_symlink() or not path.is_dir() else set(path.rglob("*"))
    for path in sorted(found):
        name = path.relative_to(context).as_posix()
        if path.is_symlink():
            yield name, f"link to {path.readlink()}"
        elif path.is_file():
            executable = "x" if path.stat().st_mode & 0o111 else "-"
            yield name, executable + hashlib.sha256(path.read_bytes()).hexdigest()
