"""Where each step of a build runs on this machine, and what of a build cannot be done here.

Docker and container-structure-test run as this machine's own programs, as long as they stay within
the build's folder. Every other step runs in a container of its builder image, as on Cloud Build.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from imagekit.docker import command_line
from imagekit.docker.command_line import SOCKET, VERBS, Line
from imagekit.docker.context import WORKSPACE, inside
from imagekit.document import docker_args
from imagekit.document.steps import STRUCTURE_TEST, Build, Step
from imagekit.errors import Problem, one_line

Place = Literal["docker", "test", "container", "host"]

PROGRAMS: dict[Place, str] = {"docker": "docker", "test": "container-structure-test"}
"""The programs of this machine that steps run as, without `--on-host`."""

DOCKER_IMAGES = {"gcr.io/cloud-builders/docker", "docker", "docker.io/library/docker"}
"""The builder images whose entrypoint is docker."""

DOCKER_PROGRAMS = {"docker", "/usr/bin/docker", "/usr/local/bin/docker"}
"""The entrypoints that are docker."""

ENGINE_IMAGES = {
    *DOCKER_IMAGES,
    *("docker/compose", STRUCTURE_TEST, "buildpacksio/pack"),
    *("gcr.io/k8s-skaffold/pack", "gcr.io/k8s-skaffold/skaffold"),
}
"""The builder images whose program talks to the engine."""

KANIKO = "gcr.io/kaniko-project/executor"

CLOUD_BUILDERS = "gcr.io/cloud-builders/"
"""Where Google's builder images are, each named like the program that it runs.

Source: github.com/GoogleCloudPlatform/cloud-builders
"""

HOST_ENV = re.compile(
    r"(PATH|HOME|SHELL|IFS|TMPDIR|(LD|DYLD|PYTHON|SSL|XDG|SSH|GO|GIT|COMPOSE)_.*|GODEBUG|PYTHON.*"
    r"|DOCKER_(CONFIG|HOST|CONTEXT|CERT_PATH|TLS.*)|BUILDX_(CONFIG|BUILDER|GIT.*)|BUILDKIT_HOST"
    r"|.*_PROXY|.*_proxy)"
)
"""Environment variables that change which program or engine this machine's docker runs."""

DOCKER_ENV = re.compile(
    r"DOCKER_(BUILDKIT|CLI_EXPERIMENTAL|DEFAULT_PLATFORM|CONTENT_TRUST.*)|BUILDKIT_.*|BUILDX_.*"
    r"|SOURCE_DATE_EPOCH"
)
"""Environment variables of docker itself that a step may set."""

TEST_OPTIONS = {
    *("--image", "-i", "--config", "-c", "--pull", "--force", "--quiet", "-q", "--verbosity", "-v"),
    *("--no-color", "--output", "-o", "--save", "--platform", "--default-image-tag"),
}
"""The options of container-structure-test with which it looks at an image and writes nothing."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps of a build may do on this machine."""

    push: bool = False
    """Whether steps may push."""
    network: str | None = None
    """The network of builds and containers; None for one of the build's own."""
    allow_network: bool = False
    """Whether containers have a network without `push`."""
    on_host: bool = False
    """Whether steps run as programs of this machine, and may use its files."""
    socket: tuple[str, ...] = ()
    """Further builder images that get the engine's socket."""
    secret_env: tuple[str, ...] = ()
    """The environment variables that steps get as their `secretEnv`."""


def place_of(step: Step, rules: Rules) -> Place:
    """Where a step runs: as docker or the tests' program of this machine, or elsewhere."""
    if step.script is None and not step.volumes:
        if rules.on_host and step.builder == STRUCTURE_TEST and step.entrypoint is None:
            return "test"
        if rules.on_host and _is_docker(step):
            return "docker"
        if not rules.on_host and _is_own(step):
            return "docker" if _is_docker(step) else "test"
    return "host" if rules.on_host else "container"


def _is_docker(step: Step) -> bool:
    """Whether a step runs docker, known by its exact image or program."""
    if step.script is not None:
        return False
    if step.entrypoint is not None:
        return step.entrypoint in DOCKER_PROGRAMS
    return step.builder in DOCKER_IMAGES


def line_of(step: Step) -> Line | None:
    """The command of docker that a step runs; None if it runs another program, or is not known."""
    return command_line.parse(step.args) if _is_docker(step) else None


def _is_own(step: Step) -> bool:
    """Whether a program of this machine does the same as it would in the builder's image."""
    if _changes_programs(step):
        return False
    if step.builder == STRUCTURE_TEST and step.entrypoint is None:
        flags = [arg.partition("=")[0] for arg in step.args[1:] if arg.startswith("-")]
        is_known = step.args[:1] == ("test",) and TEST_OPTIONS.issuperset(flags)
    else:
        is_known = _takes_nothing(step, line_of(step))
    return is_known and not any(_outside(path, step.dir) for path in client_paths(step))


