"""Read build files in the form in which imagekit writes them, and steps that several have once."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from imagekit.document import build_reader
from imagekit.document.build_reader import NONE, FileBuild, FileStep
from imagekit.document.build_schema import MESSAGES
from imagekit.errors import Problem

TOGETHER = 1000
"""The number of steps that are decoded at once. Memory of this size is used again for the next."""


class KnownSteps:
    """The steps of files that were read; other files may have some of them, in any place."""

    def __init__(self) -> None:
        self._texts: list[Raw] = []
        self._steps: list[FileStep] = []
        self._others: dict[bytes, FileStep] = {}

    def read(self, texts: list[Raw]) -> list[FileStep] | None:
        """The steps with these texts; None if something in one of them would be lost."""
        found = self._known(texts)
        new = [place for place, step in enumerate(found) if step is None]
        for first in range(0, len(new), TOGETHER):
            places = new[first : first + TOGETHER]
            steps = _decoded([texts[place] for place in places])
            if steps is None:
                return None
            for place, step in zip(places, steps, strict=True):
                found[place] = step
        self._texts, self._steps = texts, [step for step in found if step is not None]
        return [*self._steps]

    def _known(self, texts: list[Raw]) -> list[FileStep | None]:
        """The known steps with these texts; None for each other."""
        # Most steps of two builds are the same, and in the same place.
        places = zip(texts, self._texts, self._steps, strict=False)
        found: list[FileStep | None]
        found = [step if text == other else None for text, other, step in places]
        for place, before in enumerate(self._steps):
            if place >= len(found) or found[place] is None:
                self._others[bytes(self._texts[place])] = before
        found += [None] * (len(texts) - len(found))
        if self._others:
            for place, step in enumerate(found):
                if step is None:
                    found[place] = self._others.get(bytes(texts[place]))
        return found


def _decoded(texts: list[Raw]) -> list[FileStep] | None:
    """The steps with these texts, decoded together; None if something would be lost."""
    together = b"[" + b",".join(texts) + b"]"
    steps = msgspec.json.decode(together, type=list[FileStep])
    # If nothing is lost, such as a key that stands there twice, it is as long when it is written.
    is_whole = len(msgspec.json.encode(steps)) == len(together)
    has_unknown = any(step.rest is not NONE or step.others is not NONE for step in steps)
    return steps if is_whole and not has_unknown else None


def read_quickly(text: str | bytes, known: KnownSteps | None = None) -> FileBuild | None:
    """Read a build file in the form of Google's JSON, as imagekit writes it; None for any other.

    `known` is kept from one file to the next if they have many steps in common: a step that is in
    it is usually not read again, but the same object.
    """
    try:
        compact = msgspec.json.format(text if isinstance(text, bytes) else text.encode(), indent=-1)
        quick = _decoder(list[Raw]).decode(compact)
        texts, quick.steps = quick.steps, []
        lengths = len(msgspec.json.encode(quick)) + sum(map(len, texts)) + max(0, len(texts) - 1)
        # As for the steps, nothing may be lost.
        if lengths != len(compact):
            return None
        steps = (known or KnownSteps()).read(texts)
    except (ValueError, RecursionError):
        return None
    if steps is None:
        return None
    build, problems = _with_steps(quick, steps)
    return None if problems else build


def of_generated(text: str) -> FileBuild:
    """The build of a text in the form of Google's JSON, as imagekit has just made it."""
    quick = _decoder(list[FileStep]).decode(text)
    return _with_steps(quick, quick.steps)[0]


def read_leniently(text: str, known: KnownSteps | None = None) -> FileBuild | None:
    """Read any Cloud Build file as far as it is understood; None if it is none.

    What is not understood is kept as text. `known` is as for `read_quickly`.
    """
    return read_quickly(text, known) or build_reader.read_leniently(text)


@functools.cache
def _decoder(steps: Any) -> Any:
    """Of a build in the form of Google's JSON, with these steps; other fields are not read."""
    others = [(name, Any, UNSET) for name in MESSAGES["Build"] if name != "steps"]
    quick = msgspec.defstruct("Quick", [("steps", steps), *others], forbid_unknown_fields=True)
    return msgspec.json.Decoder(quick)


def _with_steps(quick: Any, steps: list[FileStep]) -> tuple[FileBuild, list[Problem]]:
    """The whole build, and what is wrong around its steps."""
    fields = {
        name: value
        for name in MESSAGES["Build"]
        if name != "steps" and (value := getattr(quick, name)) is not UNSET
    }
    build, problems = build_reader.without_steps(fields)
    build.steps = steps
    return build, problems
