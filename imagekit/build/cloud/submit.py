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
from imagekit.build.cloud.service import STATES, WAITING, Remote, Service
from imagekit.build.cloud.upload import BuildFile, steps_of
from imagekit.build.report import DONE, Report, State, StepReport, Submitted
from imagekit.errors import CloudError, counted
from imagekit.support.clock import Clock

PATIENCE = 5
"""The number of consecutive failed requests after which a build is no longer watched."""

Observer = Callable[[StepReport], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a submission."""

    logs: pathlib.Path
    """The directory for the report, the log of each step and the full log of each build."""
    interval: float
    """Seconds between two requests for a build's state."""
    cancel: bool = False
    """Whether an interruption cancels the build."""
    watched: Remote | None = None
    """A build to watch without submitting anything."""
    show: Callable[[str], None] | None = None
    """Called with each new line of a log."""


class Submission:
    """Build files that run in order, each one after the previous one has succeeded.

    `report` always holds the current state. `on_start` is called with each build that was
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
        self.on_start: Callable[[Submitted], None] = lambda _: None
        self.clock = Clock()
        self.report = Report(file=name, jobs=0, started=self.clock.now().isoformat())
        self.report.builds = [self._submitted(file) for file in files]
        self.steps_by_file = [self._entries(file) for file in files]
        self.report.steps = [step for steps in self.steps_by_file for step in steps]

    def _submitted(self, file: BuildFile) -> Submitted:
        """The earlier submission of the same file, or a new entry."""
        blank = Submitted(file=file.path.name, sha256=file.sha256)
        return self.resumed.get((blank.file, blank.sha256), blank)

    def _entries(self, file: BuildFile) -> list[StepReport]:
        """The steps of a file; those without dependencies wait for the previous file."""
        steps = steps_of(file)
        used = {entry.id for entry in self.report.steps}
        before = tuple(_final_steps(self.report.steps))
        # A parent may be pulled in several files, but the ids in a report must be unique.
        names = {s.id: f"{s.id} ({file.path.name})" if s.id in used else s.id for s in steps}
        entries = [
            StepReport(
                id=names[step.id],
                kind=step.kind,
                needs=tuple(names.get(name, name) for name in step.needs) or before,
                images=step.tags,
            )
            for step in steps
        ]
        self.report.steps += entries
        return entries

    def run(self, needed: Sequence[str]) -> Report:
        """Submit and watch every file until one fails, and return the report.

        An interruption (Ctrl-C, SIGTERM) stops watching, and cancels the build if the options
        say so. Raises CloudError if Cloud Build rejects a build or cannot be reached.
        """
        self.options.logs.mkdir(parents=True, exist_ok=True)
        # The report of builds that are resumed is this one's.
        if not any(entry.id for entry in self.report.builds):
            report.keep_previous(self.options.logs)
        # Remove the logs of earlier builds.
        for path in self.options.logs.iterdir():
            if report.is_log(path.name):
                path.unlink()
        handlers = {n: signal.signal(n, self._interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            files = zip(self.files, self.report.builds, self.steps_by_file, strict=True)
            for file, entry, steps in files:
                remote = self._start_or_resume(file, entry, needed)
                status = self._watch(remote, entry, steps)
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
            # The second Ctrl-C stops at once, unless a build is still to be cancelled.
            raise KeyboardInterrupt
        self.stop.set()

    def _start_or_resume(self, file: BuildFile, entry: Submitted, needed: Sequence[str]) -> Remote:
        """The build of a file: the resumed one, or a new one if there is none or it failed."""
        remote = self.options.watched
        if remote is None and entry.id:
            remote = self.service.describe(entry.id)
        failed = remote is not None and remote.ended and remote.status != "SUCCESS"
        if remote is None or (failed and self.options.watched is None):
            remote = self.service.submit(file.path, needed)
        entry.id, entry.project, entry.log_url = remote.id, remote.project_id, remote.log_url
        entry.status = remote.status
        self._save()
        self.on_start(entry)
        return remote

    def _watch(self, remote: Remote, entry: Submitted, steps: list[StepReport]) -> str:
        path = self.options.logs / f"log-{remote.id}.txt"
        log = Log(path, self.options.show, steps, self.report.steps.index(steps[0]))
        failures = 0
        while True:
            self._update_steps(remote, entry, steps)
            # Each request is a start of gcloud, and a build that waits has no log yet.
            if remote.status not in WAITING:
                log.read(self.service, remote)
            if remote.ended or (self.stop.is_set() and not self.options.cancel):
                break
            if self.stop.is_set() and not self.cancelled:
                # This fails if the build has just ended, which the next request shows.
                with contextlib.suppress(CloudError):
                    self.service.cancel(remote.id)
                self.cancelled = True
            # After an interruption, `stop` is set and waiting for it returns at once.
            waiting = threading.Event() if self.cancelled else self.stop
            waiting.wait(self.options.interval)
            try:
                remote = self.service.describe(remote.id)
                failures = 0
            except CloudError:
                failures += 1
                if failures >= PATIENCE:
                    raise
        if remote.ended:
            self._finalize_steps(remote, steps, log)
        if remote.ended and not log.error and not log.path.exists():
            self.notes.append(f"build {remote.id} has no log that can be read here")
        if log.error:
            self.notes.append(f"the log of build {remote.id} could not be read: {log.error}")
        return remote.status

    def _update_steps(self, remote: Remote, entry: Submitted, steps: list[StepReport]) -> None:
        """Copy the state of a build and its steps to the report."""
        entry.status = remote.status
        for step, remote_step in zip(steps, remote.steps, strict=False):
            state: State = STATES.get(remote_step.status, "waiting")
            step.started = remote_step.timing.start_time or step.started
            step.finished = remote_step.timing.end_time or step.finished
            # Google's library returns 0 for unfinished steps, too.
            step.exit_code = remote_step.exit_code or step.exit_code
            # The reason for an interruption is known when the build has ended.
            if state not in (step.state, "interrupted"):
                step.state = state
                self._set_reason(step)
                self.observe(step)
        self._save()

    def _set_reason(self, step: StepReport) -> None:
        if step.state == "failed":
            step.reason = f"exit code {step.exit_code}" if step.exit_code else "it failed"
        elif step.state == "timed out":
            step.reason = "it exceeded its timeout"
        elif step.state == "succeeded" and step.exit_code is None:
            step.exit_code = 0

    def _finalize_steps(self, remote: Remote, steps: list[StepReport], log: Log) -> None:
        """Set the digests and the final states that follow from the end of the build."""
        pushed = {image.name: image.digest for image in remote.results.images}
        failed = any(step.state in ("failed", "timed out") for step in steps)
        why = remote.failure_info.detail or remote.status_detail or f"the build {remote.status}"
        why = " ".join(why.split())
        for step in steps:
            if step.kind == "push":
                step.digest = log.digest(step) or pushed.get(step.images[0] if step.images else "")
            if step.state in DONE:
                continue
            if remote.status == "SUCCESS":
                self._end(step, "succeeded", "")
            elif remote.status in ("CANCELLED", "TIMEOUT", "EXPIRED"):
                reason = "the build was cancelled" if remote.status == "CANCELLED" else why
                self._end(step, STATES[remote.status], reason)
            elif step.state not in ("failed", "timed out"):
                self._end(step, "blocked", "another step failed" if failed else why)

    def _end(self, step: StepReport, state: State, reason: str) -> None:
        step.state, step.reason = state, reason
        self.observe(step)

    def _save(self) -> None:
        report.write(self.report, self.options.logs / report.NAME)

    def _finish(self) -> Report:
        builds = self.report.builds
        submitted = [build for build in builds if build.status]
        left = any(not build.id for build in builds)
        if not submitted:
            # It was interrupted before Cloud Build had taken the first build.
            self.report.outcome = "interrupted"
        elif all(build.status == "SUCCESS" for build in builds):
            self.report.outcome = "succeeded"
        elif submitted[-1].status == "CANCELLED" or (submitted[-1].status == "SUCCESS" and left):
            self.report.outcome = "interrupted"
        elif STATES.get(submitted[-1].status) in ("failed", "timed out"):
            self.report.outcome = "failed"
        if self.report.outcome == "failed":
            for step in self.report.steps:
                if step.state == "waiting":
                    self._end(step, "blocked", f"the build of {submitted[-1].file} did not succeed")
        if self.report.outcome != "running":
            self.report.finished = self.clock.now().isoformat()
        self._save()
        return self.report


def _final_steps(steps: Sequence[StepReport]) -> Iterator[str]:
    """The ids of the steps that no other step waits for."""
    needed = {name for step in steps for name in step.needs}
    yield from (step.id for step in steps if step.id not in needed)


def summary_line(entry: Submitted) -> str:
    """The summary of a submitted build, with the address of its log."""
    link = f", {entry.log_url}" if entry.log_url else ""
    return f"{entry.file}: build {entry.id} {entry.status.lower()}{link}"


def summary(build_report: Report) -> Iterator[str]:
    """The builds of a report with their status, one line each."""
    yield from (summary_line(entry) for entry in build_report.builds if entry.id)
    waiting = sum(not entry.id for entry in build_report.builds)
    if waiting:
        yield f"{counted(waiting, 'build file')} not submitted"


def earlier(logs: pathlib.Path) -> list[Submitted]:
    """The builds of the previous submission, from its report; empty if there is no report."""
    try:
        return report.read(logs / report.NAME).builds
    except (OSError, ValueError):
        return []


def watched(build: Remote) -> tuple[BuildFile, Submitted]:
    """A build file and a submission for a build of which only the id is known."""
    file = BuildFile(pathlib.Path(build.id), build.text, is_foreign=True)
    return file, Submitted(file=build.id, sha256=file.sha256, id=build.id)
