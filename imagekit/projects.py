"""The commands that put a project on a base image: its Dockerfile, printed or built."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
import msgspec

from imagekit import output, pipeline
from imagekit.config import Config, is_inside_context
from imagekit.errors import BuildError, UsageError
from imagekit.images import Plan
from imagekit.pipeline import DEFAULT_CONFIG
from imagekit.project import base, context, declared, render, settings
from imagekit.project.settings import Settings

Command = Callable[..., Any]

_options = (
    click.argument("directory", metavar="[DIR]", default="."),
    click.option(
        "--base", "wanted", metavar="NAME", help="A tag or glob of the matrix, or another."
    ),
    click.option("--python", metavar="VERSION", help="The Python that is needed, such as 3.13."),
    click.option("--gpu/--cpu", default=None, help="With CUDA or without. [default: cpu]"),
    click.option("--config", "-c", metavar="FILE", help=f"The matrix. [default: {DEFAULT_CONFIG}]"),
    click.option("--apt", multiple=True, metavar="PACKAGE", help="A Debian package; repeatable."),
    click.option("--extra", multiple=True, metavar="NAME", help="One of its extras; repeatable."),
    click.option(
        "--ignore", multiple=True, metavar="FILE", help="A file to leave aside; repeatable."
    ),
    click.option("--module", metavar="NAME", help="What to run: python -m NAME."),
    click.option("--script", metavar="FILE", help="What to run: a file of the directory."),
    click.option("--cmd", metavar="WORDS", help="What to run: a command; no shell reads it."),
    click.option("--shell", is_flag=True, help="What to run: a shell."),
    click.option("--notebook", is_flag=True, help="What to run: JupyterLab, which is installed."),
    click.option(
        "--port",
        type=click.IntRange(1, 65535),
        default=8888,
        show_default=True,
        help="JupyterLab's port.",
    ),
    click.option("--uid", type=click.IntRange(0), help="Who runs it. [default: you]"),
    click.option("--gid", type=click.IntRange(0), help="Whose group. [default: yours]"),
    click.option(
        "--uv-image",
        default=render.UV_IMAGE,
        show_default=True,
        metavar="NAME",
        help="Where uv comes from, for lock files.",
    ),
)


def _project_options(command: Command) -> Command:
    for option in reversed(_options):
        command = option(command)
    return command


@click.command()
@_project_options
def dockerfile(directory: str, **options: Any) -> None:
    """Print a Dockerfile for a code directory.

    It stands on a base image of the matrix, and installs what the directory declares:

      imagekit dockerfile . --gpu | docker build -f - .

    What was found and chosen is told on standard error. A .dockerignore is written where there is
    none.
    """
    text, notes = prepare(pathlib.Path(directory), options)
    for note in notes:
        click.echo(note, err=True)
    click.echo(text, nl=False)


@click.group()
def project() -> None:
    """Put a project on a base image."""


@project.command()
@_project_options
@click.option("--tag", "-t", metavar="NAME", help="The image's name. [default: the directory's]")
@click.option("--network", metavar="MODE", help="Network of the build, such as host.")
@click.option("--secret", "secrets", multiple=True, metavar="SPEC", help="A secret of the build.")
@click.option(
    "--docker", default="docker", envvar="IMAGEKIT_DOCKER", show_default=True, help="The client."
)
def build(
    directory: str,
    tag: str | None,
    network: str | None,
    secrets: tuple[str, ...],
    docker: str,
    **options: Any,
) -> None:
    """Print the Dockerfile of a code directory, and build it."""
    # The engine is for this command only.
    from imagekit.engine import local

    folder = pathlib.Path(directory)
    text, notes = prepare(folder, options)
    for note in notes:
        click.echo(note, err=True)
    click.echo(text, nl=False)
    local.check_engine(docker)
    name = tag or _name_of(folder)
    if not base.REFERENCE.fullmatch(name):
        raise UsageError(f"--tag: {name!r} is no name of an image; write NAME:TAG in lower case")
    command = [docker, "build", "-t", name, "-f", "-"]
    command += [] if network is None else ["--network", network]
    command += [part for secret in secrets for part in ("--secret", secret)]
    sys.stdout.flush()
    done = subprocess.run(
        [*command, str(folder)],
        input=text.encode(),
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
        check=False,
    )
    if done.returncode:
        raise BuildError(f"{name}: the build failed with exit code {done.returncode}")
    ports = f" -p {options['port']}:{options['port']}" if options["notebook"] else ""
    click.echo(f"{name} built; docker run --rm -it{ports} {name}", err=True)


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
    gpu = _first(_first(said, base.gpu_of(named, plan)), False)
    mode: settings.Mode = "gpu" if gpu else "cpu"
    extras = [*options["extra"], *found.extras]
    parts = declared.read(directory, extras, mode, options["ignore"])
    # Who asks for a version on the command line does not mean the image of the file.
    wanted = None if options["python"] and not options["wanted"] else named
    chosen = base.choose(wanted, _needs(options, found, parts, gpu), config, plan)
    start, argument = _start(directory, options, found)
    asked = render.Wanted(
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
    return render.render(parts, asked), [*notes, *_check_context(directory, copied)]


def _matrix(
    directory: pathlib.Path, options: Mapping[str, Any], found: Settings
) -> tuple[Config | None, Plan | None]:
    named = options["config"] or (str(directory / found.config) if found.config else None)
    path = pathlib.Path(named or DEFAULT_CONFIG)
    if not named and not path.is_file():
        return None, None
    checked = pipeline.check(path)
    return checked.config, checked.plan


def _needs(
    options: Mapping[str, Any], found: Settings, parts: declared.Declared, gpu: bool
) -> base.Needs:
    python = options["python"] or found.python
    if python and not re.fullmatch(r"\d+(\.\d+){0,2}", python):
        message = f"{python!r} is no version of Python: write 3.13; a range is for requires-python"
        raise UsageError(message)
    return base.Needs(python=python, specifier=parts.python, gpu=gpu)


def _check_apt(names: Iterable[str]) -> None:
    for name in names:
        if not declared.DEBIAN.fullmatch(name):
            raise UsageError(f"{name!r} is no Debian package; name one at a time")


def _first(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _start(
    directory: pathlib.Path, options: Mapping[str, Any], found: Settings
) -> tuple[render.Start, str]:
    """What the container runs: one thing, the command line's before the file's."""
    named: list[tuple[render.Start, Any]] = [
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


def _check_start(name: render.Start, value: str, directory: pathlib.Path) -> None:
    if name == "script":
        if not is_inside_context(value) or not context.is_inside(directory / value, directory):
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
    path = directory / context.NAME
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    rules = context.DEFAULT if text is None else text
    if absent := context.left_out(rules, copied):
        listed = ", ".join(absent)
        raise UsageError(f"{path} leaves out {listed}, which the image needs; mend it")
    context.check(rules, directory)
    notes = []
    if text is None:
        output.replace(path, context.DEFAULT.encode())
        notes.append(f"{path}: written, so that .git, caches and credentials stay out of the image")
    elif let_in := context.missing(text, directory):
        listed = ", ".join(let_in[:5]) + (" …" if len(let_in) > 5 else "")
        notes.append(f"warning: {path} lets {listed} into the image; add what should stay out")
    for link in context.leading_out(rules, directory):
        notes.append(
            f"warning: {link} is a link that leads out of {directory}, and nowhere in the image"
        )
    return notes


def _name_of(directory: pathlib.Path) -> str:
    """An image's name from a directory's: in lower case, with what is allowed there."""
    plain = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return plain or "project"
