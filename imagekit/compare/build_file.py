"""The images of any Cloud Build file, as far as its steps are understood."""

from __future__ import annotations

import bisect
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
from imagekit.document.quick_reader import KnownSteps
from imagekit.document.substitutions import Substitutions
from imagekit.errors import one_line

Context = tuple[str | None, list[str], bool, tuple[str, ...], str]
"""What the other steps of a build say about an image: its parent, by its whole name; what it waits
for; whether it is pushed; its test files; and what names have in front that is not shown."""


class _Step(msgspec.Struct, gc=False):
    """What a step of any Cloud Build file does with images."""

    file: FileStep
    """The step in the file."""
    args: Sequence[str]
    """Its arguments, with the file's own substitutions."""
    action: Action
    """What it does with images."""
    tags: Sequence[str]
    """The whole names of the images that it builds, pushes, pulls or tests."""
    made: Arguments | None
    """What its arguments say if it builds an image that has a name."""
    directory: str
    """The folder in which it runs."""
    pushes: str | None = None
    """The whole name of the image if all that it does is to push one."""
    image: tuple[Context, ImageSpec] | None = None
    """The image that it builds, and the context in which that was found."""
    generation: int = 0
    """The generation of contexts in which that was found, see `Known`."""


class Known(msgspec.Struct):
    """What was read of builds that are compared: a step that several have is read once."""

    files: KnownSteps = msgspec.field(default_factory=KnownSteps)
    """The steps as they are written."""
    steps: dict[bytes, dict[int, _Step]] = {}
    """What steps do, by the substitutions of their builds and the identity of the step."""
    names: dict[str, int] = {}
    """The images of the last build, with their order."""
    repository: str | None = None
    """The repository of these images."""
    contexts: tuple[Any, ...] = ()
    """What the contexts of the images of the last build are made of."""
    generation: int = 0
    """A number that grows when `contexts` changes."""
    has_other: bool = False
    """Whether pushes and tests of the last build may wait for others than those before."""
    by_place: bool = False
    """Whether some wait for what stands before them."""
    size: int = 0
    """The number of steps of the last build."""


def of_build(build: FileBuild, known: Known | None = None) -> Inventory:
    """The inventory of a build file.

    For a comparison, `known` is kept from one build to the other. The order of the steps is left
    out then, as it takes long and is of interest only where nothing else differs.
    """
    is_compared = known is not None
    known = known or Known()
    substitute = _substitute(build)
    known.has_other = len(build.steps) != known.size
    known.size = len(build.steps)
    generation = known.generation
    steps = _steps(build, substitute, known)
    names, are_named_alike = _names(steps)
    if names != known.names:
        known.names, known.repository = names, common_repository(names)
    # Images of other generators are known by their whole names.
    repository = known.repository if are_named_alike else None
    named = [tagged(substitute(name)) for name in build.images]
    options = dict(sorted(_flat(_besides_steps(build))))
    unknown = []
    for number, step in enumerate(steps, start=1):
        if step.made is None and step.pushes not in names and not _belongs(step, names):
            name = f"step {step.file.id or number}"
            name = name if name not in options else f"step {number}"
            options[name] = _text(step)
            if step.action.kind in ("other", "build"):
                unknown.append(name)
    if other := [name for name in named if name not in names]:
        options["images"] = ", ".join(other)
    images = _images(steps, prefix_of(repository), _pushed(steps, named, names), known)
    known.has_other = known.has_other or known.generation != generation
    return Inventory(
        repository=repository,
        images=images,
        options=options,
        order=None if is_compared else _order(steps, named, are_named_alike=are_named_alike),
        unknown=tuple(unknown),
    )


class Following(msgspec.Struct):
    """What the pushes and tests of a build say besides their image and their test files."""

    waits: dict[tuple[str, str], list[str]] = {}
    """What waits for which images and tests: the name of the image, and its push or test."""
    fields: dict[tuple[str, str], str] = {}
    """Other fields of these steps, such as `test allowFailure`."""
    files: dict[tuple[str, str], int] = {}
    """The number of the build file that waits."""
    made: dict[str, int] = {}
    """All images and tests, and the number of the build file that makes them."""


