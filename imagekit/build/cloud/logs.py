"""Save the log of a remote build while it runs, in full and split by step."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable

from imagekit.build import report
from imagekit.build.cloud.service import Remote, Service
from imagekit.build.report import StepReport
from imagekit.errors import CloudError
from imagekit.support.files import append, create, tail

LAST_LINES = 100
"""The lines at the end of a push's log that may have the digest; it is in the last one."""


class Log:
    """Writes a build's log to `path`, and the log of each step to a file in the same directory.

    `steps` are the steps of the build, and `offset` is the number of steps before them in the
    report. `show` is called with each new line. `error` is why the last read failed, or "".
    """

    pattern = re.compile(rb'Step #(\d+)(?: - "[^"]*")?: ?(.*)')

    def __init__(
        self,
        path: pathlib.Path,
        show: Callable[[str], None] | None,
        steps: list[StepReport],
        offset: int,
    ) -> None:
        self.path, self.show = path, show
        self.steps = steps
        self.offset = offset
        self.rest = b""
        self.error = ""
        self.opened: set[str] = set()

    def read(self, service: Service, remote: Remote) -> None:
        """Read the new part of the log. A failure is kept in `error` and does not raise."""
        try:
            data = service.log(remote)
        except CloudError as error:
            self.error = str(error)
            return
        self.error = ""
        if not data and not self.rest:
            return
        with append(self.path) as file:
            file.write(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if remote.ended and self.rest:
            lines, self.rest = [*lines, self.rest], b""
        for line in lines:
            self._write_line(line)

    def _write_line(self, line: bytes) -> None:
        if self.show is not None:
            self.show(line.decode(errors="replace"))
        match = self.pattern.match(line)
        if match is None or int(match[1]) >= len(self.steps):
            return
        step = self.steps[int(match[1])]
        step.log = step.log or report.log_name(self.offset + int(match[1]) + 1, step.id)
        opened = append if step.log in self.opened else create
        self.opened.add(step.log)
        with opened(self.path.parent / step.log) as file:
            file.write(match[2] + b"\n")

    def digest(self, step: StepReport) -> str | None:
        """The digest of the image in the log of a push step."""
        if step.log is None:
            return None
        lines = tail(self.path.parent / step.log, LAST_LINES)
        found = (re.search(r"digest: (sha256:[0-9a-f]{64})", line) for line in lines)
        return next((match[1] for match in found if match), None)
