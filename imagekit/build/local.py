"""Run the steps of a build on the local Docker engine, the way Cloud Build does."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import msgspec

from imagekit.build import content_id, images, report
from imagekit.build.report import DONE, Report, State, StepReport
from imagekit.docker.dockerfile import base_of
from imagekit.document.steps import PROGRAMS, Build, Step
from imagekit.errors import EngineError
from imagekit.support.clock import Clock
from imagekit.support.files import DOCKERFILE, RECORD, create, read_bytes, replace_file, sha256
from imagekit.support.json_text import decode
from imagekit.support.log import debug

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL when a step is stopped, as in `docker stop`."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a local build."""

    directory: pathlib.Path
    """The directory that paths are relative to, like /workspace on Cloud Build."""
    logs: pathlib.Path
    """The directory for the log of each step and for the report."""
    jobs: int
    """The number of steps that run at the same time."""
    docker: str = "docker"
    """The Docker client."""
    push: bool = False
    """Whether to run push steps."""
    force: bool = False
    """Whether to run steps that are up to date."""
    fail_fast: bool = False
    """Whether to stop the build at the first failed step."""
    network: str | None = None
    """The value of `--network` for every `docker build`."""
    secrets: tuple[str, ...] = ()
    """The values of `--secret` for every `docker build`."""
    labels: dict[str, str] = {}
    """Labels for every image, in addition to its content id."""


PASSED = "passed.json"
"""The file in the log directory with the hashes of passed tests, which are not run again."""

DESCRIBED = "{{.Id}} {{.Size}} {{len .RootFS.Layers}}"
"""The format of `docker image inspect` for what a report says of a built image."""

Observer = Callable[[StepReport], None]
"""Called with each step whose state has changed."""


