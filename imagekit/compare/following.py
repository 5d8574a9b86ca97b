"""What the pushes and tests of a build wait for, which says nothing of what the images are."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from imagekit.compare.spec import with_same_names
from imagekit.compare.steps import EVERYTHING, FOLLOWING, KNOWN, Steps, fields, prefix_of, steps_of
from imagekit.errors import listed

if TYPE_CHECKING:
    from imagekit.compare.build_file import Pair


def differences(both: Pair) -> Iterator[tuple[str, str, str | None, str | None]]:
    """The differences of the pushes and tests that both builds have: image, what, before and after.

    That they wait for what only one of the builds has is no difference of theirs.
    """
    sides = [steps_of(build, both.known) for build in both.builds]
    # Most builds push and test as before, and looking at that takes long.
    if _are_alike(*sides):
        return
    named = with_same_names(both.before, both.after)
    old, new = (_following(one, its.repository) for one, its in zip(sides, named, strict=True))
    for key, names in new.waits.items():
        was = old.waits.get(key, names)
        if was != names:
            left = (
                set(was) - _implied(key, was, old, new),
                set(names) - _implied(key, names, new, old),
            )
            if left[0] != left[1]:
                yield *key, listed(was), listed(names)
    kept = {name for name, _ in old.waits} & {name for name, _ in new.waits}
    for key in old.fields | new.fields:
        value, now = old.fields.get(key), new.fields.get(key)
        if value != now and key[0] in kept:
            yield *key, value, now


def _are_alike(before: Steps, after: Steps) -> bool:
    """Whether it is certain that pushes and tests wait for the same."""
    others = {*before.steps} ^ {*after.steps}
    if before.about() != after.about() or any(step.action.kind in FOLLOWING for step in others):
        return False
    by_place = (step for step in before.steps if not step.file.wait_for)
    return not any(step.action.kind in FOLLOWING for step in by_place)


def _implied(
    key: tuple[str, str], names: Sequence[str], own: _Following, other: _Following
) -> set[str]:
    """Those of the names for which the other build has no step, or for which it waits in any case.

    Build files run in order, so what is in an earlier one has ended.
    """
    file = other.files[key]
    return {name for name in names if name in own.made and other.made.get(name, 0) < file}


class _Following(msgspec.Struct):
    """What the pushes and tests of a build say besides their image and their test files."""

    waits: dict[tuple[str, str], list[str]] = {}
    """What waits for which images and tests: the name of the image, and its push or test."""
    fields: dict[tuple[str, str], str] = {}
    """Other fields of these steps, such as `test allowFailure`."""
    files: dict[tuple[str, str], int] = {}
    """The number of the build file that waits."""
    made: dict[str, int] = {}
    """All images and tests, and the number of the build file that makes them."""


def _following(build: Steps, repository: str | None) -> _Following:
    """What pushes and tests wait for, and their fields. Names are short if in `repository`."""
    steps, starts = build.steps, build.build.starts
    prefix = prefix_of(repository)
    images = {tag: step.tags[0] for step in steps if step.made is not None for tag in step.tags}
    found = _Following()
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
            found.made[name] = bisect.bisect(starts, index)
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
            found.files[key] = bisect.bisect(starts, index)
            found.fields |= {(image, f"{what} {k}"): v for k, v in fields(step.file, *KNOWN)}
    return found
