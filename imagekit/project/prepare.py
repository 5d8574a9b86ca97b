"""The commands that put a project on a base image: its Dockerfile, printed or built."""

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
from imagekit.errors import UsageError
from imagekit.planning.plan import Plan
from imagekit.project import base_image, dependencies, dockerfile, dockerignore, settings
from imagekit.project.settings import Settings
from imagekit.support.files import replace_file
from imagekit.support.workspace import DEFAULT_CONFIG


def prepare(directory: pathlib.Path, options: Mapping[str, Any]) -> tuple[str, list[str]]:
    """A directory's Dockerfile, and what is to be told of it; writes a missing .dockerignore.

    Raises an error of the user's with everything that is wrong, before anything is written.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no such folder")
    found, origin = settings.read(directory)
    config, plan = _matrix(directory, options, found)
    said = _first(options["gpu"], found.gpu)
    named = options["wanted"] or found.base_image.get("gpu" if said else "cpu")
    gpu = _first(_first(said, base_image.gpu_of(named, plan)), False)
    mode: settings.Mode = "gpu" if gpu else "cpu"
    extras = [*options["extra"], *found.extras]
    parts = dependencies.read(directory, extras, mode, options["ignore"])
    # Who asks for a version on the command line does not mean the image of the file.
    wanted = None if options["python"] and not options["wanted"] else named
    chosen = base_image.choose(wanted, _needs(options, found, parts, gpu), config, plan)
    start, argument = _start(directory, options, found)
    asked = dockerfile.Wanted(
        base=chosen.reference,
        apt=(*found.apt_packages.get(mode, ()), *options["apt"]),
        uid=_first(options["uid"], os.getuid()),
        gid=_first(options["gid"], os.getgid()),
        start=start,
        argument=argument,
        port=options["port"],
        uv_image=options["uv_image"],
    )
    _check_apt(asked.apt)
    notes = [f"base image: {chosen.why}", *([f"settings: {origin}"] if origin else [])]
    notes += parts.notes or ["no dependencies are declared"]
    notes += [f"extras: {', '.join(parts.extras)}"] if parts.extras else []
    copied = [*parts.files, *parts.folders, *([argument] if start == "script" else [])]
    return dockerfile.render(parts, asked), [*notes, *_check_context(directory, copied)]


def _matrix(
    directory: pathlib.Path, options: Mapping[str, Any], found: Settings
) -> tuple[Config | None, Plan | None]:
    named = options["config"] or (str(directory / found.config) if found.config else None)
    path = pathlib.Path(named or DEFAULT_CONFIG)
    if not named and not path.is_file():
        return None, None
    checked = api.check(path)
    return checked.config, checked.plan


def _needs(
    options: Mapping[str, Any], found: Settings, parts: dependencies.Declared, gpu: bool
) -> base_image.Needs:
    python = options["python"] or found.python
    if python and not re.fullmatch(r"\d+(\.\d+){0,2}", python):
        message = f"{python!r} is no version of Python: write 3.13; a range is for requires-python"
        raise UsageError(message)
    return base_image.Needs(python=python, specifier=parts.python, gpu=gpu)


def _check_apt(names: Iterable[str]) -> None:
    for name in names:
        if not dependencies.DEBIAN.fullmatch(name):
            raise UsageError(f"{name!r} is no Debian package; name one at a time")


def _first(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _start(
    directory: pathlib.Path, options: Mapping[str, Any], found: Settings
) -> tuple[dockerfile.Start, str]:
    """What the container runs: one thing, the command line's before the file's."""
    named: list[tuple[dockerfile.Start, Any]] = [
        (name, options[name]) for name in ("module", "script", "cmd", "shell", "notebook")
    ]
    given = [(name, value) for name, value in named if value or value == ""]
    if len(given) > 1:
        both = " and ".join(f"--{name}" for name, _ in given)
        raise UsageError(f"{both} both say what to run; give one")
    if not given:
        texts = msgspec.to_builtins(found)
        given = [(name, texts[name]) for name, _ in named if texts.get(name)]
    if not given:
        return "shell", ""
    name, value = given[0]
    if isinstance(value, str):
        _check_start(name, value, directory)
        return name, value
    return name, ""


def _check_start(name: dockerfile.Start, value: str, directory: pathlib.Path) -> None:
    if name == "script":
        if not is_inside_context(value) or not dockerignore.is_inside(directory / value, directory):
            raise UsageError(f"{value}: it lies outside {directory}; copy it in")
        if not (directory / value).is_file():
            raise UsageError(f"{value}: there is no such file in {directory}")
        if not value.endswith(".py"):
            raise UsageError(f"{value}: it is no Python script; run it with --cmd 'bash {value}'")
    elif name == "module":
        if value.endswith(".py") or not re.fullmatch(r"\w+(\.\w+)*", value):
            plain = value.removesuffix(".py").replace("/", ".")
            raise UsageError(f"{value!r} is no name of a module; write it like {plain}")
    else:
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise UsageError(f"--cmd: {value!r}: {error}".lower()) from None
        if not words:
            raise UsageError("--cmd: there is no command in it; leave it out for a shell")


def _check_context(directory: pathlib.Path, copied: Iterable[str]) -> list[str]:
    """What is to be told of a directory's .dockerignore, which is written where there is none."""
    path = directory / dockerignore.NAME
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    rules = dockerignore.DEFAULT if text is None else text
    if absent := dockerignore.left_out(rules, copied):
        listed = ", ".join(absent)
        raise UsageError(f"{path} leaves out {listed}, which the image needs; mend it")
    dockerignore.check(rules, directory)
    notes = []
    if text is None:
        replace_file(path, dockerignore.DEFAULT.encode())
        notes.append(f"{path}: written, so that .git, caches and credentials stay out of the image")
    elif let_in := dockerignore.missing(text, directory):
        listed = ", ".join(let_in[:5]) + (" …" if len(let_in) > 5 else "")
        notes.append(f"warning: {path} lets {listed} into the image; add what should stay out")
    for link in dockerignore.leading_out(rules, directory):
        notes.append(
            f"warning: {link} is a link that leads out of {directory}, and nowhere in the image"
        )
    return notes
