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

from imagekit.docker.context import WORKSPACE, inside
from imagekit.document import docker_args
from imagekit.document.steps import STRUCTURE_TEST, Build, Step
from imagekit.errors import Problem, one_line

Place = Literal["docker", "test", "container", "host"]

PROGRAMS: dict[Place, str] = {"docker": "docker", "test": "container-structure-test"}
"""The programs of this machine that steps run as, without `--on-host`."""

ENGINE_BUILDERS = {
    *("docker", "docker-cli", "buildx", "docker-buildx", "docker-compose", "compose", "pack"),
    *("skaffold", "container-structure-test"),
}
"""The last part of the names of builder images whose program talks to the engine."""

CLOUD_BUILDERS = "gcr.io/cloud-builders/"
"""Where Google's builder images are, each named like the program that it runs.

Source: github.com/GoogleCloudPlatform/cloud-builders
"""

SOCKET = "/var/run/docker.sock"
"""Where a container has the engine's socket."""

HOST_ENV = re.compile(
    r"(PATH|HOME|SHELL|IFS|TMPDIR|(LD|DYLD|PYTHON|SSL|XDG|SSH|GO)_.*|GODEBUG|PYTHON.*"
    r"|DOCKER_(CONFIG|HOST|CONTEXT|CERT_PATH|TLS.*)|BUILDX_CONFIG|.*_PROXY|.*_proxy)"
)
"""Environment variables that change which program or engine this machine's docker runs."""

BUILD_PATHS = {
    *("--secret", "--ssh", "--build-context", "--output", "-o", "--iidfile", "--metadata-file"),
    *("--cache-from", "--cache-to"),
}
"""Options of `docker build` whose values have paths of the client's machine."""

RUN_PATHS = {"-v", "--volume", "--mount", "--env-file", "--label-file", "--cidfile", "--device"}
"""Options of `docker run` and `docker create` whose values have paths of a machine."""

FILE_VERBS = {"cp", "export", "import", "load", "save"}
"""The commands of docker that read or write files."""

HARMLESS = {
    *("attach", "cp", "create", "diff", "events", "exec", "export", "history", "images", "import"),
    *("info", "inspect", "kill", "load", "login", "logout", "logs", "network", "pause", "port"),
    *("ps", "rename", "restart", "rm", "rmi", "run", "save", "search", "start", "stats", "stop"),
    *("system", "tag", "top", "unpause", "update", "version", "volume", "wait"),
    *(("image", verb) for verb in ("history", "import", "inspect", "load", "ls", "prune", "rm")),
    *(("image", verb) for verb in ("save", "tag")),
    *(("buildx", verb) for verb in ("create", "du", "inspect", "ls", "prune", "rm", "stop", "use")),
    *(("buildx", "version"), ("manifest", "inspect"), ("manifest", "create")),
}
"""The commands of docker that send no image anywhere."""


PUSHING = {
    ("manifest", "annotate"),
    ("manifest", "push"),
    ("manifest", "rm"),
    ("buildx", "imagetools"),
}
"""Other commands of docker that need the login and the files of this machine's docker."""


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
        if step.builder == STRUCTURE_TEST and step.entrypoint is None and _is_own(step, rules):
            return "test"
        if _is_docker(step) and _is_own(step, rules):
            return "docker"
    return "host" if rules.on_host else "container"


def _is_docker(step: Step) -> bool:
    return posixpath.basename(step.entrypoint or step.builder) == "docker"


def _is_own(step: Step, rules: Rules) -> bool:
    """Whether a program of this machine does the same as it would in the builder's image."""
    if rules.on_host:
        return True
    if any(HOST_ENV.fullmatch(name) for name in step.env):
        return False
    is_known = step.kind == "test" or _is_known(step)
    return is_known and not any(_outside(path, step.dir) for path in client_paths(step))


def _is_known(step: Step) -> bool:
    """Whether the command of docker is one of its own, and not of a plugin or with a config."""
    if docker_args.global_options(step.args):
        return False
    words = docker_args.command(step.args)
    found = {*words[:1], tuple(words)}
    return step.kind != "other" or not found.isdisjoint(HARMLESS | PUSHING)


def client_paths(step: Step) -> Iterator[str]:
    """The paths that a step's program opens on this machine, relative to the step's folder."""
    yield "."
    if step.kind == "test":
        yield from step.test_files
        yield from _values(step.args, {"--metadata", "--test-report", "--tar"})
        return
    if step.kind == "build":
        build = step.docker_build
        yield from () if build.is_remote or build.context == "-" else (build.context,)
        yield from () if build.dockerfile in (None, "-") else (build.dockerfile or "",)
        for name, value in build.options:
            if name in BUILD_PATHS:
                yield from _paths_in(value)
                yield from ("/",) if name == "--ssh" else ()
    elif step.args and docker_args.command(step.args)[0] in FILE_VERBS:
        yield from (part for arg in step.args for part in _paths_in(arg))
    else:
        for value in _values(step.args, {"--env-file", "--label-file", "--cidfile"}):
            yield from _paths_in(value)


