"""Select images of a plan by globs on their names, including their parents."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from imagekit.errors import ConfigError, Problem, did_you_mean
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Image, Plan, tag_of


def not_built(matrix: Matrix) -> dict[str, str]:
    """Return the tags of combinations that are not built, each with the reason."""
    return {
        tag_of(matrix, cell): f"{cell.status}: {cell.reason}"
        for cell in matrix.cells
        if cell.status != "built"
    }


def select_images(
    plan: Plan,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    missing: Mapping[str, str] | None = None,
) -> Plan:
    """Select images by globs on tags and aliases, including their parents.

    An empty `only` selects all images; `skip` removes images from the selection. `missing` is
    the result of `not_built`, for messages. Raises ConfigError, with every problem, if a glob
    matches no image, if `skip` removes the parent of a selected image, or if no image remains.
    """
    matching = {option: Globs(globs) for option, globs in (("only", only), ("skip", skip))}
    included, skipped = (
        {image.tag for image in plan.images if globs.match(_names(plan, image))}
        for globs in matching.values()
    )
    problems = [
        Problem(message=f"{option}: {glob!r} matches no image{_instead(plan, glob, missing or {})}")
        for option, globs in matching.items()
        for glob in globs.unused()
    ]
    wanted = [
        image.tag
        for image in plan.images
        if (not only or image.tag in included) and image.tag not in skipped
    ]
    kept = _with_parents(plan, wanted)
    if not skipped.isdisjoint(kept):
        first = _first_children(plan, wanted)
        for image in plan.images:
            if image.tag in kept and image.tag in skipped:
                message = f"skip: {first[image.tag]} depends on {image.tag}; skip both"
                problems.append(Problem(message=message))
    if not wanted and not problems:
        problems.append(Problem(message="the selection contains no image"))
    if problems:
        raise ConfigError(problems)
    return msgspec.structs.replace(
        plan,
        images=tuple(image for image in plan.images if image.tag in kept),
        left_out=(*plan.left_out, *(i.tag for i in plan.images if i.tag not in kept)),
    )


WILDCARDS = {*"*?["}


class Globs:
    """Globs, compiled once, with those that have matched an image."""

    def __init__(self, globs: Sequence[str]) -> None:
        self.globs = dict.fromkeys(globs)
        # A name without a wildcard is looked up.
        self.patterns = {
            glob: re.compile(fnmatch.translate(glob)).match
            for glob in self.globs
            if WILDCARDS.intersection(glob)
        }
        self.used: set[str] = set()

    def match(self, names: Iterable[str]) -> bool:
        """Whether a glob matches one of an image's names, and note which ones do."""
        every = [*names] if self.globs else []
        matched = [name for name in every if name in self.globs]
        matched += [glob for glob, match in self.patterns.items() if any(map(match, every))]
        self.used.update(matched)
        return bool(matched)

    def unused(self) -> list[str]:
        """Return the globs that have matched no image."""
        return [glob for glob in self.globs if glob not in self.used]


def _names(plan: Plan, image: Image) -> Iterator[str]:
    for name in (image.tag, *image.aliases):
        yield name
        yield plan.reference(name)


def _instead(plan: Plan, glob: str, missing: Mapping[str, str]) -> str:
    left_out = next((tag for tag in missing if fnmatch.fnmatchcase(tag, glob)), None)
    if left_out is not None:
        return f"; {left_out} is {missing[left_out]}"
    return did_you_mean(glob, plan.names())


def _with_parents(plan: Plan, tags: Iterable[str]) -> set[str]:
    return {*_first_children(plan, tags)}


def _first_children(plan: Plan, tags: Iterable[str]) -> dict[str, str]:
    """Return the images and their ancestors, each with the first image that needs it."""
    parents = {image.tag: image.parent for image in plan.images}
    first: dict[str, str] = {}
    for tag in tags:
        name: str | None = tag
        while name is not None and name not in first:
            first[name] = tag
            name = parents.get(name)
    return first
