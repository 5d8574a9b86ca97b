"""What is known of a build for a comparison: its images and what they are built from."""

from __future__ import annotations

import msgspec


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one image is built from. Image names are short if the repository is known."""

    dockerfile: str
    """The path of the Dockerfile."""
    build_args: dict[str, str] = {}
    """The build args, without the parent."""
    parent: str | None = None
    """The parent image in the same build."""
    aliases: tuple[str, ...] = ()
    """Further tags."""
    test: tuple[str, ...] = ()
    """The test files."""
    options: dict[str, str] | None = None
    """Other options of the build step; None if unknown."""
    files: tuple[str, ...] = ()
    """The Dockerfile and the files that it copies, relative to the root of the build."""


class Inventory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The images of a build and what they are built from."""

    repository: str | None = None
    """The repository of all images; None if there are several, and then names are full."""
    images: dict[str, ImageSpec] = {}
    """The images by name, in build order."""
    options: dict[str, str] | None = None
    """The options of the build; None if unknown."""
    files: dict[str, str] = {}
    """The hash of each known file."""
    order: str | None = None
    """A hash of the steps and their order; None if unknown."""
    unknown: tuple[str, ...] = ()
    """The steps of which is not known what they build; their text is an option."""

    def whole_names(self) -> Inventory:
        """The same with the images' whole names."""
        if self.repository is None:
            return self
        names = {short: f"{self.repository}:{short}" for short in self.images}
        images = {
            names[short]: msgspec.structs.replace(
                image,
                parent=names.get(image.parent or ""),
                aliases=tuple(f"{self.repository}:{alias}" for alias in image.aliases),
            )
            for short, image in self.images.items()
        }
        return msgspec.structs.replace(self, repository=None, images=images)


def with_same_names(before: Inventory, after: Inventory) -> tuple[Inventory, Inventory]:
    """Two inventories with whole names, unless each has one repository."""
    if None in (before.repository, after.repository) and before.images and after.images:
        return before.whole_names(), after.whole_names()
    return before, after
