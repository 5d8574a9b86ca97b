"""The hashes of the files that images are made of."""

from __future__ import annotations

from collections.abc import Mapping, Set

import msgspec

from imagekit.compare.spec import Inventory
from imagekit.docker.context import inside, made_of
from imagekit.support.tree import Tree

Source = tuple[str, str]
"""A Dockerfile, and the build context with which it is built."""


class Files(msgspec.Struct):
    """The hashes of the files that the images of a build are made of."""

    sources: Mapping[str, Source]
    """What each image is built from."""
    made: dict[Source, dict[str, str]]
    """The hashes of a Dockerfile and of the files that it copies."""
    tests: dict[str, str]
    """The hashes of test files."""

    def changed(self, other: Files) -> set[Source | str]:
        """The sources and the test files that are not the same in another tree."""
        sources = {source for source, its in self.made.items() if its != other.made.get(source)}
        names = self.tests | other.tests
        return sources | {n for n in names if self.tests.get(n) != other.tests.get(n)}

    def added_to(self, inventory: Inventory) -> Inventory:
        """An inventory of these images, or of some of them, with the hashes of all."""
        names = {source: tuple(made) for source, made in self.made.items()}
        images = {
            name: msgspec.structs.replace(image, files=names[self.sources[name]])
            for name, image in inventory.images.items()
        }
        hashes = dict(inventory.files)
        for made in self.made.values():
            hashes |= made
        return msgspec.structs.replace(inventory, images=images, files=hashes | self.tests)


def read_files(tree: Tree, sources: Mapping[str, Source], tests: Set[str]) -> Files:
    """The hashes of the files of images, which are built from `sources`, and of test files."""
    paths = {name: inside(name) for name in sorted(tests)}
    hashes = {name: tree.hash(path) for name, path in paths.items() if path is not None}
    return Files(
        sources=sources,
        made={source: made_of(tree, *source) for source in dict.fromkeys(sources.values())},
        tests={name: value for name, value in hashes.items() if value is not None},
    )


def with_files(inventory: Inventory, tree: Tree) -> Inventory:
    """The same inventory with the hashes of source and test files."""
    images = inventory.images
    tests = {name for image in images.values() for name in image.test}
    return read_files(tree, sources_of(inventory), tests).added_to(inventory)


def sources_of(inventory: Inventory) -> dict[str, Source]:
    """What each image of an inventory is built from."""
    return {
        name: (image.dockerfile, image.options.get("context", ".") if image.options else ".")
        for name, image in inventory.images.items()
    }
