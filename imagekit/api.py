"""The pipeline as a list of calls: a file in, a checked config, its matrix, its plan, its text."""

from __future__ import annotations

import hashlib
import json
import pathlib
import warnings
from collections.abc import Sequence

import msgspec

from imagekit.compare.changes import Changes, Difference, compare_files
from imagekit.config.schema import Config
from imagekit.document import build_files, cloudbuild
from imagekit.document.build_files import Files
from imagekit.document.targets import TARGETS
from imagekit.errors import (
    ConfigError,
    ConfigWarning,
    DriftError,
    Problem,
    UsageError,
)
from imagekit.planning.load import Checked, check_text, derive, select
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan
from imagekit.support.files import is_special, read_if_there, read_text, replace_file
from imagekit.support.workspace import DEFAULT_BUILD_FILE


def load(
    path: str | pathlib.Path, *, base_url: str | None = None, timeout: int | None = None
) -> Config:
    """The config in a YAML or JSON file.

    `base_url` and `timeout` (seconds) stand in for the file's own; "" and 0 are "not given",
    for a notebook's parameters have no None.
    Raises ConfigError with every problem of the whole file, each with its place, and UsageError
    where one of those two is wrong. What only deserves a look is warned of (ConfigWarning).
    """
    checked = check(path, base_url=base_url, timeout=timeout)
    for warning in checked.warnings:
        warnings.warn(str(warning), ConfigWarning, stacklevel=2)
    return checked.config


def check(
    path: str | pathlib.Path, *, base_url: str | None = None, timeout: int | None = None
) -> Checked:
    """Like `load`, with the matrix, the plan and the warnings too."""
    return check_text(_read(path), str(path), base_url=base_url, timeout=timeout)


def matrix(config: Config) -> Matrix:
    """Every combination of a config's axes: built, or not built for a reason."""
    return derive(config).matrix


def plan(config: Config, *, only: str | Sequence[str] = (), skip: str | Sequence[str] = ()) -> Plan:
    """A config's images in build order, parents before children.

    `only` and `skip` are globs on tags and aliases; an image's parents come along.
    Raises ConfigError for a glob that matches nothing.
    """
    return select(derive(config), only, skip)


def render(plan: Plan, config: Config) -> str:
    """A plan as the text of one `cloudbuild.json`, with the options of the config's `cloudbuild`.

    Raises LimitError where it is too large for one build.
    """
    return cloudbuild.render(plan, config.cloudbuild)


def files(
    plan: Plan, config: Config, path: str = DEFAULT_BUILD_FILE, *, target: str = "cloudbuild"
) -> Files:
    """A plan as build files, text by path, for a target: a format of `imagekit.document.targets`.

    The config has the target's options. A plan over Cloud Build's limits becomes several numbered
    files beside `path`, with a manifest of their order. Raises LimitError where Cloud Build would
    refuse what cannot be split.
    """
    return TARGETS[target].files(plan, config, str(path))


def _read(path: str | pathlib.Path) -> bytes:
    if not isinstance(path, str | pathlib.Path):
        raise UsageError(f"{path!r} is not a path; write it in quotes")
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise ConfigError([Problem(message=message)]) from None


def write(document: str | Files, path: str | pathlib.Path, *, check: bool = False) -> Changes:
    """Make a build file hold a text, or a set of build files their texts, and tell what changed.

    A set is what `imagekit.files` gives for `path`; what an earlier set had more is removed.
    With `check`, nothing is written, and DriftError says what is out of date.
    Raises UsageError where a file cannot be read or written.
    """
    target = pathlib.Path(path)
    new = {str(path): document} if isinstance(document, str) else document
    if {str(path), build_files.manifest_path(str(path))}.isdisjoint(new):
        raise UsageError(f"{path}: these build files are for {next(iter(new))}; use that path")
    if target.is_dir():
        raise UsageError(f"{path}: cannot be written: it is a folder")
    if is_special(target) and len(new) > 1:
        message = (
            f"{path}: {len(new) - 1} build files and their manifest need a folder; name a file"
        )
        raise UsageError(message)
    old = _standing(str(path))
    changes = compare_files(_builds(old, str(path)) or None, _builds(new, str(path)))
    changes = _with_files(changes, old, new)
    name = list(new)[-1]
    if check and not old:
        raise DriftError(f"{name} does not exist. Generate it and commit it.")
    if check and old != new:
        told = "\n".join(f"  {line}" for line in changes.lines())
        raise DriftError(
            f"{name} is out of date ({changes.summary()}):\n{told}\n"
            "Generate it again and commit it."
        )
    for name, text in new.items():
        if old.get(name) != text:
            replace_file(pathlib.Path(name), text.encode())
    for name in old.keys() - new.keys():
        pathlib.Path(name).unlink(missing_ok=True)
    return changes


def _with_files(changes: Changes, old: Files, new: Files) -> Changes:
    """The changes, with the files of a set that go, or that differ in nothing of an image."""
    if not old or old == new:
        return changes
    told = [Difference(f"{name} removed") for name in old if name not in new]
    told += [Difference(f"{name} differs") for name in new if old.get(name, new[name]) != new[name]]
    if changes and old.keys() == new.keys():
        return changes
    return msgspec.structs.replace(changes, whole=(*changes.whole, *told))


def _standing(path: str) -> Files:
    """The build file at a path, and the set of files that a manifest beside it names."""
    manifest = build_files.manifest_path(path)
    names = [path, *_listed(manifest)]
    texts = {name: read_if_there(pathlib.Path(name)) for name in names}
    return {name: text for name, text in texts.items() if text is not None}


def _listed(manifest: str) -> list[str]:
    """The files of a set, the manifest last; none where there is no manifest of ours."""
    try:
        names = build_files.listed(json.loads(read_if_there(pathlib.Path(manifest)) or "null"))
    except (ValueError, RecursionError):
        return []
    if names is None:
        return []
    paths = build_files.paths(manifest, names)
    # What else a manifest may name is none of ours to replace or to remove.
    return [*(path for path in paths if build_files.is_part(path, manifest)), manifest]


def _builds(files: Files, path: str) -> list[str]:
    """The texts of build files in their order: those of a manifest, or the only one."""
    manifest = build_files.manifest_path(path)
    if manifest not in files:
        return list(files.values())
    return [text for name, text in files.items() if name not in (manifest, path)]


def read_build(path: str | pathlib.Path) -> str:
    """The text of a build file; of a manifest, that of all its files as one build.

    Raises UsageError where one cannot be read, and where a file is not what its manifest says.
    """
    text = read_text(path)
    parts = parts_of(text, str(path))
    if parts is None:
        return text
    documents = [json.loads(read_text(name)) for name in parts]
    return cloudbuild.text_of(build_files.merge(documents))


def parts_of(text: str, path: str) -> list[str] | None:
    """The paths of the files that a manifest's text names, in order; None of any other text.

    Raises UsageError where one is missing or is not the one that was generated with the others.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    names = build_files.listed(document)
    if names is None:
        return None
    found = build_files.paths(path, names)
    for name, part in zip(names, found, strict=True):
        digest = hashlib.sha256(read_text(part).encode()).hexdigest()
        if digest != build_files.hash_listed(document, name):
            raise UsageError(f"{part} is not the file that {path} names; generate them again")
    return found
