"""The inventory of a build: its images and what they are built from, for comparison.

It can be read from a plan, from any Cloud Build file, and from the record of a run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import msgspec

from imagekit.config.cloudbuild import CloudBuild
from imagekit.docker.context import inside, made_of
from imagekit.docker.names import LAST_TAG, common_repository, short_names, tagged
from imagekit.document import build_reader, cloudbuild, docker_args
from imagekit.document.build_files import merge
from imagekit.document.build_reader import FileBuild, FileStep
from imagekit.document.cloudbuild import BUILDER
from imagekit.document.docker_args import Action, Arguments
from imagekit.document.split import split
from imagekit.document.substitutions import Substitutions
from imagekit.errors import LimitError, one_line
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
    order: str | None = None
    """A hash of the steps and their order; None if unknown."""
    unknown: tuple[str, ...] = ()
    """The steps of which is not known what they build; their text is an option."""

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
    documents = (cloudbuild.assemble(part, options) for part in parts)
    return of_build(merge(map(build_reader.of_document, documents)))


def read(*texts: str) -> Inventory | None:
    """The inventory of a Cloud Build file, or of several in order, in JSON or YAML.

    Returns None if a text is not a Cloud Build file. Files of other generators are read, too,
    as far as their steps are understood.
    """
    builds = [build_reader.read_leniently(text) for text in texts]
    known = [build for build in builds if build is not None]
    return of_build(merge(known)) if len(known) == len(builds) else None


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
    except msgspec.MsgspecError:
        return None
    return tuple(name for _, names in builds for name in names[:1]) if plain else None


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


# ---- a build file


class _Step(msgspec.Struct, gc=False):
    """What a step of any Cloud Build file does with images."""

    file: FileStep
    """The step in the file."""
    number: int
    """Its place among the steps, from 1."""
    args: Sequence[str]
    """Its arguments, with the file's own substitutions."""
    action: Action
    """What it does with images."""
    tags: Sequence[str]
    """The whole names of the images that it builds, pushes, pulls or tests."""

    @property
    def id(self) -> str:
        """Its id, or "step N"."""
        return self.file.id or f"step {self.number}"


def of_build(build: FileBuild) -> Inventory:
    """The inventory of a build file."""
    # The values of the others are known only where the build runs.
    substitute = Substitutions(build.substitutions, dynamic=build.is_dynamic, missing="keep")
    steps = [_step(file, number, substitute) for number, file in enumerate(build.steps, start=1)]
    builds = [step for step in steps if step.action.build is not None and step.tags]
    names = {name: None for step in builds for name in step.tags}
    # Images of other generators are known by their whole names.
    are_named_alike = all(step.file.id == step.tags[0] for step in builds)
    repository = common_repository(names) if are_named_alike else None
    named = [tagged(substitute(name)) for name in build.images]
    pushed = _pushed(steps, named, names)
    options = dict(_flat(_around(build)))
    unknown = []
    for step in steps:
        if step.action.build is not None and step.tags:
            continue
        if not _belongs(step, names):
            name = f"step {step.file.id or step.number}"
            name = name if name not in options else f"step {step.number}"
            options[name] = _text(step)
            if step.action.kind in ("other", "build"):
                unknown.append(name)
    if other := [name for name in named if name not in names]:
        options["images"] = ", ".join(other)
    return Inventory(
        repository=repository,
        images=_images(builds, steps, _prefix(repository), pushed, substitute),
        options=dict(sorted(options.items())),
        order=_order(steps, named, are_named_alike=are_named_alike),
        unknown=tuple(unknown),
    )


def _step(file: FileStep, number: int, substitute: Substitutions) -> _Step:
    args: Sequence[str] = file.args
    if "$" in "".join(args):
        args = [substitute(text) for text in args]
    if file.script:
        action = Action()
    else:
        action = docker_args.action(substitute(file.name), args, file.entrypoint or None)
    return _Step(file, number, args, action, [tagged(name) for name in action.images])


def _prefix(repository: str | None) -> str:
    """What names have in front if they are whole and are shown without."""
    return f"{repository}:" if repository is not None else ""


def _around(build: FileBuild) -> dict[str, Any]:
    """What a build says besides its steps and images."""
    own = {"timeout": build.timeout, "substitutions": build.substitutions, "options": build.options}
    return {name: value for name, value in own.items() if value} | build.rest | build.others


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Options one by one, so that a change is of one and not of all."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def _text(step: _Step) -> str:
    """A step that is not understood, on one line: what it runs, and its other fields."""
    file = step.file
    what = file.script or " ".join(filter(None, (file.entrypoint, *step.args)))
    words = [file.name, one_line(what)]
    words += [f"{name}={value}" for name, value in _fields(file, *SHOWN)]
    return " ".join(filter(None, words))


def _fields(file: FileStep, *left_out: str) -> Iterator[tuple[str, str]]:
    """The fields of a step but some, as text."""
    for field, key in build_reader.STEP_KEYS.items():
        if field not in left_out and (value := getattr(file, field)) not in ("", [], None, False):
            yield key, _json(value)
    yield from ((name, _json(value)) for name, value in file.rest.items())
    yield from file.others.items()


SHOWN = ("id", "name", "args", "script", "entrypoint")
"""The fields of a step that `_text` shows in another way."""
KNOWN = ("id", "name", "args", "wait_for", "dir")
"""The fields of a step that builds an image which are read; any other is an option."""


