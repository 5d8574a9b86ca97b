"""What the engine and the registry know of images, asked through the Docker client."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from imagekit.build.engine import ask, reason
from imagekit.errors import EngineError
from imagekit.support.json_text import decode

Answer = TypeVar("Answer")

ABSENT = ("no such manifest", "manifest unknown", "name unknown")
"""What Docker says of an image that a registry does not have."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image on the engine."""

    id: str
    """Its id: the digest of its configuration."""
    size: int
    """Its size in bytes, with the layers of its base."""
    layers: int
    """The number of its layers, with those of its base."""
    created: str
    """When it was created, ISO 8601 in UTC."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer of an image on the engine, or an instruction that made none."""

    created: str
    """When it was created, ISO 8601."""
    size: int
    """Its size in bytes; 0 if the instruction only changed the configuration."""
    instruction: str
    """The instruction of the Dockerfile that made it."""


class _Config(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = msgspec.field(default=None, name="Labels")


class _RootFS(msgspec.Struct, frozen=True):
    layers: list[str] | None = msgspec.field(default=None, name="Layers")


class About(msgspec.Struct, frozen=True, rename="pascal"):
    """What `docker image inspect` says of an image."""

    id: str = ""
    """Its id: the digest of its configuration."""
    size: int = 0
    """Its size in bytes."""
    created: str = ""
    """When it was created, ISO 8601 in UTC."""
    repo_tags: list[str] | None = None
    """Its names."""
    config: _Config = _Config()
    """Its configuration."""
    root: _RootFS = msgspec.field(default=_RootFS(), name="RootFS")
    """Its layers."""


class _History(msgspec.Struct, frozen=True, rename="pascal"):
    created_at: str
    size: str
    created_by: str


class _Part(msgspec.Struct, frozen=True):
    size: int


class _Parts(msgspec.Struct, frozen=True):
    layers: list[_Part] = []


class _Descriptor(msgspec.Struct, frozen=True):
    digest: str


class _Verbose(msgspec.Struct, frozen=True, rename="pascal"):
    descriptor: _Descriptor
    docker: _Parts | None = msgspec.field(default=None, name="SchemaV2Manifest")
    oci: _Parts | None = msgspec.field(default=None, name="OCIManifest")


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a registry."""

    digest: str
    """The digest that it is pulled by."""
    size: int
    """The size of its compressed layers in bytes: what `docker pull` transfers."""
    layers: int
    """The number of its layers."""


def on_engine(docker: str, names: Sequence[str]) -> dict[str, Image]:
    """The images that exist on the engine, by name. Raises EngineError if it does not answer."""
    if not names:
        return {}
    result = ask(docker, "image", "inspect", *names)
    # docker exits with 1 if an image is missing, but still prints the others.
    if not result.stdout.strip() or (result.returncode and "No such image" not in result.stderr):
        raise EngineError(f"{docker} image inspect: {reason(result)}")
    images: dict[str, Image] = {}
    for about in inspected(docker, result.stdout):
        image = Image(
            id=about.id,
            size=about.size,
            layers=len(about.root.layers or ()),
            created=about.created,
        )
        images |= dict.fromkeys(about.repo_tags or (), image)
    return {name: images[name] for name in names if name in images}


def inspected(docker: str, text: str) -> list[About]:
    """What `docker image inspect` printed. Raises EngineError if it is something else."""
    return _answer(docker, "image inspect", text or "[]", list[About])


def _answer(docker: str, command: str, text: str, type_: type[Answer]) -> Answer:
    try:
        return decode(text, type_)
    except ValueError as error:
        raise EngineError(f"{docker} {command}: unexpected answer: {error}") from None


def layers(docker: str, name: str) -> list[Layer]:
    """The layers of an image on the engine, the base's first. Raises EngineError without one."""
    form = ("--no-trunc", "--human=false", "--format", "{{json .}}")
    result = ask(docker, "history", *form, name)
    if result.returncode:
        raise EngineError(f"{docker} history {name}: {reason(result)}")
    lines = result.stdout.splitlines()
    found = [_answer(docker, "history", line, _History) for line in lines]
    return [
        Layer(
            created=about.created_at,
            size=int(about.size) if about.size.isdecimal() and len(about.size) < 19 else 0,
            instruction=" ".join(about.created_by.removesuffix("# buildkit").split()),
        )
        for about in reversed(found)
    ]


def in_registry(docker: str, names: Iterable[str]) -> dict[str, Manifest]:
    """The images that exist in their registry, by name."""
    found: dict[str, Manifest] = {}
    for name in names:
        # Docker itself allows HTTP for a registry on this machine.
        insecure = ("--insecure",) if _is_local(name) else ()
        result = ask(docker, "manifest", "inspect", "--verbose", *insecure, name)
        if result.returncode == 0:
            text = result.stdout
            # Of an image for several platforms, there is one for each.
            text = text if text.lstrip().startswith("[") else f"[{text}]"
            several = _answer(docker, "manifest inspect", text, list[_Verbose])
            if several:
                found[name] = _manifest(several[0])
        elif not any(words in result.stderr for words in ABSENT):
            raise EngineError(f"{docker} manifest inspect {name}: {reason(result)}")
    return found


def _manifest(about: _Verbose) -> Manifest:
    parts = (about.docker or about.oci or _Parts()).layers
    return Manifest(
        digest=about.descriptor.digest,
        size=sum(part.size for part in parts),
        layers=len(parts),
    )


def _is_local(name: str) -> bool:
    host = name.partition("/")[0].rpartition(":")[0] or name.partition("/")[0]
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
