"""Cloud Build triggers, in the format of `gcloud builds triggers import`.

Fields: cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.triggers.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from imagekit.config.cloudbuild import (
    CONNECTED,
    HOST_CONFIG,
    LINKED,
    MAX_TIMEOUT,
    SOURCE,
    CloudBuild,
    Trigger,
    account_name,
    region_of,
    trigger_region,
)
from imagekit.docker.names import registry_of
from imagekit.document.limits import Document
from imagekit.errors import LimitError, Problem
from imagekit.planning.plan import Plan

CLOUD_SDK = "gcr.io/google.com/cloudsdktool/cloud-sdk:slim"
"""The image of a step that submits other builds."""


def documents(
    plan: Plan, options: CloudBuild, build_files: Sequence[str], included: Sequence[str]
) -> list[Document]:
    """The push trigger of a plan, and a second trigger if the config has a schedule.

    `build_files` are the paths of the build files in order; `included` are the files whose
    change starts a build. Raises LimitError if the config has no trigger, or if it has a
    schedule but no project.
    """
    trigger = trigger_of(options)
    if _has(plan, "date"):
        message = (
            "a tag holds {date}, which a trigger does not know; use {commit} in it, or submit "
            "the builds with `imagekit submit`"
        )
        raise LimitError([Problem(message=message, path=("recipes",))])
    push_trigger = {
        "name": trigger.name,
        "description": f"Build {plan.repository} when a file changes",
        **_event(trigger),
        "includedFiles": [_literal(path) for path in sorted({*included, *build_files})],
        "ignoredFiles": list(trigger.ignored_files),
        **_common_fields(options, trigger),
        **_build(plan, options, build_files, on_push=True),
    }
    triggers = [push_trigger]
    if trigger.schedule is not None:
        triggers.append(
            {
                "name": scheduled_name(trigger),
                "description": f"Build {plan.repository} on a schedule",
                **_schedule_event(plan, options, trigger),
                "sourceToBuild": _source(trigger) | {"ref": f"refs/heads/{trigger.branch}"},
                **_common_fields(options, trigger),
                **_build(plan, options, build_files, on_push=False),
            }
        )
    return [{k: v for k, v in fields.items() if v not in ([], None)} for fields in triggers]


def _literal(path: str) -> str:
    """A glob that matches only this path (golang.org/pkg/path/filepath/#Match)."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def trigger_of(options: CloudBuild) -> Trigger:
    """The trigger in the config. Raises LimitError if there is none."""
    if options.trigger is None:
        message = (
            "the config has no trigger; set its repository: "
            "cloudbuild: {trigger: {repository: https://github.com/OWNER/NAME}}"
        )
        raise LimitError([Problem(message=message)])
    return options.trigger


def render(triggers: Sequence[Document]) -> str:
    """The text of a YAML file with one document per trigger."""
    return yaml.safe_dump_all(triggers, sort_keys=False, explicit_start=True, width=100)


def project_of(plan: Plan, options: CloudBuild) -> str | None:
    """The project of the builds: the one in the config, or the one of the images' registry."""
    registry = registry_of(plan.repository)
    return options.project or (registry.project if registry else None)


def topic_of(plan: Plan, options: CloudBuild) -> str:
    """The Pub/Sub topic of a schedule. Raises LimitError if no project is known."""
    trigger = trigger_of(options)
    topic = trigger.topic or scheduled_name(trigger)
    return f"projects/{_required_project(plan, options)}/topics/{topic}"


def _required_project(plan: Plan, options: CloudBuild) -> str:
    project = project_of(plan, options)
    if project is None:
        message = "a schedule needs the project that builds; set 'project' under 'cloudbuild'"
        raise LimitError([Problem(message=message, path=("cloudbuild", "project"))])
    return project


def webhook_of(plan: Plan, options: CloudBuild, key: str, secret: str) -> str:
    """The URL of a webhook trigger, with an API key and the secret's value.

    Raises LimitError if no project is known. Source:
    cloud.google.com/build/docs/automate-builds-webhook-events.
    """
    region = trigger_region(options)
    place = f"/locations/{region}" if region not in (None, "global") else ""
    name = scheduled_name(trigger_of(options))
    where = f"projects/{_required_project(plan, options)}{place}/triggers/{name}"
    return f"https://cloudbuild.googleapis.com/v1/{where}:webhook?key={key}&secret={secret}"


def commands(plan: Plan, options: CloudBuild, path: str) -> list[str]:
    """The gcloud commands that the user must run once."""
    trigger = trigger_of(options)
    project, region = project_of(plan, options), trigger_region(options)
    where = [f"--project={project}"] if project else []
    place = [f"--region={region}"] if region else []
    import_ = ["gcloud", "builds", "triggers", "import", f"--source={path}", *where, *place]
    schedule = _schedule(plan, options, where) if trigger.schedule is not None else []
    return [shlex.join(command) for command in [*schedule, import_]]


def _schedule(plan: Plan, options: CloudBuild, where: list[str]) -> list[list[str]]:
    """The commands that create the Cloud Scheduler job and its topic."""
    trigger = trigger_of(options)
    region = region_of(options)
    when = [
        f"--schedule={trigger.schedule}",
        f"--time-zone={trigger.time_zone}",
        f"--location={region if region not in (None, 'global') else 'us-central1'}",
        *where,
    ]
    jobs = ["gcloud", "scheduler", "jobs", "create"]
    if trigger.secret is not None:
        address = webhook_of(plan, options, "API_KEY", "SECRET")
        name = scheduled_name(trigger)
        return [[*jobs, "http", name, f"--uri={address}", "--message-body={}", *when]]
    topic = topic_of(plan, options).rpartition("/")[2]
    return [
        ["gcloud", "pubsub", "topics", "create", topic, *where],
        [*jobs, "pubsub", topic, f"--topic={topic}", "--message-body=build", *when],
    ]


def _event(trigger: Trigger) -> Document:
    """The event that starts a build, by the kind of repository."""
    push = {"push": {"branch": f"^{re.escape(trigger.branch)}$"}}
    if re.fullmatch(CONNECTED, trigger.repository):
        return {"repositoryEventConfig": {"repository": trigger.repository, **push}}
    if re.fullmatch(LINKED, trigger.repository):
        return {"developerConnectEventConfig": {"gitRepositoryLink": trigger.repository, **push}}
    if source := re.fullmatch(SOURCE, trigger.repository):
        branch = push["push"]["branch"]
        template = {
            "projectId": source["project"],
            "repoName": source["name"],
            "branchName": branch,
        }
        return {"triggerTemplate": template}
    return _host_event(trigger, push)


def _host_event(trigger: Trigger, push: Document) -> Document:
    path = trigger.repository.removeprefix("https://").partition("/")[2]
    owner, _, name = path.rstrip("/").removesuffix(".git").rpartition("/")
    host = re.fullmatch(HOST_CONFIG, trigger.host_config or "")
    if host and host["kind"] == "gitLabConfigs":
        namespace = {"projectNamespace": f"{owner}/{name}"}
        config = {"gitlabConfigResource": trigger.host_config, **namespace}
        return {"gitlabEnterpriseEventsConfig": {**config, **push}}
    github = {"owner": owner, "name": name, **push}
    if trigger.host_config:
        github["enterpriseConfigResourceName"] = trigger.host_config
    return {"github": github}


def _source(trigger: Trigger) -> Document:
    """The source repository of a scheduled build."""
    if re.fullmatch(CONNECTED, trigger.repository):
        return {"repository": trigger.repository}
    host = re.fullmatch(HOST_CONFIG, trigger.host_config or "")
    kind = "GITLAB" if host and host["kind"] == "gitLabConfigs" else "GITHUB"
    if re.fullmatch(SOURCE, trigger.repository):
        kind = "CLOUD_SOURCE_REPOSITORIES"
    github = {"githubEnterpriseConfig": trigger.host_config} if host and kind == "GITHUB" else {}
    return {"uri": trigger.repository, "repoType": kind, **github}


def _schedule_event(plan: Plan, options: CloudBuild, trigger: Trigger) -> Document:
    if trigger.secret is not None:
        return {"webhookConfig": {"secret": trigger.secret}}
    return {"pubsubConfig": {"topic": topic_of(plan, options)}}


def scheduled_name(trigger: Trigger) -> str:
    """The name of the scheduled trigger."""
    return f"{trigger.name[:55]}-schedule"


def _common_fields(options: CloudBuild, trigger: Trigger) -> Document:
    account = options.service_account
    return {
        "serviceAccount": account_name(account) if account else None,
        "approvalConfig": {"approvalRequired": True} if trigger.approval else None,
        "tags": list(options.tags),
    }


def _build(
    plan: Plan, options: CloudBuild, build_files: Sequence[str], *, on_push: bool
) -> Document:
    """The build: a file in the repository, or a build that submits several files in order."""
    trigger = trigger_of(options)
    if len(build_files) > 1:
        return {"build": _submitting_build(plan, options, build_files)}
    (path,) = build_files
    if on_push:
        return {"filename": path}
    where = {**_source(trigger), "revision": f"refs/heads/{trigger.branch}"}
    return {"gitFileSource": {"path": path, **where}}


def _has(plan: Plan, placeholder: str) -> bool:
    """Whether a tag has a part that only the build knows."""
    return any(f"{{{placeholder}}}" in name for image in plan.images for name in image.aliases)


def _submitting_build(plan: Plan, options: CloudBuild, build_files: Sequence[str]) -> Document:
    """A build that submits several builds, each after the previous one has succeeded.

    It waits while they run, so it has the longest timeout that Cloud Build allows.
    """
    region = region_of(options)
    more = [f"--region={region}"] if region else []
    # Cloud Build sets these only for builds that a trigger starts.
    names = (["COMMIT_SHA"] if plan.source else []) + (
        ["SHORT_SHA"] if _has(plan, "commit") else []
    )
    more += [f"--substitutions={','.join(f'{name}=${name}' for name in names)}"] if names else []
    steps: list[dict[str, Any]] = []
    for path in build_files:
        submit = ["gcloud", "builds", "submit", ".", f"--config={path}", "--suppress-logs"]
        steps.append(
            {
                "id": posixpath.basename(path),
                "name": CLOUD_SDK,
                "args": [*submit, *more],
                "waitFor": [steps[-1]["id"]] if steps else ["-"],
            }
        )
    return {
        "steps": steps,
        "timeout": f"{MAX_TIMEOUT}s",
        "options": {"logging": "CLOUD_LOGGING_ONLY"},
    }
