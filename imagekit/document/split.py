"""Split a plan that is too large for one build into several, to be built one after the other.

Each image is in exactly one build. Its parent is in the same build, or in an earlier one and is
then pulled. The split has as few builds as possible, then the shortest critical path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.errors import LimitError, Problem
from imagekit.planning.plan import Image, Plan

Assignment = tuple[tuple[Image, ...], ...]
"""The images of each file."""
Groups = list[list[Image]]


class _File(msgspec.Struct):
    """A build file that is being filled."""

    steps: int
    """The number of steps that still fit."""
    names: int
    """The number of entries in `images` that still fit."""
    tags: set[str]
    """The images in the file, and the parents that it pulls."""

    def takes(self, group: Sequence[Image], steps: int, names: int) -> bool:
        """Put images into the file if there is room for them and for pulling their parents.

        `steps` and `names` are how many they have together.
        """
        if steps > self.steps or names > self.names:
            return False
        new = {image.tag for image in group}
        pulled = {image.parent for image in group if image.parent is not None} - self.tags - new
        if steps + len(pulled) > self.steps:
            return False
        self.steps -= steps + len(pulled)
        self.names -= names
        self.tags |= new | pulled
        return True


MAX_OPEN = 32
"""Files that the next images may go into: the last ones with room. With fewer files than this,
every file is tried; without a limit, the time would grow with the square of their number."""


def split(plan: Plan, options: CloudBuild) -> tuple[Plan, ...]:
    """Split a plan; returns the plan itself if it fits into one build.

    Raises LimitError if a single image is too large for a build, or if the plan must be split
    but uses `publish: together`.
    """
    if _fits(options, plan.images):
        return (plan,)
    problems = list(_check(plan, options))
    if problems:
        raise LimitError(problems)
    ways = (_as_listed, _by_parent, _by_tree, _whole_trees, _by_size)
    # The first of equals is taken: the plan's own order, in which a new image moves no other.
    best: Assignment = ()
    least = (fewest(plan, options), max(_depths(plan.images).values()))
    sizes = {
        image.tag: (step_count(options, image), _names(options, image)) for image in plan.images
    }
    for way in ways:
        files = _fill(plan, options.limits, way(plan, options), sizes)
        best = files if not best or _cost(files) < _cost(best) else best
        if _cost(best) == (least[0], max(least)):
            # No way gives fewer files, nor a shorter path.
            break
    return tuple(msgspec.structs.replace(plan, images=images) for images in best)


def fewest(plan: Plan, options: CloudBuild) -> int:
    """A lower bound for the number of files of any split."""
    limits = options.limits
    steps = sum(step_count(options, image) for image in plan.images)
    names = sum(_names(options, image) for image in plan.images)
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


def _fits(options: CloudBuild, images: Iterable[Image]) -> bool:
    """Whether images fit into one file, not counting pull steps."""
    needed = [(step_count(options, image), _names(options, image)) for image in images]
    steps = sum(number for number, _ in needed)
    names = sum(number for _, number in needed)
    return steps <= options.limits.steps and names <= options.limits.images


def _check(plan: Plan, options: CloudBuild) -> Iterator[Problem]:
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
        needed = step_count(options, image) + (image.parent is not None)
        if needed > limits.steps:
            message = (
                f"{image.tag} alone needs {needed} steps, and a build may have {limits.steps}; "
                "raise 'cloudbuild.limits.steps' if your Cloud Build accepts more"
            )
            yield Problem(message=message)
        if _names(options, image) > limits.images:
            message = (
                f"{image.tag} alone has {_names(options, image)} names, and a build may push "
                f"{limits.images}; give it fewer aliases"
            )
            yield Problem(message=message)


# ---- groups that are put into files one after the other: parents always before their children


def _as_listed(plan: Plan, options: CloudBuild) -> Groups:
    return [[image] for image in plan.images]


def _by_parent(plan: Plan, options: CloudBuild) -> Groups:
    """By depth, with children of one parent next to each other: short paths, few pulls."""
    depths = _depths(plan.images)
    places = {image.tag: place for place, image in enumerate(plan.images)}
    images = sorted(plan.images, key=lambda i: (depths[i.tag], places.get(i.parent or "", -1)))
    return [[image] for image in images]


def _by_tree(plan: Plan, options: CloudBuild) -> Groups:
    """Each image after its parent, the largest trees first: few pulls."""
    return [[image] for tree in _whole_trees(plan, options) for image in tree]


def _whole_trees(plan: Plan, options: CloudBuild) -> Groups:
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


def _by_size(plan: Plan, options: CloudBuild) -> Groups:
    """The largest images first, as soon as their parents are placed."""
    import heapq  # Not at the top: few plans are split.

    children = _children(plan)
    places = {image.tag: place for place, image in enumerate(plan.images)}
    by_tag = {image.tag: image for image in plan.images}

    def entry(image: Image) -> tuple[bool, int, int, str]:
        return image.tag not in children, -step_count(options, image), places[image.tag], image.tag

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


def _fill(
    plan: Plan,
    limits: Limits,
    groups: Iterable[Sequence[Image]],
    sizes: Mapping[str, tuple[int, int]],
) -> Assignment:
    """Put each group into the first file where it fits, not before the file of its parent.

    A group that is too large for one file is split into single images. `sizes` has the number of
    steps and of names of each image.
    """
    files: list[_File] = []
    waiting: list[int] = []
    chosen: dict[str, int] = {}
    smallest = min(steps for steps, _ in sizes.values())
    for group in groups:
        steps = sum([sizes[image.tag][0] for image in group])
        names = sum([sizes[image.tag][1] for image in group])
        is_whole = len(group) == 1 or (steps <= limits.steps and names <= limits.images)
        for part in [group] if is_whole else [[image] for image in group]:
            needed = (steps, names) if is_whole else sizes[part[0].tag]
            first = chosen.get(part[0].parent or "", 0)
            place = next(
                (n for n in waiting if n >= first and files[n].takes(part, *needed)), len(files)
            )
            if place == len(files):
                files.append(_File(limits.steps, limits.images, set()))
                files[place].takes(part, *needed)
                waiting = [*waiting, place][-MAX_OPEN:]
            if files[place].steps < smallest:
                waiting.remove(place)
            for image in part:
                chosen[image.tag] = place
    # Within a file, images stand as in the plan.
    contents: list[list[Image]] = [[] for _ in files]
    for image in plan.images:
        contents[chosen[image.tag]].append(image)
    return tuple(map(tuple, contents))


def _cost(files: Assignment) -> tuple[int, int]:
    return len(files), path_length(files)


def _depths(images: Iterable[Image]) -> dict[str, int]:
    """The length of each image's chain of ancestors among these images, including itself."""
    depths: dict[str, int] = {}
    for image in images:
        depths[image.tag] = depths.get(image.parent or "", 0) + 1
    return depths
