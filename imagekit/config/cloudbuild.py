"""The `cloudbuild` section of a config: build options, limits and the trigger."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from imagekit.errors import Path, Problem
from imagekit.support.decode import Decoder, Report, scalar

MAX_TIMEOUT = 86_400
"""Seconds. Cloud Build ends every build after 24 hours
(cloud.google.com/build/docs/build-config-file-schema#timeout)."""

Seconds = Annotated[int, Meta(ge=1, le=MAX_TIMEOUT, description="seconds, or 90m, or 24h")]
Count = Annotated[int, Meta(ge=1)]
Flag = Annotated[bool, Meta(description="true or false")]


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What Cloud Build accepts at most (cloud.google.com/build/quotas)."""

    steps: Count = 300
    """Steps of a build."""
    images: Count = 700
    """Names in the `images` of a build."""
    args: Count = 100
    """Arguments of a step."""
    arg_length: Count = 10_000
    """Characters of an argument."""
    env: Count = 100
    """Environment variables of a step, those of the build among them."""
    env_length: Count = 65_536
    """Characters of an environment variable, with its name."""
    tags: Count = 64
    """Tags of a build."""
    substitutions: Count = 200
    """Substitutions of a build."""
    substitution_length: Count = 4_000
    """Characters of a substitution's value."""
    name_length: Count = 1_000
    """Characters of a name: of a step, an image or a substitution."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What starts builds automatically: a push to a branch, and optionally a schedule."""

    repository: str
    """The repository to watch.

    A URL at github.com or source.developers.google.com, the name of a repository connected to
    Cloud Build (GitHub, GitHub Enterprise, GitLab, Bitbucket) or to Developer Connect, or a URL
    at a private host, which also requires `host_config`.
    """
    name: str = "imagekit"
    """The trigger's name."""
    branch: str = "main"
    """The branch whose pushes start a build."""
    host_config: str | None = None
    """The resource name of the configuration of a GitHub Enterprise or GitLab host."""
    ignored_files: tuple[str, ...] = ()
    """Globs of files that do not start a build when only they change."""
    approval: Flag = False
    """Whether a build waits for approval."""
    schedule: str | None = None
    """Five cron fields."""
    time_zone: str = "Etc/UTC"
    """The time zone of the schedule."""
    topic: str | None = None
    """The Pub/Sub topic of the schedule."""
    secret: str | None = None
    """The version of a secret; the schedule then uses a webhook instead of Pub/Sub."""


class CloudBuild(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Options of the whole build."""

    project: str | None = None
    """The Google Cloud project to build in."""
    region: str | None = None
    """The region to build in, or `global`."""
    timeout: Seconds = MAX_TIMEOUT
    """The timeout of the build in seconds."""
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
    """The machine type of the default pool."""
    disk_size: Count | None = None
    """The disk size in gigabytes."""
    worker_pool: str | None = None
    """The resource name of a private worker pool."""
    service_account: str | None = None
    """The service account that runs the build: its email address or resource name."""
    logging: (
        Literal["LEGACY", "GCS_ONLY", "CLOUD_LOGGING_ONLY", "STACKDRIVER_ONLY", "NONE"] | None
    ) = None
    """Where Cloud Build writes the logs."""
    logs_bucket: str | None = None
    """The Cloud Storage bucket for the logs, as `gs://BUCKET`."""
    publish: Literal["each", "together", "provenance"] = "each"
    """When images are pushed: each at once, together at the end, or by Cloud Build itself."""
    cache: Literal["registry"] | None = None
    """Whether a build uses the layers of the image in the registry."""
    tags: tuple[str, ...] = ()
    """Tags of the build, for filtering builds."""
    substitutions: dict[str, str] = {}
    """Substitutions that build args may use as `${_NAME}`, with their defaults."""
    limits: Limits = Limits()
    """The limits that a plan is split by."""
    trigger: Trigger | None = None
    """The trigger to create."""


# ---- decoders of special types


def seconds(text: str) -> int | None:
    """`86400`, `86400s`, `90m` or `24h` as seconds; None if invalid or too long."""
    match = re.fullmatch(r"([0-9]{1,9})([smh]?)", text)
    amount = int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0
    return amount if 1 <= amount <= MAX_TIMEOUT else None


def _seconds(value: Any, path: Path, report: Report) -> int | None:
    text = scalar(value, path, report)
    amount = seconds(text) if text is not None else None
    if text is not None and amount is None:
        message = (
            f"{text!r} is not a valid timeout: use 1 to {MAX_TIMEOUT} seconds, such as 3600s or 24h"
        )
        report(Problem(message=message, path=path))
    return amount


def _count(value: Any, path: Path, report: Report) -> int | None:
    text = scalar(value, path, report)
    if text is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        report(Problem(message=f"{text!r} is not a positive whole number", path=path))
        return None
    return None if text is None else int(text)


def _flag(value: Any, path: Path, report: Report) -> bool | None:
    text = scalar(value, path, report)
    if text is not None and text not in ("true", "false"):
        report(Problem(message=f"expected true or false, found {text!r}", path=path))
    return {"true": True, "false": False}.get(text or "")


SPECIAL: dict[Any, Decoder] = {Seconds: _seconds, Count: _count, Flag: _flag}


# ---- derived values


REFERENCE = r"\$(?:\{(_[A-Z0-9_]+)\}|(_[A-Z0-9_]+))"
"""A use of a substitution; compiled only if a text has a dollar sign."""


def substituted(text: str, names: Collection[str]) -> set[str]:
    """Return the names of the substitutions that a text uses as `${_NAME}` or `$_NAME`."""
    if "$" not in text:
        return set()
    return {match[1] or match[2] for match in re.finditer(REFERENCE, text)} & set(names)


def escape(text: str, names: Collection[str] = ()) -> str:
    """Escape a text for Cloud Build, except for substitutions with these names."""
    if "$" not in text:
        return text
    parts, end = [], 0
    for match in re.finditer(REFERENCE, text):
        if (match[1] or match[2]) in names:
            parts += [text[end : match.start()].replace("$", "$$"), match[0]]
            end = match.end()
    return "".join([*parts, text[end:].replace("$", "$$")])


def account_name(account: str) -> str | None:
    """Return the resource name of a service account, given its email address or resource name.

    None if it is neither.
    """
    if re.fullmatch(rf"projects/{PROJECT}/serviceAccounts/[A-Za-z0-9_.@-]+", account):
        return account
    host = r"(?:([a-z][a-z0-9-]*)\.iam|developer)\.gserviceaccount\.com"
    match = re.fullmatch(rf"[A-Za-z0-9_.-]+@{host}", account)
    return f"projects/{match[1] or '-'}/serviceAccounts/{account}" if match else None


# ---- patterns of valid values


PART = r"[A-Za-z0-9_-]+"
"""A part of a resource's name."""
PROJECT = r"[A-Za-z0-9_.:-]+"
"""The name of a project; an old one has its domain."""
POOL = rf"projects/{PROJECT}/locations/(?P<region>{PART})/workerPools/{PART}"
SUBSTITUTION = r"_[A-Z0-9_]+"


def trigger_region(options: CloudBuild) -> str | None:
    """Return the region of a trigger: that of the connected repository, or of the build."""
    repository = options.trigger.repository if options.trigger else ""
    connected = re.fullmatch(CONNECTED, repository) or re.fullmatch(LINKED, repository)
    return connected["region"] if connected else region_of(options)


def region_of(options: CloudBuild) -> str | None:
    """Return the region of a build: the configured one, or the worker pool's."""
    pool = re.fullmatch(POOL, options.worker_pool or "")
    return options.region or (pool["region"] if pool else None)


CONNECTION = rf"projects/{PROJECT}/locations/(?P<region>{PART})/connections/{PART}"
CONNECTED = rf"{CONNECTION}/repositories/[A-Za-z0-9_.-]+"
LINKED = rf"{CONNECTION}/gitRepositoryLinks/[A-Za-z0-9_.-]+"
SOURCE = (
    rf"https://source\.developers\.google\.com/p/(?P<project>{PROJECT})"
    r"/r/(?P<name>[A-Za-z0-9_./-]+)"
)
HOSTED = (
    r"https://(?P<host>[A-Za-z0-9.:-]+)/(?P<owner>[A-Za-z0-9_.~/-]+)"
    r"/(?P<name>[A-Za-z0-9_.-]+?)(?:\.git)?/?"
)
HOST_CONFIG = (
    rf"projects/{PROJECT}/locations/{PART}"
    rf"/(?P<kind>githubEnterpriseConfigs|gitLabConfigs)/{PART}"
)
