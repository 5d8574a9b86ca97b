"""Check the `cloudbuild` section of a config against the rules of Cloud Build."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from imagekit.config.cloudbuild import (
    CONNECTED,
    HOST_CONFIG,
    HOSTED,
    LINKED,
    PART,
    POOL,
    PROJECT,
    SOURCE,
    SUBSTITUTION,
    CloudBuild,
    Limits,
    Trigger,
    account_name,
    trigger_region,
)
from imagekit.errors import Path, Problem

MAX_CRON = 500
"""Characters of a schedule (cloud.google.com/scheduler/docs/reference/rpc, Job)."""
MAX_DISK = 4_000
"""Gigabytes (cloud.google.com/build/docs/build-config-file-schema#options)."""


def check(options: CloudBuild) -> Iterator[Problem]:
    """Yield the options that Cloud Build would reject when the build is submitted."""
    at: Path = ("cloudbuild",)
    yield from _check_names(options)
    # A pattern is compiled, which takes time, only if there is something to match.
    pool = re.fullmatch(POOL, options.worker_pool) if options.worker_pool else None
    if options.region and pool and options.region != pool["region"]:
        message = f"the worker pool is in {pool['region']}, not {options.region!r}; remove 'region'"
        yield Problem(message=message, path=(*at, "region"), see=(*at, "worker_pool"))
    if (options.disk_size or 0) > MAX_DISK:
        message = f"{options.disk_size} GB are more than the {MAX_DISK} that a build may have"
        yield Problem(message=message, path=(*at, "disk_size"))
    has_logging = options.logging in ("CLOUD_LOGGING_ONLY", "NONE") or options.logs_bucket
    account = options.service_account
    if account and account_name(account) and not has_logging:
        message = (
            "a custom service account requires 'logging: CLOUD_LOGGING_ONLY' (or NONE), or a "
            "'logs_bucket'; otherwise Cloud Build rejects the build"
        )
        yield Problem(message=message, path=(*at, "service_account"))
    yield from _check_tags(options.tags, options.limits)
    yield from _check_substitutions(options.substitutions, options.limits)
    if options.trigger is not None:
        yield from _check_trigger(options.trigger)
        where, there = options.region, trigger_region(options)
        if where is not None and where != there:
            message = (
                f"the trigger's repository is connected in {there}, not {where!r}; "
                "use the same region"
            )
            yield Problem(message=message, path=(*at, "region"), see=(*at, "trigger", "repository"))


def _check_names(options: CloudBuild) -> Iterator[Problem]:
    forms = {
        "project": (r"[a-z0-9.:-]+", "my-project"),
        "region": (r"global|[a-z]+(-[a-z]+)+\d+", "europe-west1, or global"),
        "worker_pool": (POOL, "projects/P/locations/REGION/workerPools/POOL"),
        "logs_bucket": (r"gs://[a-z0-9][a-z0-9._-]+(/.*)?", "gs://my-bucket"),
    }
    for name, (pattern, example) in forms.items():
        value = getattr(options, name)
        if value is not None and not re.fullmatch(pattern, value):
            message = f"{value!r} is not a valid {name.replace('_', ' ')}: write it like {example}"
            yield Problem(message=message, path=("cloudbuild", name))
    account = options.service_account
    if account is not None and account_name(account) is None:
        message = (
            f"{account!r} is not a valid service account: write "
            "NAME@PROJECT.iam.gserviceaccount.com"
        )
        yield Problem(message=message, path=("cloudbuild", "service_account"))


def _check_tags(tags: tuple[str, ...], limits: Limits) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "tags")
    for index, tag in enumerate(tags):
        if not re.fullmatch(r"\w[\w.-]{0,127}", tag, re.ASCII):
            message = f"{tag!r} is not a valid build tag: use letters, digits, '_', '.' and '-'"
            yield Problem(message=message, path=(*at, index))
    if len(tags) > limits.tags:
        yield Problem(message=f"{len(tags)} tags are more than {limits.tags}", path=at)


def _check_substitutions(given: Mapping[str, str], limits: Limits) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "substitutions")
    if len(given) > limits.substitutions:
        message = f"{len(given)} substitutions are more than {limits.substitutions}"
        yield Problem(message=message, path=at)
    for name, value in given.items():
        if not re.fullmatch(SUBSTITUTION, name) or len(name) > limits.name_length:
            message = f"{name!r} is not a valid substitution: use '_', then A-Z, 0-9 and '_'"
            yield Problem(message=message, path=(*at, name), on_key=True)
        if len(value) > limits.substitution_length:
            most = limits.substitution_length
            message = f"the value has {len(value)} characters, at most {most} are accepted"
            yield Problem(message=message, path=(*at, name))


SECRET_VERSION = rf"projects/{PROJECT}/secrets/{PART}/versions/{PART}"