def following(build: FileBuild, known: Known, repository: str | None) -> Following:
    """What pushes and tests wait for, and their fields. Names are short if in `repository`."""
    steps = _steps(build, _substitute(build), known)
    prefix = prefix_of(repository)
    images = {tag: step.tags[0] for step in steps if step.made is not None for tag in step.tags}
    found = Following()
    makes: dict[str, str] = {}
    last_test: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.tags:
            kind, name = step.action.kind, step.tags[0].removeprefix(prefix)
            if kind == "push":
                name = f"the push of {name}"
            elif kind == "test":
                last_test[name] = index
                # An image may have several tests.
                several = f"the test of {name}" in found.made
                name = f"the test {step.file.id}" if several else f"the test of {name}"
            makes[step.file.id] = name
            found.made[name] = bisect.bisect(build.starts, index)
    makes.pop("", None)
    for index, step in enumerate(steps):
        kind, tag = step.action.kind, step.tags[0] if step.tags else ""
        if kind in FOLLOWING and tag in images and not step.file.entrypoint:
            image, short = images[tag].removeprefix(prefix), tag.removeprefix(prefix)
            what = kind if short == image else f"{kind} of {short}"
            key = image, f"{what} waits for"
            names = list(map(makes.get, step.file.wait_for, step.file.wait_for))
            is_early = kind == "push" and last_test.get(image, -1) > index
            before = f"{EVERYTHING}, without its test" if is_early else EVERYTHING
            found.waits.setdefault(key, []).extend(names or [before])
            found.files[key] = bisect.bisect(build.starts, index)
            found.fields |= {(image, f"{what} {k}"): v for k, v in _fields(step.file, *KNOWN)}
    return found


def _substitute(build: FileBuild) -> Substitutions:
    """The substitutions of a build; the values of others are known only where it runs."""
    return Substitutions(build.substitutions, dynamic=build.is_dynamic, missing="keep")


def _order(steps: Sequence[_Step], images: Sequence[str], *, are_named_alike: bool) -> str:
    """A hash of the steps and their order; it is compared only where the repository is the same."""
    import hashlib  # Not at the top: most comparisons do not get here.

    # In a file of another generator, an image may be written in several ways.
    files = [step.file if are_named_alike else _normal(step) for step in steps]
    return hashlib.sha256(msgspec.json.encode([files, images], order="sorted")).hexdigest()


def _names(steps: Iterable[_Step]) -> tuple[dict[str, int], bool]:
    """The images that are built, with their order, and whether steps have the names of theirs."""
    builds = [step for step in steps if step.made is not None]
    names = {name: place for place, step in enumerate(builds) for name in step.tags}
    return names, all(step.file.id == step.tags[0] for step in builds)


EVERYTHING = "everything before"
"""What a step waits for that does not say it."""
FOLLOWING = ("push", "test")
"""What steps do with images that others have built."""


def _steps(build: FileBuild, substitute: Substitutions, known: Known) -> list[_Step]:
    values = msgspec.json.encode([build.substitutions, build.is_dynamic], order="sorted")
    found = known.steps.setdefault(values, {})
    steps = []
    for file in build.steps:
        step = found.get(id(file))
        if step is None:
            step = found[id(file)] = _step(file, substitute)
            if step.action.kind in FOLLOWING:
                known.has_other = True
                known.by_place = known.by_place or not file.wait_for
        steps.append(step)
    return steps


def _step(file: FileStep, substitute: Substitutions) -> _Step:
    args: Sequence[str] = file.args
    if "$" in "".join(args):
        args = [substitute(text) for text in args]
    name = substitute(file.name) if "$" in file.name else file.name
    action = Action() if file.script else docker_args.action(name, args, file.entrypoint or None)
    tags = [tagged(image) for image in action.images]
    directory = substitute(file.dir) if file.dir else "."
    is_push = action.kind == "push" and not (action.all_tags or file.entrypoint)
    pushes = tags[0] if is_push and tags else None
    return _Step(file, args, action, tags, action.build if tags else None, directory or ".", pushes)


def prefix_of(repository: str | None) -> str:
    """What names have in front if they are whole and are shown without."""
    return f"{repository}:" if repository is not None else ""


def _besides_steps(build: FileBuild) -> dict[str, Any]:
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
NO_OTHERS = _others(FileStep())
"""Those of a step that has none."""


def _belongs(step: _Step, names: Mapping[str, int]) -> bool:
    """Whether a step only pushes, pulls or tests images of the build, and waits for nothing.

    A step with its own entrypoint or another builder may do anything.
    """
    action = step.action
    if action.kind not in ("push", "pull", "test") or step.file.entrypoint:
        return False
    if action.all_tags:
        return any(_is_of(name, action.images) for name in names)
    return all(map(names.__contains__, step.tags))


def _is_of(name: str, repositories: Sequence[str]) -> bool:
    """Whether an image is in one of the repositories."""
    return LAST_TAG.sub("", name) in repositories


def _normal(step: _Step) -> FileStep:
    """A step with its substitutions applied and the whole names of its images."""
    whole = dict(zip(step.action.images, step.tags, strict=True))
    return msgspec.structs.replace(step.file, args=[whole.get(arg, arg) for arg in step.args])


