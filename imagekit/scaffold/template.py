"""The files of a new family: shipped Dockerfiles and notebooks, and filled-in templates."""

from __future__ import annotations

import pathlib
import re
from typing import Literal

import msgspec

import imagekit
from imagekit.errors import ConfigError
from imagekit.planning import load
from imagekit.planning.grid import as_markdown, grid
from imagekit.scaffold import generated
from imagekit.support import shipped
from imagekit.support.files import CONFIG, read_bytes
from imagekit.support.workspace import DEFAULT_CONFIG

TEMPLATES = pathlib.Path(__file__).parent / "templates"

Ci = Literal["github", "cloudbuild", "none"]

CI_FILES = {
    "github": {".github/workflows/images.yml": "github.yml"},
    "cloudbuild": {"ci/cloudbuild.yaml": "cloudbuild.yaml"},
    "none": {},
}
"""For each `--ci`, the files and their templates."""

PLAIN = {
    ".gcloudignore": "gcloudignore",
    ".gitattributes": "gitattributes",
    ".gitignore": "gitignore",
    ".pre-commit-config.yaml": "pre-commit-config.yaml",
}

RENAMED = {
    "Makefile": "images.mk",
    "README.md": "IMAGES.md",
    "requirements.txt": "requirements-images.txt",
}
"""Files that many repositories have already, and the names that those of a family then get."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user chose; on record in the family."""

    name: str
    """The name of the family, the title of its README."""
    base_url: str | None = None
    """The repository to push to; None for the template's."""
    ci: Ci = "github"
    """The CI to set up."""
    example: bool = False
    """Whether the config is imagekit's own instead of a small one."""
    renamed: tuple[str, ...] = ()
    """The files of `RENAMED` that have their other name, because the first was taken."""

    def path(self, name: str) -> str:
        """The path of a file of `RENAMED`."""
        return RENAMED[name] if name in self.renamed else name


def files(options: Options) -> dict[str, bytes]:
    """Return the files of a family, by path.

    Raises UsageError if `base_url` is invalid.
    """
    own = shipped.root()
    source = own / DEFAULT_CONFIG if options.example else TEMPLATES / "images.yaml"
    config = read_bytes(source, CONFIG)
    checked = load.check_text(config, DEFAULT_CONFIG, base_url=options.base_url)
    images = checked.plan.images
    dockerfiles = {name for image in images for name in (image.dockerfile, *image.test)}
    written = {name: (own / name).read_bytes() for name in dockerfiles}
    written |= {
        f"notebooks/{path.name}": generated.cleared(path.read_bytes())
        for path in (own / "notebooks").glob("*.ipynb")
    }
    templates = {**PLAIN, **CI_FILES[options.ci]}
    templates |= {options.path(name): name for name in RENAMED}
    written |= {
        path: _filled((TEMPLATES / name).read_text(encoding="utf-8"), options).encode()
        for path, name in templates.items()
    }
    written[DEFAULT_CONFIG] = _with_base_url(config, options.base_url)
    return dict(sorted(written.items()))


def with_table(path: str, text: bytes, config: bytes) -> bytes:
    """Return a README with the table that `imagekit readme` would write for the config.

    Other files stay as they are, and so does everything if the config is invalid.
    """
    try:
        checked = load.check_text(config, DEFAULT_CONFIG)
    except ConfigError:
        return text
    table = as_markdown(grid(checked.matrix, checked.plan, versions=True))
    return generated.with_table(path, text, f"\n{table}\n".encode())


def _filled(text: str, options: Options) -> str:
    makefile = options.path("Makefile")
    values = {
        "@NAME@": options.name,
        "@VERSION@": imagekit.__version__,
        "@README@": options.path("README.md"),
        "@REQUIREMENTS@": options.path("requirements.txt"),
        "@MAKE@": "make" if makefile == "Makefile" else f"make -f {makefile}",
    }
    return re.sub("|".join(values), lambda match: values[match[0]], text)


def _with_base_url(config: bytes, base_url: str | None) -> bytes:
    if base_url is None:
        return config
    # A function, so that no character of the address has a meaning.
    return re.sub(rb"(?m)^base_url: .*$", lambda _: f"base_url: {base_url}".encode(), config)
