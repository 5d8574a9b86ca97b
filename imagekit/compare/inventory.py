"""The inventory of a build: its images and what they are built from, for comparison.

It can be read from a plan, from any Cloud Build file, and from the record of a run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from imagekit.config.cloudbuild import CloudBuild
from imagekit.docker.context import inside, made_of
from imagekit.docker.names import common_repository, short_names
from imagekit.document import cloudbuild
from imagekit.document.build_files import merge
from imagekit.document.cloudbuild import BUILDER
from imagekit.document.split import split
from imagekit.document.steps import (
    PROGRAMS,
    BuildArguments,
    Kind,
    build_arguments,
    kind_of,
    named,
    test_files,
)
from imagekit.errors import LimitError
from imagekit.planning.plan import Plan
from imagekit.support.json_text import loads
from imagekit.support.tree import Tree


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one image is built from. Image names are short if the repository is known."""

    dockerfile: str
    """The path of the Dockerfile."""
    build_args: dict[str, str] = {}
    """The build args, without the parent."""
    parent: str | None = None
    """The parent image in the same build."""
    aliases: tuple[str, ...] = ()
    """Further tags."""
    test: tuple[str, ...] = ()
    """The test files."""
    options: dict[str, str] | None = None
    """Other options of the build step; None if unknown."""
    files: tuple[str, ...] = ()
    """The Dockerfile and the files that it copies, relative to the root of the build."""


class Inventory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The images of a build and what they are built from."""

    repository: str | None = None
    """The repository of all images; None if there are several, and then names are full."""
    images: dict[str, ImageSpec] = {}
    """The images by name, in build order."""
    options: dict[str, str] | None = None
    """The options of the build; None if unknown."""
    files: dict[str, str] = {}
    """The hash of each known file."""
    order: str | None = None
    """A hash of the steps and their order; None if unknown."""

    def whole_names(self) -> Inventory:
        """The same with the images' whole names."""
        if self.repository is None:
            return self
        names = {short: f"{self.repository}:{short}" for short in self.images}
        images = {
            names[short]: msgspec.structs.replace(
                image,
                parent=names.get(image.parent or ""),
                aliases=tuple(f"{self.repository}:{alias}" for alias in image.aliases),
            )
            for short, image in self.images.items()
        }
        return msgspec.structs.replace(self, repository=None, images=images)


def of_plan(plan: Plan, options: CloudBuild) -> Inventory:
    """The inventory of a plan's build files, whether or not they fit the limits."""
    try:
        parts = split(plan, options)
    except LimitError:
        parts = (plan,)
    return _of_document(merge(cloudbuild.assemble(part, options) for part in parts))


def read(*texts: str) -> Inventory | None:
    """The inventory of a Cloud Build file, or of several in order, in JSON or YAML.

    Returns None if a text is not a Cloud Build file. Files of other generators are read, too,
    as far as their steps are understood.
    """
    try:
        parsed = [_parsed(text) for text in texts]
    except INVALID:
        return None
    return of_parsed(*parsed)


def of_parsed(*parsed: Any) -> Inventory | None:
    """Like `read`, for files that are parsed already."""
    try:
        return _of_document(merge(map(_document, parsed)))
    except INVALID:
        return None


