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
"""Each image as a part of its own, as they stand in the plan."""
Children = Mapping[str | None, Sequence[str]]
"""The images that are built on each image of the plan, and on none of it."""


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
    smallest = min(part.steps for part in parts.values())
    for ordered in _ways(plan, options.limits, parts):
        chosen = _fill(options.limits, ordered, smallest, cost and cost[0])
        if chosen is None:
            continue
        files = _contents(plan, chosen)
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


# ---- orders in which images are put into files: parents always before their children


def _ways(plan: Plan, limits: Limits, parts: Parts) -> Iterator[Sequence[_Part]]:
    """Several orders, of which one or the other gives the best files."""
    yield [*parts.values()]
    yield [parts[tag] for tag in _by_parent(plan)]
    children = _children(plan)
    trees = _whole_trees(plan, children)
    # Each image after its parent, the largest trees first: few pulls.
    yield [parts[tag] for tree in trees for tag in tree]
    yield [*_together(trees, limits, parts)]
    yield _by_size(parts, children)


def _by_parent(plan: Plan) -> list[str]:
    """By depth, with children of one parent next to each other: short paths, few pulls."""
    depths = _depths(plan.images)
    places = {image.tag: place for place, image in enumerate(plan.images)}
    keys = {i.tag: (depths[i.tag], places.get(i.parent or "", -1)) for i in plan.images}
    return sorted(keys, key=keys.__getitem__)


def _whole_trees(plan: Plan, children: Children) -> list[list[str]]:
    """Each image in one group with all its descendants, the largest trees first: no pulls."""
    sizes: dict[str, int] = {}
    for image in reversed(plan.images):
        own = children.get(image.tag, ())
        sizes[image.tag] = 1 + sum([sizes[child] for child in own])

    groups = []
    for root in sorted(children.get(None, ()), key=sizes.__getitem__, reverse=True):
        group = []
        waiting = [root]
        while waiting:
            tag = waiting.pop()
            group.append(tag)
            if tag in children:
                waiting += sorted(children[tag], key=sizes.__getitem__, reverse=True)[::-1]
        groups.append(group)
    return groups


def _by_size(parts: Parts, children: Children) -> list[_Part]:
    """The largest images first, as soon as their parents are placed."""
    import heapq  # Not at the top: few plans are split.

    entries = {
        tag: (tag not in children, -part.steps, place, tag)
        for place, (tag, part) in enumerate(parts.items())
    }
    ready = [entries[tag] for tag in children.get(None, ())]
    heapq.heapify(ready)
    ordered = []
    while ready:
        tag = heapq.heappop(ready)[-1]
        ordered.append(parts[tag])
        for child in children.get(tag, ()):
            heapq.heappush(ready, entries[child])
    return ordered


def _together(groups: Iterable[list[str]], limits: Limits, parts: Parts) -> Iterator[_Part]:
    """Each group as one part, or its images as parts of their own if it is too large for a file."""
    for group in groups:
        own = [parts[tag] for tag in group]
        if len(own) > 1:
            parents = {parent for part in own for parent in part.parents}.difference(group)
            steps = sum([part.steps for part in own])
            names = sum([part.names for part in own])
            if steps + len(parents) <= limits.steps and names <= limits.images:
                yield _Part(group, sorted(parents), steps, names)
                continue
        yield from own


def _children(plan: Plan) -> Children:
    own = {image.tag for image in plan.images}
    children: dict[str | None, list[str]] = {}
    for image in plan.images:
        children.setdefault(image.parent if image.parent in own else None, []).append(image.tag)
    return children


# ---- filling


def _fill(
    limits: Limits, ordered: Iterable[_Part], smallest: int, at_most: int | None
) -> dict[str, int] | None:
    """Put each part into the first file where it fits, not before the file of its parent.

    Returns the number of each image's file, or None if more than `at_most` files are needed. No
    part has fewer than `smallest` steps.
    """
    # Of each file: the numbers of steps and of entries in `images` that still fit, its images and
    # the parents that it pulls.
    free_steps: list[int] = []
    free_names: list[int] = []
    present: list[set[str]] = []
    waiting: list[int] = []
    chosen: dict[str, int] = {}
    for tags, parents, steps, names in ordered:
        first = chosen.get(parents[0], 0) if parents else 0
        for place in waiting:
            if steps <= free_steps[place] and names <= free_names[place] and place >= first:
                is_pulled = not present[place].issuperset(parents)
                pulled = len(set(parents) - present[place]) if is_pulled else 0
                if steps + pulled <= free_steps[place]:
                    break
        else:
            place, pulled = len(present), len(parents)
            if place == at_most:
                return None
            free_steps.append(limits.steps)
            free_names.append(limits.images)
            present.append(set())
            waiting = [*waiting, place][-MAX_OPEN:]
        free_steps[place] -= steps + pulled
        free_names[place] -= names
        present[place].update(tags, parents)
        if free_steps[place] < smallest:
            waiting.remove(place)
        for tag in tags:
            chosen[tag] = place
    return chosen


def _contents(plan: Plan, chosen: Mapping[str, int]) -> Assignment:
    """The images of each file, as they stand in the plan."""
    contents: list[list[Image]] = [[] for _ in range(1 + max(chosen.values()))]
    for image in plan.images:
        contents[chosen[image.tag]].append(image)
    return tuple(map(tuple, contents))


def _depths(images: Iterable[Image]) -> dict[str, int]:
    """The length of each image's chain of ancestors among these images, including itself."""
    depths: dict[str, int] = {}
    for image in images:
        depths[image.tag] = depths.get(image.parent or "", 0) + 1
    return depths
