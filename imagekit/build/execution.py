"""Run one step of a build as a process: its command, where it runs, and how it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pathlib
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from typing import BinaryIO

import msgspec

from imagekit.build import content_id, placement
from imagekit.build.containers import Containers, copied
from imagekit.build.engine import command, repo_digests
from imagekit.build.placement import PROGRAMS, Place, Rules, needs_network
from imagekit.docker.dockerfile import base_of
from imagekit.document.steps import Build, Step
from imagekit.support.files import DOCKERFILE, create, read_bytes
from imagekit.support.log import debug

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL when a step is stopped, as in `docker stop`."""
KILLED = 1.0
"""Seconds to wait for a step's processes after SIGKILL: where nobody reaps them, they never end."""


class Options(Rules, frozen=True, kw_only=True):
    """Options of a local build, with what its steps may do."""

    directory: pathlib.Path
    """The directory that paths are relative to, like /workspace on Cloud Build."""
    logs: pathlib.Path
    """The directory for the log of each step and for the report."""
    jobs: int
    """The number of steps that run at the same time."""
    docker: str = "docker"
    """The Docker client."""
    force: bool = False
    """Whether to run steps that are up to date."""
    fail_fast: bool = False
    """Whether to stop the build at the first failed step."""
    workspace: pathlib.Path | None = None
    """The folder that containers have as /workspace; None for a copy of `directory`."""
    secrets: tuple[str, ...] = ()
    """The values of `--secret` for every `docker build`."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Labels for every image, in addition to its content id."""


NO_GIT = {"BUILDX_GIT_INFO": "0", "BUILDX_GIT_LABELS": "0", "BUILDX_GIT_CHECK_DIRTY": "0"}
"""Keeps buildx from calling git in a folder that steps may have written to."""

RETRIES = (1, 4, 10)
"""The seconds to wait before a push or pull is tried again."""

TEMPORARY = re.compile(
    rb"unexpected (HTTP )?status[^\n]*: (5\d\d|429)|toomanyrequests|connection reset"
    rb"|TLS handshake timeout|i/o timeout|unexpected EOF|broken pipe",
    re.IGNORECASE,
)
"""What docker says of a registry or network that fails for a moment."""