def _images(
    steps: Sequence[_Step], prefix: str, pushed: Set[str], known: Known
) -> dict[str, ImageSpec]:
    by_id: dict[str, str] = {}
    tests: dict[str, list[_Step]] = {}
    for number, step in enumerate(steps, start=1):
        if step.tags and (kind := step.action.kind) != "push":
            if kind == "test":
                tests.setdefault(step.tags[0], []).append(step)
            else:
                by_id[step.file.id or f"step {number}"] = step.tags[0]
    contexts = (known.names, by_id, pushed, tests, prefix)
    if contexts != known.contexts:
        known.contexts = contexts
        known.generation += 1
    images: dict[str, ImageSpec] = {}
    for number, step in enumerate(steps, start=1):
        if (made := step.made) is None:
            continue
        name = step.tags[0].removeprefix(prefix)
        if step.image is None or step.generation != known.generation:
            context: Context = (
                _parent(made, step, known.names, by_id),
                [by_id.get(one, one) for one in step.file.wait_for],
                made.pushes or not pushed.isdisjoint(step.tags),
                tuple(_tests(tests[step.tags[0]])) if step.tags[0] in tests else (),
                prefix,
            )
            if step.image is None or step.image[0] != context:
                step.image = context, _image(step, made, context)
            step.generation = known.generation
        # An image may be built again by a later step.
        images[name if name not in images else f"{name} (step {number})"] = step.image[1]
    return images


def _image(step: _Step, made: Arguments, context: Context) -> ImageSpec:
    parent, waits, is_pushed, test, prefix = context
    folder, dockerfile = made.paths_from(step.directory)
    others = ""
    if waits != ["-" if parent is None else parent]:
        others = ", ".join(name.removeprefix(prefix) for name in waits) or EVERYTHING
    options = _options(step, made, folder, others)
    if not is_pushed or made.pushes:
        options["pushed"] = "by its build" if made.pushes else "no"
    build_args = made.build_args.copy()
    if parent is not None:
        # With its tag or, where that is `latest`, without.
        names = parent, parent.removesuffix(":latest")
        passed = [name for name, value in build_args.items() if value in names]
        for name in passed:
            del build_args[name]
        if passed not in ([], ["BASE_IMAGE"]):
            options["parent passed as"] = ", ".join(passed)
    # What enables the inline cache of BuildKit is no build arg of the image's own.
    if build_args.get(INLINE_CACHE) == "1":
        del build_args[INLINE_CACHE]
    return ImageSpec(
        dockerfile=dockerfile,
        build_args=build_args,
        parent=None if parent is None else parent.removeprefix(prefix),
        aliases=tuple(tag.removeprefix(prefix) for tag in step.tags[1:]) if step.tags[1:] else (),
        test=test,
        options=options,
    )


INLINE_CACHE = cloudbuild.INLINE_CACHE.partition("=")[0]


def _parent(
    made: Arguments, step: _Step, order: Mapping[str, int], by_id: Mapping[str, str]
) -> str | None:
    """The parent in the same build: an image in the build args, or one that the step waits for."""
    values = made.build_args.values()
    named = [value for value in values if value in order]
    named = named or [name for value in values if (name := f"{value}:latest") in order]
    if named:
        return min(named, key=order.__getitem__) if len(named) > 1 else named[0]
    return next((by_id[name] for name in step.file.wait_for if name in by_id), None)


def _pushed(steps: Iterable[_Step], images: Iterable[str], names: Mapping[str, int]) -> set[str]:
    """The images that are pushed by a step or at the end of the build."""
    found = set(images)
    for step in steps:
        if step.pushes is not None:
            found.add(step.pushes)
        elif step.action.kind == "push" and step.action.all_tags:
            found |= {name for name in names if _is_of(name, step.action.images)}
        elif step.action.kind == "push":
            found.update(step.tags)
    return found


def _tests(tests: Iterable[_Step]) -> Iterator[str]:
    for test in tests:
        yield from docker_args.test_files(test.args) or (" ".join(test.args),)


def _options(step: _Step, made: Arguments, context: str, waits: str) -> dict[str, str]:
    """The options of a build step other than tags, Dockerfile and build args.

    `waits` is what it waits for; empty if that is its parent only.
    """
    file = step.file
    found = [*_flags(step, made)] if made.options else []
    if context != ".":
        found.append(("context", context))
    if file.name != BUILDER and (builder := file.name.partition("@")[0]) != BUILDER:
        found.append(("builder", builder))
    if waits:
        found.append(("waits for", waits))
    if _others(file) != NO_OTHERS:
        found += _fields(file, *KNOWN)
    joined: dict[str, str] = {}
    for name, value in found:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _flags(step: _Step, made: Arguments) -> Iterator[tuple[str, str]]:
    """The options of `docker build` other than those that are told in another way."""
    for flag, value in made.options:
        if flag == "--label":
            name, _, text = value.partition("=")
            yield f"label {name}", text
        elif flag == "--cache-from" and value in step.tags:
            yield "cache", "registry"
        elif flag != "--push":
            yield flag, value
