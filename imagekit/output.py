"""Writing a file: compared with what is there, replaced whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import secrets
from collections.abc import Iterator

import msgspec

from imagekit.changes import Changes, Difference, compare_files
from imagekit.errors import DriftError, UsageError
from imagekit.targets import cloudbuild
from imagekit.targets import files as build_files
from imagekit.targets.files import Files


def write(document: str | Files, path: str | pathlib.Path, *, check: bool = False) -> Changes:
    """Make a build file hold a text, or a set of build files their texts, and tell what changed.

    A set is what `imagekit.files` gives for `path`; what an earlier set had more is removed.
    With `check`, nothing is written, and DriftError says what is out of date.
    Raises UsageError where a file cannot be read or written.
    """
    target = pathlib.Path(path)
    new = {str(path): document} if isinstance(document, str) else document
    if {str(path), build_files.manifest_path(str(path))}.isdisjoint(new):
        raise UsageError(f"{path}: these build files were made for {next(iter(new))}; name that")
    if target.is_dir():
        raise UsageError(f"{path}: cannot be written: it is a folder")
    if _is_special(target) and len(new) > 1:
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
            replace(pathlib.Path(name), text.encode())
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
    texts = {name: _read(pathlib.Path(name)) for name in names}
    return {name: text for name, text in texts.items() if text is not None}


def _listed(manifest: str) -> list[str]:
    """The files of a set, the manifest last; none where there is no manifest of ours."""
    try:
        names = build_files.listed(json.loads(_read(pathlib.Path(manifest)) or "null"))
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


def replace(path: pathlib.Path, data: bytes) -> None:
    """Put a whole file in place of another in one step, so that nobody ever sees half of it.

    A link keeps pointing where it points, and the file keeps its mode. What is no file, such as
    /dev/stdout or a pipe, is written to as it is.
    """
    target = pathlib.Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        if _is_special(target):
            target.write_bytes(data)
            return
        mode = target.stat().st_mode & 0o7777 if target.exists() else None
        with _removed_on_failure(temporary), temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            temporary.replace(target)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _is_special(path: pathlib.Path) -> bool:
    return path.exists() and not path.is_file()


@contextlib.contextmanager
def _removed_on_failure(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read(path: str | pathlib.Path) -> str:
    """A file's text. Raises UsageError where it cannot be read."""
    text = _read(pathlib.Path(path))
    if text is None:
        raise UsageError(f"{path}: cannot be read: there is no such file")
    return text


def read_build(path: str | pathlib.Path) -> str:
    """The text of a build file; of a manifest, that of all its files as one build.

    Raises UsageError where one cannot be read, and where a file is not what its manifest says.
    """
    text = read(path)
    parts = parts_of(text, str(path))
    if parts is None:
        return text
    documents = [json.loads(read(name)) for name in parts]
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
        digest = hashlib.sha256(read(part).encode()).hexdigest()
        if digest != build_files.hash_listed(document, name):
            raise UsageError(f"{part} is not the file that {path} names; generate them again")
    return found


def _read(path: pathlib.Path) -> str | None:
    if _is_special(path) and not path.is_dir():
        # Nothing stays in a device or a pipe that a new document could be compared with.
        return None
    try:
        # What is no UTF-8 is no document of ours; it only has to differ.
        return path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
