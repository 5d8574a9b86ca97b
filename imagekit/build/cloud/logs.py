"""Save the log of a remote build while it runs, in full and split by step."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable

from imagekit.build import report
from imagekit.build.cloud.service import Remote, Service
from imagekit.build.report import StepReport
from imagekit.errors import CloudError


class Log:
    """Writes a build's log to `path`, and the log of each step to a file in the same directory.

    `steps` are the steps of the build, and `offset` is the number of steps before them in the
    report. `show` is called with each new line. `error` is why the last read failed, or "".
    """

    line = re.compile(rb'Step #(\d+)(?: - "[^"]*")?: ?(.*)')

    def __init__(
        self,
        path: pathlib.Path,
        show: Callable[[str], None] | None,
        part: list[StepReport],
        before: int,
    ) -> None:
        self.path, self.show = path, show
        self.part = part
        self.before = before
        self.rest = b""
        self.unread = ""
        self.fresh: set[str] = set()

    def read(self, service: Service, remote: Remote) -> None:
        """Read the new part of the log. A failure is kept in `unread` and does not raise."""
        try:
            data = service.log(remote)
        except CloudError as error:
            self.unread = str(error)
            return
        self.unread = ""
        if not data and not self.rest:
            return
        with self.path.open("ab") as file:
            file.write(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if remote.over and self.rest:
            lines, self.rest = [*lines, self.rest], b""
        for line in lines:
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        if self.show is not None:
            self.show(line.decode(errors="replace"))
        match = self.line.match(line)
        if match is None or int(match[1]) >= len(self.part):
            return
        own = self.part[int(match[1])]
        own.log = own.log or report.log_name(self.before + int(match[1]) + 1, own.id)
        mode = "ab" if own.log in self.fresh else "wb"
        self.fresh.add(own.log)
        with (self.path.parent / own.log).open(mode) as file:
            file.write(match[2] + b"\n")

    def digest(self, own: StepReport) -> str | None:
        """The digest that a push step's log says its image has."""
        if own.log is None:
            return None
        text = (self.path.parent / own.log).read_text(encoding="utf-8", errors="replace")
        match = re.search(r"digest: (sha256:[0-9a-f]{64})", text)
        return match[1] if match else None
