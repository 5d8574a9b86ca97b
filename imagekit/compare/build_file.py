"""The images of any Cloud Build file, as far as its steps are understood."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import msgspec

from imagekit.compare.spec import ImageSpec, Inventory
from imagekit.docker.names import LAST_TAG, common_repository, tagged
from imagekit.document import build_reader, cloudbuild, docker_args
from imagekit.document.build_reader import FileBuild, FileStep
from imagekit.document.cloudbuild import BUILDER
from imagekit.document.docker_args import Action, Arguments
from imagekit.document.substitutions import Substitutions
from imagekit.errors import one_line


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
        images=_images(builds, steps, prefix_of(repository), pushed, substitute),
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


def prefix_of(repository: str | None) -> str:
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
        if (value := getattr(file, field)) and field not in left_out:
            yield key, _json(value)
    if file.automap_substitutions is False:
        yield "automapSubstitutions", "false"
    yield from ((name, _json(value)) for name, value in file.rest.items())
    yield from file.others.items()


SHOWN = ("id", "name", "args", "script", "entrypoint")
"""The fields of a step that `_text` shows in another way."""
KNOWN = ("id", "name", "args", "wait_for", "dir")
"""The fields of a step that builds an image which are read; any other is an option."""
_others = operator.attrgetter(
    *(field for field in FileStep.__struct_fields__ if field not in KNOWN)
)
"""The other fields of a step. Few steps have one."""


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
    named = [value for value in values if value in order]
    named = named or [name for value in values if (name := f"{value}:latest") in order]
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
    if any(_others(step.file)) or step.file.automap_substitutions is False:
        yield from _fields(step.file, *KNOWN)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