def _check_trigger(trigger: Trigger) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "trigger")
    yield from _check_repository(trigger)
    yield from _check_schedule(trigger)
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?", trigger.name):
        message = (
            f"{trigger.name!r} is not a valid trigger name: use 1 to 64 letters, digits and '-'"
        )
        yield Problem(message=message, path=(*at, "name"))
    if not re.fullmatch(r"[\w./-]+", trigger.branch):
        message = f"{trigger.branch!r} is not a valid branch: write the plain name, such as main"
        yield Problem(message=message, path=(*at, "branch"))


def _check_schedule(trigger: Trigger) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "trigger")
    if trigger.schedule is not None and not _is_cron(trigger.schedule):
        message = (
            f"{trigger.schedule!r} is not a valid schedule: use five cron fields, such as "
            "'0 4 * * 1'"
        )
        yield Problem(message=message, path=(*at, "schedule"))
    forms = {"topic": r"[A-Za-z][\w.~+%-]{2,254}", "time_zone": r"[A-Za-z_]+(/[\w+-]+)*"}
    for name, pattern in forms.items():
        value = getattr(trigger, name)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            example = {"topic": "my-topic", "time_zone": "Europe/Berlin"}[name]
            message = f"{value!r} is not a valid {name.replace('_', ' ')}: write it like {example}"
            yield Problem(message=message, path=(*at, name))
    blank = Trigger(repository="")
    for name in ("topic", "secret", "time_zone"):
        if getattr(trigger, name) != getattr(blank, name) and not trigger.schedule:
            message = f"{name!r} requires 'schedule'; set 'schedule' or remove {name!r}"
            yield Problem(message=message, path=(*at, name))
    if trigger.secret and not re.fullmatch(SECRET_VERSION, trigger.secret):
        message = (
            f"{trigger.secret!r} is not a valid secret version: write "
            "projects/PROJECT/secrets/NAME/versions/VERSION"
        )
        yield Problem(message=message, path=(*at, "secret"))
    if trigger.schedule and re.fullmatch(LINKED, trigger.repository):
        message = (
            "a schedule is not supported for a Developer Connect repository; use a repository that "
            "is connected to Cloud Build itself, or its URL"
        )
        yield Problem(message=message, path=(*at, "schedule"), see=(*at, "repository"))
    if trigger.secret and trigger.topic:
        message = "'topic' (Pub/Sub) and 'secret' (webhook) are mutually exclusive; remove one"
        yield Problem(message=message, path=(*at, "secret"), see=(*at, "topic"))


def _is_cron(text: str) -> bool:
    """Whether a text is a valid schedule for Cloud Scheduler: five fields of unix-cron.

    Format: cloud.google.com/scheduler/docs/configuring/cron-job-schedules. Extensions of cronsim
    (seconds, L, LW and #) are rejected.
    """
    # Imported here because only a config with a schedule needs it.
    import datetime

    from cronsim import CronSim, CronSimError

    fields = text.upper().split()
    days_extended = any(re.search(r"#|L", field) for field in (fields + [""] * 5)[2:5:2])
    if len(fields) != 5 or days_extended or len(text) > MAX_CRON:
        return False
    try:
        # The start time does not matter for validation.
        CronSim(text, datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
    except CronSimError:
        return False
    return True


def _check_repository(trigger: Trigger) -> Iterator[Problem]:
    at: Path = ("cloudbuild", "trigger")
    address, config = trigger.repository, trigger.host_config
    if config is not None and not re.fullmatch(HOST_CONFIG, config):
        message = (
            f"{config!r} is not a valid host configuration: write "
            "projects/PROJECT/locations/REGION/githubEnterpriseConfigs/ID, or …/gitLabConfigs/ID"
        )
        yield Problem(message=message, path=(*at, "host_config"))
    if any(re.fullmatch(form, address) for form in (CONNECTED, LINKED, SOURCE)):
        return
    hosted = re.fullmatch(HOSTED, address)
    if hosted is None:
        message = (
            f"{address!r} is not a valid trigger repository: write https://github.com/OWNER/NAME, "
            "or the name of a connected repository, "
            "projects/PROJECT/locations/REGION/connections/CONNECTION/repositories/NAME"
        )
        yield Problem(message=message, path=(*at, "repository"))
    elif hosted["host"] == "github.com" and config is not None:
        message = "github.com does not take 'host_config'; remove it"
        yield Problem(message=message, path=(*at, "host_config"))
    elif "/" in hosted["owner"] and "gitLabConfigs" not in (config or ""):
        message = f"{address!r} is not a valid repository URL: write https://HOST/OWNER/NAME"
        yield Problem(message=message, path=(*at, "repository"))
    elif hosted["host"] != "github.com" and config is None:
        message = (
            f"{hosted['host']} must be connected to Cloud Build: use the name of the connected "
            "repository (projects/…/connections/…/repositories/…), or set 'host_config'"
        )
        yield Problem(message=message, path=(*at, "repository"))
