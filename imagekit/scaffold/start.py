"""Start a family of images in a folder: `imagekit init`."""

from __future__ import annotations

import os
import pathlib

import msgspec

from imagekit.errors import UsageError
from imagekit.scaffold import changes, generated, record, template
from imagekit.scaffold.changes import Change
from imagekit.scaffold.template import RENAMED, Options
from imagekit.support.workspace import DEFAULT_CONFIG, FAMILY_RECORD

HINTS = {
    ".gitignore": "add /.venv/ and /runs/ to it",
    ".gitattributes": "add *.ipynb filter=imagekit to it",
}
"""What a family needs of files that are kept."""


class Family(msgspec.Struct, frozen=True):
    """The files of a family as they will be, before anything is written."""

    root: pathlib.Path
    """The folder of the family."""
    options: Options
    """Its options."""
    changes: tuple[Change, ...]
    """What happens to each file."""
    record: bytes
    """The new `.imagekit.json`."""

    def write(self) -> None:
        """Write the files and the record: all, or none if one fails. Raises UsageError then."""
        texts = {change.written: change.after for change in self.changes if change.written}
        changes.write(self.root, {**texts, FAMILY_RECORD: self.record})


def start(root: pathlib.Path, options: Options, *, force: bool = False) -> Family:
    """Plan the files of a new family in `root`, which may exist and have files.

    A file that exists is kept, or with `force` replaced. Raises UsageError if a family is there
    already, or a file cannot be written.
    """
    found = record.read(root)
    if found is not None and not force:
        raise UsageError(
            f"{root / FAMILY_RECORD}: imagekit {found.imagekit} has started a family here; run "
            "imagekit init --update to update it, or add --force to replace its files"
        )
    if found is not None:
        # The files of the first names are the user's own.
        taken = found.options.renamed
    else:
        taken = tuple(name for name in RENAMED if not force and os.path.lexists(root / name))
    options = msgspec.structs.replace(options, renamed=taken)
    texts = template.files(options)
    own = None if force else changes.present(root, DEFAULT_CONFIG)
    readme = options.path("README.md")
    table = template.with_table(readme, texts[readme], own or texts[DEFAULT_CONFIG])
    decided = [
        _new(path, text, changes.present(root, path), force)
        for path, text in {**texts, readme: table}.items()
    ]
    changes.check_places(root, [*(c.written for c in decided if c.written), FAMILY_RECORD])
    written = {path: text for path, text in texts.items() if _is_ours(path, text, decided)}
    return Family(root, options, tuple(decided), record.encoded(options, written, None))


def _new(path: str, text: bytes, before: bytes | None, force: bool) -> Change:
    if before is None:
        return Change(path=path, action="add", after=text)
    if before == text:
        return Change(path=path, action="keep", before=before, after=text)
    if force:
        return Change(path=path, action="replace", before=before, after=text)
    hint = f"; {HINTS[path]}" if path in HINTS else ""
    return Change(path=path, action="keep", why=f"was there before{hint}", before=before)


def _is_ours(path: str, text: bytes, decided: list[Change]) -> bool:
    """Whether a file has the text of the template, and is not the user's own of the same name."""
    after = next(change.after for change in decided if change.path == path)
    return after is not None and generated.without(path, after) == generated.without(path, text)
