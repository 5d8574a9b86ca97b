"""The output formats that a plan can be written in. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from imagekit.config.schema import Config
from imagekit.document import build_files
from imagekit.document.build_files import Files
from imagekit.planning.plan import Plan


class Target(Protocol):
    """An output format; a module with this function is one."""

    def files(self, plan: Plan, config: Config, path: str) -> Files:
        """The files of a plan, text by path: the one at `path`, or several beside it.

        The target reads its own section of the config for options. Raises LimitError where the
        builder would refuse the result.
        """


TARGETS: Mapping[str, Target] = {"cloudbuild": build_files}
"""Each target by the name that `--target` takes."""
