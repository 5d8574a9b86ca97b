"""The inventory of a build: its images and what they are built from, for comparison.

It can be read from a plan, from any Cloud Build file, and from the record of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from imagekit.compare.build_file import of_build
from imagekit.compare.spec import ImageSpec, Inventory
from imagekit.compare.steps import Known, prefix_of
from imagekit.config.cloudbuild import CloudBuild
from imagekit.docker.names import common_repository, short_names, tagged
from imagekit.document import cloudbuild, quick_reader
from imagekit.document.build_files import merge
from imagekit.document.build_reader import FileBuild
from imagekit.document.cloudbuild import BUILDER
from imagekit.document.split import split
from imagekit.errors import LimitError
from imagekit.planning.plan import Plan

__all__ = [
    "ImageSpec",
    "Inventory",
    "Known",
    "image_names",
    "of_build",
    "of_plan",
    "of_rows",
    "plan_build",
    "read",
    "read_build",
    "reference_names",
]


def of_plan(plan: Plan, options: CloudBuild) -> Inventory:
    """The inventory of a plan's build files, whether or not they fit the limits."""
    return of_build(plan_build(plan, options))


def plan_build(plan: Plan, options: CloudBuild, known: Known | None = None) -> FileBuild:
    """The build of a plan's build files, whether or not they fit the limits.

    `known` is kept for another build to compare it with, see `of_build`.
    """
    try:
        parts = split(plan, options)
    except LimitError:
        parts = (plan,)
    texts = (cloudbuild.unlimited(part, options) for part in parts)
    if known is None:
        return merge(map(quick_reader.of_generated, texts))
    read = quick_reader.read_quickly
    return merge(read(text, known.files) or quick_reader.of_generated(text) for text in texts)


def read(*texts: str) -> Inventory | None:
    """The inventory of a Cloud Build file, or of several in order, in JSON or YAML.

    Returns None if a text is not a Cloud Build file. Files of other generators are read, too,
    as far as their steps are understood.
    """
    build = read_build(*texts, known=Known())
    return None if build is None else of_build(build)


def read_build(*texts: str, known: Known) -> FileBuild | None:
    """The build of a Cloud Build file, or of several in order; None if a text is not one.

    `known` is kept for another build to compare it with, see `of_build`.
    """
    builds = []
    for text in texts:
        build = quick_reader.read_leniently(text, known.files)
        if build is None:
            return None
        builds.append(build)
    return merge(builds)


class _StepArgs(msgspec.Struct):
    """What tells which images a step builds."""

    id: str = ""
    name: str = ""
    args: list[str] = []
    entrypoint: str | None = None


class _Steps(msgspec.Struct):
    steps: list[_StepArgs]


def image_names(*texts: str) -> tuple[str, ...]:
    """The names of the images in `read(*texts)`, without reading what they are built from."""
    names = _plain_names(*texts)
    return tuple((read(*texts) or Inventory()).images) if names is None else short_names(names)


def reference_names(*texts: str) -> tuple[str, ...]:
    """The whole names of the images in build files; empty for a text that is not one."""
    names = _plain_names(*texts)
    if names is None:
        return tuple((read(*texts) or Inventory()).whole_names().images)
    return names


def _plain_names(*texts: str) -> tuple[str, ...] | None:
    """The whole names of the images in files as imagekit writes them.

    None for a file that another generator may have written, which needs a closer look.
    """
    try:
        builds = [
            (step, [args[i + 1] for i, arg in enumerate(args[:-1]) if arg == "-t"])
            for text in texts
            for step in msgspec.json.decode(text, type=_Steps).steps
            if (args := step.args)[:1] == ["build"]
        ]
        plain = all(
            names
            and "$" not in names[0]
            and (step.id, step.name, step.entrypoint) == (tagged(names[0]), BUILDER, None)
            for step, names in builds
        )
    except (ValueError, RecursionError):
        return None
    return tuple(name for _, names in builds for name in names[:1]) if plain else None


def of_rows(document: Mapping[str, Any]) -> Inventory:
    """The inventory of the output of `imagekit matrix --json`.

    Raises KeyError or TypeError if the document is something else.
    """
    repository = str(document["repository"])
    plan = Plan(repository=repository, images=())
    built = [row for row in document["rows"] if row["status"] == "built"]
    names = ("dockerfile", "build_args", "parent", "aliases", "test")
    images = {}
    for row in built:
        values = {name: row[name] for name in names}
        values["aliases"] = [cloudbuild.written(plan.reference(a)) for a in row["aliases"]]
        values["parent"] = row["parent"] and plan.reference(row["parent"])
        images[plan.reference(row["tag"])] = msgspec.convert(values, ImageSpec)
    common = common_repository(
        [name for key, image in images.items() for name in (key, *image.aliases)]
    )
    return Inventory(repository=common, images=_shortened(images, prefix_of(common)))


def _shortened(images: Mapping[str, ImageSpec], prefix: str) -> dict[str, ImageSpec]:
    """Images by their short names, without the parent in their build args."""
    return {
        name.removeprefix(prefix): msgspec.structs.replace(
            image,
            build_args={k: v for k, v in image.build_args.items() if v != image.parent},
            parent=image.parent.removeprefix(prefix) if image.parent else None,
            aliases=tuple(alias.removeprefix(prefix) for alias in image.aliases),
        )
        for name, image in images.items()
    }
