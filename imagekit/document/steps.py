"""The steps of any Cloud Build file, with the values of its substitutions.

Schema: cloud.google.com/build/docs/build-config-file-schema.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from imagekit.document import build_reader, docker_args, quick_reader
from imagekit.document.build_reader import FileBuild, FileStep, Volume, seconds
from imagekit.document.cloudbuild import BUILDER, STRUCTURE_TEST
from imagekit.document.docker_args import Action, Arguments, Kind
from imagekit.document.substitutions import Missing, Substitutions, references
from imagekit.errors import BuildFileError, Path, Problem, did_you_mean

__all__ = ["BUILDER", "STRUCTURE_TEST", "Build", "Kind", "Step", "Volume", "read", "references"]

RESERVED = ("/", "/workspace", "/builder/home", "/var/run/docker.sock")
"""Paths of a container that volumes cannot have."""

MAX_HINTS = 100
"""The most steps that wait for an unknown one and are told which is meant."""

NO_BUILD = Arguments()
"""For steps that build nothing."""


class Step(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One step of a build."""

    id: str
    """Its id, or "step N" if the file gives none."""
    path: Path = ()
    """Where the file has it; empty for a push of `images`."""
    builder: str
    """The builder image, without tag and digest."""
    image: str = ""
    """The builder image as the file has it."""
    args: tuple[str, ...] = ()
    """The arguments, with substitutions applied."""
    entrypoint: str | None = None
    """The program that replaces the builder's entrypoint."""
    script: str | None = None
    """The script that the step runs instead of arguments."""
    env: dict[str, str] = {}
    """The environment variables."""
    secret_env: tuple[str, ...] = ()
    """The names of the environment variables that are secrets."""
    volumes: tuple[Volume, ...] = ()
    """The volumes that it shares with other steps."""
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
    def action(self) -> Action:
        """What the step does with images."""
        if self.script is not None:
            return Action()
        return docker_args.action(self.builder, self.args, self.entrypoint)

    @property
    def kind(self) -> Kind:
        """The kind of the step: what docker or the tests of a structure do with an image."""
        is_other = self.action.kind == "build" and not self.action.verb
        return "other" if is_other else self.action.kind

    @property
    def tags(self) -> tuple[str, ...]:
        """The images that a step builds, pushes, pulls or tests."""
        return () if self.kind == "other" else tuple(self.action.images)

    @property
    def docker_build(self) -> Arguments:
        """What the arguments of a build step say."""
        return self.action.build or NO_BUILD

    @property
    def test_files(self) -> tuple[str, ...]:
        """The configuration files of a test step, relative to the step's directory."""
        return docker_args.test_files(self.args)

    @property
    def build_args(self) -> dict[str, str]:
        """The build args of a build step."""
        return self.docker_build.build_args

    @property
    def context(self) -> str:
        """The build context of a build step, relative to the root of the build."""
        return self.docker_build.paths_from(self.dir)[0]

    @property
    def dockerfile(self) -> str:
        """The Dockerfile of a build step: the value of `-f`, or `Dockerfile` in the context."""
        return self.docker_build.paths_from(self.dir)[1]


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """A build."""

    steps: tuple[Step, ...]
    """The steps in file order."""
    timeout: float | None = None
    """The timeout in seconds."""
    uploads: tuple[str, ...] = ()
    """The kinds of artifacts, besides images, that Cloud Build uploads at the end."""
    fetches: bool = False
    """Whether Cloud Build fetches source of other repositories first."""
    unused: tuple[str, ...] = ()
    """Substitutions in the file that it does not use, which `gcloud builds submit` refuses."""


Check = Callable[[Build], Iterable[Problem]]
"""Finds further problems of a build, whose paths are those of the file."""


def read(
    text: str,
    name: str,
    substitutions: Mapping[str, str] | None = None,
    *,
    defaults: Mapping[str, str] | None = None,
    keep: bool = False,
    check: Check = lambda _: (),
) -> Build:
    """Read the steps of a Cloud Build file in JSON or YAML.

    `substitutions` are values for `$NAME` and override those in the file, which override
    `defaults`; with `keep`, those without a value are left as they are. Raises BuildFileError
    with everything that is invalid, and with what `check` finds.
    """
    found = build_reader.read_all(text, name)
    values = {**(defaults or {}), **found.build.substitutions, **(substitutions or {})}
    resolving = _Resolving(found.build, values, "keep" if keep else "error")
    build = resolving.build()
    if problems := [*found.problems, *resolving.problems, *check(build)]:
        raise BuildFileError(build_reader.located(found.source, problems))
    return build


def of_foreign(text: str) -> Build:
    """The steps of a build that Cloud Build describes, which may have fields of newer versions."""
    build = quick_reader.read_leniently(text) or FileBuild([])
    return _Resolving(build, build.substitutions, "keep").build()


