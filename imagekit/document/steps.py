"""Read the steps of any Cloud Build file.

Schema: cloud.google.com/build/docs/build-config-file-schema.
"""

from __future__ import annotations

import functools
import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from imagekit.document.cloudbuild import BUILDER, STRUCTURE_TEST
from imagekit.errors import BuildFileError, Problem, did_you_mean

Kind = Literal["build", "test", "push", "pull", "other"]

SWITCHES = {
    *("--pull", "--no-cache", "--rm", "--force-rm", "--squash", "--compress", "--quiet", "-q"),
    *("--push", "--load", "--disable-content-trust"),
}
"""Options of `docker build` without a value (docs.docker.com/reference/cli/docker/image/build)."""

WITH_VALUE = {"-t", "--tag", "-f", "--file", "--build-arg", "--label"}
"""Options of `docker build` whose value may begin with a dash."""

PROGRAMS = {BUILDER: "docker", STRUCTURE_TEST: "container-structure-test"}
"""The builders that can run locally, each with its program."""

BUILT_IN = {
    *("PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "TRIGGER_NAME", "REPO_NAME"),
    *("REPO_FULL_NAME", "BRANCH_NAME", "TAG_NAME", "REF_NAME", "REVISION_ID", "COMMIT_SHA"),
    *("SHORT_SHA", "SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL", "TRIGGER_BUILD_CONFIG_PATH"),
}
"""The built-in substitutions of Cloud Build, which may be empty."""


class Step(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One step of a build."""

    id: str
    """Its id, or "step N" if the file gives none."""
    builder: str
    """The builder image, without tag and digest."""
    args: tuple[str, ...] = ()
    """The arguments, with substitutions applied."""
    entrypoint: str | None = None
    """The program that replaces the builder's entrypoint."""
    env: dict[str, str] = {}
    """The environment variables."""
    dir: str = "."
    """The working directory, relative to the root of the build."""
    needs: tuple[str, ...] = ()
    """The ids of the steps that must succeed first."""
    timeout: float | None = None
    """The timeout in seconds."""
    allow_failure: bool = False
    """Whether the build continues if the step fails."""
    allow_exit_codes: tuple[int, ...] = ()
    """Exit codes that do not fail the build."""

    @property
    def display_name(self) -> str:
        """The name of the step in messages."""
        return self.id if self.id.startswith("step ") else f"step {self.id}"

    @functools.cached_property
    def kind(self) -> Kind:
        """The kind of the step: what it does with an image."""
        return kind_of(self.builder, self.args, self.entrypoint)

    @functools.cached_property
    def tags(self) -> tuple[str, ...]:
        """The images that a step builds, pushes, pulls or tests."""
        if self.kind == "build":
            return tuple(self.docker_build.tags)
        return named(self.kind, self.args)

    @functools.cached_property
    def docker_build(self) -> BuildArguments:
        """What the arguments of a build step say."""
        return build_arguments(self.args)

    @property
    def test_files(self) -> tuple[str, ...]:
        """The configuration files of a test step, relative to the step's directory."""
        return test_files(self.args)

    @property
    def build_args(self) -> dict[str, str]:
        """The build args of a build step."""
        return self.docker_build.build_args

    @property
    def context(self) -> str:
        """The build context of a build step, relative to the root of the build."""
        return self.docker_build.context_from(self.dir)

    @property
    def dockerfile(self) -> str:
        """The Dockerfile of a build step: the value of `-f`, or `Dockerfile` in the context."""
        return self.docker_build.dockerfile_from(self.dir)


KINDS: Mapping[str, Kind] = {"build": "build", "push": "push", "pull": "pull"}


def kind_of(builder: str, args: Sequence[str], entrypoint: str | None) -> Kind:
    """The kind of a step with this builder (without tag and digest) and these arguments."""
    if builder == STRUCTURE_TEST:
        return "test"
    return KINDS.get(args[0], "other") if args and entrypoint is None else "other"


def named(kind: Kind, args: Sequence[str]) -> tuple[str, ...]:
    """The images that the arguments of a step other than a build name."""
    if kind == "test":
        return _values(args, "--image", "-i")
    return tuple(args[1:2]) if kind in ("push", "pull") else ()


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


class BuildArguments(msgspec.Struct, gc=False):
    """What the arguments of `docker build` say."""

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

    def context_from(self, directory: str) -> str:
        """The path of the context, for a step that runs in this directory."""
        return _joined(directory, self.context)

    def dockerfile_from(self, directory: str) -> str:
        """The path of the Dockerfile, for a step that runs in this directory."""
        if self.dockerfile is None:
            return _joined(self.context_from(directory), "Dockerfile")
        return _joined(directory, self.dockerfile)


TAGS, DOCKERFILE = ("-t", "--tag"), ("-f", "--file")


def build_arguments(args: Sequence[str]) -> BuildArguments:
    """Read the arguments of `docker build`, the first of which is `build`.

    Docker accepts options before and after the context. An unknown option has a value unless
    another option follows.
    """
    read = BuildArguments()
    at, end = 1, len(args)
    while at < end:
        flag = args[at]
        at += 1
        if flag in WITH_VALUE:
            if at == end:
                break
            value = args[at]
            at += 1
        elif not flag.startswith("-") or flag == "-":
            read.context = flag
            continue
        elif "=" in flag:
            flag, _, value = flag.partition("=")
        elif flag in SWITCHES or at == end or args[at].startswith("-"):
            value = "yes"
        else:
            value = args[at]
            at += 1
        if flag == "--build-arg":
            name, _, text = value.partition("=")
            read.build_args[name] = text
        elif flag in TAGS:
            read.tags.append(value)
        elif flag in DOCKERFILE:
            read.dockerfile = value
        else:
            read.options.append((flag, value))
    return read


@functools.lru_cache(maxsize=1_000)
def _joined(folder: str, path: str) -> str:
    # A build has few paths, and each is used by many steps.
    return posixpath.normpath(posixpath.join(folder, path))


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A build."""

    steps: tuple[Step, ...]
    """The steps in file order."""
    timeout: float | None = None
    """The timeout in seconds."""


def read(text: str, name: str, substitutions: Mapping[str, str] | None = None) -> Build:
    """Read the steps of a Cloud Build file in JSON or YAML.

    `substitutions` are values for `$NAME` and override those in the file. Raises BuildFileError
    with everything that is invalid or not supported locally.
    """
    build, problems = parse(text, name, substitutions)
    if problems:
        raise BuildFileError(list(dict.fromkeys(problems)))
    return build


def parse(
    text: str, name: str, substitutions: Mapping[str, str] | None = None
) -> tuple[Build, list[Problem]]:
    """Like `read`, but return what is not supported locally as a list of problems.

    Raises BuildFileError if the text is not a Cloud Build file.
    """
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildFileError([Problem(message=f"{name}: not well-formed: {error}")]) from None
    raw = document.get("steps") if isinstance(document, dict) else None
    if not isinstance(raw, list) or not raw or not all(isinstance(s, dict) for s in raw):
        raise BuildFileError([Problem(message=f"{name}: not a Cloud Build file: it has no steps")])
    problems = list(_type_errors(document, name))
    if problems:
        raise BuildFileError(problems)
    own = document.get("substitutions") or {}
    values = dict.fromkeys(BUILT_IN, "") | own | dict(substitutions or {})
    substitute = _Substitution({key: str(value) for key, value in values.items()}, problems)
    options = document.get("options") or {}
    env = _env(options.get("env") or [], substitute)
    steps: list[Step] = []
    for number, step in enumerate(raw):
        steps.append(_step(step, number, tuple(steps), env, substitute))
    problems += [p for step, fields in zip(steps, raw, strict=True) for p in _check(step, fields)]
    problems += _check_order(tuple(steps))
    images = [substitute(str(name)) for name in document.get("images") or ()]
    own = tuple(steps)
    steps += [_final_push(image, own) for image in images]
    return Build(steps=tuple(steps), timeout=_seconds(document.get("timeout"))), problems


def _type_errors(document: dict[str, Any], name: str) -> Iterator[Problem]:
    """Fields of a wrong type that the parser cannot handle."""
    for field in ("substitutions", "options"):
        if not isinstance(document.get(field) or {}, dict):
            yield Problem(message=f"{name}: {field!r} must be a mapping")
    if not isinstance(document.get("images") or [], list):
        yield Problem(message=f"{name}: 'images' must be a list")
    for number, step in enumerate(document["steps"], start=1):
        for field in ("args", "env", "waitFor", "allowExitCodes"):
            if not isinstance(step.get(field) or [], list):
                yield Problem(message=f"{name}: {field!r} of step {number} must be a list")
        codes = step.get("allowExitCodes") or []
        if isinstance(codes, list) and not all(isinstance(code, int) for code in codes):
            yield Problem(message=f"{name}: 'allowExitCodes' of step {number} must be numbers")


def references(text: str) -> set[str]:
    """The names of all substitutions in the text of a build file."""
    matches = _Substitution.pattern.finditer(text)
    return {name for match in matches if (name := match[2] or match[3])}


def _step(
    raw: dict[str, Any],
    number: int,
    before: tuple[Step, ...],
    env: dict[str, str],
    substitute: _Substitution,
) -> Step:
    earlier = [step.id for step in before]
    wait_for = raw.get("waitFor")
    # Without waitFor, a step waits for all earlier steps.
    needs = earlier if not wait_for else [name for name in wait_for if name != "-"]
    return Step(
        id=str(raw.get("id") or f"step {number + 1}"),
        builder=re.sub(r"(:[\w.-]+|@sha256:\w+)$", "", str(raw.get("name", ""))),
        args=tuple(substitute(str(arg)) for arg in raw.get("args") or ()),
        entrypoint=raw.get("entrypoint"),
        env=env | _env(raw.get("env") or [], substitute),
        dir=substitute(str(raw.get("dir") or ".")),
        needs=tuple(needs),
        timeout=_seconds(raw.get("timeout")),
        allow_failure=bool(raw.get("allowFailure")),
        allow_exit_codes=tuple(int(code) for code in raw.get("allowExitCodes") or ()),
    )


def _final_push(image: str, steps: tuple[Step, ...]) -> Step:
    """The push of an image in `images`, which Cloud Build does when all steps have succeeded."""
    needs = tuple(step.id for step in steps if step.kind != "push")
    ids = {step.id for step in steps}
    name = f"{image}-push" if f"{image}-push" not in ids else f"{image}-push-at-the-end"
    return Step(id=name, builder=BUILDER, args=("push", image), needs=needs)


def _env(lines: list[str], substitute: _Substitution) -> dict[str, str]:
    pairs = (substitute(str(line)).partition("=") for line in lines)
    return {name: value for name, _, value in pairs}


def _seconds(text: Any) -> float | None:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)s", str(text))
    return float(match[1]) if match else None


class _Substitution:
    """Replaces Cloud Build's `$NAME`, `${NAME}` and `$$`."""

    pattern = re.compile(r"\$(?:(\$)|([A-Z_][A-Z0-9_]*)|\{([A-Z_][A-Z0-9_]*)\}|(\{[^}]*\}))")

    def __init__(self, values: dict[str, str], problems: list[Problem]) -> None:
        self.values = values
        self.problems = problems

    def __call__(self, text: str) -> str:
        return self.pattern.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        dollar, *names, unsupported = match.groups()
        name = names[0] or names[1]
        if dollar:
            return "$"
        if unsupported:
            message = (
                f"{match[0]}: bash-style substitutions are not supported here; write ${{NAME}}"
            )
            self.problems.append(Problem(message=message))
        elif name not in self.values:
            near = did_you_mean(name, self.values)
            message = f"substitution ${name} has no value{near}; use --substitution {name}=…"
            self.problems.append(Problem(message=message))
        return self.values.get(name, "")


UNSUPPORTED = ("script", "secretEnv", "volumes", "automapSubstitutions")
"""Fields of a step that are not supported locally."""


def _check(step: Step, raw: dict[str, Any]) -> Iterator[Problem]:
    if step.builder not in PROGRAMS:
        known = " and ".join(PROGRAMS)
        message = (
            f"{step.display_name}: builder {step.builder!r} cannot run here; supported: {known}"
        )
        yield Problem(message=message)
    for field in UNSUPPORTED:
        if raw.get(field):
            yield Problem(message=f"{step.display_name}: {field!r} is not supported here")


def _check_order(steps: tuple[Step, ...]) -> Iterator[Problem]:
    earlier: set[str] = set()
    for step in steps:
        if step.id in earlier:
            yield Problem(message=f"duplicate step id {step.id}")
        for name in step.needs:
            if name not in earlier:
                yield Problem(message=f"{step.display_name} waits for {name}, which is not earlier")
        earlier.add(step.id)
