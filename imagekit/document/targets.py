"""The output formats of a plan. To add one, write a module and register it in TARGETS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from imagekit.config.schema import Config
from imagekit.document import build_files
from imagekit.document.build_files import Files
from imagekit.planning.plan import Plan


class Target(Protocol):
    """An output format: a module with this function."""

    def files(self, plan: Plan, config: Config, path: str) -> Files:
        """The files of a plan, text by path: one at `path`, or several next to it.

        The target reads its options from its own section of the config. Raises LimitError if
        the builder would reject the result.
        """


TARGETS: Mapping[str, Target] = {"cloudbuild": build_files}
"""Each target by the name that `--target` takes."""