def program(name: str) -> str | None:
    """The path of a program, from this Python's environment first, then from PATH."""
    beside = str(pathlib.Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


class Execution:
    """Runs the steps of a build. Used with `with`: what steps share is removed at its end.

    Raises EngineError if there are steps for containers and the engine cannot run them.
    """

    def __init__(
        self, build: Build, options: Options, places: Mapping[str, Place], ids: Mapping[str, str]
    ) -> None:
        self.build = build
        self.options = options
        self.places = places
        self.ids = ids
        self.directory = options.workspace or options.directory
        self.containers: Containers | None = None
        self._scripts = ""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Execution:
        # Copying a folder takes a while; what is copied is removed again.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return self._entered()
        finally:
            signal.signal(signal.SIGTERM, before)

    def _entered(self) -> Execution:
        with self._stack:
            places = {*self.places.values()}
            if not places <= {*PROGRAMS}:
                folder = tempfile.TemporaryDirectory(prefix="imagekit-scripts-")
                self._scripts = self._stack.enter_context(folder)
            has_containers = "container" in places
            if has_containers or any(needs_network(s, self.options) for s in self.build.steps):
                self._start_containers(is_copied=has_containers)
            self._stack = self._stack.pop_all()
        return self

    def _start_containers(self, *, is_copied: bool) -> None:
        options = self.options
        if is_copied and options.workspace is None:
            copy = copied(options.directory, [options.logs])
            self.directory = self._stack.enter_context(copy)
        self.containers = Containers(options.docker, self.directory, options)
        self._stack.callback(self.containers.stop)
        self.containers.start()

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    async def run(self, step: Step, number: int, log: pathlib.Path) -> int:
        """Run a step, and return its exit code. `number` is its place in the build, from 1.

        Registries under load answer with errors of their own and then take the same push, so a
        push or pull is tried again after those. Raises OSError if the step cannot be started.
        """
        with create(log) as file:
            for wait in RETRIES if step.kind in ("push", "pull") else ():
                start = file.tell()
                code = await self._run_once(step, number, file)
                if code == 0 or not _is_temporary(log, start):
                    return code
                file.write(b"imagekit: this may pass; trying again in %d s\n" % wait)
                file.flush()
                await asyncio.sleep(wait)
            return await self._run_once(step, number, file)

    async def _run_once(self, step: Step, number: int, log: BinaryIO) -> int:
        process = await self._start(step, number, log.fileno())
        try:
            return await process.wait()
        finally:
            try:
                await _stop(process)
            finally:
                if self.containers and self.places[step.id] == "container":
                    self.containers.remove(number)

    async def _start(self, step: Step, number: int, log: int) -> asyncio.subprocess.Process:
        words, cwd, env = self._command(step, number)
        debug("running %s", shlex.join(words))
        return await asyncio.create_subprocess_exec(
            *words,
            cwd=cwd,
            env=os.environ | {"BUILDKIT_PROGRESS": "plain"} | env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A separate process group, so that all processes of the step can be stopped.
            start_new_session=True,
        )

    def _command(self, step: Step, number: int) -> tuple[list[str], pathlib.Path, dict[str, str]]:
        """The command of a step, its working directory and environment variables."""
        place, folder = self.places[step.id], str(self.directory)
        script = "" if step.script is None else self._script(step.script, number)
        if place == "container" and self.containers:
            words = self.containers.command(step, number, script)
            return command(self.options.docker, *words), self.directory, {}
        cwd = self.directory / placement.path_here(step.dir, folder)
        if place == "host":
            return placement.host_command(step, script) or [], cwd, step.env
        if not self.options.on_host:
            self._check_files(step, cwd)
        args = placement.args_here(step, folder)
        if place == "test":
            return [program(PROGRAMS[place]) or PROGRAMS[place], *args], cwd, step.env
        if step.kind == "build":
            at = step.action.verb
            own = placement.without_network_of_google(args[at:])
            args = [*args[:at], *self._build_options(step), *own]
        network, only = self._network(step)
        args = placement.in_network(step, args, network, only=only)
        env = step.env if self.options.on_host else placement.environment(step) | NO_GIT
        return command(self.options.docker, *args), cwd, env

    def _network(self, step: Step) -> tuple[str | None, bool]:
        """The network of the containers that a step starts, and whether they have no other."""
        is_held = placement.is_held(step, self.options)
        if is_held and self.options.network is not None:
            return "none", True
        network = self.containers.network if self.containers else self.options.network
        return network, is_held or network == "none"

    def _check_files(self, step: Step, cwd: pathlib.Path) -> None:
        """Raise OSError if a path leads out of the build's folder, or a test has options of run."""
        root = self.directory.resolve()
        for path in placement.client_paths(step):
            found = (cwd / placement.path_here(path, str(root))).resolve()
            if not found.is_relative_to(root):
                message = "leads out of the build's folder; --on-host permits it"
                raise OSError(errno.EPERM, message, path)
            if step.kind == "test" and found.is_file():
                text = read_bytes(found, DOCKERFILE, within=root)
                if b"containerrunoptions" in text.lower():
                    message = "has containerRunOptions; --on-host permits them"
                    raise OSError(errno.EPERM, message, path)

    def _script(self, text: str, number: int) -> str:
        path = pathlib.Path(self._scripts, str(number))
        path.write_text(text, encoding="utf-8")
        return str(path)

    def file(self, step: Step, name: str) -> pathlib.Path:
        """The path here of a file that a step names."""
        return self._path(step.dir) / placement.path_here(name, str(self.directory))

    def _path(self, path: str) -> pathlib.Path:
        return self.directory / placement.path_here(path, str(self.directory))

    def _build_options(self, step: Step) -> list[str]:
        """Extra `docker build` options: network, secrets and labels."""
        options = [] if self.options.network is None else ["--network", self.options.network]
        options += [part for secret in self.options.secrets for part in ("--secret", secret)]
        labels = dict(self.options.labels)
        if step.id in self.ids:
            labels[content_id.LABEL] = self.ids[step.id]
        with contextlib.suppress(OSError):
            data = read_bytes(self._path(step.dockerfile), DOCKERFILE, within=self.directory)
            text = data.decode(errors="replace")
            target = dict(step.docker_build.options).get("--target")
            labels |= self._base_labels(base_of(text, step.build_args, target))
        return [*options, *(p for k, v in labels.items() for p in ("--label", f"{k}={v}"))]

    def _base_labels(self, base: str | None) -> dict[str, str]:
        if base is None:
            return {}
        labels = {"org.opencontainers.image.base.name": base}
        for name in repo_digests(self.options.docker, base)[:1]:
            labels["org.opencontainers.image.base.digest"] = name.split("@")[1]
        return labels


def _is_temporary(log: pathlib.Path, start: int) -> bool:
    """Whether what a log says from a position on is a failure that may pass."""
    with log.open("rb") as written:
        written.seek(start)
        return TEMPORARY.search(written.read()) is not None


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Stop all processes of a running step: SIGTERM, then SIGKILL after the grace period."""
    if process.returncode is not None:
        return
    for number, seconds in ((signal.SIGTERM, GRACE), (signal.SIGKILL, KILLED)):
        # That no process is left is an OSError, as is a time-out.
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
            if number == signal.SIGKILL:
                await process.wait()
            await asyncio.shield(asyncio.wait_for(_all_ended(process), seconds))


async def _all_ended(process: asyncio.subprocess.Process) -> None:
    """Wait for the process of a step, and for those that it started, which may end after it."""
    await process.wait()
    with contextlib.suppress(ProcessLookupError):
        while True:
            # The first process of a container becomes the parent of those whose parent has ended.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-process.pid, os.WNOHANG)
            os.killpg(process.pid, 0)
            await asyncio.sleep(0.02)
