"""One side of a diff: whatever a person names, as an inventory of images."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import msgspec

from imagekit.compare import inventory
from imagekit.compare.inventory import Inventory, with_files
from imagekit.document import build_files
from imagekit.errors import UnknownRunError, UsageError
from imagekit.planning.load import check_text
from imagekit.runs import history
from imagekit.runs.store import Store
from imagekit.support import git
from imagekit.support.checkout import Folder, Revision
from imagekit.support.tree import Tree


class Side(msgspec.Struct, frozen=True):
    """What was named, and the images that it stands for."""

    name: str
    inventory: Inventory


def read(name: str, store: Store) -> Side:
    """A config, a Cloud Build file, a plan (`imagekit matrix --json`), or a run.

    A file is named by its path, or as `REVISION:PATH` like for git; a run as for
    `History.find`. Dockerfiles and what they copy are looked for beside the file, in the working
    directory or the revision. Raises ConfigError for a config with problems, and UsageError where
    the name stands for none of these.
    """
    here = pathlib.Path.cwd()
    path = pathlib.Path(name)
    # What is no file but can be read, such as a pipe, is as good as one.
    if path.exists() and not path.is_dir() and not _is_record(path):
        return Side(name, _inventory(path.read_bytes(), name, Folder(here)))
    revision, colon, inside = name.partition(":")
    if colon and (data := git.blob(here, name)) is not None:
        return Side(name, _inventory(data, name, Revision(here, revision)))
    if path.is_dir():
        raise UsageError(f"{name} is a folder; name a file in it")
    if colon and revision and "//" not in name and _is_no_revision(here, revision):
        raise UsageError(f"{name}: unknown git revision {revision!r}; see git log")
    return _run(name, store, colon and inside)


def _is_no_revision(here: pathlib.Path, revision: str) -> bool:
    if git.output(here, "rev-parse", "--git-dir") is None:
        return False
    return git.output(here, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None


def other_side(name: str) -> str:
    """What a single named side is compared with: the same file as it is now.

    Raises UsageError where the name says no revision.
    """
    _, colon, inside = name.partition(":")
    # A build that was one file may have become several, and the other way round.
    manifest = build_files.manifest_path(inside)
    for other in (inside, manifest, inside.replace(f"-{build_files.MANIFEST}.", ".")):
        if colon and inside and pathlib.Path(other).is_file():
            return other
    if colon and inside:
        raise UsageError(
            f"{name}: {inside} no longer exists; give a second argument to compare with"
        )
    if not colon or not inside:
        message = (
            f"{name}: give a second argument to compare with; only REVISION:PATH has a default"
        )
        raise UsageError(message)
    return inside


def of_run(found: history.History, name: str) -> Side:
    """What a run generated. Raises UsageError where that is not kept."""
    entry = found.find(name)
    build = found.build(entry)
    if build is None:
        ended = f" ({entry.outcome})" if entry.outcome != "succeeded" else ""
        raise UsageError(f"{entry.run}: its files record no images{ended}")
    return Side(entry.run, build)


def _run(name: str, store: Store, inside: str) -> Side:
    path = pathlib.Path(name)
    if path.is_file():
        store = Store(path.parent)
    found = history.read(store)
    try:
        return of_run(found, path.name if path.is_file() else name)
    except UnknownRunError as error:
        where = "no such file in that git revision" if inside else "no such file"
        raise UsageError(f"{name}: {where}, and {error}") from None


def _is_record(path: pathlib.Path) -> bool:
    return path.suffix == ".ipynb" or bool(history.RECORD.fullmatch(path.name))


def _inventory(data: bytes, name: str, tree: Tree) -> Inventory:
    text = data.decode(errors="replace")
    document = _json(text)
    if isinstance(document, dict) and isinstance(document.get("rows"), list):
        try:
            found: Inventory | None = inventory.of_rows(document)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"{name}: not the output of imagekit matrix --json: {error}") from None
    elif (parts := build_files.listed(document)) is not None:
        found = inventory.read(*_parts(name, parts, tree))
        if found is None:
            raise UsageError(
                f"{name}: one of its files is not a Cloud Build file; generate them again"
            )
    else:
        found = inventory.read(text)
    if found is None:
        found = _of_config(data, name)
    return with_files(found, tree)


def _of_config(data: bytes, name: str) -> Inventory:
    checked = check_text(data, name)
    return inventory.of_plan(checked.plan, checked.config.cloudbuild)


def _parts(name: str, parts: list[str], tree: Tree) -> list[str]:
    """The texts of the files that a manifest names, which stand beside it."""
    path = name if pathlib.Path(name).exists() else name.partition(":")[2]
    found = {part: tree.read(part) for part in build_files.paths(path, parts)}
    for part, data in found.items():
        if data is None:
            raise UsageError(f"{name}: its file {part} is missing; generate them again")
    return [data.decode(errors="replace") for data in found.values() if data is not None]


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.lstrip()[:1] == "{" else None
    except (ValueError, RecursionError):
        return None
