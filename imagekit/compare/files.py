"""The hashes of the files that images are made of."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from imagekit.compare.spec import ImageSpec, Inventory
from imagekit.docker.context import inside, made_of
from imagekit.support.tree import Tree

Source = tuple[str, str]
"""A Dockerfile, and the build context with which it is built."""


class Files(msgspec.Struct):
    """The hashes of the files that the images of a build are made of."""

    made: dict[Source, dict[str, str]]
    """Those of a Dockerfile and the files that it copies."""
    tests: dict[str, str]
    """Those of test files."""

    def hashes(self) -> dict[str, str]:
        """All hashes, by file."""
        return {name: one for made in self.made.values() for name, one in made.items()} | self.tests

    def differing(self, other: Files) -> set[Source | str]:
        """What has other files, or another test, as far as files of both builds are known."""
        if not self.hashes() or not other.hashes():
            return set()
        made = {source for source, its in self.made.items() if its != other.made.get(source)}
        names = self.tests | other.tests
        return made | {name for name in names if self.tests.get(name) != other.tests.get(name)}

    def added_to(self, inventory: Inventory) -> Inventory:
        """An inventory of these images, or of some of them, with the hashes of all."""
        names = {source: tuple(made) for source, made in self.made.items()}
        images = {
            name: msgspec.structs.replace(image, files=names[_source(image)])
            for name, image in inventory.images.items()
        }
        hashes = inventory.files | self.hashes()
        return msgspec.structs.replace(inventory, images=images, files=hashes)


def _source(image: ImageSpec) -> Source:
    return image.dockerfile, image.options.get("context", ".") if image.options else "."


def sources(inventory: Inventory) -> dict[Source, None]:
    """The Dockerfiles and build contexts of images, in their order."""
    return dict.fromkeys(map(_source, inventory.images.values()))


def read(tree: Tree, sources: Iterable[Source], tests: Iterable[str]) -> Files:
    """The hashes of Dockerfiles with the files that they copy, and of test files."""
    paths = {name: inside(name) for name in sorted(tests)}
    hashes = {name: tree.hash(path) for name, path in paths.items() if path is not None}
    return Files(
        made={source: made_of(tree, *source) for source in sources},
        tests={name: value for name, value in hashes.items() if value is not None},
    )


def with_files(inventory: Inventory, tree: Tree) -> Inventory:
    """The same inventory with the hashes of source and test files."""
    tests = {name for image in inventory.images.values() for name in image.test}
    return read(tree, sources(inventory), tests).added_to(inventory)
