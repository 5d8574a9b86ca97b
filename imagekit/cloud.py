"""What a config says of Google Cloud Build: the build's options, its limits, and its trigger."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta

from imagekit.errors import Path, Problem
from imagekit.source import Decoder, Report, scalar

MAX_TIMEOUT = 86_400
"""Seconds. Cloud Build ends every build after 24 hours
(cloud.google.com/build/docs/build-config-file-schema#timeout)."""
MAX_TAGS, MAX_SUBSTITUTIONS, MAX_KEY, MAX_VALUE = 64, 100, 100, 4_000
"""Tags and substitutions of a build, and characters of a substitution's name and value
(GoogleCloudPlatform/cloud-build-local, validate/validate.go)."""
MAX_DISK = 4_000
"""Gigabytes (cloud.google.com/build/docs/build-config-file-schema#options)."""

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
        message = f"{text!r} is no time-out: write 1 to {MAX_TIMEOUT} seconds, such as 3600s or 24h"
        report(Problem(message=message, path=path))
    return amount


def _count(node: yaml.Node, path: Path, report: Report) -> int | None:
    text = scalar(node, path, report)
    if text is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        report(Problem(message=f"{text!r} is no whole number above 0", path=path))
        return None
    return None if text is None else int(text)


def _flag(node: yaml.Node, path: Path, report: Report) -> bool | None:
    text = scalar(node, path, report)
    if text is not None and text not in ("true", "false"):
        report(Problem(message=f"{text!r} is neither true nor false", path=path))
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


def check(options: CloudBuild) -> Iterator[Problem]:
    """What of the options Cloud Build would refuse when the build is submitted."""
    at: Path = ("cloudbuild",)
    yield from _check_names(options)
    pool = POOL.fullmatch(options.worker_pool or "")
    if options.region and pool and options.region != pool["region"]:
        message = f"the worker pool is in {pool['region']}, not in {options.region!r}; leave it out"
        yield Problem(message=message, path=(*at, "region"), see=(*at, "worker_pool"))
    if (options.disk_size or 0) > MAX_DISK:
        message = f"{options.disk_size} GB are more than the {MAX_DISK} that a build may have"
        yield Problem(message=message, path=(*at, "disk_size"))
    silent = options.logging in ("CLOUD_LOGGING_ONLY", "NONE") or options.logs_bucket
    if account_name(options.service_account or "") and not silent:
        message = (
            "a service account of one's own requires 'logging: CLOUD_LOGGING_ONLY' (or NONE), or "
            "a 'logs_bucket'; Cloud Build refuses the build otherwise"
        )
        yield Problem(message=message, path=(*at, "service_account"))
    yield from _check_tags(options.tags)
    yield from _check_substitutions(options.substitutions)
    if options.trigger is not None:
        yield from _check_trigger(options.trigger)
        where, there = options.region, trigger_region(options)
        if where is not None and where != there:
            message = f"the trigger's repository is connected in {there}, not in {where!r}"
            yield Problem(message=message, path=(*at, "region"), see=(*at, "trigger", "repository"))


def _check_names(options: CloudBuild) -> Iterator[Problem]:
    forms = {
        "project": (r"[a-z0-9.:-]+", "my-project"),
        "region": (r"global|[a-z]+(-[a-z]+)+\d+", "europe-west1, or global"),
        "worker_pool": (POOL.pattern, "projects/P/locations/REGION/workerPools/POOL"),
        "logs_bucket": (r"gs://[a-z0-9][a-z0-9._-]+(/.*)?", "gs://my-bucket"),
    }
    for name, (pattern, example) in forms.items():
        value = getattr(options, name)
        if value is not None and not re.fullmatch(pattern, value):
            message = f"{value!r} is no {name.replace('_', ' ')}: write it like {example}"
            yield Problem(message=message, path=("cloudbuild", name))
    account = options.service_account
    if account is not None and account_name(account) is None:
        message = f"{account!r} is no service account: write NAME@PROJECT.iam.gserviceaccount.com"
        yield Problem(message=message, path=("cloudbuild", "service_account"))


def _check_tags(tags: tuple[str, ...]) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "tags")
    for index, tag in enumerate(tags):
        if not re.fullmatch(r"\w[\w.-]{0,127}", tag, re.ASCII):
            message = f"{tag!r} is no tag of a build: use letters, digits, '_', '.' and '-'"
            yield Problem(message=message, path=(*at, index))
    if len(tags) > MAX_TAGS:
        yield Problem(message=f"{len(tags)} tags are more than {MAX_TAGS}", path=at)


def _check_substitutions(given: Mapping[str, str]) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "substitutions")
    if len(given) > MAX_SUBSTITUTIONS:
        message = f"{len(given)} substitutions are more than {MAX_SUBSTITUTIONS}"
        yield Problem(message=message, path=at)
    for name, value in given.items():
        if not SUBSTITUTION.fullmatch(name) or len(name) > MAX_KEY:
            message = f"{name!r} cannot be a substitution: '_', then capitals, digits and '_'"
            yield Problem(message=message, path=(*at, name), on_key=True)
        if len(value) > MAX_VALUE:
            message = f"the value has {len(value)} characters, at most {MAX_VALUE} are accepted"
            yield Problem(message=message, path=(*at, name))


