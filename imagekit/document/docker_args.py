"""What the arguments of a step say about images.

Understood are the builds of docker (`build`, `image build`, `builder build`, `buildx build`),
its pushes and pulls, kaniko, and container-structure-test. References:
docs.docker.com/reference/cli/docker/buildx/build, github.com/GoogleContainerTools/kaniko.
"""

from __future__ import annotations

import functools
import itertools
import posixpath
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from imagekit.docker.command_line import VERBS
from imagekit.docker.context import WORKSPACE
from imagekit.document.cloudbuild import BUILDER, STRUCTURE_TEST

Kind = Literal["build", "test", "push", "pull", "other"]
Program = Literal["docker", "kaniko", "test", "other"]

SWITCHES = {
    *("--pull", "--no-cache", "--rm", "--force-rm", "--squash", "--compress", "--quiet", "-q"),
    *("--push", "--load", "--disable-content-trust", "--check", "--debug", "-D"),
}
"""Options of `docker build` without a value."""

WITH_VALUE = {"-t", "--tag", "-f", "--file", "--build-arg", "--label"}
"""Options of `docker build` whose value may begin with a dash."""

SHORT = re.compile(r"-([tfmco])(?:=)?(.+)", re.DOTALL)
"""A short option of `docker build` with its value attached."""

ALL_TAGS = {"-a", "--all-tags", "--all-tags=true"}
"""The option of `docker push` for every tag of a repository."""

GLOBAL_WITH_VALUE = {"--config", "-c", "--context", "-H", "--host", "-l", "--log-level"}
"""Options of docker itself that have a value."""

REMOTE = re.compile(r"[a-z][a-z0-9+.-]*://|git@|github\.com/", re.IGNORECASE)
"""The beginning of a context that is no folder of the build."""


class Arguments(msgspec.Struct, gc=False):
    """What the arguments of a build say."""

    tags: list[str] = []
    """The names of the image."""
    dockerfile: str | None = None
    """The path of the Dockerfile; None for the one in the context."""
    build_args: dict[str, str] = {}
    """The build args."""
    options: list[tuple[str, str]] = []
    """Every other option with its value, "yes" for a switch."""
    context: str = "."
    """The build context."""
    pushes: bool = False
    """Whether the build itself pushes the image."""

    @property
    def is_remote(self) -> bool:
        """Whether the context is an address."""
        return REMOTE.match(self.context) is not None

    def paths_from(self, directory: str) -> tuple[str, str]:
        """The paths of the context and of the Dockerfile, for a step that runs in this directory.

        If the context is an address, both are addresses.
        """
        return _paths(directory, self.context, self.dockerfile)


@functools.lru_cache(maxsize=1_000)
def _paths(directory: str, context: str, dockerfile: str | None) -> tuple[str, str]:
    """The context and the Dockerfile, for a step that runs in a directory."""
    # A build has few of them, and each is used by many steps.
    if REMOTE.match(context):
        return context, f"{context}/{dockerfile or 'Dockerfile'}"
    folder = _joined(directory, context)
    if dockerfile is None:
        return folder, _joined(folder, "Dockerfile")
    return folder, _joined(directory, dockerfile)


