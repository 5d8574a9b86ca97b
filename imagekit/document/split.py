"""Split a plan that is too large for one build into several, to be built one after the other.

Each image is in exactly one build. Its parent is in the same build, or in an earlier one and is
then pulled. The split has as few builds as possible, then the shortest critical path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.errors import LimitError, Problem
from imagekit.planning.plan import Image, Plan

Assignment = tuple[tuple[Image, ...], ...]
"""The images of each file."""
Groups = list[list[Image]]


class _Part(NamedTuple):
    """Images that are put into a file together."""

    tags: Sequence[str]
    """The images."""
    parents: Sequence[str]
    """Their parents, besides themselves."""
    steps: int
    """The number of their steps."""
    names: int
    """The number of their entries in `images`."""


Parts = Mapping[str, _Part]
"""Each image as a part of its own."""


MAX_OPEN = 32
"""Files that the next images may go into: the last ones with room. With fewer files than this,
every file is tried; without a limit, the time would grow with the square of their number."""


def split(plan: Plan, options: CloudBuild) -> tuple[Plan, ...]:
    """Split a plan; returns the plan itself if it fits into one build.

    Raises LimitError if a single image is too large for a build, or if the plan must be split
    but uses `publish: together`.
    """
    at_least = fewest(plan, options)
    if at_least <= 1:
        return (plan,)
    parts = {image.tag: _part(image, options) for image in plan.images}
    problems = list(_check(plan, options, parts))
    if problems:
        raise LimitError(problems)
    depth = max(_depths(plan.images).values())
    best: Assignment = ()
    cost: tuple[int, int] | None = None
    for groups in _ways(plan, parts):
        files = _fill(plan, options.limits, groups, parts)
        own = len(files), path_length(files)
        # The first of equals is taken: the plan's own order, in which a new image moves no other.
        if cost is None or own < cost:
            best, cost = files, own
        if cost == (at_least, max(at_least, depth)):
            # No way gives fewer files, nor a shorter path.
            break
    return tuple(msgspec.structs.replace(plan, images=images) for images in best)


def fewest(plan: Plan, options: CloudBuild) -> int:
    """A lower bound for the number of files of any split, without the steps that pull parents."""
    limits = options.limits
    steps = sum([step_count(options, image) for image in plan.images])
    names = 0
    if options.publish == "provenance":
        names = sum([_names(options, image) for image in plan.images])
    return max(-(-steps // limits.steps), -(-names // limits.images))


def path_length(files: Iterable[Sequence[Image]]) -> int:
    """The critical path of builds that run one after the other, in number of images."""
    return sum(max(_depths(images).values(), default=0) for images in files)


def step_count(options: CloudBuild, image: Image) -> int:
    """The number of steps of an image: build, test and pushes."""
    pushes = 0 if options.publish == "provenance" else 1 + len(image.aliases)
    return 1 + bool(image.test) + pushes


def _names(options: CloudBuild, image: Image) -> int:
    """The number of entries of an image in the `images` field of a build."""
    return 1 + len(image.aliases) if options.publish == "provenance" else 0


def _part(image: Image, options: CloudBuild) -> _Part:
    parents = () if image.parent is None else (image.parent,)
    return _Part((image.tag,), parents, step_count(options, image), _names(options, image))


def _check(plan: Plan, options: CloudBuild, parts: Parts) -> Iterator[Problem]:
    limits = options.limits
    if options.publish == "together":
        message = (
            f"the plan needs at least {fewest(plan, options)} builds, which cannot publish "
            "together: a later one pulls what an earlier one has pushed; say 'publish: each', "
            "build a part with --only, or raise 'cloudbuild.limits.steps' if your Cloud Build "
            "accepts more"
        )
        yield Problem(message=message)
    for image in plan.images:
        part = parts[image.tag]
        needed = part.steps + len(part.parents)
        if needed > limits.steps:
            message = (
                f"{image.tag} alone needs {needed} steps, and a build may have {limits.steps}; "
                "raise 'cloudbuild.limits.steps' if your Cloud Build accepts more"
            )
            yield Problem(message=message)
        if part.names > limits.images:
            message = (
                f"{image.tag} alone has {part.names} names, and a build may push "
                f"{limits.images}; give it fewer aliases"
            )
            yield Problem(message=message)


# ---- groups that are put into files one after the other: parents always before their children


def _ways(plan: Plan, parts: Parts) -> Iterator[Groups]:
    """Several orders, of which one or the other gives the best files."""
    yield [[image] for image in plan.images]
    yield _by_parent(plan)
    trees = _whole_trees(plan)
    # Each image after its parent, the largest trees first: few pulls.
    yield [[image] for tree in trees for image in tree]
    yield trees
    yield _by_size(plan, parts)


def _by_parent(plan: Plan) -> Groups:
    """By depth, with children of one parent next to each other: short paths, few pulls."""
    depths = _depths(plan.images)
    places = {image.tag: place for place, image in enumerate(plan.images)}
    images = sorted(plan.images, key=lambda i: (depths[i.tag], places.get(i.parent or "", -1)))
    return [[image] for image in images]


def _whole_trees(plan: Plan) -> Groups:
    """Each image in one group with all its descendants, the largest trees first: no pulls."""
    children = _children(plan)
    sizes: dict[str, int] = {}
    for image in reversed(plan.images):
        sizes[image.tag] = 1 + sum(sizes[child.tag] for child in children.get(image.tag, ()))

    def by_size(images: Sequence[Image]) -> list[Image]:
        return sorted(images, key=lambda image: sizes[image.tag], reverse=True)

    groups: Groups = []
    for root in by_size(children.get(None, [])):
        group: list[Image] = []
        waiting = [root]
        while waiting:
            image = waiting.pop()
            group.append(image)
            waiting += reversed(by_size(children.get(image.tag, [])))
        groups.append(group)
    return groups


def _by_size(plan: Plan, parts: Parts) -> Groups:
    """The largest images first, as soon as their parents are placed."""
    import heapq  # Not at the top: few plans are split.

    children = _children(plan)
    places = {image.tag: place for place, image in enumerate(plan.images)}
    by_tag = {image.tag: image for image in plan.images}

    def entry(image: Image) -> tuple[bool, int, int, str]:
        return image.tag not in children, -parts[image.tag].steps, places[image.tag], image.tag

    ready = [entry(image) for image in children.get(None, ())]
    heapq.heapify(ready)
    groups: Groups = []
    while ready:
        image = by_tag[heapq.heappop(ready)[-1]]
        groups.append([image])
        for child in children.get(image.tag, ()):
            heapq.heappush(ready, entry(child))
    return groups


def _children(plan: Plan) -> Mapping[str | None, list[Image]]:
    own = {image.tag for image in plan.images}
    children: dict[str | None, list[Image]] = {}
    for image in plan.images:
        children.setdefault(image.parent if image.parent in own else None, []).append(image)
    return children


# ---- filling


class _File(msgspec.Struct):
    """A build file that is being filled."""

    steps: int
    """The number of steps that still fit."""
    names: int
    """The number of entries in `images` that still fit."""
    tags: set[str]
    """The images in the file, and the parents that it pulls."""


def _fill(plan: Plan, limits: Limits, groups: Groups, parts: Parts) -> Assignment:
    """Put each group into the first file where it fits, not before the file of its parent.

    A group that is too large for one file is split into single images.
    """
    files: list[_File] = []
    waiting: list[int] = []
    chosen: dict[str, int] = {}
    smallest = min(part.steps for part in parts.values())
    for part in _together(groups, limits, parts):
        first = chosen.get(part.parents[0], 0) if part.parents else 0
        for place in waiting:
            file = files[place]
            if part.steps <= file.steps and part.names <= file.names and place >= first:
                is_pulled = not file.tags.issuperset(part.parents)
                pulled = len(set(part.parents) - file.tags) if is_pulled else 0
                if part.steps + pulled <= file.steps:
                    break
        else:
            place, pulled = len(files), len(part.parents)
            file = _File(limits.steps, limits.images, set())
            files.append(file)
            waiting = [*waiting, place][-MAX_OPEN:]
        file.steps -= part.steps + pulled
        file.names -= part.names
        file.tags.update(part.tags, part.parents)
        if file.steps < smallest:
            waiting.remove(place)
        for tag in part.tags:
            chosen[tag] = place
    # Within a file, images stand as in the plan.
    contents: list[list[Image]] = [[] for _ in files]
    for image in plan.images:
        contents[chosen[image.tag]].append(image)
    return tuple(map(tuple, contents))


def _together(groups: Groups, limits: Limits, parts: Parts) -> Iterator[_Part]:
    """What is put into one file together: a whole group, or its images if it is too large."""
    for group in groups:
        if len(group) > 1:
            tags = [image.tag for image in group]
            parents = {image.parent for image in group} - {None, *tags}
            steps = sum([parts[tag].steps for tag in tags])
            names = sum([parts[tag].names for tag in tags])
            if steps + len(parents) <= limits.steps and names <= limits.images:
                yield _Part(tags, sorted(filter(None, parents)), steps, names)
                continue
        for image in group:
            yield parts[image.tag]


def _depths(images: Iterable[Image]) -> dict[str, int]:
    """The length of each image's chain of ancestors among these images, including itself."""
    depths: dict[str, int] = {}
    for image in images:
        depths[image.tag] = depths.get(image.parent or "", 0) + 1
    return depths