CONNECTION = r"projects/[^/]+/locations/(?P<region>[^/]+)/connections/[^/]+"
CONNECTED = re.compile(rf"{CONNECTION}/repositories/[^/]+")
LINKED = re.compile(rf"{CONNECTION}/gitRepositoryLinks/[^/]+")
SOURCE = re.compile(r"https://source\.developers\.google\.com/p/(?P<project>[^/]+)/r/(?P<name>.+)")
HOSTED = re.compile(r"https://(?P<host>[^/@]+)/(?P<owner>.+)/(?P<name>[^/]+?)(?:\.git)?/?")
SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
HOST_CONFIG = re.compile(
    r"projects/[^/]+/locations/[^/]+/(?P<kind>githubEnterpriseConfigs|gitLabConfigs)/[^/]+"
)


def _check_trigger(trigger: Trigger) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "trigger")
    yield from _check_repository(trigger)
    yield from _check_schedule(trigger)
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?", trigger.name):
        message = f"{trigger.name!r} is no name of a trigger: 1 to 64 letters, digits and '-'"
        yield Problem(message=message, path=(*at, "name"))
    if not re.fullmatch(r"[\w./-]+", trigger.branch):
        message = f"{trigger.branch!r} is no branch: write its name as it is, such as main"
        yield Problem(message=message, path=(*at, "branch"))


def _check_schedule(trigger: Trigger) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "trigger")
    if trigger.schedule is not None and not _is_cron(trigger.schedule):
        message = f"{trigger.schedule!r} is no schedule: five fields of cron, such as '0 4 * * 1'"
        yield Problem(message=message, path=(*at, "schedule"))
    forms = {"topic": r"[A-Za-z][\w.~+%-]{2,254}", "time_zone": r"[A-Za-z_]+(/[\w+-]+)*"}
    for name, pattern in forms.items():
        value = getattr(trigger, name)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            example = {"topic": "my-topic", "time_zone": "Europe/Berlin"}[name]
            message = f"{value!r} is no {name.replace('_', ' ')}: write it like {example}"
            yield Problem(message=message, path=(*at, name))
    blank = Trigger(repository="")
    for name in ("topic", "secret", "time_zone"):
        if getattr(trigger, name) != getattr(blank, name) and not trigger.schedule:
            message = (
                f"{name!r} is for a schedule, and there is none; set 'schedule' or leave it out"
            )
            yield Problem(message=message, path=(*at, name))
    if trigger.secret and not SECRET.fullmatch(trigger.secret):
        message = f"{trigger.secret!r}: write projects/PROJECT/secrets/NAME/versions/VERSION"
        yield Problem(message=message, path=(*at, "secret"))
    if trigger.schedule and LINKED.fullmatch(trigger.repository):
        message = (
            "Cloud Build has no source for a schedule at Developer Connect; name a repository that "
            "is connected to Cloud Build itself, or its address"
        )
        yield Problem(message=message, path=(*at, "schedule"), see=(*at, "repository"))
    if trigger.secret and trigger.topic:
        message = "a schedule arrives by Pub/Sub or by a webhook, not both; leave one out"
        yield Problem(message=message, path=(*at, "secret"), see=(*at, "topic"))


RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Minutes, hours, days, months and days of the week in a schedule."""


def _is_cron(text: str) -> bool:
    """Whether a text is five fields of cron, each within its range."""
    fields = text.split()
    if len(fields) != len(RANGES):
        return False
    for field, (low, high) in zip(fields, RANGES, strict=True):
        span, *step = field.split("/")
        if not re.fullmatch(r"\*|[\w,-]+", span) or len(step) > 1:
            return False
        if not all(low <= int(number) <= high for number in re.findall(r"\d+", span)):
            return False
    return True


def _check_repository(trigger: Trigger) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "trigger")
    address, config = trigger.repository, trigger.host_config
    if config is not None and not HOST_CONFIG.fullmatch(config):
        message = (
            f"{config!r}: write projects/PROJECT/locations/REGION/githubEnterpriseConfigs/ID, or "
            "…/gitLabConfigs/ID"
        )
        yield Problem(message=message, path=(*at, "host_config"))
    if any(form.fullmatch(address) for form in (CONNECTED, LINKED, SOURCE)):
        return
    hosted = HOSTED.fullmatch(address)
    if hosted is None:
        message = (
            f"{address!r} is no repository that a trigger can watch: write "
            "https://github.com/OWNER/NAME, or the name of a connected repository, "
            "projects/PROJECT/locations/REGION/connections/CONNECTION/repositories/NAME"
        )
        yield Problem(message=message, path=(*at, "repository"))
    elif hosted["host"] == "github.com" and config is not None:
        message = "github.com needs no configuration of a host; leave it out"
        yield Problem(message=message, path=(*at, "host_config"))
    elif "/" in hosted["owner"] and "gitLabConfigs" not in (config or ""):
        message = f"{address!r} is more than a repository: write https://HOST/OWNER/NAME"
        yield Problem(message=message, path=(*at, "repository"))
    elif hosted["host"] != "github.com" and config is None:
        message = (
            f"{hosted['host']} has to be connected: name the connected repository "
            "(projects/…/connections/…/repositories/…), or the configuration of the host in "
            "'host_config'"
        )
        yield Problem(message=message, path=(*at, "repository"))
