"""The public functions of the pipeline: load a config, plan its images, write build files."""

from __future__ import annotations

import errno
import pathlib
import posixpath
import sys
import warnings
from collections.abc import Mapping, Sequence, Set

import msgspec

from imagekit.compare.changes import Changes, Difference, compare_files, new_file
from imagekit.config.schema import Config
from imagekit.docker.names import short_names
from imagekit.document import build_files, cloudbuild
from imagekit.document.build_files import Files
from imagekit.document.targets import TARGETS
from imagekit.errors import (
    ConfigError,
    ConfigWarning,
    DriftError,
    Problem,
    UsageError,
    counted,
)
from imagekit.planning.load import Checked, check_text, derive, select
from imagekit.planning.matrix import Matrix
from imagekit.planning.plan import Plan
from imagekit.support import log
from imagekit.support.files import (
    CONFIG,
    DOCUMENT,
    MB,
    is_special,
    locked,
    read_bytes,
    read_if_there,
    read_text,
    staged,
)
from imagekit.support.json_text import value_of
from imagekit.support.workspace import DEFAULT_BUILD_FILE, DEFAULT_CONFIG


def load(
    path: str | pathlib.Path, *, base_url: str | None = None, timeout: int | None = None
) -> Config:
    """Load a config from a YAML or JSON file.

    `base_url` and `timeout` (seconds) override the values in the file; "" and 0 mean "not set",
    because notebook parameters cannot be None.
    Raises ConfigError with all problems of the file and their places, and UsageError if
    `base_url` or `timeout` is invalid. Emits a ConfigWarning for each suspicious entry.
    """
    checked = check(path, base_url=base_url, timeout=timeout)
    for warning in checked.warnings:
        warnings.warn(str(warning), ConfigWarning, stacklevel=2)
    return checked.config


def check(
    path: str | pathlib.Path, *, base_url: str | None = None, timeout: int | None = None
) -> Checked:
    """Like `load`, but also return the matrix, the plan and the warnings.

    The path "-" is standard input.
    """
    name = STDIN if path == "-" else str(path)
    return check_text(read(path), name, base_url=base_url, timeout=timeout)


STDIN = "<stdin>"
"""The name of standard input in messages."""


def matrix(config: Config) -> Matrix:
    """Every combination of a config's axes: built, or not built with a reason."""
    return derive(config).matrix


def plan(config: Config, *, only: str | Sequence[str] = (), skip: str | Sequence[str] = ()) -> Plan:
    """The images of a config in build order, parents before children.

    `only` and `skip` are globs on tags and aliases; parents of selected images are included.
    Raises ConfigError if a glob matches nothing.
    """
    return select(derive(config), only, skip)


def render(plan: Plan, config: Config) -> str:
    """The text of a single `cloudbuild.json`, with the options in the config's `cloudbuild`.

    Raises LimitError if the plan is too large for one build.
    """
    return cloudbuild.render(plan, config.cloudbuild)


def files(
    plan: Plan, config: Config, path: str = DEFAULT_BUILD_FILE, *, target: str = "cloudbuild"
) -> Files:
    """The build files of a plan, text by path, for a target of `imagekit.document.targets`.

    The target reads its options from the config. A plan over Cloud Build's limits becomes several
    numbered files next to `path`, and a manifest with their order. Raises LimitError if the plan
    cannot be split to fit the limits.
    """
    return TARGETS[target].files(plan, config, str(path))


def read(path: str | pathlib.Path) -> bytes:
    """A config's bytes; "-" is standard input. Raises ConfigError if it cannot be read."""
    if not isinstance(path, str | pathlib.Path):
        raise UsageError(f"{path!r} is not a path; write it in quotes")
    try:
        return stdin() if path == "-" else read_bytes(path, CONFIG)
    except OSError as error:
        hint = "; imagekit init starts a family with one" if str(path) == DEFAULT_CONFIG else ""
        message = f"{path}: cannot be read: {error.strerror}{hint}"
        raise ConfigError([Problem(message=message)]) from None


def stdin() -> bytes:
    """Standard input, up to the size of a build file. Raises OSError if it is larger."""
    log.debug("reading %s", STDIN)
    data = sys.stdin.buffer.read(DOCUMENT + 1)
    if len(data) > DOCUMENT:
        raise OSError(errno.EFBIG, f"larger than {DOCUMENT // MB} MB", STDIN)
    return data


