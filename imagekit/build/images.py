"""What the engine and the registry know of images, asked through the Docker client."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from imagekit.build.engine import ask, reason
from imagekit.errors import EngineError

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
    found = json.loads(result.stdout or "null")
    if not isinstance(found, list) or (result.returncode and "No such image" not in result.stderr):
        raise EngineError(f"{docker} image inspect: {reason(result)}")
    images: dict[str, Image] = {}
    for about in found:
        image = Image(
            id=about["Id"],
            size=about["Size"],
            layers=len(about["RootFS"].get("Layers") or ()),
            created=about["Created"],
        )
        images |= dict.fromkeys(about.get("RepoTags") or (), image)
    return {name: images[name] for name in names if name in images}


def layers(docker: str, name: str) -> list[Layer]:
    """The layers of an image on the engine, the base's first. Raises EngineError without one."""
    form = ("--no-trunc", "--human=false", "--format", "{{json .}}")
    result = ask(docker, "history", *form, name)
    if result.returncode:
        raise EngineError(f"{docker} history {name}: {reason(result)}")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return [
        Layer(
            created=about["CreatedAt"],
            size=int(about["Size"]),
            instruction=" ".join(about["CreatedBy"].removesuffix("# buildkit").split()),
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
            found[name] = _manifest(json.loads(result.stdout))
        elif not any(words in result.stderr for words in ABSENT):
            raise EngineError(f"{docker} manifest inspect {name}: {reason(result)}")
    return found


def _manifest(about: Any) -> Manifest:
    # Of an image for several platforms, there is one for each.
    first = about[0] if isinstance(about, list) else about
    kinds = ("SchemaV2Manifest", "OCIManifest")
    inside: Any = next((first[kind] for kind in kinds if first.get(kind)), {})
    parts = inside.get("layers", ())
    return Manifest(
        digest=first["Descriptor"]["digest"],
        size=sum(part["size"] for part in parts),
        layers=len(parts),
    )


def _is_local(name: str) -> bool:
    host = name.partition("/")[0].rpartition(":")[0] or name.partition("/")[0]
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