INVALID = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading something else than a Cloud Build file raises."""


class _StepArgs(msgspec.Struct):
    """What tells which images a step builds."""

    name: str = ""
    args: list[str] = []
    entrypoint: str | None = None


class _Steps(msgspec.Struct):
    steps: list[_StepArgs]


def image_names(*texts: str) -> tuple[str, ...]:
    """The names of the images in `read(*texts)`, without reading what they are built from."""
    return short_names(reference_names(*texts))


def reference_names(*texts: str) -> tuple[str, ...]:
    """The whole names of the images in build files; empty for a text that is not one."""
    try:
        builds = [
            (step, [args[i + 1] for i, arg in enumerate(args[:-1]) if arg == "-t"])
            for text in texts
            for step in msgspec.json.decode(text, type=_Steps).steps
            if (args := step.args)[:1] == ["build"]
        ]
        plain = all(
            names and "$" not in names[0] and (step.name, step.entrypoint) == (BUILDER, None)
            for step, names in builds
        )
    except msgspec.MsgspecError:
        plain = False
    if not plain:
        # A file that another generator may have written needs a closer look.
        return tuple((read(*texts) or Inventory()).whole_names().images)
    return tuple(name for _, names in builds for name in names[:1])


def with_files(inventory: Inventory, tree: Tree) -> Inventory:
    """The same inventory with the hashes of source and test files."""
    images, hashes = {}, dict(inventory.files)
    hashes_by_build: dict[tuple[str, str], dict[str, str]] = {}
    for name, image in inventory.images.items():
        key = image.dockerfile, (image.options or {}).get("context", ".")
        if key not in hashes_by_build:
            hashes_by_build[key] = made_of(tree, *key)
            hashes |= hashes_by_build[key]
        images[name] = msgspec.structs.replace(image, files=tuple(hashes_by_build[key]))
    for name in sorted({name for image in inventory.images.values() for name in image.test}):
        path = inside(name)
        if path is not None and (hashed := tree.hash(path)) is not None:
            hashes[name] = hashed
    return msgspec.structs.replace(inventory, images=images, files=hashes)


def _document(parsed: Any) -> dict[str, Any]:
    if not isinstance(parsed["steps"], list):
        raise TypeError("'steps' is no list")
    return dict(parsed)


def _parsed(text: str) -> Any:
    if text.lstrip()[:1] == "{":
        return loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(error) from None


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
    return Inventory(repository=common, images=_shortened(images, _prefix(common)))


def _of_document(document: Mapping[str, Any]) -> Inventory:
    raw = document["steps"]
    values = {name: str(text) for name, text in (document.get("substitutions") or {}).items()}
    steps = [
        _step(fields, number, values) for number, fields in enumerate(raw) if fields.get("args")
    ]
    builds = [step for step in steps if step.kind == "build" and step.tags]
    names = {name: None for step in builds for name in step.tags}
    repository = common_repository(names)
    images = _images(builds, steps, _prefix(repository), document)
    known = {id(step.fields) for step in builds}
    known |= {id(step.fields) for step in steps if _belongs(step, names)}
    options = dict(_flat({k: v for k, v in document.items() if k not in PARTS}))
    for number, fields in enumerate(raw):
        if id(fields) not in known:
            options[f"step {fields.get('id') or number + 1}"] = json.dumps(fields)
    return Inventory(
        repository=repository,
        images=images,
        options=dict(sorted(options.items())),
        order=_order(document),
    )


def _prefix(repository: str | None) -> str:
    """What names have in front if they are whole and are shown without."""
    return f"{repository}:" if repository is not None else ""


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Options one by one, so that a change is of one and not of all."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


PARTS = ("steps", "images")
"""What of a build file is told image by image."""


class _Step(msgspec.Struct, gc=False):
    """What a step of any Cloud Build file does with images."""

    fields: Mapping[str, Any]
    """The step in the file."""
    id: str
    """Its id, or "step N"."""
    builder: str
    """The builder image, without its digest."""
    kind: Kind
    """What it does with an image."""
    tags: Sequence[str]
    """The images that it builds, pushes, pulls or tests."""
    needs: Sequence[str]
    """The steps that it waits for."""
    args: Sequence[str]
    """Its arguments, with the file's own substitutions."""
    build: BuildArguments
    """What its arguments say if it is a build."""


def _step(fields: Mapping[str, Any], number: int, values: Mapping[str, str]) -> _Step:
    args = [*map(str, fields["args"])]
    if "$" in "".join(args):
        args = [_substituted(text, values) for text in args]
    builder = str(fields.get("name", "")).partition("@")[0]
    kind = kind_of(builder, args, fields.get("entrypoint"))
    build = build_arguments(args) if kind == "build" else NO_BUILD
    return _Step(
        fields=fields,
        id=str(fields.get("id") or f"step {number + 1}"),
        builder=builder,
        kind=kind,
        tags=build.tags if kind == "build" else named(kind, args),
        needs=[*map(str, fields.get("waitFor") or ())],
        args=args,
        build=build,
    )


NO_BUILD = BuildArguments()
"""For steps that build nothing."""


def _belongs(step: _Step, names: Mapping[str, None]) -> bool:
    """Whether a step only pushes, pulls or tests images of the build.

    A step with its own entrypoint or another builder may do anything.
    """
    if step.kind not in ("push", "pull", "test") or step.builder not in PROGRAMS:
        return False
    return step.fields.get("entrypoint") is None and all(tag in names for tag in step.tags)


