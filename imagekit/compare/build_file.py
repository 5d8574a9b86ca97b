"""The images of any Cloud Build file, as far as its steps are understood."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Set
from typing import Any

import msgspec

from imagekit.compare.files import Files, Source, read_files
from imagekit.compare.spec import ImageSpec, Inventory
from imagekit.compare.steps import (
    EVERYTHING,
    KNOWN,
    Known,
    Step,
    Steps,
    as_text,
    fields,
    steps_of,
)
from imagekit.document import cloudbuild, docker_args
from imagekit.document.build_reader import FileBuild, FileStep
from imagekit.document.cloudbuild import BUILDER
from imagekit.document.docker_args import Arguments
from imagekit.errors import one_line
from imagekit.support.tree import Tree


class Pair(msgspec.Struct):
    """Two builds that are compared."""

    builds: tuple[FileBuild, FileBuild]
    """The build before, and the one after."""
    known: Known
    """What was read of both."""
    before: Inventory
    """The images before that may differ from those after."""
    after: Inventory
    """The images after that may differ from those before."""
    parents: dict[str, str | None] | None = None
    """The parents of all images after; None if all are in `after`."""


class Context(msgspec.Struct):
    """What a build says about an image besides the step that builds it."""

    parent: str | None
    """Its parent in the same build."""
    waits: list[str]
    """What its step waits for."""
    is_pushed: bool
    """Whether it is pushed by another step."""
    test: tuple[str, ...]
    """Its test files."""
    prefix: str
    """What the names of images have in front that is not shown."""


def of_build(build: FileBuild, known: Known | None = None) -> Inventory:
    """The inventory of a build file.

    For a comparison, `known` is kept from one build to the other. The order of the steps is left
    out then, as it takes long and is of interest only where nothing else differs.
    """
    steps = steps_of(build, known or Known())
    found = _inventory(steps)
    return found if known is not None else msgspec.structs.replace(found, order=order_of(steps))


def files_of(build: FileBuild, known: Known, tree: Tree) -> Files:
    """The hashes of the files that the images of a build are made of."""
    steps = steps_of(build, known)
    sources = {name: _source(step) for name, step in steps.images.items()}
    tests = {name for step in steps.images.values() for name in _tests(step, steps)}
    return read_files(tree, sources, tests)


def pair(
    before: FileBuild, after: FileBuild, known: Known, files: tuple[Files, Files] | None = None
) -> Pair:
    """Two builds for a comparison, without the images that are certainly the same.

    `files` are those of both builds; without them, files are not compared.
    """
    old, new = steps_of(before, known), steps_of(after, known)
    same = {n: step for n, step in new.images.items() if step is old.images.get(n)}
    if old.about() != new.about():
        same = {n: one for n, one in same.items() if _context(one, old) == _context(one, new)}
    if files and (changed := files[0].changed(files[1])):
        same = {
            n: step
            for n, step in same.items()
            if changed.isdisjoint((_source(step), *_tests(step, new)))
        }
    found = Pair((before, after), known, _inventory(old, same.keys()), _inventory(new, same.keys()))
    if files:
        found.before, found.after = files[0].added_to(found.before), files[1].added_to(found.after)
    if same:
        # An image is rebuilt because another one has changed, if there is one.
        images = new.images.items() if found.after.images else ()
        prefix = new.prefix
        found.parents = {name: _shown(_parent(step, new), prefix) for name, step in images}
    return found


def _inventory(steps: Steps, left_out: Set[str] = frozenset()) -> Inventory:
    names = steps.order
    options = dict(sorted(_flat(_besides_steps(steps.build))))
    unknown = []
    for number, step in _besides_images(steps):
        name = f"step {step.file.id or number}"
        name = name if name not in options else f"step {number}"
        options[name] = _text(step)
        if step.action.kind in ("other", "build"):
            unknown.append(name)
    if other := [name for name in steps.named if name not in names]:
        options["images"] = ", ".join(other)
    return Inventory(
        repository=steps.repository,
        images={
            name: _image(step, _context(step, steps))
            for name, step in steps.images.items()
            if name not in left_out
        },
        options=options,
        unknown=tuple(unknown),
    )


def _besides_images(steps: Steps) -> list[tuple[int, Step]]:
    """The steps that do something else than to build, pull, push or test images of the build."""
    names = steps.order
    found = [(number, step) for number, step in steps.others if not _belongs(step, steps)]
    if steps.pushed <= names.keys():
        return found
    for number, step in enumerate(steps.steps, start=1):
        if step.pushes is not None and step.pushes not in names:
            found.append((number, step))
    return sorted(found, key=operator.itemgetter(0))


def order_of(steps: Steps) -> str:
    """A hash of the steps and their order; it is compared only where the repository is the same."""
    import hashlib  # Not at the top: most comparisons do not get here.

    # In a file of another generator, an image may be written in several ways.
    files = [step.file if steps.are_named_alike else _normal(step) for step in steps.steps]
    text = msgspec.json.encode([files, steps.named], order="sorted")
    return hashlib.sha256(text).hexdigest()


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
            yield f"{prefix}{name}", value if isinstance(value, str) else as_text(value)


def _text(step: Step) -> str:
    """A step that is not understood, on one line: what it runs, and its other fields."""
    file = step.file
    what = file.script or " ".join(filter(None, (file.entrypoint, *step.args)))
    words = [file.name, one_line(what)]
    words += [f"{name}={value}" for name, value in fields(file, *SHOWN)]
    return " ".join(filter(None, words))


SHOWN = ("id", "name", "args", "script", "entrypoint")
"""The fields of a step that `_text` shows in another way."""
_others = operator.attrgetter(
    *(field for field in FileStep.__struct_fields__ if field not in KNOWN)
)
"""The other fields of a step. Few steps have one."""
NO_OTHERS = _others(FileStep())
"""Those of a step that has none."""


def _belongs(step: Step, steps: Steps) -> bool:
    """Whether a step only pushes, pulls or tests images of the build, and waits for nothing.

    A step with its own entrypoint or another builder may do anything.
    """
    action = step.action
    if action.kind not in ("push", "pull", "test") or step.file.entrypoint:
        return False
    if action.all_tags:
        return any(map(steps.repositories.__contains__, action.images))
    return all(map(steps.order.__contains__, step.tags))


def _normal(step: Step) -> FileStep:
    """A step with its substitutions applied and the whole names of its images."""
    whole = dict(zip(step.action.images, step.tags, strict=True))
    return msgspec.structs.replace(step.file, args=[whole.get(arg, arg) for arg in step.args])


def _context(step: Step, steps: Steps) -> Context:
    by_id = steps.by_id
    return Context(
        parent=_parent(step, steps),
        waits=[by_id.get(one, one) for one in step.file.wait_for],
        is_pushed=not steps.pushed.isdisjoint(step.tags),
        test=_tests(step, steps),
        prefix=steps.prefix,
    )


def _source(step: Step) -> Source:
    made = step.made or Arguments()
    folder, dockerfile = made.paths_from(step.directory)
    return dockerfile, folder


def _tests(step: Step, steps: Steps) -> tuple[str, ...]:
    """The test files of an image, or the arguments of tests without one."""
    found: list[str] = []
    for test in steps.tests.get(step.tags[0], ()):
        found += docker_args.test_files(test.args) or (" ".join(test.args),)
    return tuple(found)


def _image(step: Step, context: Context) -> ImageSpec:
    made, parent, prefix = step.made or Arguments(), context.parent, context.prefix
    dockerfile, folder = _source(step)
    waits = ""
    if context.waits != ["-" if parent is None else parent]:
        waits = ", ".join(name.removeprefix(prefix) for name in context.waits) or EVERYTHING
    options = _options(step, made, folder, waits)
    if made.pushes or not context.is_pushed:
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
        parent=_shown(parent, prefix),
        aliases=tuple(tag.removeprefix(prefix) for tag in step.tags[1:]) if step.tags[1:] else (),
        test=context.test,
        options=options,
    )


INLINE_CACHE = cloudbuild.INLINE_CACHE.partition("=")[0]


def _parent(step: Step, steps: Steps) -> str | None:
    """The parent in the same build: an image in the build args, or one that the step waits for."""
    made, order = step.made or Arguments(), steps.order
    values = made.build_args.values()
    named = [value for value in values if value in order]
    named = named or [name for value in values if (name := f"{value}:latest") in order]
    if named:
        return min(named, key=order.__getitem__) if len(named) > 1 else named[0]
    return next((steps.by_id[name] for name in step.file.wait_for if name in steps.by_id), None)


def _shown(name: str | None, prefix: str) -> str | None:
    return None if name is None else name.removeprefix(prefix)


def _options(step: Step, made: Arguments, context: str, waits: str) -> dict[str, str]:
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
        found += fields(file, *KNOWN)
    joined: dict[str, str] = {}
    for name, value in found:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _flags(step: Step, made: Arguments) -> Iterator[tuple[str, str]]:
    """The options of `docker build` other than those that are told in another way."""
    for flag, value in made.options:
        if flag == "--label":
            name, _, text = value.partition("=")
            yield f"label {name}", text
        elif flag == "--cache-from" and value in step.tags:
            yield "cache", "registry"
        elif flag != "--push":
            yield flag, value
