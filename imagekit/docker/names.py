"""Validate repository names and tags; find the Artifact Registry repository of an image."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

INVALID_TAG = (
    "is not a valid tag: use letters, digits, '_', '.' and '-', and do not start with '.' or '-'"
)

ARTIFACT_HOST = "-docker.pkg.dev"
"""The end of the hosts of Artifact Registry."""
ARTIFACT_REGISTRY = r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev(?:/(?P<path>.*))?"
GCR_LOCATIONS = {
    "gcr.io": "us",
    "us.gcr.io": "us",
    "eu.gcr.io": "europe",
    "asia.gcr.io": "asia",
}
"""The hosts of Container Registry and their locations. Each is now a repository of Artifact
Registry named after the host
(cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo)."""


def is_repository(url: str) -> bool:
    """Whether a text is a valid repository name: an optional host and a lowercase path.

    The grammar is that of the distribution project's `reference` package, whose limit of
    255 characters also applies. An image in Container Registry needs a project in its path, one in
    Artifact Registry a project and a repository.
    """
    domain = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    host = rf"(?:{domain})(?:\.{domain})*(?::[0-9]+)?"
    part = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    match = len(url) <= 255 and re.fullmatch(rf"(?:{host}/)?{part}(?:/{part})*", url)
    return bool(match) and not _too_short(url)


def is_base(url: str) -> bool:
    """Whether a text is a valid repository, or would be with an image's name after it."""
    has_path = any(character in url for character in "/.:")
    return is_repository(url) or (has_path and is_repository(f"{url}/image"))


def invalid_reason(url: str) -> str:
    """Return why a text is not a valid repository, and what a valid one looks like."""
    reasons = {
        "longer than 255 characters": len(url) > 255,
        "substitutions are not supported here": "$" in url,
        "only tags and aliases are patterns": "{" in url,
        "remove the scheme": "://" in url,
        "write it in lower case": "://" not in url
        and url.partition("/")[2] != url.partition("/")[2].lower(),
        "remove the tag": "://" not in url and ":" in url.rpartition("/")[2] and "/" in url,
        "the image name is missing": _too_short(url),
    }
    reason = next((f" ({why})" for why, holds in reasons.items() if holds), "")
    return (
        f"is not a valid image repository{reason}: write lowercase HOST/PATH "
        "without a tag, such as us-docker.pkg.dev/my-project/my-repository/ml"
    )


def _too_short(url: str) -> bool:
    """Whether the path of a Google registry has no image name."""
    host, _, path = url.partition("/")
    parts = _path_of(path)
    is_new = host.endswith(ARTIFACT_HOST) and re.fullmatch(ARTIFACT_REGISTRY, host)
    needed = 3 if is_new else 2 if host in GCR_LOCATIONS else 0
    return len(parts) < needed


def _path_of(path: str) -> list[str]:
    """Split a path, keeping a project's domain and name as one part.

    In an image's name the colon of `example.com:project` is a slash
    (cloud.google.com/artifact-registry/docs/docker/names).
    """
    parts = path.split("/")
    if "." in parts[0] and len(parts) > 1:
        return [":".join(parts[:2]), *parts[2:]]
    return parts


def is_tag(text: str) -> bool:
    """Whether a text is a valid image tag (`tag` in the same grammar)."""
    return TAG.fullmatch(text) is not None


TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def are_tags(texts: Collection[str]) -> bool:
    """Whether all texts are valid image tags; it takes a fifth of the time of `is_tag` for each."""
    together = "\n".join((*texts, ""))
    return together.count("\n") == len(texts) and TAGS.fullmatch(together) is not None


TAGS = re.compile(rf"(?:{TAG.pattern}\n)*+")
"""Tags, each with a line break."""


def has_host(repository: str) -> bool:
    """Whether a repository begins with a registry's host, by Docker's rule.

    The first part is a host if it has a dot or a colon, or is `localhost`
    (docs.docker.com/reference/cli/docker/image/tag).
    """
    host, slash, _ = repository.partition("/")
    return bool(slash) and ("." in host or ":" in host or host == "localhost")


def resolve(base: str, repository: str) -> str:
    """Return a repository that is given relative to another one, or with a host, in full."""
    return repository if has_host(repository) else f"{base}/{repository}" if repository else base


class Registry(msgspec.Struct, frozen=True):
    """A repository of Artifact Registry that must exist before an image can be pushed."""

    project: str
    """The Google Cloud project; a domain is separated by a colon."""
    location: str
    """A region or multi-region, such as `us`."""
    name: str
    """The repository's name."""

    @property
    def create_command(self) -> str:
        """The gcloud command that creates the repository."""
        return (
            f"gcloud artifacts repositories create {self.name} --repository-format=docker "
            f"--location={self.location} --project={self.project}"
        )


def registry_of(url: str) -> Registry | None:
    """Return the Artifact Registry repository of an image; None for any other registry.

    For `gcr.io/PROJECT/IMAGE` this is the repository `gcr.io` of the project.
    """
    host, _, path = url.partition("/")
    project, *rest = _path_of(path)
    if match := re.fullmatch(ARTIFACT_REGISTRY, host):
        return Registry(project, match["location"], rest[0] if rest else "")
    if host in GCR_LOCATIONS:
        return Registry(project, GCR_LOCATIONS[host], host)
    return None


def tagged(name: str) -> str:
    """An image's name with its tag, which is `latest` if none is given."""
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"


def common_repository(references: Collection[str]) -> str | None:
    """The repository of all references; None if there are several, or a reference has no tag."""
    if not references:
        return None
    one = LAST_TAG.sub("", next(iter(references)))
    # What the first and the last have in common, all between them have, too.
    if not (min(references).startswith(f"{one}:") and max(references).startswith(f"{one}:")):
        return None
    tags = "".join([reference[len(one) :] for reference in references])
    is_one_each = tags.count(":") == len(references) and LAST_TAGS.fullmatch(tags)
    return one if is_one_each else None


LAST_TAG = re.compile(r":[\w.${}-]+$")
"""The tag of a reference; a substitution may be a part of it."""
LAST_TAGS = re.compile(r"(?::[\w.${}-]+)+")
"""Several tags, one after another."""


def short_names(references: Sequence[str]) -> tuple[str, ...]:
    """References without the repository that they have in common, each once."""
    repository = common_repository(references)
    start = len(repository) + 1 if repository else 0
    return tuple(dict.fromkeys(reference[start:] for reference in references))