def _order(document: Mapping[str, Any]) -> str:
    """A hash of the steps; it is compared only where the repository is the same."""
    steps = [document["steps"], document.get("images")]
    return hashlib.sha256(msgspec.json.encode(steps, order="sorted")).hexdigest()


def _images(
    builds: Sequence[_Step], steps: Sequence[_Step], prefix: str, document: Mapping[str, Any]
) -> dict[str, ImageSpec]:
    by_id = {step.id: step.tags[0] for step in builds}
    by_id |= {step.id: step.tags[0] for step in steps if step.kind == "pull"}
    pushed = _pushed(document, steps)
    order = {name: place for place, step in enumerate(builds) for name in step.tags}
    tests: dict[str, list[_Step]] = {}
    for step in steps:
        if step.kind == "test" and step.tags:
            tests.setdefault(step.tags[0], []).append(step)
    images: dict[str, ImageSpec] = {}
    for step in builds:
        tags = step.tags
        parent = _parent(step, order, by_id)
        options = _joined(_options(step, parent, by_id))
        if pushed.isdisjoint(tags):
            options["pushed"] = "no"
        build_args, passed = _own_args(step.build.build_args, parent)
        if passed not in ([], ["BASE_IMAGE"]):
            options["parent passed as"] = ", ".join(passed)
        images[tags[0].removeprefix(prefix)] = ImageSpec(
            dockerfile=step.build.dockerfile_from(_directory(step)),
            build_args=build_args,
            parent=None if parent is None else parent.removeprefix(prefix),
            aliases=tuple([tag.removeprefix(prefix) for tag in tags[1:]]),
            test=tuple(_tests(tests[tags[0]])) if tags[0] in tests else (),
            options=options,
        )
    return images


def _directory(step: _Step) -> str:
    return str(step.fields.get("dir") or ".")


def _own_args(
    build_args: Mapping[str, str], parent: str | None
) -> tuple[dict[str, str], list[str]]:
    """The build args without the parent, and the names of those that are the parent.

    The one that enables BuildKit's inline cache is left out.
    """
    own, passed = {}, []
    for name, value in build_args.items():
        if value == parent:
            passed.append(name)
        elif name != INLINE_CACHE or value != "1":
            own[name] = value
    return own, passed


INLINE_CACHE = cloudbuild.INLINE_CACHE.partition("=")[0]


def _substituted(text: str, values: Mapping[str, str]) -> str:
    """A text with the file's own substitutions applied; default substitutions are kept."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] else values.get(match[2] or match[3], match[0])

    return OWN_SUBSTITUTION.sub(value, text)


OWN_SUBSTITUTION = re.compile(r"\$(?:(\$)|(_[A-Z0-9_]+)|\{(_[A-Z0-9_]+)\})")


def _parent(step: _Step, order: Mapping[str, int], by_id: Mapping[str, str]) -> str | None:
    """The parent in the same build: an image in the build args, or one that the step waits for."""
    named = [value for value in step.build.build_args.values() if value in order]
    if len(named) > 1:
        return min(named, key=order.__getitem__)
    return named[0] if named else next((by_id[n] for n in step.needs if n in by_id), None)


def _pushed(document: Mapping[str, Any], steps: Iterable[_Step]) -> set[str]:
    named = {str(name) for name in document.get("images") or ()}
    return named | {name for step in steps if step.kind == "push" for name in step.tags}


def _tests(tests: Iterable[_Step]) -> Iterator[str]:
    for test in tests:
        yield from test_files(test.args) or (" ".join(test.args),)


def _options(
    step: _Step, parent: str | None, by_id: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The options of a build step other than tags, Dockerfile and build args."""
    for flag, value in step.build.options:
        if flag == "--label":
            name, _, text = value.partition("=")
            yield f"label {name}", text
        elif flag == "--cache-from" and value in step.tags:
            yield "cache", "registry"
        else:
            yield flag, value
    context = step.build.context_from(_directory(step))
    if context != ".":
        yield "context", context
    if step.builder != BUILDER:
        yield "builder", step.builder
    waits = [by_id.get(name, name) for name in step.needs]
    if waits != ["-" if parent is None else parent]:
        yield "waits for", ", ".join(waits) or "everything before"
    for name in step.fields:
        if name not in KNOWN:
            yield name, json.dumps(step.fields[name])


KNOWN = frozenset(("id", "name", "args", "waitFor", "dir"))
"""The fields of a step that are read here; any other is an option as it stands."""


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


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