def write(
    document: str | Mapping[str, str],
    path: str | pathlib.Path,
    *,
    check: bool = False,
    replace: bool = False,
) -> Changes:
    """Write a build file, or a set of build files, and return what changed.

    A set is the result of `imagekit.files` for `path`. Files of an earlier set are removed if they
    are as they were written, by the hash in its manifest; others are kept and named in the result.
    With `check`, nothing is written, and DriftError is raised if the files are out of date.
    Raises UsageError if a file cannot be read or written, and, unless `replace` is given, if the
    plan is a selection and the files have images of the config that it leaves out.
    """
    target = pathlib.Path(path)
    new = {str(path): document} if isinstance(document, str) else document
    if {str(path), build_files.manifest_path(str(path))}.isdisjoint(new):
        raise UsageError(f"{path}: these build files are for {next(iter(new))}; use that path")
    _check_target(target, len(new))
    with locked(target.parent):
        return _write(new, str(path), check=check, replace=replace)


def _write(new: Mapping[str, str], path: str, *, check: bool, replace: bool) -> Changes:
    old = _standing(path)
    # A single file leaves alone what is numbered: no manifest says that it was part of a set.
    left_over = _left_over(path, {*old, *new}) if len(new) > 1 else []
    gone = [name for name in old if name not in new]
    foreign = {name for name in gone if not _is_own(name, old, path)}
    if old == new and not left_over:
        return Changes()
    if not check and not replace:
        _check_kept(old, new, path)
    changes = _with_kept(_changes(old, new, path), [*left_over, *foreign])
    name = list(new)[-1]
    if check and not old:
        raise DriftError(f"{name} does not exist. Generate it and commit it.")
    if check:
        lines = "\n".join(f"  {line}" for line in changes.lines())
        raise DriftError(
            f"{name} is out of date ({changes.summary()}):\n{lines}\n"
            "Generate it again and commit it."
        )
    _replace(
        {name: text for name, text in new.items() if old.get(name) != text},
        [name for name in gone if name not in foreign],
        path,
    )
    return changes


def _replace(new: Mapping[str, str], gone: Sequence[str], path: str) -> None:
    """Put new files in their places, and remove others.

    The manifest comes last: until then, the old one lists what is still to be removed, and its
    hashes tell a set that is not complete.
    """
    manifest = build_files.manifest_path(path)
    with staged({pathlib.Path(name): text for name, text in new.items()}) as put:
        for name in sorted(new, key=lambda name: name == manifest):
            if name == manifest:
                _remove(gone, {manifest, path})
            put(pathlib.Path(name))
    _remove(sorted(gone, key=lambda name: name == manifest))


def _remove(names: Sequence[str], kept: Set[str] = frozenset()) -> None:
    for name in names:
        if name not in kept:
            pathlib.Path(name).unlink(missing_ok=True)


def _is_own(name: str, old: Mapping[str, str], path: str) -> bool:
    """Whether a file that is no longer needed is as it was written, so that it can be removed."""
    manifest = build_files.manifest_path(path)
    if name in (manifest, path):
        return True
    listed = build_files.hash_listed(value_of(old[manifest]), posixpath.basename(name))
    return build_files.digest(old[name]) == listed


def _check_target(path: pathlib.Path, number: int) -> None:
    """Raise UsageError if this number of files cannot be written at a path."""
    if path.is_dir():
        raise UsageError(f"{path}: cannot be written: it is a folder")
    if is_special(path) and number > 1:
        raise UsageError(
            f"{path}: {number - 1} build files and their manifest need a folder; name a file"
        )


def _check_kept(old: Mapping[str, str], new: Mapping[str, str], path: str) -> None:
    """Raise UsageError if the old files have images that a selection leaves out."""
    if not old or not isinstance(new, Files) or not new.left_out:
        return
    from imagekit.compare.inventory import reference_names  # Not at the top: it is rarely needed.

    references = reference_names(*_builds(old, path))
    # The short names, too: the repository may be another one, or contain a substitution.
    held = {*references, *short_names(references)}
    lost = [name for name, reference in new.left_out.items() if {name, reference} & held]
    if lost:
        more = f" and {len(lost) - FEW} more" if len(lost) > FEW else ""
        raise UsageError(
            f"{path} has {counted(len(lost), 'image')} that the selection leaves out "
            f"({', '.join(lost[:FEW])}{more}), and writing it would remove them; name another file "
            "with --output, or confirm with --yes"
        )