def program(name: str) -> str | None:
    """The path of a program, from this Python's environment first, then from PATH."""
    beside = str(pathlib.Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


def check_programs(build: Build) -> None:
    """Raise EngineError if a program that the build needs is not installed."""
    needed = {PROGRAMS[step.builder] for step in build.steps if step.entrypoint is None}
    missing = sorted(name for name in needed - {"docker"} if program(name) is None)
    if missing:
        message = f"program not found: {', '.join(missing)}"
        raise EngineError(f"{message}; run pip install 'imagekit[build]'")


def check_engine(docker: str) -> None:
    """Raise EngineError if there is no Docker engine that can build."""
    if shutil.which(docker) is None:
        raise EngineError(f"program {docker!r} not found; install Docker, or use --docker")
    command = [docker, "version", "--format", "{{.Client.Version}} {{.Server.Version}}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = result.stderr.strip().splitlines()[-1] if result.stderr else "no answer"
        raise EngineError(
            f"the Docker engine does not answer ({reason}); start it, or set DOCKER_HOST"
        )
    version = re.match(r"\d+", result.stdout)
    if version is None:
        raise EngineError(f"{docker} reports no Docker version; name the client with --docker")
    client = int(version[0])
    buildx = subprocess.run([docker, "buildx", "version"], capture_output=True, check=False)
    if client >= 23 and buildx.returncode:
        raise EngineError(
            f"{docker} needs its buildx plugin to build (Debian: docker-buildx); install it, or "
            "name another client: --docker"
        )


class LocalBuild:
    """A local build. `run` executes it; `report` always holds its current state."""

    def __init__(self, build: Build, name: str, options: Options, observe: Observer) -> None:
        self.build = build
        self.options = options
        self.observe = observe
        self.ids = dict(self._content_ids())
        self.clock = Clock()
        self.report = Report(file=name, jobs=options.jobs, started=self._now())
        self.report.steps = [
            StepReport(id=step.id, kind=step.kind, needs=step.needs, images=step.tags)
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
        for step in self.build.steps:
            if step.kind == "build" and not pulled & {*step.build_args.values()}:
                own_id = content_id.content_id(step, self.options.directory, by_image)
                if own_id is not None:
                    by_image |= dict.fromkeys(step.tags, own_id)
                    yield step.id, own_id

    def _existing_ids(self) -> dict[str, str]:
        """The content ids of the images that exist on the engine, by image name."""
        names = [tag for step in self.build.steps if step.kind == "build" for tag in step.tags]
        if not names:
            return {}
        # docker exits with 1 if an image is missing, but still prints the others.
        command = [self.options.docker, "image", "inspect", *names]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
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
        report.keep_previous(self.options.logs)
        self._save()
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
        return self._finish(interrupted.is_set())

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
            return own is not None and all(self.existing.get(tag) == own for tag in step.tags)
        return (
            step.kind == "test" and not self.options.force and self._test_hash(step) in self.passed
        )

    def _test_hash(self, step: Step) -> str:
        """A hash of what a test's result depends on: image, test files and arguments."""
        images = [self._inspect(tag, "{{.Id}}") for tag in step.tags]
        files = [self.options.directory / step.dir / name for name in step.test_files]
        texts = [sha256(path) for path in files]
        return hashlib.sha256(repr([images, texts, step.args]).encode()).hexdigest()

    async def _execute(self, step: Step, entry: StepReport) -> None:
        number = self.build.steps.index(step) + 1
        log = self.options.logs / report.log_name(number, step.id)
        entry.log, entry.started, entry.state = log.name, self._now(), "running"
        self.observe(entry)
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(create(log))
                process = await self._start(step, file.fileno())
            except OSError as error:
                self._end(entry, "failed", f"{error.strerror}: {error.filename}")
                return
            try:
                async with asyncio.timeout(step.timeout):
                    entry.exit_code = await process.wait()
            except TimeoutError:
                self._end(entry, "timed out", f"timed out after {step.timeout:g} s")
                return
            except asyncio.CancelledError:
                self._end(entry, "interrupted", "stopped")
                raise
            finally:
                await _stop(process)
        if entry.exit_code == 0 or step.allow_failure or entry.exit_code in step.allow_exit_codes:
            tolerated = "" if entry.exit_code == 0 else f"exit code {entry.exit_code}, allowed"
            self._describe(step, entry)
            if step.kind == "test" and entry.exit_code == 0:
                self._save_passed(self._test_hash(step))
            self._end(entry, "succeeded", tolerated)
        else:
            self._end(entry, "failed", f"exit code {entry.exit_code}")

    async def _start(self, step: Step, log: int) -> asyncio.subprocess.Process:
        name = PROGRAMS[step.builder]
        command = [self.options.docker if name == "docker" else program(name) or name, *step.args]
        if step.entrypoint is not None:
            command = [step.entrypoint, *step.args]
        elif step.kind == "build":
            at = 1 + step.action.verb
            own = _without_network_of_google(command[at:])
            command[at:] = [*self._build_options(step), *own]
        debug("running %s", shlex.join(command))
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self.options.directory / step.dir,
            env=os.environ | {"BUILDKIT_PROGRESS": "plain"} | step.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A separate process group, so that all processes of the step can be stopped.
            start_new_session=True,
        )

    def _build_options(self, step: Step) -> list[str]:
        """Extra `docker build` options: network, secrets and labels."""
        options = [] if self.options.network is None else ["--network", self.options.network]
        options += [part for secret in self.options.secrets for part in ("--secret", secret)]
        labels = dict(self.options.labels)
        if step.id in self.ids:
            labels[content_id.LABEL] = self.ids[step.id]
        with contextlib.suppress(OSError):
            here = self.options.directory
            data = read_bytes(here / step.dockerfile, DOCKERFILE, within=here)
            text = data.decode(errors="replace")
            target = dict(step.docker_build.options).get("--target")
            labels |= self._base_labels(base_of(text, step.build_args, target))
        return [*options, *(p for k, v in labels.items() for p in ("--label", f"{k}={v}"))]

    def _base_labels(self, base: str | None) -> dict[str, str]:
        if base is None:
            return {}
        labels = {"org.opencontainers.image.base.name": base}
        for name in self._repo_digests(base)[:1]:
            labels["org.opencontainers.image.base.digest"] = name.split("@")[1]
        return labels

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
            found = self._inspect(name, DESCRIBED).split()
            if len(found) == 3:
                entry.digest, entry.size, entry.layers = found[0], int(found[1]), int(found[2])
            return
        repository = name.rpartition(":")[0]
        digests = (name.split("@") for name in self._repo_digests(name))
        entry.digest = next((digest for own, digest in digests if own == repository), None)

    def _repo_digests(self, image: str) -> list[str]:
        """The image's names by digest (`repository@sha256:…`) in the registries that hold it."""
        return self._inspect(image, "{{range .RepoDigests}}{{.}} {{end}}").split()

    def _inspect(self, image: str, template: str) -> str:
        command = [self.options.docker, "image", "inspect", "--format", template, image]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

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


def _without_network_of_google(args: list[str]) -> list[str]:
    """The arguments of a build without `--network=cloudbuild`, which exists at Google only."""
    kept = [arg for arg in args if arg != "--network=cloudbuild"]
    pairs = list(itertools.pairwise((*kept, "")))
    split = {n for n, pair in enumerate(pairs) if pair == ("--network", "cloudbuild")}
    return [arg for n, arg in enumerate(kept) if n not in split and n - 1 not in split]


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Stop the running processes of a step: SIGTERM, then SIGKILL after the grace period."""
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(process.wait(), seconds))