def _joined(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


class Action(msgspec.Struct, gc=False):
    """What a step does with images."""

    kind: Kind = "other"
    """What it does."""
    images: Sequence[str] = ()
    """The images that it builds, pushes, pulls or tests, as they are written."""
    build: Arguments | None = None
    """What its arguments say if it is a build."""
    all_tags: bool = False
    """Whether it pushes every tag of the repository that it names."""
    verb: int = 0
    """The number of arguments up to the command of docker, which its options follow."""


def program_of(builder: str, entrypoint: str | None = None) -> Program:
    """The program that a step runs; `builder` is the image, with or without tag and digest."""
    if entrypoint is not None:
        return "docker" if posixpath.basename(entrypoint) == "docker" else "other"
    if builder == BUILDER:
        return "docker"
    name = without_tag(builder)
    if name == STRUCTURE_TEST:
        return "test"
    *_, folder, last = ["", *name.split("/")]
    if last in ("docker", "buildx"):
        return "docker"
    return "kaniko" if last == "executor" and folder.startswith("kaniko") else "other"


@functools.lru_cache(maxsize=1_000)
def without_tag(name: str) -> str:
    """An image's name without its tag and digest."""
    return re.sub(r"(:[\w.-]+)?(@sha256:\w+)?$", "", name)


def action(builder: str, args: Sequence[str], entrypoint: str | None = None) -> Action:
    """What a step with this builder and these arguments does with images."""
    if builder == BUILDER and entrypoint is None and args:
        # Nearly all steps are one of these, and large builds have a hundred thousand.
        if args[0] == "build":
            build = build_arguments(args)
            return Action("build", build.tags, build, verb=1)
        if args[0] == "push" and len(args) == 2 and args[1][:1] != "-":
            return Action("push", args[1:], verb=1)
    program = program_of(builder, entrypoint)
    if program == "docker":
        return _docker(args)
    if program == "test":
        return Action(kind="test", images=_values(args, "--image", "-i"))
    if program == "kaniko":
        build = kaniko_arguments(args)
        return Action(kind="build", images=build.tags, build=build)
    return Action()


def _docker(args: Sequence[str]) -> Action:
    start = _command(args) if args and args[0].startswith("-") else 0
    for at in (start + 1, start + 2):
        verb = VERBS.get(tuple(args[start:at]))
        if verb == "build":
            build = build_arguments(args, at)
            return Action("build", build.tags, build, verb=at)
        if verb in ("push", "pull"):
            kind: Kind = "push" if verb == "push" else "pull"
            name, flags = at, set[str]()
            while name < len(args) and args[name].startswith("-"):
                flags.add(args[name])
                name += 2 if args[name] == "--platform" else 1
            all_tags = kind == "push" and not flags.isdisjoint(ALL_TAGS)
            return Action(kind, args[name : name + 1], all_tags=all_tags, verb=at)
    return Action()


def _command(args: Sequence[str]) -> int:
    """The index of docker's command, behind the options of docker itself."""
    at = 0
    while at < len(args) and args[at].startswith("-"):
        at += 2 if args[at] in GLOBAL_WITH_VALUE else 1
    return at


def command(args: Sequence[str]) -> list[str]:
    """The command of docker in its arguments, with its verb: `manifest push`."""
    words = (arg for arg in args[_command(args) :] if not arg.startswith("-"))
    return list(itertools.islice(words, 2))


def test_files(args: Sequence[str]) -> tuple[str, ...]:
    """The configuration files in the arguments of container-structure-test."""
    return _values(args, "--config", "-c")


def _values(args: Sequence[str], *flags: str) -> tuple[str, ...]:
    """The values of the arguments with one of these flags, `--flag value` or `--flag=value`."""
    values = []
    for arg, following in itertools.pairwise((*args, "")):
        flag, equals, value = arg.partition("=")
        if flag in flags and (equals or following):
            values.append(value if equals else following)
    return tuple(values)


# ---- docker build


def build_arguments(args: Sequence[str], start: int = 1) -> Arguments:
    """Read the arguments of `docker build`, which begin at an index.

    Docker accepts options before and after the context. An unknown option has a value unless
    another option follows.
    """
    read = Arguments()
    at, end = start, len(args)
    while at < end:
        flag: str | None = args[at]
        if at + 1 < end and flag in WITH_VALUE:
            value = args[at + 1]
            at += 2
        elif args[at][:1] != "-":
            flag, value, at = "", args[at], at + 1
        else:
            flag, value, at = _option(args, at, SWITCHES, WITH_VALUE)
        if flag == "--build-arg":
            name, _, text = value.partition("=")
            read.build_args[name] = text
        elif flag in ("-t", "--tag"):
            read.tags.append(value)
        elif flag in ("-f", "--file"):
            read.dockerfile = value
        elif flag == "":
            read.context = value
        elif flag is not None:
            read.options.append((flag, value))
            if flag in ("--push", "-o", "--output"):
                _read_output(read, flag, value)
    return read


def _option(
    args: Sequence[str], at: int, switches: set[str], with_value: set[str]
) -> tuple[str | None, str, int]:
    """The option at an index, its value, and the index behind it.

    An argument that is no option has an empty name. Behind `--`, only the last argument is read;
    if there is none, or an option lacks its value, the name is None.
    """
    flag, following = args[at], at + 1
    is_last = following == len(args)
    if not flag.startswith("-") or flag == "-":
        return "", flag, following
    if flag == "--" or (flag in with_value and is_last):
        return None if is_last else "", args[-1], len(args)
    if not flag.startswith("--") and (match := SHORT.fullmatch(flag)):
        return f"-{match[1]}", match[2], following
    if "=" in flag:
        name, _, value = flag.partition("=")
        return name, value, following
    if flag not in with_value and (flag in switches or is_last or args[following][:1] == "-"):
        return flag, "yes", following
    return flag, args[following], following + 1


def _read_output(read: Arguments, flag: str, value: str) -> None:
    """What `--push` or `--output type=image,name=…,push=true` says."""
    if flag == "--push":
        read.pushes = read.pushes or value in ("yes", "true", "1")
        return
    pairs = dict(part.partition("=")[::2] for part in re.sub(r'"[^"]*"', _quoted, value).split(","))
    if pairs.get("type") == "registry" or pairs.get("push") == "true":
        read.pushes = True
    names = pairs.get("name", "").replace(";", ",")
    read.tags += [name for name in names.split(",") if name and name not in read.tags]


def _quoted(match: re.Match[str]) -> str:
    """A quoted field of CSV, with its commas written in another way."""
    return match[0].strip('"').replace(",", ";")


# ---- kaniko

KANIKO_SWITCHES = {
    *("--cache", "--cache-copy-layers", "--cache-run-layers", "--cleanup", "--force"),
    *("--ignore-var-run", "--insecure", "--insecure-pull", "--no-push", "--no-push-cache"),
    *("--reproducible", "--single-snapshot", "--skip-tls-verify", "--skip-tls-verify-pull"),
    *("--skip-unused-stages", "--use-new-run", "--compressed-caching", "--skip-push-permission"),
}
"""Options of kaniko without a value."""


KANIKO_WITH_VALUE = {"-d", "--destination", "-f", "--dockerfile", "-c", "--context", "--build-arg"}
"""Options of kaniko whose value may begin with a dash."""


def kaniko_arguments(args: Sequence[str]) -> Arguments:
    """Read the arguments of kaniko's executor, which pushes what it builds.

    Its context is the workspace if none is named. A Dockerfile is found in the context, too.
    """
    read, below = Arguments(pushes=True, context=WORKSPACE), ""
    at = 0
    while at < len(args):
        flag, value, at = _option(args, at, KANIKO_SWITCHES, KANIKO_WITH_VALUE)
        if flag in ("-d", "--destination"):
            read.tags.append(value)
        elif flag in ("-f", "--dockerfile"):
            read.dockerfile = value
        elif flag in ("-c", "--context"):
            read.context = value.removeprefix("dir://") or "."
        elif flag == "--context-sub-path":
            below = value
        elif flag == "--no-push":
            read.pushes = value == "false"
        else:
            _read_other(read, flag, value)
    if below:
        read.context = posixpath.join(read.context, below)
    if not read.is_remote:
        _read_paths(read)
    return read


def _read_other(read: Arguments, flag: str | None, value: str) -> None:
    if flag == "--build-arg":
        name, _, text = value.partition("=")
        read.build_args[name] = text
    elif flag:
        read.options.append((flag, value))


def _read_paths(read: Arguments) -> None:
    """Make the context and the Dockerfile of kaniko relative to the workspace."""
    folder = read.context = _inside_workspace(read.context)
    if read.dockerfile is not None:
        path = _inside_workspace(read.dockerfile)
        within = folder == "." or path.startswith((f"{folder}/", "/"))
        read.dockerfile = path if within else posixpath.join(folder, path)


def _inside_workspace(path: str) -> str:
    """A path relative to the workspace, if it is inside it."""
    clean = posixpath.normpath(path)
    return "." if clean == WORKSPACE else clean.removeprefix(f"{WORKSPACE}/")