def _changes_programs(step: Step) -> bool:
    """Whether the variables of a step change which program or engine docker uses."""
    return any(HOST_ENV.fullmatch(name) for name in step.env)


def _takes_nothing(step: Step, line: Line | None) -> bool:
    """Whether a command of docker is known, and takes no variable or key from this machine."""
    given = {*step.env, *step.secret_env}
    return (
        line is not None
        and given.issuperset(command_line.environment(line))
        and not line.values("ssh")
    )


def environment(step: Step) -> dict[str, str]:
    """The variables of a step that docker of this machine gets."""
    line = line_of(step)
    named = set(command_line.environment(line)) if line else set()
    return {
        name: value
        for name, value in step.env.items()
        if name in named or DOCKER_ENV.fullmatch(name)
    }


def client_paths(step: Step) -> Iterator[str]:
    """The paths that a step's program opens on this machine, relative to the step's folder."""
    yield "."
    yield from step.test_files if step.kind == "test" else ()
    if line := line_of(step):
        found = [*command_line.client_paths(line), *command_line.mounted_paths(line)]
        # What else a container mounts is a problem of its own.
        yield from (path for part, path in found if part.name not in MOUNTS or _within(path))


MOUNTS = ("volume", "mount", "device")
"""The options of `docker run` with paths of the engine's machine."""


def _within(path: str) -> bool:
    return not path.startswith("~") and inside(path) is not None


def _outside(path: str, folder: str) -> bool:
    """Whether a path is not within the build's folder."""
    return not _within(path) or inside(posixpath.join(folder, path)) is None


def needs_engine(step: Step, rules: Rules) -> bool:
    """Whether the container of a step gets the engine's socket, with which it can do everything."""
    names = {docker_args.without_tag(name) for name in rules.socket}
    return _is_docker(step) or step.builder in ENGINE_IMAGES | names


def args_here(step: Step, folder: str) -> list[str]:
    """The arguments of docker or the tests with the build's folder in place of /workspace."""
    line = line_of(step)
    if line is None:
        return (
            [path_here(arg, folder) for arg in step.args] if step.kind == "test" else [*step.args]
        )
    parts = [*command_line.client_paths(line), *command_line.mounted_paths(line)]
    return command_line.rewritten(step.args, parts, WORKSPACE, folder)


def path_here(path: str, folder: str) -> str:
    """A path, or an option with one, with the build's folder in place of /workspace."""
    return re.sub(rf"(^|(?<==)){WORKSPACE}(?=$|/)", lambda _: folder, path)


def command_of(step: Step, script: str) -> list[str] | None:
    """The program of a step and its arguments; None if the builder image decides on the program.

    `script` is the path of the file with the step's script. Without a first line that names an
    interpreter, it is `/bin/sh`. Source:
    cloud.google.com/build/docs/configuring-builds/run-bash-scripts
    """
    if step.script is not None:
        first = step.script.partition("\n")[0].strip()
        words = first[2:].strip().split(maxsplit=1) if first.startswith("#!") else []
        return [*(words or ["/bin/sh"]), script]
    return None if step.entrypoint is None else [step.entrypoint, *_args(step)]


def host_command(step: Step, script: str) -> list[str] | None:
    """The command of a step on this machine; None if only its builder image knows the program."""
    if step.builder.startswith(CLOUD_BUILDERS) and step.script is None and step.entrypoint is None:
        return [step.builder.removeprefix(CLOUD_BUILDERS), *_args(step)]
    return command_of(step, script)


def container_words(step: Step, script: str) -> tuple[str | None, list[str]]:
    """The entrypoint of a container, None for its image's own, and the arguments."""
    command = command_of(step, script)
    return (None, list(_args(step))) if command is None else (command[0], command[1:])


def _args(step: Step) -> Sequence[str]:
    """The arguments of a step, without what exists at Google only."""
    return without_network_of_google(step.args) if step.kind == "build" else step.args


def described(step: Step, place: Place) -> str:
    """What runs where, in one line."""
    if place in PROGRAMS:
        words = [PROGRAMS[place], *step.args]
    else:
        found = host_command(step, "") if place == "host" else command_of(step, "")
        words = list(step.args) if found is None else found
    command = "the script" if step.script is not None else one_line(shlex.join(words))
    if place != "container":
        return f"on this machine: {command}"
    folder = posixpath.normpath(posixpath.join(WORKSPACE, step.dir))
    return f"in a container of {step.image}, in {folder}: {command}"


def problems(build: Build, rules: Rules) -> Iterator[Problem]:
    """What of a build cannot be done here, or only with another option."""
    if build.fetches:
        message = "'dependencies' are not fetched here; clone them yourself and remove the key"
        yield Problem(message=message, path=("dependencies",), on_key=True)
    for step in build.steps:
        place = place_of(step, rules)
        for key, why in (*_impossible(step, place, rules), *_unheld(step, place, rules)):
            path = (*step.path, key) if step.path and key else step.path
            yield Problem(message=f"{step.display_name} {why}", path=path)


