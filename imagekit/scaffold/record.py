"""The record of what `imagekit init` wrote: `.imagekit.json` at the root of a family.

It has the text of each file as it was written, packed, because an update merges three texts: the
one that was written, the user's, and the new one. git's history has the first only if it was
committed before the user changed it, and never after a merge.
"""

from __future__ import annotations

import base64
import pathlib
import zlib

import msgspec

import imagekit
from imagekit.docker.context import inside
from imagekit.errors import UsageError
from imagekit.scaffold.template import Options
from imagekit.support.files import CONFIG, RECORD, read_bytes
from imagekit.support.json_text import decode
from imagekit.support.workspace import FAMILY_RECORD


class Record(msgspec.Struct, frozen=True):
    """The version of imagekit that wrote a family, with which options, and what."""

    imagekit: str
    """The version."""
    options: Options
    """The options."""
    files: dict[str, str]
    """The text of each file as it was written, packed with zlib and base64."""

    def text(self, path: str) -> bytes | None:
        """The text that was written at a path; None if none was.

        Raises UsageError if it is damaged.
        """
        if path not in self.files:
            return None
        try:
            packed = base64.b64decode(self.files[path], validate=True)
            # A few bytes may unpack to gigabytes.
            unpacking = zlib.decompressobj()
            text = unpacking.decompress(packed, CONFIG)
            if not unpacking.eof:
                raise ValueError("more than a file of a family may have")
            return text
        except (ValueError, zlib.error):
            message = f"the text of {path} is damaged; take the file from an earlier commit"
            raise UsageError(f"{FAMILY_RECORD}: {message}") from None


def read(root: pathlib.Path) -> Record | None:
    """Return the record of the family at `root`; None if there is none.

    Raises UsageError if it is not a record.
    """
    path = root / FAMILY_RECORD
    try:
        found = decode(read_bytes(path, RECORD), Record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"{path}: cannot be read: {reason}; take the file from an earlier commit"
        raise UsageError(message) from None
    if outside := [name for name in found.files if inside(name) != name]:
        raise UsageError(f"{path}: {outside[0]!r} is not a path in the family; restore the file")
    return found


def encoded(options: Options, written: dict[str, bytes], before: Record | None) -> bytes:
    """Return the record's bytes after these texts were written.

    The packed text of `before` is kept where the text is the same: the packing may differ from
    machine to machine.
    """
    kept = {} if before is None else before.files
    files = {
        path: kept[path] if before is not None and before.text(path) == text else _packed(text)
        for path, text in sorted(written.items())
    }
    record = Record(imagekit.__version__, options, files)
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text, 9)).decode()