class _Resolving:
    """Applies substitutions and defaults to a build, and notes what is wrong or unsupported."""

    def __init__(self, build: FileBuild, values: Mapping[str, str], missing: Missing) -> None:
        self.file = build
        self.problems: list[Problem] = []
        self.substitute = Substitutions(
            values,
            dynamic=build.is_dynamic,
            missing="empty" if build.is_loose and missing == "error" else missing,
        )

    def build(self) -> Build:
        """The build with all values."""
        steps: list[Step] = []
        for number, fields in enumerate(self.file.steps):
            steps.append(self._step(fields, number, steps))
        self._check_order(steps)
        for number, fields in enumerate(self.file.steps):
            self._check_step(fields, ("steps", number))
        options = self.file.options
        self._check_surroundings(options.get("env", ()), _shared(options), ("options",))
        images = self._texts(self.file.images, ("images",))
        artifacts = self.file.rest.get("artifacts", {})
        images += self._texts(artifacts.get("images", ()), ("artifacts", "images"))
        own = tuple(steps)
        steps += [_final_push(image, own) for image in dict.fromkeys(images)]
        return Build(
            steps=tuple(steps),
            timeout=seconds(self.file.timeout),
            uploads=tuple(name for name in artifacts if name != "images"),
            fetches=bool(self.file.rest.get("dependencies")),
            unused=self._unused(),
        )

    def _unused(self) -> tuple[str, ...]:
        """The substitutions of the file that nothing in it refers to."""
        maps = [step.automap_substitutions for step in self.file.steps]
        if self.file.is_loose or self.file.options.get("automapSubstitutions") or any(maps):
            return ()
        used = references(build_reader.write(self.file))
        return tuple(name for name in self.file.substitutions if name not in used)

    def _report(self, message: str, path: Path) -> None:
        self.problems.append(Problem(message=message, path=path))

    def _text(self, text: str, path: Path) -> str:
        if "$" not in text:
            return text
        replaced = self.substitute(text)
        for message in self.substitute.problems:
            self._report(message, path)
        self.substitute.problems.clear()
        return replaced

    def _texts(self, texts: Sequence[str], path: Path) -> tuple[str, ...]:
        return tuple([self._text(text, (*path, i)) for i, text in enumerate(texts)])

    def _step(self, fields: FileStep, number: int, before: Sequence[Step]) -> Step:
        path = ("steps", number)
        image = self._text(fields.name, (*path, "name"))
        wait_for = self._texts(fields.wait_for, (*path, "waitFor"))
        # Without waitFor, a step waits for all earlier steps.
        needs = [one for one in wait_for if one != "-"] if wait_for else [s.id for s in before]
        options = self.file.options
        return Step(
            id=self._text(fields.id, (*path, "id")) or f"step {number + 1}",
            path=path,
            builder=docker_args.without_tag(image),
            image=image,
            args=self._texts(fields.args, (*path, "args")),
            entrypoint=self._text(fields.entrypoint, (*path, "entrypoint")) or None,
            script=fields.script or None,
            env=self._env(fields, path),
            secret_env=tuple(dict.fromkeys([*options.get("secretEnv", ()), *fields.secret_env])),
            volumes=(*_shared(options), *fields.volumes),
            dir=self._text(fields.dir, (*path, "dir")) or ".",
            needs=tuple(needs),
            timeout=seconds(fields.timeout),
            allow_failure=fields.allow_failure,
            allow_exit_codes=tuple(fields.allow_exit_codes),
        )

    def _env(self, fields: FileStep, path: Path) -> dict[str, str]:
        options = self.file.options
        is_mapped = fields.automap_substitutions
        if is_mapped is None:
            is_mapped = options.get("automapSubstitutions", False)
        env = self.substitute.environment() if is_mapped else {}
        texts = self._texts(options.get("env", ()), ("options", "env"))
        texts += self._texts(fields.env, (*path, "env"))
        return env | {name: value for name, _, value in (text.partition("=") for text in texts)}

    def _check_order(self, steps: Sequence[Step]) -> None:
        earlier: set[str] = set()
        mistakes = 0
        for number, step in enumerate(steps):
            path = ("steps", number)
            if step.id in earlier:
                self._report(f"duplicate step id {step.id}", (*path, "id"))
            for index, name in enumerate(step.needs):
                if name not in earlier:
                    mistakes += 1
                    # The names differ for each mistake, so that looking for the nearest takes long.
                    near = did_you_mean(name, earlier) if mistakes <= MAX_HINTS else ""
                    message = f"{step.display_name} waits for {name}, which is not earlier{near}"
                    self._report(message, (*path, "waitFor", index))
            earlier.add(step.id)

    def _check_step(self, fields: FileStep, path: Path) -> None:
        """Report what Cloud Build, but not gcloud, refuses."""
        if fields.script and (fields.args or fields.entrypoint):
            message = "a step with 'script' cannot have 'args' or 'entrypoint'; remove one"
            self._report(message, (*path, "script"))
        self._check_surroundings(fields.env, fields.volumes, path)

    def _check_surroundings(
        self, env: Sequence[str], volumes: Sequence[Volume], path: Path
    ) -> None:
        """Report wrong environment variables and volumes.

        Source: github.com/GoogleCloudPlatform/cloud-build-local, validate/validate.go
        """
        for number, text in enumerate(env):
            if "=" not in text:
                message = f"{text!r} is not an environment variable; write NAME=VALUE"
                self._report(message, (*path, "env", number))
        for number, volume in enumerate(volumes):
            at = (*path, "volumes", number)
            if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", volume.name):
                form = "two or more letters, digits, '_', '.' and '-'"
                self._report(f"{volume.name!r} is not a name of a volume; use {form}", at)
            clean = posixpath.normpath(volume.path)
            if not clean.startswith("/") or clean in RESERVED or ":" in clean:
                message = f"{volume.path!r} is not a path for a volume; use another absolute path"
                self._report(message, at)


def _shared(options: Mapping[str, Any]) -> list[Volume]:
    """The volumes of all steps."""
    return [Volume(**volume) for volume in options.get("volumes", ())]


def _final_push(image: str, steps: tuple[Step, ...]) -> Step:
    """The push of an image in `images`, which Cloud Build does when all steps have succeeded."""
    needs = tuple(step.id for step in steps if step.kind != "push")
    ids = {step.id for step in steps}
    name = f"{image}-push" if f"{image}-push" not in ids else f"{image}-push-at-the-end"
    return Step(id=name, builder=BUILDER, image=BUILDER, args=("push", image), needs=needs)
