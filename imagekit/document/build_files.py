"""The build files of a plan: one file, or several numbered files and a manifest."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from imagekit.config.schema import Config
from imagekit.docker.names import short_names
from imagekit.document import cloudbuild
from imagekit.document.split import path_length, split, step_count
from imagekit.errors import UsageError
from imagekit.planning.plan import Plan

if TYPE_CHECKING:
    from imagekit.document.build_reader import FileBuild, FileStep


class Files(dict[str, str]):
    """The texts of build files, by path."""

    images: tuple[str, ...] = ()
    """The images that they build, if that is known without reading the texts: their names without
    the repository that all have in common."""
    left_out: Mapping[str, str] = {}
    """The images that a selection leaves out: short name to reference."""


MANIFEST = "manifest"
OWN = ("repository", "critical_path", "files")
"""The keys of a manifest."""


def files(plan: Plan, config: Config, path: str) -> Files:
    """The build files of a plan: `{path: text}`, or numbered files next to `path` and a manifest.

    Raises LimitError if the plan cannot be split to fit Cloud Build's limits.
    """
    options = config.cloudbuild
    parts = split(plan, options)
    if len(parts) == 1:
        return _files({path: cloudbuild.render(parts[0], options)}, plan)
    digits = max(2, len(str(len(parts))))
    texts: dict[str, str] = {}
    entries = []
    for number, part in enumerate(parts, start=1):
        name, text = _beside(path, f"{number:0{digits}}"), cloudbuild.render(part, options)
        texts[name] = text
        pulls = list(part.pulled)
        entry = {
            "file": posixpath.basename(name),
            "sha256": digest(text),
            "images": [image.tag for image in part.images],
            "pulls": pulls,
            "steps": len(pulls) + sum([step_count(options, image) for image in part.images]),
        }
        entries.append(entry)
    manifest = {
        "repository": plan.repository,
        "critical_path": path_length(part.images for part in parts),
        "files": entries,
    }
    return _files(texts | {manifest_path(path): cloudbuild.text_of(manifest)}, plan)


def _files(texts: dict[str, str], plan: Plan) -> Files:
    files = Files(texts)
    tags = [image.tag for image in plan.images]
    # A short name with a colon is in a repository of its own.
    is_one = ":" not in "".join(tags)
    files.images = tuple(tags) if is_one else short_names([plan.reference(tag) for tag in tags])
    files.left_out = {name: plan.reference(name) for name in plan.left_out}
    return files


def digest(text: str) -> str:
    """The SHA-256 of a build file, as in a manifest."""
    import hashlib  # Not at the top: a single file has no manifest.

    return hashlib.sha256(text.encode()).hexdigest()


def manifest_path(path: str) -> str:
    """The path of the manifest for the build file at `path`."""
    return _beside(path, MANIFEST)


def _beside(path: str, what: str) -> str:
    stem, suffix = posixpath.splitext(path)
    return f"{stem}-{what}{suffix}"


def paths(manifest: str, names: Iterable[str]) -> list[str]:
    """The paths of files that a manifest lists; they are in the manifest's directory."""
    return [posixpath.join(posixpath.dirname(manifest), name) for name in names]


def is_part(path: str, manifest: str) -> bool:
    """Whether a path has the form of a numbered build file of this manifest."""
    stem, suffix = posixpath.splitext(manifest)
    stem = re.escape(stem.removesuffix(MANIFEST))
    return bool(re.fullmatch(rf"{stem}[0-9]{{2,}}{re.escape(suffix)}", path))


def is_generated(document: Any) -> bool:
    """Whether a document has the form of a generated build file: every step has its own name.

    Files that other programs or people wrote under such a name are not imagekit's to remove.
    """
    steps = document.get("steps") if isinstance(document, Mapping) else None
    if not isinstance(steps, list) or not steps or "timeout" not in document:
        return False
    return all(isinstance(step, Mapping) and {"id", "waitFor"} <= step.keys() for step in steps)


def hash_listed(document: Any, name: str) -> str | None:
    """The SHA-256 of a file in a manifest, which detects mixed sets of files."""
    entries = (e for e in document["files"] if e["file"] == name)
    return next((str(entry.get("sha256")) for entry in entries), None)


def listed(document: Any) -> list[str] | None:
    """The file names that a manifest lists, in order; None if the document is not a manifest."""
    # Others, too, call files "-manifest.json".
    if not isinstance(document, Mapping) or not {*OWN} <= document.keys():
        return None
    entries = document.get("files")
    if not isinstance(entries, list) or not entries:
        return None
    names = [entry.get("file") if isinstance(entry, Mapping) else None for entry in entries]
    # Beside the manifest and nowhere else: what is listed is read, and may be replaced.
    fine = [name for name in names if isinstance(name, str) and _is_name(name)]
    return fine if len(fine) == len(names) else None


def members(document: Any, path: str) -> list[str] | None:
    """The same as `listed`, for a manifest at a path that was asked for.

    Raises UsageError for one that lists what cannot be beside it.
    """
    names = listed(document)
    if names is None and isinstance(document, Mapping) and {*OWN} <= document.keys():
        raise UsageError(f"{path}: not a manifest: it lists no names of files; generate it again")
    return names


def _is_name(text: str) -> bool:
    """Whether a text can be the name of a file beside the manifest."""
    return bool(re.fullmatch(r"[^/\0\ud800-\udfff]{1,255}", text)) and text not in (".", "..")


def _without_pulls(step: FileStep, pulled: Mapping[str, str]) -> FileStep:
    """A step that waits for what it pulls no more; the one in the file stays as it is."""
    if not any(name in pulled for name in step.wait_for):
        return step
    wait_for = [pulled.get(name, name) for name in step.wait_for]
    return msgspec.structs.replace(step, wait_for=wait_for)


def merge(builds: Iterable[FileBuild]) -> FileBuild:
    """Merge build files, in order, into one build without pull steps.

    Options of the whole build are taken from the first file.
    """
    several = list(builds)
    if len(several) == 1:
        return several[0]
    steps = [step for build in several for step in build.steps]
    pulls = {s.id for s in steps if s.args[:1] == ["pull"] and s.id.endswith("-pull")}
    built = {step.id for step in steps} if pulls else set()
    pulled = {name: own for name in pulls if (own := name.removesuffix("-pull")) in built}
    kept: list[FileStep] = []
    starts = []
    for build in several:
        starts.append(len(kept))
        own_steps = (step for step in build.steps if step.id not in pulled)
        kept += (_without_pulls(step, pulled) for step in own_steps) if pulled else own_steps
    return msgspec.structs.replace(
        several[0],
        steps=kept,
        starts=tuple(starts),
        images=[name for build in several for name in build.images],
        # Each has only those that it uses.
        substitutions={k: v for build in several for k, v in build.substitutions.items()},
    )
