"""What the steps of any Cloud Build file do with images, one by one and together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from imagekit.docker.names import LAST_TAG, common_repository, tagged
from imagekit.document import build_reader, docker_args
from imagekit.document.build_reader import FileBuild, FileStep
from imagekit.document.docker_args import Action, Arguments
from imagekit.document.quick_reader import KnownSteps
from imagekit.document.substitutions import Substitutions

FOLLOWING = ("push", "test")
"""What steps do with images that others have built."""
EVERYTHING = "everything before"
"""What a step waits for that does not say it."""
KNOWN = ("id", "name", "args", "wait_for", "dir")
"""The fields of a step that builds an image which are read; any other is an option."""


class Step(msgspec.Struct, gc=False, eq=False):
    """What a step does with images. It is equal to itself only."""

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


class Steps(msgspec.Struct, eq=False):
    """A build, and what its steps do with images together."""

    build: FileBuild
    """The build as it is written."""
    named: list[str]
    """The whole names of the images that it pushes at its end."""
    steps: list[Step] = []
    """Its steps."""
    others: list[tuple[int, Step]] = []
    """The steps that neither build an image nor only push one, with their numbers."""
    order: dict[str, int] = {}
    """The whole names of the images that it builds, in their order."""
    images: dict[str, Step] = {}
    """The steps that build images, by the names under which these are shown."""
    by_id: dict[str, str] = {}
    """The image that a step builds or pulls, by the id of the step, or `step 3` if it has none."""
    pushed: set[str] = set()
    """The whole names of the images that are pushed by a step or at the end of the build."""
    tests: dict[str, list[Step]] = {}
    """The steps that test an image."""
    repositories: dict[str, list[str]] = {}
    """The whole names of the images that it builds, by repository; empty if no step pushes or pulls
    all tags of one."""
    common: str | None = None
    """The repository of all images; None if there are several."""
    are_named_alike: bool = True
    """Whether each step that builds an image has its name. In the files of other generators, images
    are known by their whole names."""

    @property
    def repository(self) -> str | None:
        """The repository that is not shown in front of names."""
        return self.common if self.are_named_alike else None

    @property
    def prefix(self) -> str:
        """What whole names have in front that is not shown."""
        return prefix_of(self.repository)

    def about(self) -> tuple[object, ...]:
        """All that is said about an image besides the step that builds it."""
        return self.order, self.pushed, self.by_id, self.tests


class Known(msgspec.Struct):
    """What was read of builds that are compared: a step that several have is read once."""

    files: KnownSteps = msgspec.field(default_factory=KnownSteps)
    """The steps as they are written."""
    steps: dict[bytes, dict[int, Step]] = {}
    """What steps do, by the substitutions of their builds and the identity of the step."""
    builds: dict[int, Steps] = {}
    """What the steps of a build do together, by the identity of the build."""


def prefix_of(repository: str | None) -> str:
    """What names have in front if they are whole and are shown without."""
    return f"{repository}:" if repository is not None else ""


def steps_of(build: FileBuild, known: Known) -> Steps:
    """What the steps of a build do, which is found once."""
    found = known.builds.get(id(build))
    if found is None:
        found = known.builds[id(build)] = _together(build, known)
    return found


def _together(build: FileBuild, known: Known) -> Steps:
    # The values of others are known only where it runs.
    substitute = Substitutions(build.substitutions, dynamic=build.is_dynamic, missing="keep")
    found = Steps(build, [tagged(substitute(name)) for name in build.images])
    found.steps = _steps(build, substitute, known)
    found.pushed.update(found.named)
    builds = []
    for number, step in enumerate(found.steps, start=1):
        if step.made is not None:
            builds.append((number, step))
            found.by_id[step.file.id or f"step {number}"] = step.tags[0]
            for name in step.tags:
                found.order[name] = len(builds)
        elif step.pushes is not None:
            found.pushed.add(step.pushes)
        else:
            found.others.append((number, step))
            if step.action.kind == "pull" and step.tags:
                found.by_id[step.file.id or f"step {number}"] = step.tags[0]
    for _, step in found.others:
        _add_other(found, step)
    _add_all_tags(found)
    found.common = _common_repository(found.order, known)
    found.are_named_alike = all(step.file.id == step.tags[0] for _, step in builds)
    hidden = len(found.prefix)
    for number, step in builds:
        name = step.tags[0][hidden:]
        # An image may be built again by a later step.
        found.images[name if name not in found.images else f"{name} (step {number})"] = step
    return found


def _add_other(found: Steps, step: Step) -> None:
    """Add what a step says about images that others build."""
    kind = step.action.kind
    if kind == "test" and step.tags:
        found.tests.setdefault(step.tags[0], []).append(step)
    elif kind == "push" and not step.action.all_tags:
        found.pushed.update(step.tags)


def _add_all_tags(found: Steps) -> None:
    """Add what is pushed by steps that push all tags of a repository."""
    actions = [step.action for _, step in found.others if step.action.all_tags]
    for name in found.order if actions else ():
        found.repositories.setdefault(LAST_TAG.sub("", name), []).append(name)
    for repository in {name for one in actions if one.kind == "push" for name in one.images}:
        found.pushed.update(found.repositories.get(repository, ()))


def _common_repository(order: Mapping[str, int], known: Known) -> str | None:
    """The repository of images. Builds that are compared mostly have the same images."""
    for other in known.builds.values():
        if other.order == order:
            return other.common
    return common_repository(order)


def _steps(build: FileBuild, substitute: Substitutions, known: Known) -> list[Step]:
    values = msgspec.json.encode([build.substitutions, build.is_dynamic], order="sorted")
    found = known.steps.setdefault(values, {})
    steps = []
    for file in build.steps:
        step = found.get(id(file))
        if step is None:
            step = found[id(file)] = _step(file, substitute)
        steps.append(step)
    return steps


def _step(file: FileStep, substitute: Substitutions) -> Step:
    args: Sequence[str] = file.args
    if "$" in "".join(args):
        args = [substitute(text) for text in args]
    name = substitute(file.name) if "$" in file.name else file.name
    action = Action() if file.script else docker_args.action(name, args, file.entrypoint or None)
    tags = [tagged(image) for image in action.images]
    directory = substitute(file.dir) if file.dir else "."
    is_push = action.kind == "push" and not (action.all_tags or file.entrypoint)
    pushes = tags[0] if is_push and tags else None
    return Step(file, args, action, tags, action.build if tags else None, directory or ".", pushes)


def fields(file: FileStep, *left_out: str) -> Iterator[tuple[str, str]]:
    """The fields of a step but some, as text."""
    for field, key in build_reader.STEP_KEYS.items():
        if (value := getattr(file, field)) and field not in left_out:
            yield key, as_text(value)
    if file.automap_substitutions is False:
        yield "automapSubstitutions", "false"
    yield from ((name, as_text(value)) for name, value in file.rest.items())
    yield from file.others.items()


def as_text(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
