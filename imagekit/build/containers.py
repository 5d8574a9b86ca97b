"""Run steps in containers of their builder images, with what Cloud Build gives them there.

That is the workspace, a home folder and volumes that the steps share, and a network of the build's
own. Source: cloud.google.com/build/docs/build-config-file-schema and
github.com/GoogleCloudPlatform/cloud-build-local (archived), build/build.go.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import posixpath
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence

from imagekit.build import placement
from imagekit.build.engine import ask, bind, reason
from imagekit.build.placement import Rules
from imagekit.docker.command_line import SOCKET
from imagekit.docker.context import WORKSPACE
from imagekit.document.steps import Step
from imagekit.errors import EngineError
from imagekit.support.log import debug

HOME = "/builder/home"
"""The home folder of every step, which the steps of a build share."""
OUTPUTS = "/builder/outputs"
"""The folder for a step's own results, of up to 4 KB, which nothing reads here."""
SCRIPT = "/builder/script"
"""Where a container has the step's script."""


class Containers:
    """The containers, volumes and the network of one build; they are removed at the end."""

    def __init__(self, docker: str, workspace: pathlib.Path, rules: Rules) -> None:
        self.docker = docker
        self.workspace = workspace
        self.rules = rules
        self.name = f"imagekit-{secrets.token_hex(4)}"
        self.network = rules.network
        self.socket = SOCKET
        self._volumes = {"home"}
        self._left = set[int]()
        self._image = ""

    def start(self) -> None:
        """Create the network. Raises EngineError if the engine cannot use this machine's files."""
        endpoint = self._docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
        scheme, _, path = endpoint.partition("://")
        if scheme in ("tcp", "ssh", "http", "https"):
            raise EngineError(
                f"the engine at {endpoint} is on another machine, where containers cannot have the "
                "files of this one; use an engine here, or --on-host"
            )
        # Elsewhere the engine runs in a virtual machine, with its socket in the usual place.
        if scheme == "unix" and sys.platform == "linux":
            self.socket = path
        if self.network is None:
            # Without permission, containers reach each other and nothing else.
            is_open = self.rules.push or self.rules.allow_network
            inner = () if is_open else ("--internal",)
            answer = ask(self.docker, "network", "create", *inner, self.name)
            if answer.returncode:
                raise EngineError(
                    f"the engine cannot create a network for the steps ({reason(answer)}); name "
                    "another with --network, such as host"
                )
            self.network = self.name

    def stop(self) -> None:
        """Remove what `start` and the steps have made."""
        for number in sorted(self._left):
            self.remove(number)
        if self._image and os.geteuid():
            # What root of the containers owns could not be changed or removed here.
            own = f"{os.geteuid()}:{os.getegid()}"
            mount = bind(self.workspace, WORKSPACE)
            as_root = ("--rm", "--user", "0", "--network", "none", "--entrypoint", "chown")
            self._docker("run", *as_root, *mount, self._image, "-R", own, WORKSPACE)
        if self.network == self.name:
            # Of containers that steps have started in it, too.
            template = "{{range .Containers}}{{.Name}} {{end}}"
            attached = self._docker("network", "inspect", "--format", template, self.name).split()
            if attached:
                self._docker("rm", "--force", "--volumes", *attached)
            self._docker("network", "rm", self.name)
        volumes = sorted(f"{self.name}-{name}" for name in self._volumes)
        self._docker("volume", "rm", "--force", *volumes)

    def container(self, number: int) -> str:
        """The name of a step's container."""
        return f"{self.name}-{number}"

    def remove(self, number: int) -> None:
        """End and remove the container of a step, if there still is one."""
        self._docker("rm", "--force", "--volumes", self.container(number))
        self._left.discard(number)

    def command(self, step: Step, number: int, script: str) -> list[str]:
        """The arguments of docker that run a step; `script` is the file with its script, if any."""
        self._image = step.image
        self._left.add(number)
        self._volumes |= {volume.name for volume in step.volumes}
        entrypoint, args = placement.container_words(step, SCRIPT)
        options = ["--rm", "--name", self.container(number), "--network", self.network or "none"]
        options += [
            "--workdir",
            posixpath.normpath(posixpath.join(WORKSPACE, step.dir)),
            *bind(self.workspace, WORKSPACE),
            *("--volume", f"{self.name}-home:{HOME}", "--volume", OUTPUTS),
        ]
        options += [part for v in step.volumes for part in self._volume(v.name, v.path)]
        if placement.needs_engine(step, self.rules):
            options += bind(self.socket, SOCKET)
        if script:
            options += bind(script, SCRIPT, "readonly")
        env = {"HOME": HOME, "BUILDER_OUTPUT": OUTPUTS} | step.env
        options += [part for name, value in env.items() for part in ("--env", f"{name}={value}")]
        # Without a value, so that it does not stand in the list of processes.
        options += [part for name in step.secret_env for part in ("--env", name)]
        options += [] if entrypoint is None else ["--entrypoint", entrypoint]
        return ["run", *options, step.image, *args]

    def _volume(self, name: str, path: str) -> tuple[str, str]:
        return "--volume", f"{self.name}-{name}:{path}"

    def _docker(self, *args: str) -> str:
        debug("running %s %s", self.docker, " ".join(args))
        done = ask(self.docker, *args)
        if done.returncode:
            debug("%s", done.stderr.strip())
        return done.stdout.strip()


@contextlib.contextmanager
def copied(directory: pathlib.Path, leave_out: Sequence[pathlib.Path]) -> Iterator[pathlib.Path]:
    """A copy of a build's folder, that steps may change; it is removed at the end.

    `leave_out` are folders in it that are not copied. Raises EngineError if something cannot be
    read.
    """
    top = pathlib.Path(tempfile.mkdtemp(prefix="imagekit-workspace-"))
    to = top / "workspace"
    skipped = {path.resolve() for path in leave_out}

    def ignored(folder: str, names: list[str]) -> list[str]:
        found = (pathlib.Path(folder, name) for name in names)
        return [path.name for path in found if path.resolve() in skipped or _is_special(path)]

    try:
        shutil.copytree(directory, to, symlinks=True, ignore=ignored)
    except (shutil.Error, OSError) as error:
        shutil.rmtree(top, ignore_errors=True)
        first = error.args[0][0][2] if isinstance(error, shutil.Error) else error
        raise EngineError(
            f"the folder cannot be copied for the steps: {first}; --workspace . uses it directly"
        ) from None
    try:
        yield to
    finally:
        _remove(top)


def _is_special(path: pathlib.Path) -> bool:
    """Whether a path is a socket, a pipe or a device, which a copy cannot have."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return True
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))


def _remove(top: pathlib.Path) -> None:
    """Remove a copy. Where an image has no `chown`, root of a container may own files in it."""
    shutil.rmtree(top, ignore_errors=True)
    if top.exists():
        print(f"warning: files of steps are left in {top}; remove them as root", file=sys.stderr)
