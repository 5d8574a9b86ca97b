"""The inventory of a build: its images and what they are built from, for comparison.

It can be read from a plan, from any Cloud Build file, and from the record of a run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from imagekit.config.cloudbuild import CloudBuild
from imagekit.docker.context import inside, made_of
from imagekit.document import cloudbuild
from imagekit.document.build_files import merge
from imagekit.document.split import split
from imagekit.document.steps import PROGRAMS, SWITCHES, Step
from imagekit.errors import LimitError
from imagekit.planning.plan import Plan
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
    sequence: str | None = None
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
        return _of_document(merge(map(_document, texts)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


class _StepArgs(msgspec.Struct):
    """What tells which images a step builds."""

    args: list[str] = []


class _Steps(msgspec.Struct):
    steps: list[_StepArgs]


def image_names(*texts: str) -> tuple[str, ...]:
    """The names of the images in `read(*texts)`, without reading what they are built from."""
    return short_names(reference_names(*texts))


def reference_names(*texts: str) -> tuple[str, ...]:
    """The whole names of the images in build files; empty for a text that is not one."""
    try:
        builds = [
            [args[i + 1] for i, arg in enumerate(args[:-1]) if arg == "-t"]
            for text in texts
            for step in msgspec.json.decode(text, type=_Steps).steps
            if (args := step.args)[:1] == ["build"]
        ]
        plain = all(names and "$" not in names[0] for names in builds)
    except msgspec.MsgspecError:
        plain = False
    if not plain:
        # A file that another generator may have written needs a closer look.
        return tuple((read(*texts) or Inventory()).whole_names().images)
    return tuple(name for names in builds for name in names[:1])


def short_names(references: Sequence[str]) -> tuple[str, ...]:
    """The names of images in an inventory: without the repository if they have it in common."""
    repository = _common(references)
    start = len(repository) + 1 if repository else 0
    return tuple(dict.fromkeys(reference[start:] for reference in references))


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


def _document(text: str) -> dict[str, Any]:
    document = _parsed(text)
    if not isinstance(document["steps"], list):
        raise TypeError("'steps' is no list")
    return dict(document)


def _parsed(text: str) -> Any:
    if text.lstrip()[:1] == "{":
        return json.loads(text)
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
    common = _common([name for key, image in images.items() for name in (key, *image.aliases)])
    shown = _shortened(images, common) if common is not None else images
    return Inventory(repository=common, images=_without_parents(shown, common))


def _of_document(document: Mapping[str, Any]) -> Inventory:
    raw = document["steps"]
    values = {name: str(text) for name, text in (document.get("substitutions") or {}).items()}
    steps = [
        (_step(fields, number, values), fields)
        for number, fields in enumerate(raw)
        if fields.get("args")
    ]
    builds = [(step, fields) for step, fields in steps if step.kind == "build" and step.tags]
    names = {name: None for step, _ in builds for name in step.tags}
    repository = _common(names)
    known = {id(fields) for _, fields in builds}
    known |= {id(fields) for step, fields in steps if _belongs(step, names)}
    images = _images(builds, [step for step, _ in steps], names, document)
    if repository is not None:
        images = _shortened(images, repository)
    options = dict(_flat({k: v for k, v in document.items() if k not in PARTS}))
    for number, fields in enumerate(raw):
        if id(fields) not in known:
            options[f"step {fields.get('id') or number + 1}"] = json.dumps(fields)
    return Inventory(
        repository=repository,
        images=_without_parents(images, repository),
        options=dict(sorted(options.items())),
        sequence=_sequence(document, repository),
    )


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Options one by one, so that a change is of one and not of all."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


PARTS = ("steps", "images")
"""What of a build file is told image by image."""


def _belongs(step: Step, names: Mapping[str, None]) -> bool:
    """Whether a step only pushes, pulls or tests images of the build.

    A step with its own entrypoint or another builder may do anything.
    """
    plain = step.entrypoint is None and step.builder in PROGRAMS
    only = plain and step.kind in ("push", "pull", "test")
    return only and all(tag in names for tag in step.tags)


def _sequence(document: Mapping[str, Any], repository: str | None) -> str:
    text = json.dumps([document["steps"], document.get("images")], sort_keys=True)
    if repository is not None:
        text = text.replace(f"{repository}:", "")
    return hashlib.sha256(text.encode()).hexdigest()


def _images(
    builds: list[tuple[Step, Mapping[str, Any]]],
    steps: list[Step],
    names: Iterable[str],
    document: Mapping[str, Any],
) -> dict[str, ImageSpec]:
    by_id = {step.id: step.tags[0] for step, _ in builds}
    by_id |= {step.id: step.tags[0] for step in steps if step.kind == "pull"}
    pushed = _pushed(document, steps)
    order = {name: place for place, name in enumerate(names)}
    tests: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind == "test" and step.tags:
            tests.setdefault(step.tags[0], []).append(step)
    images: dict[str, ImageSpec] = {}
    for step, fields in builds:
        parent = _parent(step, order, by_id)
        options = _joined(_options(step, fields, parent, by_id))
        options |= {} if pushed & set(step.tags) else {"pushed": "no"}
        passed = [arg for arg, value in step.build_args.items() if value == parent]
        if passed not in ([], ["BASE_IMAGE"]):
            options["parent passed as"] = ", ".join(passed)
        images[step.tags[0]] = ImageSpec(
            dockerfile=step.dockerfile,
            build_args=_own_args(step),
            parent=parent,
            aliases=step.tags[1:],
            test=tuple(_tests(tests.get(step.tags[0], ()))),
            options=options,
        )
    return images


def _own_args(step: Step) -> dict[str, str]:
    """The build args of a step, without the one that enables BuildKit's inline cache."""
    name, _, value = cloudbuild.INLINE_CACHE.partition("=")
    return {arg: text for arg, text in step.build_args.items() if (arg, text) != (name, value)}