def _paths_in(value: str) -> Iterator[str]:
    """What may be a path in the value of an option: `src=/a/b,dst=…`, `/a:/b`, `/a`."""
    for part in re.split(r"[,=]", value):
        yield from (part.split(":")[0], part.split(":")[-1])


def _values(args: Sequence[str], flags: set[str]) -> Iterator[str]:
    """The values of options, `--flag value` or `--flag=value`."""
    for arg, following in itertools.pairwise((*args, "")):
        flag, equals, value = arg.partition("=")
        if flag in flags:
            yield value if equals else following
        elif arg[:2] == "-v" and len(arg) > 2 and "-v" in flags:
            yield arg[2:]


def _outside(path: str, folder: str) -> bool:
    """Whether a path is not within the build's folder."""
    return path.startswith("~") or inside(posixpath.join(folder, path)) is None


def needs_engine(step: Step, rules: Rules) -> bool:
    """Whether the container of a step gets the engine's socket, with which it can do everything."""
    names = {docker_args.without_tag(name) for name in rules.socket}
    is_docker = posixpath.basename(step.entrypoint or "") == "docker"
    is_known = posixpath.basename(step.builder) in ENGINE_BUILDERS
    return is_docker or is_known or step.builder in names


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
    if place != "docker" or rules.on_host or not {"run", "create"} & {*step.args[:2]}:
        return
    for value in _values(step.args, RUN_PATHS - {"--env-file", "--label-file", "--cidfile"}):
        for path in _sources(value):
            if path != SOCKET and (path.startswith(("/", "~"))) and _outside(path, "."):
                yield "args", f"uses {path} of this machine; --on-host permits it"


def _sources(value: str) -> Iterator[str]:
    """The path of the engine's machine in a value of `--volume`, `--mount` or `--device`."""
    if re.search(r"(^|,)(source|src)=", value):
        yield from re.findall(r"(?:^|,)(?:source|src)=([^,]*)", value)
    elif "type=" not in value:
        yield value.split(":", maxsplit=1)[0]


def _unheld(step: Step, place: Place, rules: Rules) -> Iterator[tuple[str, str]]:
    """Why a step may push something, although pushes are not permitted."""
    if rules.push:
        return
    if why := _may_push(step):
        has_engine = place != "container" or needs_engine(step, rules)
        is_alone = rules.network == "none" or rules.allow_network
        if has_engine or not is_alone or step.docker_build.pushes:
            other = "" if has_engine or step.docker_build.pushes else NETWORK
            yield "", f"{why}; --push permits it{other}"


NETWORK = ", and --allow-network permits it without pushing the images"


def _may_push(step: Step) -> str:
    if step.docker_build.pushes:
        return "pushes what it builds"
    if step.script is not None:
        return "runs a script, which may push an image"
    program = docker_args.program_of(step.builder, step.entrypoint)
    if program == "docker":
        return _docker_may_push(step)
    if step.kind == "test" or program == "kaniko":
        return ""
    return f"runs {(step.entrypoint or step.builder)!r}, which may push an image"


def _docker_may_push(step: Step) -> str:
    words = docker_args.command(step.args)
    if _is_another_docker(step):
        return "chooses the config or program of docker, which may push an image"
    if any(SOCKET in arg for arg in step.args):
        return "gives a container the engine's socket, which may push an image"
    if step.kind != "other" or not words or words[0] in HARMLESS or tuple(words) in HARMLESS:
        return ""
    return f"runs docker {' '.join(words)}, which may push an image"


def _is_another_docker(step: Step) -> bool:
    """Whether a step says by itself which docker runs, and with which plugins."""
    flags = [arg.partition("=")[0] for arg in docker_args.global_options(step.args)]
    return "--config" in flags or any(HOST_ENV.fullmatch(name) for name in step.env)


def without_network_of_google(args: Sequence[str]) -> list[str]:
    """The arguments of a build without `--network=cloudbuild`, which builds have at Google only."""
    kept = [arg for arg in args if arg != "--network=cloudbuild"]
    pairs = list(itertools.pairwise((*kept, "")))
    split = {n for n, pair in enumerate(pairs) if pair == ("--network", "cloudbuild")}
    return [arg for n, arg in enumerate(kept) if n not in split and n - 1 not in split]


def here(arg: str, folder: str) -> str:
    """An argument with the paths of `/workspace` as those of a folder of this machine."""
    return re.sub(rf"(^|(?<=[=:,])){WORKSPACE}(?=$|[/:,])", lambda _: folder, arg)


def in_network(args: Sequence[str], network: str) -> list[str]:
    """The arguments of docker with the build's network in place of `cloudbuild`, Google's."""
    named = {"--network=cloudbuild": f"--network={network}", "--net=cloudbuild": f"--net={network}"}
    pairs = itertools.pairwise(("", *args))
    return [
        network if arg == "cloudbuild" and before in ("--network", "--net") else named.get(arg, arg)
        for before, arg in pairs
    ]