FEW = 3
"""The number of images that a message names."""


def _changes(old: Mapping[str, str], new: Mapping[str, str], path: str) -> Changes:
    if not old and isinstance(new, Files) and new.images:
        return new_file(new.images)
    changes = compare_files(_builds(old, path) or None, _builds(new, path))
    return _with_files(changes, old, new)


def _with_files(changes: Changes, old: Mapping[str, str], new: Mapping[str, str]) -> Changes:
    """The changes, plus files that are removed and files that differ without a changed image."""
    if not old or old == new:
        return changes
    files = [Difference(f"{name} removed") for name in old if name not in new]
    files += [
        Difference(f"{name} differs") for name in new if old.get(name, new[name]) != new[name]
    ]
    if changes and old.keys() == new.keys():
        return changes
    return msgspec.structs.replace(changes, whole=(*changes.whole, *files))


def _with_kept(changes: Changes, names: list[str]) -> Changes:
    """The changes, with the files that belong to no set and are not certain to be imagekit's."""
    kept = [Difference(f"{name} is not part of the set; remove it") for name in names]
    removed = {str(Difference(f"{name} removed")) for name in names}
    whole = [one for one in changes.whole if str(one) not in removed]
    return msgspec.structs.replace(changes, whole=(*whole, *kept))


def _left_over(path: str, known: Set[str]) -> list[str]:
    """Generated build files that are numbered like those of the set at a path, and not in it."""
    manifest = build_files.manifest_path(path)
    beside = sorted(found.name for found in pathlib.Path(path).parent.glob("*"))
    return [
        name
        for name in build_files.paths(manifest, beside)
        if name not in known
        and build_files.is_part(name, manifest)
        and build_files.is_generated(value_of(read_if_there(pathlib.Path(name))))
    ]


def _standing(path: str) -> dict[str, str]:
    """The build file at a path, and the set of files that a manifest beside it names."""
    manifest = build_files.manifest_path(path)
    names = [path, *_listed(manifest)]
    texts = {name: read_if_there(pathlib.Path(name)) for name in names}
    return {name: text for name, text in texts.items() if text is not None}


def _listed(manifest: str) -> list[str]:
    """The files that a manifest lists, then the manifest; empty if it is not a valid manifest."""
    names = build_files.listed(value_of(read_if_there(pathlib.Path(manifest))))
    if names is None:
        return []
    paths = build_files.paths(manifest, names)
    # What else a manifest may name is none of ours to replace or to remove.
    return [*(path for path in paths if build_files.is_part(path, manifest)), manifest]


def _builds(files: Mapping[str, str], path: str) -> list[str]:
    """The texts of the build files in order, without the manifest."""
    manifest = build_files.manifest_path(path)
    if manifest not in files:
        return list(files.values())
    return [text for name, text in files.items() if name not in (manifest, path)]


def read_build(path: str | pathlib.Path) -> str:
    """The text of a build file; for a manifest, its files merged into one build.

    Raises UsageError if a file cannot be read or does not match its manifest, and BuildFileError
    if a file of a manifest is not a Cloud Build file.
    """
    from imagekit.document import build_reader  # Not at the top: writing does not need it.

    text = read_text(path)
    parts = parts_of(text, str(path))
    if parts is None:
        return text
    builds = [build_reader.read(read_text(name), name) for name in parts]
    return build_reader.write(build_files.merge(builds))


def parts_of(text: str, path: str) -> list[str] | None:
    """The paths of the files that a manifest lists, in order; None if the text is no manifest.

    Raises UsageError if a file is missing or does not match the manifest, or if it is not valid.
    """
    document = value_of(text)
    names = build_files.members(document, path)
    if names is None:
        return None
    files = build_files.paths(path, names)
    for name, part in zip(names, files, strict=True):
        if build_files.digest(read_text(part)) != build_files.hash_listed(document, name):
            raise UsageError(f"{part} is not the file that {path} names; generate them again")
    return files
