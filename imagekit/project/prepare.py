"""Prepare a project's Dockerfile and build context from settings and options."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from imagekit import api
from imagekit.config.schema import Config
from imagekit.docker.context import is_inside_context
from imagekit.errors import UsageError, one_line
from imagekit.planning.plan import Plan
from imagekit.project import (
    base_image,
    dependencies,
    dockerfile,
    dockerignore,
    frameworks,
    other_files,
    parsing,
    settings,
)
from imagekit.project.directory import Directory
from imagekit.project.settings import Settings
from imagekit.support import files
from imagekit.support.workspace import DEFAULT_CONFIG


def prepare(
    directory: pathlib.Path, options: Mapping[str, Any], *, is_built: bool = False
) -> tuple[str, list[str]]:
    """Return a directory's Dockerfile and notes for the user; write .dockerignore if missing.

    Where it cannot be written or read, a note says so; if the image is built, that is an error.
    Raises UsageError, ConfigError or BuildFileError before anything is written.
    """
    _check_options(directory, options)
    project, origin = settings.read(directory)
    config, plan = _matrix(directory, options, project)
    gpu_setting = _first(options["gpu"], project.gpu)
    requested = options["wanted"] or project.base_image.get("gpu" if gpu_setting else "cpu")
    gpu = _first(_first(gpu_setting, base_image.gpu_of(requested, plan)), False)
    mode: settings.Mode = "gpu" if gpu else "cpu"
    start, argument = _start(directory, options, project)
    declared = dependencies.read(directory, _wanted(options, project, mode, start, argument))
    # --python takes precedence over the base image in the settings.
    base = None if options["python"] and not options["wanted"] else requested
    chosen = base_image.choose(base, _needs(options, project, declared, gpu), config, plan)
    dockerfile_options = dockerfile.Options(
        base=chosen.reference,
        apt=(*project.apt_packages.get(mode, ()), *options["apt"]),
        uid=_first(options["uid"], os.getuid()),
        gid=_first(options["gid"], os.getgid()),
        start=start,
        argument=argument,
        port=options["port"],
        uv_image=options["uv_image"],
    )
    _check_apt(dockerfile_options.apt)
    notes = [f"base image: {chosen.why}", *([f"settings: {origin}"] if origin else [])]
    notes += declared.notes
    notes += [f"extras: {', '.join(declared.extras)}"] if declared.extras else []
    notes += [f"groups: {', '.join(declared.groups)}"] if declared.groups else []
    cuda = chosen.cuda if chosen.gpu else None
    notes += frameworks.notes(declared.names, cuda=cuda, has_index=declared.has_index)
    declared = _without_ignored(directory, declared)
    copied = [*declared.files, *declared.folders, *([argument] if start == "script" else [])]
    text = dockerfile.render(declared, dockerfile_options)
    return text, [*notes, *_check_context(directory, copied, is_built=is_built)]


def _check_options(directory: pathlib.Path, options: Mapping[str, Any]) -> None:
    """Raise UsageError for a directory that does not exist, or a word that the file cannot have."""
    if not Directory(directory).is_folder("."):
        raise UsageError(f"{one_line(str(directory))}: no such directory")
    for option in ("extra", "group", "package"):
        for name in options[option]:
            if not parsing.is_name(name):
                raise UsageError(f"--{option}: {parsing.short(name)!r} is not a valid name")
    image = options["uv_image"]
    if not base_image.REFERENCE.fullmatch(image):
        raise UsageError(f"--uv-image: {parsing.short(image)!r} is not a valid image reference")
    for option in ("cmd", "script", "module"):
        if wrong := parsing.not_one_line(options[option] or ""):
            raise UsageError(
                f"--{option}: {parsing.short(options[option])!r} cannot be used: {wrong}"
            )


def _wanted(
    options: Mapping[str, Any],
    project: Settings,
    mode: settings.Mode,
    start: dockerfile.Start,
    argument: str,
) -> dependencies.Wanted:
    return dependencies.Wanted(
        extras=(*options["extra"], *project.extras),
        groups=(*options["group"], *project.groups),
        members=tuple(options["package"]),
        mode=mode,
        script=argument if start == "script" else "",
        ignored=tuple(options["ignore"]),
    )


def _matrix(
    directory: pathlib.Path, options: Mapping[str, Any], project: Settings
) -> tuple[Config | None, Plan | None]:
    named = options["config"] or (str(directory / project.config) if project.config else None)
    if not named and not pathlib.Path(DEFAULT_CONFIG).is_file():
        return None, None
    checked = api.check(named or DEFAULT_CONFIG)
    return checked.config, checked.plan


def _needs(
    options: Mapping[str, Any], project: Settings, declared: dependencies.Dependencies, gpu: bool
) -> base_image.Needs:
    python = options["python"] or project.python
    if python and not re.fullmatch(r"\d+(\.\d+){0,2}", python):
        message = (
            f"{python!r} is not a valid Python version; use 3.13, or requires-python for a range"
        )
        raise UsageError(message)
    # A version that is asked for takes the place of one that a file chooses.
    requests = tuple(r for r in declared.pythons if not (python and r.pinned))
    return base_image.Needs(python=python, requests=requests, gpu=gpu)


def _check_apt(names: Iterable[str]) -> None:
    for name in names:
        if not other_files.DEBIAN.fullmatch(name):
            raise UsageError(f"{name!r} is not a valid Debian package name; pass one at a time")


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value


def _start(
    directory: pathlib.Path, options: Mapping[str, Any], project: Settings
) -> tuple[dockerfile.Start, str]:
    """Return the command to run; the command line takes precedence over the settings."""
    named: list[tuple[dockerfile.Start, Any]] = [
        (name, options[name]) for name in ("module", "script", "cmd", "shell", "notebook")
    ]
    commands = [(name, value) for name, value in named if value or value == ""]
    if len(commands) > 1:
        names = " and ".join(f"--{name}" for name, _ in commands)
        raise UsageError(f"{names} cannot be used together")
    if not commands:
        texts = msgspec.to_builtins(project)
        commands = [(name, texts[name]) for name, _ in named if texts.get(name)]
    if not commands:
        return "shell", ""
    name, value = commands[0]
    if isinstance(value, str):
        _check_start(name, value, directory)
        return name, value
    return name, ""


def _check_start(name: dockerfile.Start, value: str, directory: pathlib.Path) -> None:
    if name == "script":
        if not is_inside_context(value) or not dockerignore.is_inside(directory / value, directory):
            raise UsageError(f"{value} is outside {directory}; copy it into the directory")
        if not Directory(directory).is_file(value):
            raise UsageError(f"{value}: no such file in {directory}")
        if not value.endswith(".py"):
            raise UsageError(f"{value} is not a Python script; use --cmd 'bash {value}'")
    elif name == "module":
        if value.endswith(".py") or not re.fullmatch(r"\w+(\.\w+)*", value):
            plain = value.removesuffix(".py").replace("/", ".")
            raise UsageError(f"{value!r} is not a valid module name; use {plain}")
    else:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise UsageError(f"--cmd: {value!r}: {error}".lower()) from None
        if not words:
            raise UsageError("--cmd is empty; omit it to run a shell")


def _without_ignored(
    directory: pathlib.Path, declared: dependencies.Dependencies
) -> dependencies.Dependencies:
    """Leave out the files that a build may read if they do not enter the context."""
    guessed = set(dockerignore.excluded(_rules(directory)[0] or "", declared.guessed))
    files = tuple(name for name in declared.files if name not in guessed)
    return msgspec.structs.replace(declared, files=files)


def _rules(directory: pathlib.Path) -> tuple[str | None, str]:
    """Return the text of a directory's .dockerignore, or None and why it cannot be read.

    The reason is empty if there is no such file.
    """
    path = directory / dockerignore.NAME
    try:
        data = files.read_bytes(path, files.DOCKERFILE, within=directory)
    except FileNotFoundError:
        return None, "a link to a file that does not exist" if path.is_symlink() else ""
    except OSError as error:
        return None, error.strerror or "cannot be read"
    return data.decode(errors="replace"), ""


def _check_context(directory: pathlib.Path, copied: Iterable[str], *, is_built: bool) -> list[str]:
    """Check the build context and return notes on it; write .dockerignore if missing."""
    path = directory / dockerignore.NAME
    text, wrong = _rules(directory)
    if wrong and is_built:
        raise UsageError(f"{path} cannot be read: {wrong}; replace it with a file")
    rules = dockerignore.DEFAULT if text is None else text
    if absent := dockerignore.excluded(rules, copied):
        listed = ", ".join(absent)
        raise UsageError(f"{path} excludes {listed}, which the image needs; fix the rules")
    dockerignore.check(rules, directory)
    notes = []
    if wrong:
        notes.append(f"warning: {path} cannot be read: {wrong}; replace it with a file")
    elif text is None:
        notes.append(_create(path, is_built=is_built))
    elif included := dockerignore.missing(text, directory):
        listed = ", ".join(included[:5]) + (" …" if len(included) > 5 else "")
        notes.append(
            f"warning: {path} does not exclude {listed}; add rules to keep them out of the image"
        )
    for link in dockerignore.external_links(rules, directory):
        notes.append(f"warning: {link} links outside {directory} and will be broken in the image")
    return notes


def _create(path: pathlib.Path, *, is_built: bool) -> str:
    """Write a .dockerignore. Return a note about it, or why it is not there if nothing is built."""
    try:
        files.replace_file(path, dockerignore.DEFAULT.encode(), follow=False)
    except UsageError as error:
        if is_built:
            raise
        return f"warning: {error}; without it, .git, caches and credentials enter the image"
    return f"{path}: created, to exclude .git, caches and credentials from the image"
