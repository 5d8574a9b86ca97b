"""What a config says of Google Cloud Build: the build's options, its limits, and its trigger."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from imagekit.errors import Path, Problem
from imagekit.support.yaml_reader import Decoder, Report, scalar

MAX_TIMEOUT = 86_400
"""Seconds. Cloud Build ends every build after 24 hours
(cloud.google.com/build/docs/build-config-file-schema#timeout)."""

Seconds = Annotated[int, Meta(ge=1, le=MAX_TIMEOUT, description="seconds, or 90m, or 24h")]
Count = Annotated[int, Meta(ge=1)]
Flag = Annotated[bool, Meta(description="true or false")]


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What Cloud Build refuses. Public sources differ; these are the smallest figures in them.

    Steps: GoogleContainerTools/distroless#435. Images, and arguments a step, 100 each, and 4,000
    characters in an argument: Google's archived local builder
    (GoogleCloudPlatform/cloud-build-local). Later reports have 10,000 characters.
    """

    steps: Count = 100
    images: Count = 100
    args: Count = 100
    arg_length: Count = 4_000


class Trigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What starts a build by itself: a push to a branch, and a schedule where there is one.

    `repository` is an address at github.com or source.developers.google.com, the name of a
    repository that is connected to Cloud Build (GitHub, GitHub Enterprise, GitLab, Bitbucket) or
    to Developer Connect, or an address of one's own host, for which `host_config` names the
    configuration of that host. `schedule` is five fields of cron in `time_zone`; it arrives
    through Pub/Sub, or, where `secret` names a version of one, through a webhook.
    """

    repository: str
    name: str = "imagekit"
    branch: str = "main"
    host_config: str | None = None
    ignored_files: tuple[str, ...] = ()
    approval: Flag = False
    schedule: str | None = None
    time_zone: str = "Etc/UTC"
    topic: str | None = None
    secret: str | None = None


class CloudBuild(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Options of the build as a whole."""

    project: str | None = None
    region: str | None = None
    timeout: Seconds = MAX_TIMEOUT
    machine_type: (
        Literal[
            "E2_MEDIUM",
            "E2_STANDARD_2",
            "E2_HIGHCPU_8",
            "E2_HIGHCPU_32",
            "N1_HIGHCPU_8",
            "N1_HIGHCPU_32",
        ]
        | None
    ) = None
    disk_size: Count | None = None
    worker_pool: str | None = None
    service_account: str | None = None
    logging: (
        Literal["LEGACY", "GCS_ONLY", "CLOUD_LOGGING_ONLY", "STACKDRIVER_ONLY", "NONE"] | None
    ) = None
    logs_bucket: str | None = None
    publish: Literal["each", "together", "provenance"] = "each"
    cache: Literal["registry"] | None = None
    tags: tuple[str, ...] = ()
    substitutions: dict[str, str] = {}
    limits: Limits = Limits()
    trigger: Trigger | None = None


# ---- notations of their own


def seconds(text: str) -> int | None:
    """`86400`, `86400s`, `90m` or `24h` in seconds; None where it is none of these or too long."""
    match = re.fullmatch(r"([0-9]{1,9})([smh]?)", text)
    amount = int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    return amount if 1 <= amount <= MAX_TIMEOUT else None


def _seconds(node: yaml.Node, path: Path, report: Report) -> int | None:
    text = scalar(node, path, report)
    amount = seconds(text) if text is not None else None
    if text is not None and amount is None:
        message = (
            f"{text!r} is not a valid timeout: use 1 to {MAX_TIMEOUT} seconds, such as 3600s or 24h"
        )
        report(Problem(message=message, path=path))
    return amount


def _count(node: yaml.Node, path: Path, report: Report) -> int | None:
    text = scalar(node, path, report)
    if text is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        report(Problem(message=f"{text!r} is not a positive whole number", path=path))
        return None
    return None if text is None else int(text)


def _flag(node: yaml.Node, path: Path, report: Report) -> bool | None:
    text = scalar(node, path, report)
    if text is not None and text not in ("true", "false"):
        report(Problem(message=f"expected true or false, found {text!r}", path=path))
    return {"true": True, "false": False}.get(text or "")


SPECIAL: dict[Any, Decoder] = {Seconds: _seconds, Count: _count, Flag: _flag}


# ---- what follows from it


REFERENCE = re.compile(r"\$(?:\{(_[A-Z0-9_]+)\}|(_[A-Z0-9_]+))")


def substituted(text: str, names: Collection[str]) -> set[str]:
    """Which of the substitutions with these names a text holds, as `${_NAME}` or `$_NAME`."""
    return {match[1] or match[2] for match in REFERENCE.finditer(text)} & set(names)


def escape(text: str, names: Collection[str] = ()) -> str:
    """A text that Cloud Build leaves as it is, but for its substitutions with these names."""
    parts, end = [], 0
    for match in REFERENCE.finditer(text):
        if (match[1] or match[2]) in names:
            parts += [text[end : match.start()].replace("$", "$$"), match[0]]
            end = match.end()
    return "".join([*parts, text[end:].replace("$", "$$")])


def account_name(account: str) -> str | None:
    """A service account, by its e-mail address or whole name, as Cloud Build wants it named."""
    if re.fullmatch(r"projects/[^/]+/serviceAccounts/[^/]+", account):
        return account
    host = r"(?:([a-z][a-z0-9-]*)\.iam|developer)\.gserviceaccount\.com"
    match = re.fullmatch(rf"[^@/\s]+@{host}", account)
    return f"projects/{match[1] or '-'}/serviceAccounts/{account}" if match else None


# ---- what must hold


POOL = re.compile(r"projects/[^/]+/locations/(?P<region>[^/]+)/workerPools/[^/]+")
SUBSTITUTION = re.compile(r"_[A-Z0-9_]+")


def trigger_region(options: CloudBuild) -> str | None:
    """Where a trigger is: where its repository is connected, or where the build runs."""
    repository = options.trigger.repository if options.trigger else ""
    found = CONNECTED.fullmatch(repository) or LINKED.fullmatch(repository)
    return found["region"] if found else region_of(options)


def region_of(options: CloudBuild) -> str | None:
    """Where a build runs: the region that is named, or the worker pool's."""
    pool = POOL.fullmatch(options.worker_pool or "")
    return options.region or (pool["region"] if pool else None)


CONNECTION = r"projects/[^/]+/locations/(?P<region>[^/]+)/connections/[^/]+"
CONNECTED = re.compile(rf"{CONNECTION}/repositories/[^/]+")
LINKED = re.compile(rf"{CONNECTION}/gitRepositoryLinks/[^/]+")
SOURCE = re.compile(r"https://source\.developers\.google\.com/p/(?P<project>[^/]+)/r/(?P<name>.+)")
HOSTED = re.compile(r"https://(?P<host>[^/@]+)/(?P<owner>.+)/(?P<name>[^/]+?)(?:\.git)?/?")
HOST_CONFIG = re.compile(
    r"projects/[^/]+/locations/[^/]+/(?P<kind>githubEnterpriseConfigs|gitLabConfigs)/[^/]+"
)
