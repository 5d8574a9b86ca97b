"""What an image repository may be called, and what its address says about the registry."""

from __future__ import annotations

import re

import msgspec

INVALID_TAG = (
    "is not a valid tag: use letters, digits, '_', '.' and '-', and do not start with '.' or '-'"
)

ARTIFACT_REGISTRY = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev(?:/(?P<path>.*))?")
GCR_LOCATIONS = {
    "gcr.io": "us",
    "us.gcr.io": "us",
    "eu.gcr.io": "europe",
    "asia.gcr.io": "asia",
}
"""Container Registry's hosts, which live on as repositories of Artifact Registry with the host's
name, and the location of each
(cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo)."""


def is_repository(url: str) -> bool:
    """Whether a text is a legal repository name: an optional host, and a lower-case path.

    The grammar is that of the distribution project's `reference` package, whose limit of
    255 characters on the whole name is applied too. Artifact Registry and Container Registry
    take images only under a project and, the first, a repository.
    """
    domain = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    host = rf"(?:{domain})(?:\.{domain})*(?::[0-9]+)?"
    part = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    legal = len(url) <= 255 and re.fullmatch(rf"(?:{host}/)?{part}(?:/{part})*", url)
    return bool(legal) and not _too_short(url)


def invalid_reason(url: str) -> str:
    """Why a text is no repository that an image can be tagged with, and what would be one."""
    reasons = {
        "longer than 255 characters": len(url) > 255,
        "substitutions are not supported here": "$" in url,
        "remove the scheme": "://" in url,
        "the image name is missing": _too_short(url),
    }
    reason = next((f" ({why})" for why, holds in reasons.items() if holds), "")
    return (
        f"is not a valid image repository{reason}: write lowercase HOST/PATH "
        "without a tag, such as us-docker.pkg.dev/my-project/my-repository/ml"
    )


def _too_short(url: str) -> bool:
    """Whether an address of Google's ends before the image's name."""
    host, _, path = url.partition("/")
    parts = _path_of(path)
    needed = 3 if ARTIFACT_REGISTRY.fullmatch(host) else 2 if host in GCR_LOCATIONS else 0
    return len(parts) < needed


def _path_of(path: str) -> list[str]:
    """A path with a project's domain and name as one part.

    In an image's name the colon of `example.com:project` is a slash
    (cloud.google.com/artifact-registry/docs/docker/names).
    """
    parts = path.split("/")
    if "." in parts[0] and len(parts) > 1:
        return [":".join(parts[:2]), *parts[2:]]
    return parts


def is_tag(text: str) -> bool:
    """Whether a text is a legal image tag (the same grammar's `tag`)."""
    return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", text))


class Registry(msgspec.Struct, frozen=True):
    """A repository of Artifact Registry that must exist before an image can be pushed."""

    project: str
    location: str
    name: str

    @property
    def create_command(self) -> str:
        """The command that creates it."""
        return (
            f"gcloud artifacts repositories create {self.name} --repository-format=docker "
            f"--location={self.location} --project={self.project}"
        )


def registry_of(url: str) -> Registry | None:
    """What an address needs to exist in Artifact Registry; None for every other registry.

    `gcr.io/PROJECT/IMAGE` needs the repository `gcr.io` of the project.
    """
    host, _, path = url.partition("/")
    project, *rest = _path_of(path)
    if match := ARTIFACT_REGISTRY.fullmatch(host):
        return Registry(project, match["location"], rest[0] if rest else "")
    if host in GCR_LOCATIONS:
        return Registry(project, GCR_LOCATIONS[host], host)
    return None
