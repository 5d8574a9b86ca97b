"""Submit build files to Cloud Build one after the other, watch the builds and report."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import msgspec

from imagekit.build import report
from imagekit.build.cloud.logs import Log
from imagekit.build.cloud.service import STATES, Remote, Service
from imagekit.build.cloud.upload import BuildFile, steps_of
from imagekit.build.report import DONE, Report, State, StepReport, Submitted
from imagekit.errors import CloudError, counted

PATIENCE = 5
"""How often in a row Cloud Build may not answer before a watched build is given up."""

Observer = Callable[[StepReport], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a submission."""

    logs: pathlib.Path
    """The directory for the report, the log of each step and the full log of each build."""
    interval: float
    """Seconds between two requests for a build's state."""
    cancel: bool = False
    """Whether an interruption cancels the build."""
    only_watch: bool = False
    """Whether to watch builds without submitting new ones."""
    show: Callable[[str], None] | None = None
    """Called with each new line of a log."""


class Submission:
    """Build files that run in order, each one after the previous one has succeeded.

    `report` always holds the current state. `begun` is called with each build that was
    started or resumed, `observe` with each step whose state changed. `resumed` are the builds of
    an earlier submission: one of the same file is watched, or skipped if it succeeded.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[BuildFile],
        service: Service,
        options: Options,
        observe: Observer,
        resumed: Sequence[Submitted] = (),
    ) -> None:
        self.files = files
        self.service = service
        self.options = options
        self.observe = observe
        self.resumed = {(entry.file, entry.sha256): entry for entry in resumed if entry.id}
        self.stop = threading.Event()
        self.cancelled = False
        self.notes: list[str] = []
        self.begun: Callable[[Submitted], None] = lambda _: None
        self.report = Report(file=name, jobs=0, started=report.now())
        self.report.builds = [self._submitted(file) for file in files]
        self.parts = [self._entries(file) for file in files]
        self.report.steps = [entry for part in self.parts for entry in part]

    def _submitted(self, file: BuildFile) -> Submitted:
        """The earlier submission of the same file, or a new entry."""
        blank = Submitted(file=file.path.name, sha256=file.sha256)
        return self.resumed.get((blank.file, blank.sha256), blank)

    def _entries(self, file: BuildFile) -> list[StepReport]:
        """The steps of a file; those without dependencies wait for the previous file."""
        own = steps_of(file)
        taken = {entry.id for entry in self.report.steps}
        before = tuple(_last(self.report.steps))
        # A parent may be pulled in several files, and a report tells steps apart by their ids.
        names = {s.id: f"{s.id} ({file.path.name})" if s.id in taken else s.id for s in own}
        found = [
            StepReport(
                id=names[step.id],
                kind=step.kind,
                needs=tuple(names.get(name, name) for name in step.needs) or before,
                images=step.tags,
            )
            for step in own
        ]
        self.report.steps += found
        return found

    def run(self, needed: Sequence[str]) -> Report:
        """Submit and watch every file until one fails, and return the report.

        An interruption (Ctrl-C, SIGTERM) stops watching, and cancels the build if the options
        say so. Raises CloudError if Cloud Build rejects a build or cannot be reached.
        """
        self.options.logs.mkdir(parents=True, exist_ok=True)
        # What an earlier build left would be taken for this one's.
        for path in self.options.logs.iterdir():
            if report.is_log(path.name):
                path.unlink()
        handlers = {n: signal.signal(n, self._interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            for file, entry, part in zip(self.files, self.report.builds, self.parts, strict=True):
                remote = self._start_or_resume(file, entry, needed)
                status = self._watch(remote, entry, part)
                if status != "SUCCESS" or self.stop.is_set():
                    break
            return self._finish()
        except KeyboardInterrupt:
            return self._finish()
        except CloudError:
            self._save()
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.stop.is_set() and (self.cancelled or not self.options.cancel):
            # Who presses Ctrl-C twice does not want to wait; but a build that is to be ended is.
            raise KeyboardInterrupt
        self.stop.set()

    def _start_or_resume(self, file: BuildFile, entry: Submitted, needed: Sequence[str]) -> Remote:
        """The build of a file: the resumed one, or a new one if there is none or it failed."""
        remote = self.service.describe(entry.id) if entry.id else None
        failed = remote is not None and remote.over and remote.status != "SUCCESS"
        if remote is None or (failed and not self.options.only_watch):
            remote = self.service.submit(file.path, needed)
        entry.id, entry.project, entry.log_url = remote.id, remote.project_id, remote.log_url
        entry.status = remote.status
        self._save()
        self.begun(entry)
        return remote

    def _watch(self, remote: Remote, entry: Submitted, part: list[StepReport]) -> str:
        whole = self.options.logs / f"log-{remote.id}.txt"
        log = Log(whole, self.options.show, part, self.report.steps.index(part[0]))
        failures = 0
        while True:
            self._update_steps(remote, entry, part)
            log.read(self.service, remote)
            if remote.over or (self.stop.is_set() and not self.options.cancel):
                break
            if self.stop.is_set() and not self.cancelled:
                # A build that has just ended cannot be ended; the next look says so.
                with contextlib.suppress(CloudError):
                    self.service.cancel(remote.id)
                self.cancelled = True
            # Set, the event would no longer make anybody wait.
            waiting = threading.Event() if self.cancelled else self.stop
            waiting.wait(self.options.interval)
            try:
                remote = self.service.describe(remote.id)
                failures = 0
            except CloudError:
                failures += 1
                if failures >= PATIENCE:
                    raise
        if remote.over:
            self._finalize_steps(remote, part, log)
        if remote.over and not log.unread and not log.path.exists():
            self.notes.append(f"build {remote.id} has no log that can be read here")
        if log.unread:
            self.notes.append(f"the log of build {remote.id} could not be read: {log.unread}")
        return remote.status

    def _update_steps(self, remote: Remote, entry: Submitted, part: list[StepReport]) -> None:
        """Copy the state of a build and its steps to the report."""
        entry.status = remote.status
        for own, step in zip(part, remote.steps, strict=False):
            state: State = STATES.get(step.status, "waiting")
            own.started = step.timing.start_time or own.started
            own.finished = step.timing.end_time or own.finished
            # Google's library says 0 of steps that have not ended, too.
            own.exit_code = step.exit_code or own.exit_code
            # Why a step was ended, only its build says, when it has ended.
            if state not in (own.state, "interrupted"):
                own.state = state
                self._give_reason(own)
                self.observe(own)
        self._save()

    def _give_reason(self, own: StepReport) -> None:
        if own.state == "failed":
            own.reason = f"exit code {own.exit_code}" if own.exit_code else "it failed"
        elif own.state == "timed out":
            own.reason = "its time was over"
        elif own.state == "succeeded" and own.exit_code is None:
            own.exit_code = 0

    def _finalize_steps(self, remote: Remote, part: list[StepReport], log: Log) -> None:
        """Set the digests and the final states that follow from the end of the build."""
        pushed = {image.name: image.digest for image in remote.results.images}
        failed = any(own.state in ("failed", "timed out") for own in part)
        why = remote.failure_info.detail or remote.status_detail or f"the build {remote.status}"
        why = " ".join(why.split())
        for own in part:
            if own.kind == "push":
                own.digest = log.digest(own) or pushed.get(own.images[0] if own.images else "")
            if own.state in DONE:
                continue
            if remote.status == "SUCCESS":
                self._end(own, "succeeded", "")
            elif remote.status in ("CANCELLED", "TIMEOUT", "EXPIRED"):
                reason = "the build was cancelled" if remote.status == "CANCELLED" else why
                self._end(own, STATES[remote.status], reason)
            elif own.state not in ("failed", "timed out"):
                self._end(own, "blocked", "another step failed" if failed else why)

    def _end(self, own: StepReport, state: State, reason: str) -> None:
        own.state, own.reason = state, reason
        self.observe(own)

    def _save(self) -> None:
        report.write(self.report, self.options.logs / report.NAME)

    def _finish(self) -> Report:
        found = self.report
        begun = [entry for entry in found.builds if entry.status]
        left = any(not entry.id for entry in found.builds)
        if all(entry.status == "SUCCESS" for entry in found.builds):
            found.outcome = "succeeded"
        elif begun[-1].status == "CANCELLED" or (begun[-1].status == "SUCCESS" and left):
            found.outcome = "interrupted"
        elif STATES.get(begun[-1].status) in ("failed", "timed out"):
            found.outcome = "failed"
        if found.outcome == "failed":
            for own in found.steps:
                if own.state == "waiting":
                    self._end(own, "blocked", f"the build of {begun[-1].file} did not succeed")
        if found.outcome != "running":
            found.finished = report.now()
        self._save()
        return found


def _last(entries: Sequence[StepReport]) -> Iterator[str]:
    """The ids of the steps that no other step waits for."""
    waited = {name for entry in entries for name in entry.needs}
    yield from (entry.id for entry in entries if entry.id not in waited)


def summary_line(entry: Submitted) -> str:
    """A submitted build on one line, with the address of its log."""
    link = f", {entry.log_url}" if entry.log_url else ""
    return f"{entry.file}: build {entry.id} {entry.status.lower()}{link}"


def summary(found: Report) -> Iterator[str]:
    """What became of the builds of a report, one line each."""
    yield from (summary_line(entry) for entry in found.builds if entry.id)
    waiting = sum(not entry.id for entry in found.builds)
    if waiting:
        yield f"{counted(waiting, 'build file')} not submitted"


def earlier(logs: pathlib.Path) -> list[Submitted]:
    """The builds of the previous submission, from its report; empty if there is no report."""
    try:
        return report.read(logs / report.NAME).builds
    except (OSError, ValueError):
        return []


def watched(build: Remote) -> tuple[BuildFile, Submitted]:
    """The build file and the submission for a build that is known only by its id."""
    file = BuildFile(pathlib.Path(build.id), build.text)
    return file, Submitted(file=build.id, sha256=file.sha256, id=build.id)
