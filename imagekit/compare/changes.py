"""The differences between two builds, by image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from imagekit.compare.spec import with_same_names
from imagekit.document.cloudbuild import BUILDER
from imagekit.errors import counted, one_line

if TYPE_CHECKING:
    from imagekit.compare.build_file import Pair
    from imagekit.compare.inventory import ImageSpec, Inventory

NOTHING = "(none)"

Texts = str | Sequence[str]
"""The text of a build file, or of several in their order."""

ORDER = "order of the steps, what they wait for, or how they are written"
"""What differs where the images and all else are the same."""

LONG = 80
"""Characters above which a summary does not repeat the values of a difference."""

MANY = 3
"""Images above which a change that they share is told once, and changes that a summary counts."""

DESCRIBING = (
    *("label ", "pushed", "waits for", "cache", "builder", "env"),
    *("timeout", "allowFailure", "allowExitCodes", "--progress", "--quiet", "--load"),
    *("--cache-from", "--cache-to", "--iidfile", "--metadata-file"),
)
"""Beginnings of options that make no other image, or none that could be known."""

ALIAS = "alias "
"""What the name of the difference of an alias begins with."""

USUAL = {"pushed": "yes", "context": ".", "builder": BUILDER}
"""The values of options that are left out where they are these."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One difference between two builds."""

    what: str
    """The name of the field or file that differs."""
    before: str | None = None
    """The old value; None if there was none."""
    after: str | None = None
    """The new value; None if there is none."""
    rebuilds: bool = False
    """Whether it changes the content of the image, not only its names, tests or pushes."""

    def short(self) -> str:
        """The difference in few words."""
        text = str(self)
        if len(text) <= LONG:
            return text
        verb = "changed"
        if None in (self.before, self.after):
            verb = "added" if self.before is None else "removed"
        return f"{self.what} {verb}"

    @property
    def is_alias(self) -> bool:
        """Whether it is that of an alias, which belongs to two images if it moved."""
        return self.what.startswith(ALIAS)

    @property
    def shared(self) -> str | None:
        """How it is told once of many images; None if its values are those of one image."""
        if self.what.endswith(" waits for"):
            return f"{self.what.split()[0]} waits for others"
        return self.what if self.before is None and self.after is None else None

    def excerpt(self) -> Difference:
        """The same with only the part that differs of two long values."""
        old, new = self.before, self.after
        if old is None or new is None or max(len(old), len(new)) <= LONG:
            return self
        pairs = enumerate(zip(old, new, strict=False))
        start = next((index for index, (a, b) in pairs if a != b), min(len(old), len(new)))
        first = max(0, start - LONG // 4)
        return Difference(self.what, _part(old, first), _part(new, first), self.rebuilds)

    def __str__(self) -> str:
        if self.before == self.after:
            return self.what
        values = (NOTHING if value is None else value for value in (self.before, self.after))
        return f"{self.what} {' → '.join(values)}"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """The changes from one build to another; all fields are empty if the builds are the same."""

    added: tuple[str, ...] = ()
    """The added images."""
    removed: tuple[str, ...] = ()
    """The removed images."""
    changed: dict[str, tuple[Difference, ...]] = {}
    """The differences of each changed image."""
    rebuilt: dict[str, str] = {}
    """The unchanged images with an added or changed ancestor, each with the nearest one."""
    whole: tuple[Difference, ...] = ()
    """The differences outside the images."""
    unknown: tuple[str, ...] = ()
    """The steps that have not changed, and of which is not known what they build."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.rebuilt or self.whole)

    def lines(self) -> Iterator[str]:
        """One line per change: + added, - removed, ~ changed, ↻ rebuilt."""
        lines = [*(f"+ {name}" for name in self.added), *(f"- {name}" for name in self.removed)]
        # There may be a hundred thousand, and hardly one that is not printable.
        yield from lines if "".join(lines).isprintable() else map(one_line, lines)
        common = self.common()
        for what, names in common.items():
            yield one_line(f"~ {len(names)} images: {what}")
        for name, differences in self.changed.items():
            own = [str(difference) for difference in differences if difference.shared not in common]
            if own:
                yield one_line(f"~ {name}: {'; '.join(own)}")
        for cause, names in self.consequences().items():
            yield one_line(f"↻ {', '.join(names)}: because {cause} changed")
        yield from (one_line(f"~ {difference.excerpt()}") for difference in self.whole)

    def common(self) -> dict[str, list[str]]:
        """Differences shared by many images, such as a changed file, with these images."""
        images_by_change: dict[str, dict[str, None]] = {}
        for name, differences in self.changed.items():
            for difference in differences:
                if (what := difference.shared) is not None:
                    images_by_change.setdefault(what, {})[name] = None
        return {what: [*names] for what, names in images_by_change.items() if len(names) > MANY}

    def consequences(self) -> dict[str, list[str]]:
        """The rebuilt images by the added or changed image that causes it."""
        names_by_cause: dict[str, list[str]] = {}
        for name, cause in self.rebuilt.items():
            names_by_cause.setdefault(cause, []).append(name)
        return names_by_cause

    def summary(self) -> str:
        """The changes on one line."""
        if not self:
            return "no change"
        whole = [one.short() for one in self.whole if not one.is_alias]
        return ", ".join([*self.counts(), *(whole if len(whole) <= MANY else [self.outside()])])

    def counts(self) -> list[str]:
        """How many images are added, removed, changed and rebuilt, and how many aliases moved.

        What there is none of is left out.
        """
        parts = {
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed,
            "rebuilt": self.rebuilt,
        }
        counts = [f"{len(names)} {kind}" for kind, names in parts.items() if names]
        moved = sum(difference.is_alias for difference in self.whole)
        return [*counts, f"{moved} alias{'es' * (moved > 1)} moved"] if moved else counts

    def outside(self) -> str:
        """How many changes concern no image."""
        number = sum(not difference.is_alias for difference in self.whole)
        return f"{counted(number, 'change')} outside the images"


def written(files: list[str], images: int, changes: Changes) -> str:
    """What writing build files did, on one line; the last of several files is their manifest."""
    verb = "written" if changes else "is up to date"
    several = f" in {len(files) - 1} build files" if len(files) > 1 else ""
    return f"{files[-1]} {verb}: {counted(images, 'image')}{several}; {changes.summary()}"


def compare(
    before: Inventory, after: Inventory, parents: dict[str, str | None] | None = None
) -> Changes:
    """The changes from one build to another; what is unknown for one of them is not compared.

    `parents` are those of all images of `after`, if that has only those that may differ.
    """
    whole = list(_whole_changes(before, after))
    before, after = with_same_names(before, after)
    same_files = before.files == after.files
    changed = {}
    for name, image in after.images.items():
        old = before.images.get(name)
        if old is None or (same_files and old == image):
            continue
        if differences_of_image := tuple(_differences(old, image, before, after)):
            changed[name] = differences_of_image
    added = tuple(name for name in after.images if name not in before.images)
    removed = tuple(name for name in before.images if name not in after.images)
    if moved := _moved(before, after, (*removed, *changed), (*added, *changed)):
        whole += [Difference(what, *images) for what, images in moved.items()]
        left = {n: tuple(d for d in found if d.what not in moved) for n, found in changed.items()}
        changed = {name: found for name, found in left.items() if found}
    others = {name for name in changed if any(d.rebuilds for d in changed[name])} | set(added)
    if parents is None:
        parents = {name: image.parent for name, image in after.images.items()}
    differences = Changes(
        added=added,
        removed=removed,
        changed=changed,
        rebuilt=dict(_consequences(parents, others)),
        whole=tuple(whole),
        unknown=_unknown(before, after),
    )
    known = None not in (before.order, after.order)
    if not differences and known and before.order != after.order:
        # With another change, the order would differ in any case.
        return msgspec.structs.replace(differences, whole=(Difference(ORDER),))
    return differences


def compare_builds(both: Pair) -> Changes:
    """The changes between two build files, of which a comparison of inventories knows less.

    It adds what pushes and tests wait for and, where nothing else differs, the order of the steps.
    """
    from imagekit.compare.build_file import order_of
    from imagekit.compare.following import differences
    from imagekit.compare.steps import steps_of

    changes = compare(both.before, both.after, both.parents)
    old_number, new_number = (str(len(build.starts)) for build in both.builds)
    if old_number != new_number:
        number = Difference("build files", old_number, new_number)
        changes = msgspec.structs.replace(changes, whole=(*changes.whole, number))
    others = list(differences(both))
    if others:
        changed = dict(changes.changed)
        for name, what, old, new in others:
            changed[name] = (*changed.get(name, ()), Difference(what, old, new))
        return msgspec.structs.replace(changes, changed=changed)
    first, last = (steps_of(build, both.known) for build in both.builds)
    is_same = (first.steps, first.named) == (last.steps, last.named)
    if changes or is_same or order_of(first) == order_of(last):
        return changes
    return msgspec.structs.replace(changes, whole=(Difference(ORDER),))


def _unknown(before: Inventory, after: Inventory) -> tuple[str, ...]:
    """The steps with the same text in both, of which is not known what they build."""
    old, new = before.options or {}, after.options or {}
    return tuple(name for name in after.unknown if old.get(name) == new.get(name))


def compare_files(before: Texts | None, after: Texts) -> Changes:
    """The changes between the texts of two Cloud Build files, or of two sets of files.

    `before` is None if there was no file; it may be any text, also one of another generator.
    """
    # Imported here because a new or unchanged file is not read.
    from imagekit.compare.build_file import of_build, pair
    from imagekit.compare.inventory import Known, image_names, read_build
    from imagekit.document.build_reader import FileBuild

    old_texts, new_texts = _listed(before), _listed(after)
    if old_texts == new_texts:
        return Changes()
    if before is None:
        return new_file(image_names(*new_texts))
    known = Known()
    new = read_build(*new_texts, known=known)
    old = read_build(*old_texts, known=known)
    new = FileBuild(steps=[]) if new is None else new
    if old is None:
        what = "the old file was not a Cloud Build file"
        return Changes(added=tuple(of_build(new, known).images), whole=(Difference(what),))
    changes = compare_builds(pair(old, new, known))
    if changes:
        return changes
    return msgspec.structs.replace(changes, whole=(Difference("only the formatting differs"),))


def new_file(images: tuple[str, ...]) -> Changes:
    """The changes to a build of these images from none."""
    return Changes(added=images, whole=(Difference("new file"),))


def _listed(texts: Texts | None) -> list[str]:
    if texts is None:
        return []
    return [texts] if isinstance(texts, str) else list(texts)


def _whole_changes(before: Inventory, after: Inventory) -> Iterator[Difference]:
    names = (before.repository, after.repository)
    if names[0] != names[1] and None not in names and before.images and after.images:
        yield Difference("repository", before.repository, after.repository, rebuilds=True)
    if before.options is not None and after.options is not None:
        yield from _mapping("", before.options, after.options)


def _part(text: str, first: int) -> str:
    before, after = "…" if first else "", "…" if len(text) > first + LONG else ""
    return f"{before}{text[first : first + LONG]}{after}"


def _differences(
    old: ImageSpec, new: ImageSpec, before: Inventory, after: Inventory
) -> Iterator[Difference]:
    if old.dockerfile != new.dockerfile:
        yield Difference("Dockerfile", old.dockerfile, new.dockerfile, rebuilds=True)
    if old.parent != new.parent:
        yield Difference("parent", old.parent, new.parent, rebuilds=True)
    yield from _mapping("", old.build_args, new.build_args, rebuilds=True)
    if before.files and after.files:
        for name in _united(dict.fromkeys(old.files), dict.fromkeys(new.files)):
            yield from _contents(name, before, after, rebuilds=True)
    aliases = [dict.fromkeys(image.aliases, "yes") for image in (old, new)]
    yield from _mapping(ALIAS, *aliases)
    tests = [", ".join(image.test) or None for image in (old, new)]
    if tests[0] != tests[1]:
        yield Difference("test", tests[0], tests[1])
    for name in new.test if old.test == new.test and before.files and after.files else ():
        yield from _contents(name, before, after)
    if old.options is not None and new.options is not None and old.options != new.options:
        options = (_with_usual(image, old.options, new.options) for image in (old, new))
        for difference in _mapping("", *options):
            rebuilds = not difference.what.startswith(DESCRIBING)
            yield msgspec.structs.replace(difference, rebuilds=rebuilds)


def _moved(
    before: Inventory, after: Inventory, lost: Sequence[str], gained: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """The aliases that are another image's now, as differences, with that image before and after.

    `lost` and `gained` are the images that may have lost or gained one.
    """
    had = {alias: name for name in lost for alias in before.images[name].aliases}
    has = {alias: name for name in gained for alias in after.images[name].aliases}
    return {
        f"{ALIAS}{alias}": (had[alias], name)
        for alias, name in has.items()
        if had.get(alias, name) != name
    }


def _with_usual(
    image: ImageSpec, old: Mapping[str, str], new: Mapping[str, str]
) -> Mapping[str, str]:
    """The options of an image, with the usual value of those that only the other one has."""
    usual = USUAL | {"waits for": image.parent or "-"}
    both = {name: usual[name] for name in _united(old, new) if name in usual}
    return both | (image.options or {})


def _contents(
    name: str, before: Inventory, after: Inventory, *, rebuilds: bool = False
) -> Iterator[Difference]:
    """The difference if the content of a file has changed."""
    old, new = before.files.get(name), after.files.get(name)
    if old != new:
        verb = "added" if old is None else "removed" if new is None else "changed"
        yield Difference(f"{name} {verb}", rebuilds=rebuilds)


def _mapping(
    prefix: str, old: Mapping[str, str], new: Mapping[str, str], *, rebuilds: bool = False
) -> Iterator[Difference]:
    for name in _united(old, new):
        if old.get(name) != new.get(name):
            yield Difference(f"{prefix}{name}", old.get(name), new.get(name), rebuilds)


def _united(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    return [*old, *(name for name in new if name not in old)]


def _consequences(parents: dict[str, str | None], others: set[str]) -> Iterator[tuple[str, str]]:
    """Images with the nearest image below them that is another one; those themselves are none."""
    nearest: dict[str | None, str | None] = {None: None}
    for name, own in parents.items():
        parent, above = own, [name]
        # Parents come first, unless other generators had another order.
        while parent not in others and parent not in nearest and parent in parents:
            nearest[parent] = None  # Images that stand on each other end here.
            above.append(parent)
            parent = parents[parent]
        cause = parent if parent in others else nearest.get(parent)
        for one in above:
            nearest[one] = cause
        if cause is not None and name not in others:
            yield name, cause