def _belongs(step: _Step, names: Mapping[str, None]) -> bool:
    """Whether a step only pushes, pulls or tests images of the build, and waits for nothing.

    A step with its own entrypoint or another builder may do anything.
    """
    action = step.action
    if action.kind not in ("push", "pull", "test") or step.file.entrypoint:
        return False
    if action.all_tags:
        return any(_is_of(name, action.images) for name in names)
    return all(tag in names for tag in step.tags)


def _is_of(name: str, repositories: Sequence[str]) -> bool:
    """Whether an image is in one of the repositories."""
    return LAST_TAG.sub("", name) in repositories


def _order(steps: Sequence[_Step], images: Sequence[str], *, are_named_alike: bool) -> str:
    """A hash of the steps; it is compared only where the repository is the same."""
    # In a file of another generator, an image may be written in several ways.
    files = [step.file if are_named_alike else _normal(step) for step in steps]
    return hashlib.sha256(msgspec.json.encode([files, images], order="sorted")).hexdigest()


def _normal(step: _Step) -> FileStep:
    """A step with its substitutions applied and the whole names of its images."""
    whole = dict(zip(step.action.images, step.tags, strict=True))
    return msgspec.structs.replace(step.file, args=[whole.get(arg, arg) for arg in step.args])


def _images(
    builds: Sequence[_Step],
    steps: Sequence[_Step],
    prefix: str,
    pushed: Set[str],
    substitute: Substitutions,
) -> dict[str, ImageSpec]:
    by_id = {step.id: step.tags[0] for step in builds}
    by_id |= {step.id: step.tags[0] for step in steps if step.action.kind == "pull" and step.tags}
    order = {name: place for place, step in enumerate(builds) for name in step.tags}
    tests: dict[str, list[_Step]] = {}
    for step in steps:
        if step.action.kind == "test" and step.tags:
            tests.setdefault(step.tags[0], []).append(step)
    images: dict[str, ImageSpec] = {}
    for step in builds:
        tags, made = step.tags, step.action.build or Arguments()
        directory = substitute(step.file.dir) or "."
        parent = _parent(made, step, order, by_id)
        options = _joined(_options(step, made, directory, parent, by_id))
        if pushed.isdisjoint(tags) and not made.pushes:
            options["pushed"] = "no"
        build_args, passed = _own_args(made.build_args, parent)
        if passed not in ([], ["BASE_IMAGE"]):
            options["parent passed as"] = ", ".join(passed)
        name = tags[0].removeprefix(prefix)
        # An image may be built again by a later step.
        images[name if name not in images else f"{name} (step {step.number})"] = ImageSpec(
            dockerfile=made.dockerfile_from(directory),
            build_args=build_args,
            parent=None if parent is None else parent.removeprefix(prefix),
            aliases=tuple([tag.removeprefix(prefix) for tag in tags[1:]]),
            test=tuple(_tests(tests[tags[0]])) if tags[0] in tests else (),
            options=options,
        )
    return images


def _own_args(
    build_args: Mapping[str, str], parent: str | None
) -> tuple[dict[str, str], list[str]]:
    """The build args without the parent, and the names of those that are the parent.

    The one that enables BuildKit's inline cache is left out.
    """
    own, passed = {}, []
    for name, value in build_args.items():
        if parent is not None and parent in (value, f"{value}:latest"):
            passed.append(name)
        elif name != INLINE_CACHE or value != "1":
            own[name] = value
    return own, passed


INLINE_CACHE = cloudbuild.INLINE_CACHE.partition("=")[0]


def _parent(
    made: Arguments, step: _Step, order: Mapping[str, int], by_id: Mapping[str, str]
) -> str | None:
    """The parent in the same build: an image in the build args, or one that the step waits for."""
    values = made.build_args.values()
    named = [name for value in values for name in (value, f"{value}:latest") if name in order]
    if len(named) > 1:
        return min(named, key=order.__getitem__)
    return named[0] if named else next((by_id[n] for n in step.file.wait_for if n in by_id), None)


def _pushed(steps: Iterable[_Step], images: Iterable[str], names: Mapping[str, None]) -> set[str]:
    """The images that are pushed by a step or at the end of the build."""
    found = set(images)
    for step in steps:
        if step.action.kind == "push" and step.action.all_tags:
            found |= {name for name in names if _is_of(name, step.action.images)}
        elif step.action.kind == "push":
            found.update(step.tags)
    return found


def _tests(tests: Iterable[_Step]) -> Iterator[str]:
    for test in tests:
        yield from docker_args.test_files(test.args) or (" ".join(test.args),)


def _options(
    step: _Step, made: Arguments, directory: str, parent: str | None, by_id: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The options of a build step other than tags, Dockerfile and build args."""
    for flag, value in made.options:
        if flag == "--label":
            name, _, text = value.partition("=")
            yield f"label {name}", text
        elif flag == "--cache-from" and value in step.tags:
            yield "cache", "registry"
        elif flag != "--push":
            yield flag, value
    context = made.context_from(directory)
    if context != ".":
        yield "context", context
    if step.file.name != BUILDER and (builder := step.file.name.partition("@")[0]) != BUILDER:
        yield "builder", builder
    wait_for = step.file.wait_for
    waits = [by_id.get(name, name) for name in wait_for]
    if waits != ["-" if parent is None else parent]:
        yield "waits for", ", ".join(waits) or "everything before"
    yield from _fields(step.file, *KNOWN)


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