def _common(names: Collection[str]) -> str | None:
    """The common repository of all names; None if there are several, or a name has no tag."""
    repositories = {LAST_TAG.sub("", name) for name in names}
    one = repositories.pop() if len(repositories) == 1 else None
    return one if one not in names else None


LAST_TAG = re.compile(r":[\w.${}-]+$")
"""The tag of a reference; a substitution may be a part of it."""


def _step(fields: Mapping[str, Any], number: int, values: Mapping[str, str]) -> Step:
    texts = map(str, fields["args"])
    args = tuple([_substituted(text, values) if "$" in text else text for text in texts])
    return Step(
        id=str(fields.get("id") or f"step {number + 1}"),
        builder=str(fields.get("name", "")).partition("@")[0],
        args=args,
        entrypoint=fields.get("entrypoint"),
        dir=str(fields.get("dir") or "."),
        needs=tuple(str(name) for name in fields.get("waitFor") or ()),
    )


def _substituted(text: str, values: Mapping[str, str]) -> str:
    """A text with the file's own substitutions applied; default substitutions are kept."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] else values.get(match[2] or match[3], match[0])

    return OWN_SUBSTITUTION.sub(value, text)


OWN_SUBSTITUTION = re.compile(r"\$(?:(\$)|(_[A-Z0-9_]+)|\{(_[A-Z0-9_]+)\})")


def _parent(step: Step, order: Mapping[str, int], by_id: Mapping[str, str]) -> str | None:
    """The parent in the same build: an image in the build args, or one that the step waits for."""
    named = [value for value in step.build_args.values() if value in order]
    waited = (by_id[name] for name in step.needs if name in by_id)
    return min(named, key=order.__getitem__) if named else next(waited, None)


def _pushed(document: Mapping[str, Any], steps: Iterable[Step]) -> set[str]:
    named = {str(name) for name in document.get("images") or ()}
    return named | {name for step in steps if step.kind == "push" for name in step.tags}


def _tests(tests: Iterable[Step]) -> Iterator[str]:
    for test in tests:
        yield from test.test_files or (" ".join(test.args),)


def _options(
    step: Step, fields: Mapping[str, Any], parent: str | None, by_id: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The options of a build step other than tags, Dockerfile and build args."""
    yield from _flags(step)
    if step.context != ".":
        yield "context", step.context
    if step.builder != cloudbuild.BUILDER:
        yield "builder", step.builder
    waits = [by_id.get(name, name) for name in step.needs]
    if waits != ["-" if parent is None else parent]:
        yield "waits for", ", ".join(waits) or "everything before"
    for name in fields:
        if name not in ("id", "name", "args", "waitFor", "dir"):
            yield name, json.dumps(fields[name])


def _flags(step: Step) -> Iterator[tuple[str, str]]:
    args = iter(step.flags)
    for arg in args:
        flag, equals, value = arg.partition("=")
        if flag in SWITCHES:
            value = value or "yes"
        elif arg.startswith("-") and not equals:
            value = next(args, "")
        if flag == "--label":
            name, _, value = value.partition("=")
            yield f"label {name}", value
        elif flag == "--cache-from" and value in step.tags:
            yield "cache", "registry"
        elif flag not in ("-t", "--tag", "-f", "--file", "--build-arg"):
            yield flag, value


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _shortened(images: Mapping[str, ImageSpec], repository: str) -> dict[str, ImageSpec]:
    def short(name: str) -> str:
        return name.removeprefix(f"{repository}:")

    return {
        short(name): msgspec.structs.replace(
            image,
            parent=short(image.parent) if image.parent else None,
            aliases=tuple(map(short, image.aliases)),
        )
        for name, image in images.items()
    }


def _without_parents(
    images: Mapping[str, ImageSpec], repository: str | None
) -> dict[str, ImageSpec]:
    """Images without the parent in their build args; `parent` has it already."""
    return {
        name: msgspec.structs.replace(
            image,
            build_args={
                arg: value
                for arg, value in image.build_args.items()
                if image.parent is None
                or value != (f"{repository}:{image.parent}" if repository else image.parent)
            },
        )
        for name, image in images.items()
    }
