"""What a code directory says of itself: `imagekit.toml`, `[tool.imagekit]` or the original's file.

The original's is `.calibanconfig.json` (google/caliban); of it are read `apt_packages` and
`base_image`, each for both modes or by mode, and `default_mode`.
"""

from __future__ import annotations

import pathlib
import re
import tomllib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from imagekit.config.cloudbuild import SPECIAL as FLAGS
from imagekit.config.cloudbuild import Flag
from imagekit.errors import ConfigError, Path, Place, Problem
from imagekit.support.yaml_reader import Decoder, Report, decode, elements, items, parse, scalar

Mode = Literal["cpu", "gpu"]
MODES: tuple[Mode, ...] = ("cpu", "gpu")

TOML, PYPROJECT, ORIGINAL = "imagekit.toml", "pyproject.toml", ".calibanconfig.json"

Words = Annotated[dict[str, tuple[str, ...]], Meta(description="a list, or one by cpu and gpu")]
Name = Annotated[dict[str, str], Meta(description="one name, or one by cpu and gpu")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be made of a code directory.

    base_image: a tag or glob of the matrix, or the reference of any image. config: the file of
    the matrix. python: the version that is needed. gpu: whether the image is for a GPU where
    the command line does not say. apt_packages, extras: what is installed beside what the
    directory declares. module, script, cmd: what the container runs, one of them.
    """

    base_image: Name = {}
    config: str | None = None
    python: str | None = None
    gpu: Flag | None = None
    apt_packages: Words = {}
    extras: tuple[str, ...] = ()
    module: str | None = None
    script: str | None = None
    cmd: str | None = None


def read(directory: pathlib.Path) -> tuple[Settings, str | None]:
    """A directory's settings, and the file that they stand in; the defaults where there is none.

    Raises ConfigError with every problem of the file, and where two files have settings.
    """
    found = []
    if (directory / TOML).is_file():
        found.append(TOML)
    if _has_table(directory / PYPROJECT):
        found.append(PYPROJECT)
    if (directory / ORIGINAL).is_file():
        found.append(ORIGINAL)
    if len(found) > 1:
        message = f"settings stand in {' and '.join(found)}; keep one of them"
        raise ConfigError([Problem(message=message)])
    if not found:
        return Settings(), None
    path = directory / found[0]
    settings = _original(path) if found[0] == ORIGINAL else _toml(path)
    return settings, found[0]


def load_toml(path: pathlib.Path) -> dict[str, Any]:
    """A TOML file's tables. Raises ConfigError, with the place, where it is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        where = re.search(r" \(at line (\d+), column (\d+)\)", str(error))
        place = Place(str(path), int(where[1]), int(where[2])) if where else Place(str(path), 1, 1)
        message = re.sub(r" \(at .*\)$", "", str(error))
        raise ConfigError([Problem(message=message, place=place)]) from None


def place_of(path: pathlib.Path, key: str, table: str = "") -> Place:
    """Where a key stands in a TOML file: in a table, or at its top."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    current = ""
    for number, line in enumerate(lines, start=1):
        if header := re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]+", line):
            current = header[1]
            if current == f"{table}.{key}".strip("."):
                return Place(str(path), number, len(line) - len(line.lstrip()) + 1)
        elif current == table and (found := re.match(rf'(\s*)"?{re.escape(key)}"?\s*[=.]', line)):
            return Place(str(path), number, len(found[1]) + 1)
    return Place(str(path), 1, 1)


def _has_table(path: pathlib.Path) -> bool:
    tool = load_toml(path).get("tool") if path.is_file() else None
    return isinstance(tool, dict) and isinstance(tool.get("imagekit"), dict)


def _toml(path: pathlib.Path) -> Settings:
    table = "" if path.name == TOML else "tool.imagekit"
    values = load_toml(path)
    values = values["tool"]["imagekit"] if table else values
    # The reader of configs reads nodes; TOML's own values have no places, its keys are looked up.
    node: Any = yaml.compose(yaml.safe_dump(values), Loader=yaml.SafeLoader)
    problems: list[Problem] = []
    found = decode(node, Settings, (), problems.append, SPECIAL)
    problems += _check(found)
    _raise(
        msgspec.structs.replace(p, place=place_of(path, str(p.path[0] if p.path else ""), table))
        for p in problems
    )
    return found if isinstance(found, Settings) else Settings()


class Original(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of the original's file means something here."""

    default_mode: str | None = None
    base_image: Name = {}
    apt_packages: Words = {}


def _original(path: pathlib.Path) -> Settings:
    source = parse(path.read_bytes(), str(path))
    # What else it may say is for the original's other commands.
    pairs = [pair for pair in source.root.value if pair[0].value in Original.__struct_fields__]
    source.root.value = pairs
    problems: list[Problem] = []
    found = decode(source.root, Original, (), problems.append, SPECIAL)
    # The original puts the mode in place of braces.
    images = {mode: name.replace("{}", mode) for mode, name in found.base_image.items()}
    for mode, name in images.items():
        if re.search(r"[{}]|^dlvm:", name):
            message = f"{name!r} is a name that only the original makes another of; write that one"
            at = (
                ("base_image", mode) if len(set(found.base_image.values())) > 1 else ("base_image",)
            )
            problems.append(Problem(message=message, path=at))
    _raise(source.locate(problem) for problem in problems)
    gpu = None if found.default_mode is None else found.default_mode.lower() == "gpu"
    return Settings(base_image=images, apt_packages=found.apt_packages, gpu=gpu)


def _check(settings: Settings) -> Iterable[Problem]:
    starts = [name for name in ("module", "script", "cmd") if getattr(settings, name) is not None]
    if len(starts) > 1:
        message = f"{' and '.join(starts)} both say what to run; keep one"
        yield Problem(message=message, path=(starts[1],))


def _raise(problems: Iterable[Problem]) -> None:
    # A value for both modes is read for each of them.
    once = {str(problem): problem for problem in problems}.values()
    found = sorted(once, key=lambda p: (p.place.line, p.place.column) if p.place else (0, 0))
    if found:
        raise ConfigError(found)


# ---- notations of their own


def _by_mode(node: yaml.Node, path: Path, report: Report) -> list[tuple[str, yaml.Node, Path]]:
    """Each mode's value: of a mapping by mode, or the same for both."""
    if not isinstance(node, yaml.MappingNode):
        return [(mode, node, path) for mode in MODES]
    found: list[tuple[str, yaml.Node, Path]] = []
    for key, value, at in items(node, path, report):
        if key in MODES:
            found.append((key, value, at))
        else:
            message = f"{key!r} is no mode; there is cpu and gpu"
            report(Problem(message=message, path=at, on_key=True))
    return found


def _words(node: yaml.Node, path: Path, report: Report) -> dict[str, tuple[str, ...]]:
    found = {}
    for mode, value, at in _by_mode(node, path, report):
        texts = [scalar(child, where, report) for child, where in elements(value, at, report)]
        found[mode] = tuple(text for text in texts if text is not None)
    return found


def _name(node: yaml.Node, path: Path, report: Report) -> dict[str, str]:
    named = ((mode, scalar(value, at, report)) for mode, value, at in _by_mode(node, path, report))
    return {mode: text for mode, text in named if text is not None}


SPECIAL: dict[Any, Decoder] = {Words: _words, Name: _name, Flag: FLAGS[Flag]}
