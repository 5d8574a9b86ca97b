"""Resolve an argument of `diff` to an inventory."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

import msgspec

from imagekit import api
from imagekit.compare import inventory
from imagekit.compare.build_file import files_of, of_build, order_of, pair
from imagekit.compare.changes import Changes, compare, compare_builds
from imagekit.compare.files import sources_of, with_files
from imagekit.compare.inventory import Inventory, Known
from imagekit.compare.steps import steps_of
from imagekit.document import build_files, build_reader, quick_reader
from imagekit.document.build_reader import FileBuild
from imagekit.errors import UnknownRunError, UsageError
from imagekit.planning.load import check_text
from imagekit.runs.record import RECORD
from imagekit.runs.store import Store
from imagekit.support import git, log, workspace
from imagekit.support.checkout import Folder, Revision
from imagekit.support.files import read_bytes
from imagekit.support.json_text import value_of
from imagekit.support.tree import Tree

if TYPE_CHECKING:
    from imagekit.runs import history


WORKING_TREE = "."
"""Stands for the files of the working directory; no revision of git is called so."""


class Side(msgspec.Struct, frozen=True):
    """One side of a diff."""

    name: str
    """Its name for display."""
    build: FileBuild | Inventory
    """The build file, or what is known of one that is not there."""
    known: Known = msgspec.field(default_factory=Known)
    """What was read of that and the other side."""
    revision: str | None = None
    """The git revision that has the files of which the images are made; None if the inventory has
    what is known of them."""

    def changes_to(self, after: Side) -> Changes:
        """The changes from this side to another."""
        old, new, known = self.build, after.build, self.known
        if not isinstance(old, FileBuild) or not isinstance(new, FileBuild):
            changes = compare(self.with_files(), after.with_files())
            return changes or compare(self.with_order(), after.with_order())
        if self.revision == after.revision:
            both = pair(old, new, known)
            # In one tree, the same sources are the same files.
            if {*sources_of(both.before).values()} == {*sources_of(both.after).values()}:
                return compare_builds(both)
        files = files_of(old, known, self.tree()), files_of(new, known, after.tree())
        return compare_builds(pair(old, new, known, files))

    def inventory(self) -> Inventory:
        """Its images, by the names that changes have."""
        if isinstance(self.build, Inventory):
            return self.build
        return of_build(self.build, self.known)

    def tree(self) -> Tree:
        """Where the files are of which the images are made."""
        here = pathlib.Path.cwd()
        if self.revision is None or self.revision == WORKING_TREE:
            return Folder(here)
        return Revision(here, self.revision)

    def with_files(self) -> Inventory:
        """Its images with the hashes of the files that they are made of."""
        found = self.inventory()
        return found if self.revision is None else with_files(found, self.tree())

    def with_order(self) -> Inventory:
        """Its images with the order of the steps, by which builds may differ in nothing else."""
        if isinstance(self.build, Inventory):
            return self.build
        order = order_of(steps_of(self.build, self.known))
        return msgspec.structs.replace(self.inventory(), order=order)


def read(name: str, store: Store, known: Known) -> Side:
    """Read a config, a Cloud Build file, the output of `imagekit matrix --json`, or a run.

    `name` is a path, "-" for standard input, `REVISION:PATH` as for git, or the name of a run as
    for `History.find`. A build file that was split in that revision is found by its manifest, and
    the other way round.
    `known` is kept from one side to the other, as they have most steps in common.
    Raises ConfigError for an invalid config, and UsageError if the name is none of these.
    """
    here = pathlib.Path.cwd()
    log.debug("reading %s", name)
    if name == "-":
        return _side(api.stdin(), api.STDIN, known)
    path = pathlib.Path(name)
    # A pipe or a device can be read, too.
    if path.exists() and not path.is_dir() and not _is_record(path):
        return _side(_bytes(path), name, known)
    revision, colon, inside = name.partition(":")
    for other in _same_build(name) if colon else ():
        if (data := git.blob(here, other)) is not None:
            return _side(data, other, known, revision)
    if path.is_dir():
        raise UsageError(f"{name} is a folder; name a file in it")
    if colon and revision and "//" not in name and _is_unknown_revision(here, revision):
        raise UsageError(f"{name}: unknown git revision {revision!r}; see git log")
    return _run(name, store, colon and inside)


def _bytes(path: pathlib.Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def at_head(config: str) -> str:
    """The name of a config in the last commit, for `read`.

    Raises UsageError if it is not a file of a git repository.
    """
    here = pathlib.Path.cwd()
    if config == "-":
        raise UsageError("standard input has no last commit; name what to compare it with")
    inside = pathlib.Path(os.path.relpath(config)).as_posix()
    # git looks for a path that begins with a dot from the working directory.
    name = f"HEAD:{inside if _is_top(here) else f'./{inside}'}"
    if not _is_revision(here, "HEAD"):
        raise UsageError("there is no git commit here to compare with; name two files")
    if git.blob(here, name) is None:
        raise UsageError(f"{config} is not part of the last commit; name two files to compare")
    return name


def _is_top(here: pathlib.Path) -> bool:
    """Whether a folder is the top of its git repository."""
    return git.output(here, "rev-parse", "--show-prefix") == ""


def _is_unknown_revision(here: pathlib.Path, revision: str) -> bool:
    if git.output(here, "rev-parse", "--git-dir") is None:
        return False
    return not _is_revision(here, revision)


def _is_revision(here: pathlib.Path, name: str) -> bool:
    is_option, commit = name.startswith("-"), f"{name}^{{commit}}"
    return not is_option and git.output(here, "rev-parse", "-q", "--verify", commit) is not None


def other_side(name: str) -> str:
    """The default second argument of `diff`: the current version of a file in a revision.

    Raises UsageError if the first argument is not a file in a revision, or no longer exists.
    """
    _, colon, inside = name.partition(":")
    for other in _same_build(inside):
        if colon and inside and pathlib.Path(other).is_file():
            return other
    if colon and inside:
        raise UsageError(
            f"{name}: there is no {inside} here; run it in the top folder of the repository, "
            "or give a second argument to compare with"
        )
    if not colon or not inside:
        message = (
            f"{name}: give a second argument to compare with; only REVISION:PATH has a default"
        )
        raise UsageError(message)
    return inside


def _same_build(path: str) -> tuple[str, str, str]:
    """A path, and those that it may have had: there may have been one build file, or several."""
    single = path.replace(f"-{build_files.MANIFEST}.", ".")
    return path, build_files.manifest_path(path), single


def of_run(runs: history.History, name: str) -> Side:
    """The images that a run generated. Raises UsageError if they are not recorded."""
    entry = runs.find(name)
    images = runs.build(entry)
    if images is None:
        ended = f" ({entry.outcome})" if entry.outcome != "succeeded" else ""
        raise UsageError(f"{entry.run}: its files record no images{ended}")
    return Side(entry.run, images)


def _run(name: str, store: Store, inside: str) -> Side:
    path = pathlib.Path(name)
    if path.is_file():
        store = Store(path.parent)
    from imagekit.runs import history  # Not at the top: few diffs compare runs.

    runs = history.read(store)
    try:
        return of_run(runs, path.name if path.is_file() else name)
    except UnknownRunError as error:
        revision = name.removesuffix(":")
        if not inside and _is_revision(pathlib.Path.cwd(), revision):
            file = f"{revision}:{workspace.DEFAULT_CONFIG}"
            raise UsageError(f"{name} is a git revision; name a file in it, as {file}") from None
        if inside and not git.installed():
            raise UsageError(f"{name}: program 'git' not found; install git") from None
        where = "no such file in that git revision" if inside else "no such file"
        raise UsageError(f"{name}: {where}, and {error}") from None


def _is_record(path: pathlib.Path) -> bool:
    return path.suffix == ".ipynb" or bool(RECORD.fullmatch(path.name))


def _side(data: bytes, name: str, known: Known, revision: str = WORKING_TREE) -> Side:
    is_json = data.lstrip()[:1] == b"{"
    # What imagekit has written is read quickly, and it is nothing else.
    build = quick_reader.read_quickly(data, known.files) if is_json else None
    if build is None:
        # Replaced, two bytes that are not UTF-8 would be the same; no reader accepts them so.
        text = data.decode(errors="surrogateescape")
        document = value_of(text) if is_json else None
        if isinstance(document, dict) and isinstance(document.get("rows"), list):
            return Side(name, _of_rows(document, name), revision=revision)
        if (parts := build_files.members(document, name)) is not None:
            build = inventory.read_build(*_parts(name, parts), known=known)
            if build is None:
                raise UsageError(
                    f"{name}: one of its files is not a Cloud Build file; generate them again"
                )
        else:
            build = build_reader.read_leniently(text)
    if build is None:
        build = _of_config(data, name, known)
    return Side(name, build, known, revision)


def _of_rows(document: dict[str, Any], name: str) -> Inventory:
    try:
        return inventory.of_rows(document)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{name}: not the output of imagekit matrix --json: {error}") from None


def _of_config(data: bytes, name: str, known: Known) -> FileBuild:
    checked = check_text(data, name)
    return inventory.plan_build(checked.plan, checked.config.cloudbuild, known)


def _parts(name: str, parts: list[str]) -> list[str]:
    """The texts of the files that a manifest lists, which are in the same folder."""
    revision, colon, inside = name.partition(":")
    is_revision = colon and not pathlib.Path(name).exists()
    texts = []
    for part in build_files.paths(inside if is_revision else name, parts):
        if is_revision:
            data = git.blob(pathlib.Path.cwd(), f"{revision}:{part}")
        else:
            data = _bytes(pathlib.Path(part)) if pathlib.Path(part).is_file() else None
        if data is None:
            raise UsageError(f"{name}: its file {part} is missing; generate them again")
        texts.append(data.decode(errors="surrogateescape"))
    return texts
