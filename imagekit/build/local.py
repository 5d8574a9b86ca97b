"""Run the steps of a build on the local Docker engine, the way Cloud Build does."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import signal
from collections.abc import Callable, Iterator

from imagekit.build import content_id, images, placement, report
from imagekit.build.engine import ask, check_engine, inspect, repo_digests
from imagekit.build.execution import Execution, Options, program
from imagekit.build.placement import PROGRAMS, Place, Rules
from imagekit.build.report import DONE, Report, State, StepReport
from imagekit.document.steps import Build, Step
from imagekit.errors import EngineError
from imagekit.support.clock import Clock
from imagekit.support.files import RECORD, read_bytes, replace_file, sha256
from imagekit.support.json_text import decode

PASSED = "passed.json"
"""The file in the log directory with the hashes of passed tests, which are not run again."""

DESCRIBED = "{{.Id}} {{.Size}} {{len .RootFS.Layers}}"
"""The format of `docker image inspect` for what a report says of a built image."""

__all__ = ["LocalBuild", "check_engine", "check_programs"]

Observer = Callable[[StepReport], None]
"""Called with each step whose state has changed."""


def check_programs(build: Build, rules: Rules) -> None:
    """Raise EngineError if a program that the build needs is not installed."""
    places = {placement.place_of(step, rules) for step in build.steps}
    if "test" in places and program(PROGRAMS["test"]) is None:
        message = f"program not found: {PROGRAMS['test']}"
        raise EngineError(f"{message}; run pip install 'imagekit[build]'")


class LocalBuild:
    """A local build. `run` executes it; `report` always holds its current state."""

    def __init__(self, build: Build, name: str, options: Options, observe: Observer) -> None:
        self.build = build
        self.options = options
        self.observe = observe
        self.numbers = {step.id: number for number, step in enumerate(build.steps, start=1)}
        self.places = {step.id: placement.place_of(step, options) for step in build.steps}
        # What a step writes may be copied into an image; it is not known before.
        is_known = {*self.places.values()} <= {*PROGRAMS}
        self.ids = dict(self._content_ids()) if is_known else {}
        self.execution = Execution(build, options, self.places, self.ids)
        self.clock = Clock()
        self.report = Report(file=name, jobs=options.jobs, started=self._now())
        self.report.steps = [
            StepReport(
                id=step.id,
                kind=step.kind,
                needs=step.needs,
                images=step.tags,
                where=_where(step, self.places[step.id]),
            )
            for step in build.steps
        ]
        self.states = {entry.id: entry for entry in self.report.steps}
        self.existing = {} if options.force else self._existing_ids()
        self.passed: set[str] = set()
        with contextlib.suppress(OSError, ValueError):
            self.passed = set(decode(read_bytes(options.logs / PASSED, RECORD), list[str]))

    def _content_ids(self) -> Iterator[tuple[str, str]]:
        """Pairs of step id and content id. Steps are in order, so parents come first."""
        by_image: dict[str, str] = {}
        # A pulled image may have changed, so the images based on it are always built.
        pulled = {tag for step in self.build.steps if step.kind == "pull" for tag in step.tags}
        files = content_id.Files(self.options.directory)
        for step in self.build.steps:
            if step.kind == "build" and not pulled & {*step.build_args.values()}:
                own_id = content_id.content_id(step, files, by_image)
                if own_id is not None:
                    by_image |= dict.fromkeys(step.tags, own_id)
                    yield step.id, own_id

    def _existing_ids(self) -> dict[str, str]:
        """The content ids of the images that exist on the engine, by image name."""
        names = [tag for step in self.build.steps if step.kind == "build" for tag in step.tags]
        if not names:
            return {}
        # docker exits with 1 if an image is missing, but still prints the others.
        result = ask(self.options.docker, "image", "inspect", *names)
        ids: dict[str, str] = {}
        for image in images.inspected(self.options.docker, result.stdout):
            label = (image.config.labels or {}).get(content_id.LABEL)
            ids |= {name: label for name in image.repo_tags or () if label}
        return ids

    def dry_run(self) -> Report:
        """The report with what `run` would do if every step succeeds, without running any.

        A step that would run has the state "waiting".
        """
        for step in self.build.steps:
            entry = self.states[step.id]
            if step.kind == "push" and not self.options.push:
                entry.state, entry.reason = "not pushed", "use --push to push"
            elif self._image_exists(step) and self._is_up_to_date(step):
                entry.state = "up to date"
        return self.report

    def _image_exists(self, step: Step) -> bool:
        """Whether the image of a test is there already; a build looks for itself."""
        return step.kind != "test" or all(self.states[n].state == "up to date" for n in step.needs)

    async def run(self) -> Report:
        """Run every step that can run, and return the report. SIGINT and SIGTERM stop the build."""
        self.options.logs.mkdir(parents=True, exist_ok=True)
        with self.execution:
            report.keep_previous(self.options.logs)
            self._save()
            interrupted = await self._run_steps()
            # Before the cleaning up, which may be interrupted, too.
            return self._finish(interrupted)

    async def _run_steps(self) -> bool:
        """Run the steps; whether they were interrupted."""
        slots = asyncio.Semaphore(self.options.jobs)
        ended = {step.id: asyncio.Event() for step in self.build.steps}
        tasks = [
            asyncio.create_task(self._run_step(step, slots, ended)) for step in self.build.steps
        ]
        loop = asyncio.get_running_loop()
        interrupted = asyncio.Event()

        def interrupt() -> None:
            interrupted.set()
            for task in tasks:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            async with asyncio.timeout(self.build.timeout):
                await self._run_all(tasks)
        except TimeoutError:
            self._end_unfinished("timed out", "the build timed out")
        except BaseException:
            # Whatever it was, the report must not say that the build is still running.
            self._end_unfinished("interrupted", "imagekit failed")
            self._finish(interrupted=True)
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
        if interrupted.is_set():
            self._end_unfinished("interrupted", "interrupted")
        self._end_unfinished("blocked", "another step failed")
        return interrupted.is_set()

    async def _run_all(self, tasks: list[asyncio.Task[bool]]) -> None:
        pending = set(tasks)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                failed = any(not task.cancelled() and not task.result() for task in done)
                if failed and self.options.fail_fast:
                    break
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_step(
        self, step: Step, slots: asyncio.Semaphore, ended: dict[str, asyncio.Event]
    ) -> bool:
        """Wait for the steps that this one needs, then run it. Returns False if it failed."""
        entry = self.states[step.id]
        for name in step.needs:
            await ended[name].wait()
        missing = [name for name in step.needs if self.states[name].state not in DONE]
        if missing:
            self._end(entry, "blocked", f"{missing[0]} did not succeed")
        elif step.kind == "push" and not self.options.push:
            self._end(entry, "not pushed", "use --push to push")
        elif self._is_up_to_date(step):
            reason = "already passed for this image" if step.kind == "test" else "already built"
            if step.kind == "build":
                self._describe(step, entry)
            self._end(entry, "up to date", reason)
        else:
            async with slots:
                await self._execute(step, entry)
        ended[step.id].set()
        return entry.state in DONE or entry.state == "blocked"

    def _is_up_to_date(self, step: Step) -> bool:
        """Whether the image of a step exists with the same content, or its test has passed."""
        if step.kind == "build":
            own = self.ids.get(step.id)
            exists = all(self.existing.get(tag) == own for tag in step.tags)
            return own is not None and bool(step.tags) and exists and not _writes(step)
        return (
            step.kind == "test" and not self.options.force and self._test_hash(step) in self.passed
        )

    def _test_hash(self, step: Step) -> str:
        """A hash of what a test's result depends on: image, test files and arguments."""
        ids = [inspect(self.options.docker, tag, "{{.Id}}") for tag in step.tags]
        files = [self.execution.file(step, name) for name in step.test_files]
        texts = [sha256(path) for path in files]
        return hashlib.sha256(repr([ids, texts, step.args]).encode()).hexdigest()

    async def _execute(self, step: Step, entry: StepReport) -> None:
        number = self.numbers[step.id]
        log = self.options.logs / report.log_name(number, step.id)
        entry.log, entry.started, entry.state = log.name, self._now(), "running"
        self.observe(entry)
        state: State = "failed"
        try:
            async with asyncio.timeout(step.timeout):
                entry.exit_code = await self.execution.run(step, number, log)
            reason = f"exit code {entry.exit_code}" if entry.exit_code else ""
        except TimeoutError:
            state, reason = "timed out", f"timed out after {step.timeout:g} s"
        except OSError as error:
            self._end(entry, "failed", f"{error.strerror}: {error.filename}")
            return
        except asyncio.CancelledError:
            self._end(entry, "interrupted", "stopped")
            raise
        if entry.exit_code == 0:
            self._describe(step, entry)
            if step.kind == "test":
                self._save_passed(self._test_hash(step))
            self._end(entry, "succeeded")
        elif step.allow_failure or entry.exit_code in step.allow_exit_codes:
            self._describe(step, entry)
            self._end(entry, "succeeded", f"{reason}, allowed")
        else:
            self._end(entry, state, reason)

    def _save_passed(self, test_hash: str) -> None:
        self.passed.add(test_hash)
        replace_file(
            self.options.logs / PASSED, json.dumps(sorted(self.passed)).encode(), follow=False
        )

    def _describe(self, step: Step, entry: StepReport) -> None:
        """Set the id, size and layers of a built image, or the registry digest of a pushed one."""
        if step.kind not in ("build", "push") or not step.tags:
            return
        name = step.tags[0]
        if step.kind == "build":
            found = inspect(self.options.docker, name, DESCRIBED).split()
            if len(found) == 3:
                entry.digest, entry.size, entry.layers = found[0], int(found[1]), int(found[2])
            return
        repository = name.rpartition(":")[0]
        digests = (name.split("@") for name in repo_digests(self.options.docker, name))
        entry.digest = next((digest for own, digest in digests if own == repository), None)

    def _now(self) -> str:
        return self.clock.now().isoformat()

    def _end(self, entry: StepReport, state: State, reason: str = "") -> None:
        entry.state, entry.reason = state, reason
        if entry.started is not None:
            entry.finished = self._now()
        self.observe(entry)
        self._save()

    def _end_unfinished(self, state: State, reason: str) -> None:
        for entry in self.report.steps:
            if entry.state in ("waiting", "running"):
                self._end(entry, state, reason)

    def _save(self) -> None:
        report.write(self.report, self.options.logs / report.NAME)

    def _finish(self, interrupted: bool) -> Report:
        succeeded = all(entry.state in DONE for entry in self.report.steps)
        self.report.finished = self._now()
        self.report.outcome = (
            "interrupted" if interrupted else "succeeded" if succeeded else "failed"
        )
        self._save()
        return self.report


def _writes(step: Step) -> bool:
    """Whether a build writes more than its image, which is not there the next time."""
    line = placement.line_of(step)
    return bool(line and line.values("output", "iidfile", "metadata-file"))


def _where(step: Step, place: Place) -> str:
    """Where a step runs, for the report."""
    if place in PROGRAMS:
        return PROGRAMS[place]
    return "on this machine" if place == "host" else f"container of {step.image}"
