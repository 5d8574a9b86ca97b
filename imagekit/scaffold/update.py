"""Update the files of a family after an upgrade of imagekit: `imagekit init --update`."""

from __future__ import annotations

import pathlib

import msgspec
from packaging.version import InvalidVersion, Version

import imagekit
from imagekit.errors import UsageError
from imagekit.scaffold import changes, generated, record, template
from imagekit.scaffold.changes import Change
from imagekit.scaffold.start import Family
from imagekit.scaffold.template import Ci
from imagekit.support import git
from imagekit.support.workspace import DEFAULT_CONFIG, FAMILY_RECORD

ONCE = (DEFAULT_CONFIG,)
"""Files that are the user's from the start: a new version never changes which images are built."""


def update(root: pathlib.Path, *, ci: Ci | None = None) -> tuple[Family, str]:
    """Plan the update of the family in `root` to this version; return it and the version before.

    `ci` changes that option. Raises UsageError if there is no family or a newer version wrote it.
    """
    before = record.read(root)
    if before is None:
        raise UsageError(f"{root}: no {FAMILY_RECORD} is here; start a family with imagekit init")
    _refuse_older(before.imagekit)
    options = before.options if ci is None else msgspec.structs.replace(before.options, ci=ci)
    new = template.files(options)
    decided, written = [], {}
    for path in sorted(before.files.keys() | new.keys()):
        old, mine = before.text(path), changes.present(root, path)
        change = _once(path, new) if path in ONCE else _decide(path, old, mine, new.get(path))
        decided.append(change)
        base = _base(change, old, mine, new.get(path))
        if base is not None:
            written[path] = base
    changes.check_places(root, [*(c.written for c in decided if c.written), FAMILY_RECORD])
    family = Family(root, options, tuple(decided), record.encoded(options, written, before))
    return family, before.imagekit


def _refuse_older(version: str) -> None:
    try:
        newer = Version(version) > Version(imagekit.__version__)
    except InvalidVersion:
        newer = False
    if newer:
        raise UsageError(
            f"imagekit {version} wrote this family, and this is {imagekit.__version__}; "
            f"run pip install 'imagekit>={version}'"
        )


def _once(path: str, new: dict[str, bytes]) -> Change:
    return Change(path=path, action="keep", after=new[path])


def _decide(path: str, old: bytes | None, mine: bytes | None, new: bytes | None) -> Change:
    """What happens to a file, from its text as written before, as it is now, and the new one."""
    if mine is None:
        gone = Change(
            path=path, action="keep", why="you removed it" if new not in (old, None) else ""
        )
        return Change(path=path, action="add", after=new) if old is None else gone
    own = generated.without(path, mine)
    if new is None:
        changed = Change(path=path, action="keep", why="imagekit has it no more; you changed it")
        return Change(path=path, action="remove", before=mine) if own == old else changed
    if new in (own, old):
        return Change(path=path, action="keep")
    if old is None:
        return Change(path=path, action="keep", why="was there before")
    if own == old:
        return Change(
            path=path, action="replace", before=mine, after=generated.restored(path, new, mine)
        )
    return _merged(path, own, old, mine, new)


def _merged(path: str, own: bytes, old: bytes, mine: bytes, new: bytes) -> Change:
    """The user's changes and the new version's. `own` is `mine` without what commands add."""
    label = f"imagekit {imagekit.__version__}"
    merged = git.merge(own, old, new, ("yours", "before", label))
    if merged is None:
        if git.installed():
            return _beside(path, new, "it cannot be merged")
        beside = _beside(path, new, "git, which would merge it, is not installed")
        return msgspec.structs.replace(beside, again=True)
    text, conflicts = merged
    if path.endswith(".ipynb") and (conflicts or not generated.is_notebook(text)):
        # Marks of a conflict would make it unreadable.
        return _beside(path, new, "your changes and the new ones are to the same lines")
    after = generated.restored(path, text, mine)
    if conflicts:
        why = f"{conflicts} conflict{'s' if conflicts > 1 else ''}, marked with <<<<<<< and >>>>>>>"
        return Change(path=path, action="conflict", why=why, before=mine, after=after)
    return Change(path=path, action="merge", why="merged with yours", before=mine, after=after)


def _beside(path: str, new: bytes, reason: str) -> Change:
    target = f"{path}.imagekit-{imagekit.__version__}"
    why = f"{reason}; the new text is in {target}"
    return Change(path=path, action="beside", why=why, after=new, target=target)


def _base(change: Change, old: bytes | None, mine: bytes | None, new: bytes | None) -> bytes | None:
    """The text that the next update takes for the one that was written; None for none.

    A file of the user's own is none of ours. One whose merge failed for want of git keeps the
    text of before, so that another update can merge it.
    """
    if old is None and mine is not None and mine != new:
        return None
    return old if change.again else new