def _impossible(step: Step, place: Place, rules: Rules) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"[A-Za-z0-9]\S*", step.image):
        yield "name", f"has the name {step.image!r}, which is not that of an image; correct it"
    for name in step.secret_env:
        if name not in rules.secret_env:
            yield (
                "secretEnv",
                f"needs the secret {name}, which is not fetched here; set {name} in the "
                f"environment and use --secret-env {name}",
            )
    if place == "host":
        if step.volumes:
            yield "volumes", "has volumes, which need a container; leave out --on-host"
        elif host_command(step, "") is None:
            yield (
                "name",
                f"runs a program that only the image {step.image} knows; leave out --on-host",
            )
    line = line_of(step)
    if line and not rules.on_host:
        yield from (("args", f"{why}; --on-host permits it") for why in _foreign(line, step.dir))


def _foreign(line: Line, folder: str) -> Iterator[str]:
    """What containers of `docker run` use of the engine's machine."""
    if line.does == "run" and "true" in line.values("privileged"):
        yield "runs a privileged container, which can do everything on this machine"
    for part, path in command_line.mounted_paths(line):
        is_file = part.name != "device" and not _outside(path, folder)
        if not is_file and path != SOCKET:
            yield f"uses {path} of this machine"


def _unheld(step: Step, place: Place, rules: Rules) -> Iterator[tuple[str, str]]:
    """Why a step may push something, although pushes are not permitted."""
    if not rules.push and (why := _may_push(step)):
        has_engine = place != "container" or needs_engine(step, rules)
        is_alone = rules.network == "none" or rules.allow_network
        if has_engine or not is_alone or step.docker_build.pushes:
            other = "" if has_engine or step.docker_build.pushes else NETWORK
            yield "", f"{why}; --push permits it{other}"


NETWORK = ", and --allow-network permits it without pushing the images"


def _may_push(step: Step) -> str:
    if step.script is not None:
        return "runs a script, which may push an image"
    if _is_docker(step):
        return _docker_may_push(step)
    if step.docker_build.pushes:
        return "pushes what it builds"
    if step.builder == KANIKO and step.entrypoint is None and step.args:
        is_quiet = [arg for arg in step.args if arg.startswith("--no-push")] == ["--no-push"]
        if is_quiet and not any(arg.startswith("--cache") for arg in step.args):
            return ""
    if step.builder == STRUCTURE_TEST and step.entrypoint is None:
        return "" if _is_own(step) else "runs the tests with other options, which may do anything"
    return f"runs {(step.entrypoint or step.builder)!r}, which may push an image"


def _docker_may_push(step: Step) -> str:
    line = line_of(step)
    if _changes_programs(step):
        return "sets variables that change what docker does, and may push an image"
    if line is None or line.does == "send":
        words = docker_args.command(step.args)
        known = [words[:length] for length in (1, 2) if tuple(words[:length]) in VERBS]
        name = " ".join(known[0] if known else words)
        more = " with options that are not known here" if known else ""
        return f"runs {f'docker {name}'.rstrip()}{more}, which may push an image"
    if command_line.sends(line):
        return "pushes what it builds"
    if SOCKET in [path for _, path in command_line.mounted_paths(line)]:
        return "gives a container the engine's socket, which may push an image"
    return ""


def without_network_of_google(args: Sequence[str]) -> list[str]:
    """The arguments of a build without `--network=cloudbuild`, which builds have at Google only."""
    kept = [arg for arg in args if arg != "--network=cloudbuild"]
    pairs = list(itertools.pairwise((*kept, "")))
    split = {n for n, pair in enumerate(pairs) if pair == ("--network", "cloudbuild")}
    return [arg for n, arg in enumerate(kept) if n not in split and n - 1 not in split]


GOOGLES = "cloudbuild"
"""The name of a build's network at Google."""


def is_held(step: Step, rules: Rules) -> bool:
    """Whether a step starts a container that must not reach anything outside of the build."""
    line = line_of(step)
    permitted = rules.push or rules.allow_network or rules.on_host
    return bool(line and line.does == "run" and not permitted)


def needs_network(step: Step, rules: Rules) -> bool:
    """Whether a step needs the network of the build: it names Google's, or may use no other."""
    line = line_of(step)
    names = line.values("network", "net") if line and line.does == "run" else []
    return GOOGLES in names or (is_held(step, rules) and rules.network is None)


def in_network(step: Step, args: Sequence[str], network: str | None, *, only: bool) -> list[str]:
    """The arguments of `docker run` with the build's network in place of Google's.

    With `only`, the container has this network and no other.
    """
    line, changed = line_of(step), list(args)
    if line is None or line.does != "run" or network is None:
        return changed
    named = [part for part in line.parts if part.name in ("network", "net")]
    for part in named:
        if part.value == GOOGLES or only:
            changed[part.index] = f"{part.before}{network}"
    if only and not named:
        changed[line.at : line.at] = ["--network", network]
    return changed
