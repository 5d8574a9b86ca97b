"""Project settings: `imagekit.toml`, `[tool.imagekit]` in pyproject.toml, or caliban's file.

Of caliban's `.calibanconfig.json` (github.com/google/caliban), the keys `apt_packages` and
`base_image` (one value, or one for each mode) and `default_mode` are read.
"""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from imagekit.config.cloudbuild import SPECIAL as FLAGS
from imagekit.config.cloudbuild import Flag
from imagekit.errors import ConfigError, Path, Place, Problem
from imagekit.project import parsing
from imagekit.support import files, toml_reader
from imagekit.support.decode import Decoder, Report, decode, elements, items, scalar
from imagekit.support.yaml_reader import parse

Mode = Literal["cpu", "gpu"]
MODES: tuple[Mode, ...] = ("cpu", "gpu")

TOML, PYPROJECT, CALIBAN = "imagekit.toml", "pyproject.toml", ".calibanconfig.json"

Words = Annotated[dict[str, tuple[str, ...]], Meta(description="a list, or one by cpu and gpu")]
Name = Annotated[dict[str, str], Meta(description="one name, or one by cpu and gpu")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a code directory."""

    base_image: Name = {}
    """A tag or glob of the matrix, or any image reference; by mode."""
    config: str | None = None
    """The matrix's config file, relative to the directory."""
    python: str | None = None
    """The required Python version, such as 3.13."""
    gpu: Flag | None = None
    """Whether to build for a GPU; the command line takes precedence."""
    apt_packages: Words = {}
    """Additional Debian packages to install; by mode."""
    extras: tuple[str, ...] = ()
    """Extras of the package to install."""
    groups: tuple[str, ...] = ()
    """Dependency groups to install."""
    module: str | None = None
    """The Python module to run. Set at most one of module, script and cmd."""
    script: str | None = None
    """The Python script to run."""
    cmd: str | None = None
    """The command to run, as for a shell."""


def read(directory: pathlib.Path) -> tuple[Settings, str | None]:
    """Return a directory's settings and the name of their file; defaults and None without a file.

    Raises ConfigError with all problems of the file, or if more than one file has settings.
    """
    files = []
    if (directory / TOML).is_file():
        files.append(TOML)
    if _has_table(directory / PYPROJECT):
        files.append(PYPROJECT)
    if (directory / CALIBAN).is_file():
        files.append(CALIBAN)
    if len(files) > 1:
        message = f"settings found in {' and '.join(files)}; keep only one"
        raise ConfigError([Problem(message=message)])
    if not files:
        return Settings(), None
    path = directory / files[0]
    settings = _caliban(path) if files[0] == CALIBAN else _toml(path)
    return settings, files[0]


def load_toml(path: pathlib.Path, *, within: pathlib.Path) -> dict[str, Any]:
    """Parse a TOML file in a folder, and in it after all links.

    Raises ConfigError with the place if it is invalid or unreadable.
    """
    data = _read(path, files.LOCK, within)
    try:
        return toml_reader.parse(data, str(path))
    except ConfigError as error:
        (problem,) = error.problems
        # Nearly all that is read here is TOML.
        message = problem.message.removeprefix("invalid TOML: ")
        shown = msgspec.structs.replace(problem, message=message, line="")
        raise ConfigError([shown]) from None


def _read(path: pathlib.Path, limit: int, within: pathlib.Path) -> bytes:
    try:
        return files.read_bytes(path, limit, within=within)
    except OSError as error:
        message = f"{path.name} cannot be read: {error.strerror}"
        raise ConfigError([Problem(message=message, place=Place(str(path), 1, 1))]) from None


def place_of(path: pathlib.Path, key: str, table: str = "") -> Place:
    """Return the place of a key in a TOML file: in `table`, or at the top level."""
    try:
        text = files.read_bytes(path, files.LOCK).decode("utf-8-sig")
    except (OSError, ValueError):
        text = ""
    places = _places(text)
    found = [places.get((table, key)), places.get((f"{table}.{key}".strip("."), ""))]
    return Place(str(path), *min(filter(None, found), default=(1, 1)))


@functools.lru_cache(maxsize=2)
def _places(text: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Return the positions of the keys in TOML, by table and key, and of the tables themselves."""
    places: dict[tuple[str, str], tuple[int, int]] = {}
    current = ""
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.lstrip()
        at = number, len(line) - len(bare) + 1
        if bare.startswith("["):
            current = bare.lstrip("[ \t").partition("]")[0].rstrip()
            places.setdefault((current, ""), at)
            continue
        before, equals, _ = bare.partition("=")
        for key in (before, before.partition(".")[0]) if equals else ():
            places.setdefault((current, key.strip().strip("\"'")), at)
    return places


def _has_table(path: pathlib.Path) -> bool:
    tool = load_toml(path, within=path.parent).get("tool") if path.is_file() else None
    return isinstance(tool, dict) and isinstance(tool.get("imagekit"), dict)


def _toml(path: pathlib.Path) -> Settings:
    table = "" if path.name == TOML else "tool.imagekit"
    values = load_toml(path, within=path.parent)
    values = values["tool"]["imagekit"] if table else values
    # TOML values have no positions, so keys are looked up.
    problems: list[Problem] = []
    settings = decode(values, Settings, (), problems.append, SPECIAL)
    problems += _check(settings)
    _raise_problems(
        msgspec.structs.replace(p, place=place_of(path, str(p.path[0] if p.path else ""), table))
        for p in problems
    )
    return settings if isinstance(settings, Settings) else Settings()


class CalibanConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The keys of `.calibanconfig.json` that are read."""

    default_mode: str | None = None
    """`cpu` or `gpu`."""
    base_image: Name = {}
    """The base image, by mode; `{}` in it is replaced by the mode."""
    apt_packages: Words = {}
    """Debian packages to install, by mode."""


def _caliban(path: pathlib.Path) -> Settings:
    source = parse(_read(path, files.SETTINGS, path.parent), str(path))
    # All other keys configure other commands of caliban.
    for key in source.value.keys() - set(CalibanConfig.__struct_fields__):
        del source.value[key]
    problems: list[Problem] = []
    config = decode(source.value, CalibanConfig, (), problems.append, SPECIAL)
    # caliban replaces braces by the mode.
    images = {mode: name.replace("{}", mode) for mode, name in config.base_image.items()}
    for mode, name in images.items():
        if re.search(r"[{}]|^dlvm:", name):
            message = f"{name!r} is expanded only by caliban; write the full image name"
            at = (
                ("base_image", mode)
                if len(set(config.base_image.values())) > 1
                else ("base_image",)
            )
            problems.append(Problem(message=message, path=at))
    _raise_problems(source.locate(problem) for problem in problems)
    mode = config.default_mode
    gpu = None if mode is None else mode.lower() == "gpu"
    return Settings(base_image=images, apt_packages=config.apt_packages, gpu=gpu)


def _check(settings: Settings) -> Iterable[Problem]:
    commands = [name for name in ("module", "script", "cmd") if getattr(settings, name) is not None]
    if len(commands) > 1:
        message = f"{' and '.join(commands)} cannot be set together; keep only one"
        yield Problem(message=message, path=(commands[1],))
    for key, kind in (("extras", "an extra"), ("groups", "a group")):
        for name in getattr(settings, key):
            if not parsing.is_name(name):
                message = f"{parsing.short(name)!r} is not a valid name of {kind}"
                yield Problem(message=message, path=(key,))
    for key in ("config", "script", "cmd"):
        if wrong := parsing.not_one_line(getattr(settings, key) or ""):
            yield Problem(message=f"the value of {key!r} cannot be used: {wrong}", path=(key,))


def _raise_problems(problems: Iterable[Problem]) -> None:
    # A value for both modes is decoded once for each.
    unique = {str(problem): problem for problem in problems}.values()
    ordered = sorted(unique, key=lambda p: (p.place.line, p.place.column) if p.place else (0, 0))
    if ordered:
        raise ConfigError(ordered)


# ---- decoders of values by mode


def _by_mode(value: Any, path: Path, report: Report) -> list[tuple[str, Any, Path]]:
    """Return the value of each mode: from a mapping by mode, or the same value for both."""
    if not isinstance(value, dict):
        return [(mode, value, path) for mode in MODES]
    values: list[tuple[str, Any, Path]] = []
    for key, child, at in items(value, path, report):
        if key in MODES:
            values.append((key, child, at))
        else:
            message = f"{key!r} is not a valid mode; use cpu or gpu"
            report(Problem(message=message, path=at, on_key=True))
    return values


def _words(value: Any, path: Path, report: Report) -> dict[str, tuple[str, ...]]:
    words = {}
    for mode, given, at in _by_mode(value, path, report):
        texts = [scalar(child, where, report) for child, where in elements(given, at, report)]
        words[mode] = tuple(text for text in texts if text is not None)
    return words


def _name(value: Any, path: Path, report: Report) -> dict[str, str]:
    named = ((mode, scalar(given, at, report)) for mode, given, at in _by_mode(value, path, report))
    return {mode: text for mode, text in named if text is not None}


SPECIAL: dict[Any, Decoder] = {Words: _words, Name: _name, Flag: FLAGS[Flag]}
