"""Select the changes of some images, by globs on their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from imagekit.compare.changes import Changes
from imagekit.compare.spec import Inventory, with_same_names
from imagekit.errors import ConfigError, Problem, did_you_mean
from imagekit.planning.select import Globs


def selected(
    changes: Changes,
    before: Inventory,
    after: Inventory,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> Changes:
    """The changes of the images that match `only` and not `skip`, and of their parents.

    The globs are matched with the names and aliases of the images on both sides, as the matrix
    shows them or with more of their repository. Changes that concern no image are kept. Raises
    ConfigError if a glob matches no image of either side.
    """
    before, after = with_same_names(before, after)
    names: dict[str, list[str]] = {}
    for name, own in (*_names(before), *_names(after)):
        names.setdefault(name, []).extend(own)
    included, skipped = Globs(only), Globs(skip)
    wanted = {name for name, own in names.items() if included.match(own)} if only else {*names}
    wanted -= {name for name, own in names.items() if skipped.match(own)}
    unused = [
        (option, glob)
        for option, globs in (("only", included), ("skip", skipped))
        for glob in globs.unused()
    ]
    if unused:
        every = dict.fromkeys(one for own in names.values() for one in own)
        raise ConfigError(
            Problem(message=f"--{option}: {glob!r} matches no image{did_you_mean(glob, every)}")
            for option, glob in unused
        )
    # Parents are built with their images, so a selection has them, too.
    kept = {name for side in (before, after) for name in _with_parents(side, wanted)}
    return msgspec.structs.replace(
        changes,
        added=tuple(name for name in changes.added if name in kept),
        removed=tuple(name for name in changes.removed if name in kept),
        changed={name: what for name, what in changes.changed.items() if name in kept},
        rebuilt={name: cause for name, cause in changes.rebuilt.items() if name in kept},
    )


def _names(side: Inventory) -> Iterator[tuple[str, list[str]]]:
    """The name of each image, as changes have it, with all that a glob may match.

    That is each end of its whole names: a build file does not tell which part of `r/torch:1` is the
    repository of all images, without which the matrix shows it.
    """
    before = "" if side.repository is None else f"{side.repository}:"
    for name, image in side.images.items():
        yield name, [end for own in (name, *image.aliases) for end in _ends(before + own)]


def _ends(name: str) -> Iterator[str]:
    """`h/r/torch:1`, `r/torch:1`, `torch:1` and `1`."""
    path, colon, tag = name.rpartition(":")
    parts = path.split("/")
    yield from (f"{'/'.join(parts[n:])}{colon}{tag}" for n in range(len(parts)))
    yield tag


def _with_parents(side: Inventory, names: set[str]) -> Iterator[str]:
    seen = set[str]()
    for start in names:
        name: str | None = start
        while name in side.images and name not in seen:
            seen.add(name)
            yield name
            name = side.images[name].parent
