"""What differs between two Cloud Build files, in the words of images and not of lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from imagekit.errors import one_line


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """Images that came, went or changed, by full name; `changed` says what in each.

    `whole` holds what differs outside the images. All empty: the files say the same.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: dict[str, tuple[str, ...]] = {}
    whole: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.whole)

    def lines(self) -> Iterator[str]:
        """One line a change, in the manner of a diff: + added, - removed, ~ changed."""
        yield from (one_line(f"+ {name}") for name in self.added)
        yield from (one_line(f"- {name}") for name in self.removed)
        yield from (one_line(f"~ {name}: {'; '.join(what)}") for name, what in self.changed.items())
        yield from (one_line(f"~ {what}") for what in self.whole)

    def summary(self) -> str:
        """The changes in one line."""
        if not self:
            return "no change"
        parts = {"added": self.added, "removed": self.removed, "changed": self.changed}
        counts = [f"{len(names)} {kind}" for kind, names in parts.items() if names]
        return ", ".join([*counts, *self.whole])


def compare(before: str | None, after: str) -> Changes:
    """The changes from one file's text to another's.

    `before` may be missing, may come from the original generator, and may be anything else.
    """
    if before == after:
        return Changes()
    new = _read(after) or {}
    if before is None:
        return Changes(added=tuple(_builds(new)), whole=("the file is new",))
    old = _read(before)
    if old is None:
        return Changes(added=tuple(_builds(new)), whole=("the file held no Cloud Build document",))
    builds, others = _builds(new), _builds(old)
    changed = {
        name: tuple(_step_changes(others[name], builds[name]))
        for name in builds
        if name in others and others[name] != builds[name]
    }
    whole = tuple(_whole_changes(old, new))
    changes = Changes(
        added=tuple(name for name in builds if name not in others),
        removed=tuple(name for name in others if name not in builds),
        changed=changed,
        whole=whole,
    )
    return changes or Changes(whole=("only order, push steps or layout differ",))


def _read(text: str) -> dict[str, Any] | None:
    """A document whose steps can be compared, else None."""
    try:
        found = json.loads(text)
        steps = [(step["id"], [*map(str, step["args"])]) for step in found["steps"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if all(isinstance(name, str) for name, _ in steps) else None


def _builds(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Name → step of the steps that build an image, with the files that it is tested by."""
    steps = {step["id"]: step for step in document.get("steps", [])}
    tests = {
        name.removesuffix("-test"): " ".join(map(str, step["args"][3:]))
        for name, step in steps.items()
        if name.endswith("-test")
    }
    return {
        name: step | {"test": tests[name]} if name in tests else step
        for name, step in steps.items()
        if step["args"][:1] == ["build"]
    }


def _options(step: dict[str, Any]) -> dict[str, str]:
    """What a build step says, as comparable words: build args by name, everything else by role."""
    args = iter(step["args"][1:])
    found: dict[str, str] = {}
    for arg in args:
        value = str(next(args, "")) if arg.startswith("-") else arg
        if arg == "--build-arg":
            name, _, text = value.partition("=")
            found[name] = text
        elif arg in ("-t", "--tag"):
            found[f"tag {value}"] = "yes"
        else:
            found["Dockerfile" if arg in ("-f", "--file") else arg] = value
    found["test"] = step.get("test", "(none)")
    found["waits for"] = ", ".join(step.get("waitFor") or ["everything before"])
    return found


def _step_changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    old, new = _options(before), _options(after)
    yield from _mapping_changes(old, new)
    if old == new:
        yield "the order of its arguments, or another field of its step"


def _whole_changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    old, new = (
        {key: json.dumps(value) for key, value in document.items() if key != "steps"}
        for document in (before, after)
    )
    yield from _mapping_changes(old, new)


def _mapping_changes(old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield f"{name} {old.get(name, '(none)')} → {new.get(name, '(none)')}"
