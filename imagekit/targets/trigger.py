"""What starts a build by itself: triggers as `gcloud builds triggers import` reads them.

Fields: cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.triggers.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

import yaml

from imagekit.cloud import CONNECTED, HOST_CONFIG, LINKED, SOURCE, Trigger, account_name
from imagekit.errors import LimitError, Problem
from imagekit.images import Plan
from imagekit.repository import registry_of
from imagekit.targets.limits import Document

CLOUD_SDK = "gcr.io/google.com/cloudsdktool/cloud-sdk:slim"
"""The image of a step that submits other builds."""


def documents(plan: Plan, build_files: Sequence[str], included: Sequence[str]) -> list[Document]:
    """The trigger of a plan, and a second one where there is a schedule.

    `build_files` are the paths of the build file, or of several in their order; `included` are
    the files whose change starts a build. Raises LimitError where the config has no trigger, or
    where a schedule needs a project and none is known.
    """
    trigger = trigger_of(plan)
    pushed = {
        "name": trigger.name,
        "description": f"Images of {plan.repository}, when what they are made of changes",
        **_event(trigger),
        "includedFiles": sorted({*included, *build_files}),
        "ignoredFiles": list(trigger.ignored_files),
        **_common(plan, trigger),
        **_what(build_files, trigger, pushed=True),
    }
    found = [pushed]
    if trigger.schedule is not None:
        found.append(
            {
                "name": _scheduled_name(trigger),
                "description": f"Images of {plan.repository}, by the clock",
                **_scheduled(plan, trigger),
                "sourceToBuild": _source(trigger) | {"ref": f"refs/heads/{trigger.branch}"},
                **_common(plan, trigger),
                **_what(build_files, trigger, pushed=False),
            }
        )
    return [{k: v for k, v in one.items() if v not in ([], None)} for one in found]


def trigger_of(plan: Plan) -> Trigger:
    """What the config says of a trigger. Raises LimitError where it says nothing."""
    if plan.cloudbuild.trigger is None:
        message = (
            "the config says nothing of a trigger; name its repository: "
            "cloudbuild: {trigger: {repository: https://github.com/OWNER/NAME}}"
        )
        raise LimitError([Problem(message=message)])
    return plan.cloudbuild.trigger


def render(found: Sequence[Document]) -> str:
    """Triggers as one YAML file, a document each."""
    return yaml.safe_dump_all(found, sort_keys=False, explicit_start=True, width=100)


def project_of(plan: Plan) -> str | None:
    """The project that builds: the config's, or the one whose registry the images go to."""
    registry = registry_of(plan.repository)
    return plan.cloudbuild.project or (registry.project if registry else None)


def topic_of(plan: Plan, trigger: Trigger) -> str:
    """The Pub/Sub topic of a schedule. Raises LimitError where no project is known."""
    project = project_of(plan)
    if project is None:
        message = "a schedule needs the project that builds; set 'project' under 'cloudbuild'"
        raise LimitError([Problem(message=message, path=("cloudbuild", "project"))])
    return f"projects/{project}/topics/{trigger.topic or _scheduled_name(trigger)}"


def commands(plan: Plan, path: str) -> list[str]:
    """What is left to be done by hand, once: the commands for gcloud."""
    trigger = trigger_of(plan)
    project = project_of(plan)
    where = f" --project={project}" if project else ""
    region = f" --region={plan.cloudbuild.region}" if plan.cloudbuild.region else ""
    found = []
    if trigger.schedule is not None and trigger.secret is None:
        topic = topic_of(plan, trigger).rpartition("/")[2]
        location = plan.cloudbuild.region if plan.cloudbuild.region != "global" else None
        found += [
            f"gcloud pubsub topics create {topic}{where}",
            f"gcloud scheduler jobs create pubsub {topic} --topic={topic} --message-body=build "
            f"--schedule='{trigger.schedule}' --time-zone={trigger.time_zone} "
            f"--location={location or 'us-central1'}{where}",
        ]
    return [*found, f"gcloud builds triggers import --source={path}{where}{region}"]


def _event(trigger: Trigger) -> Document:
    """What a trigger listens to, by the kind of its repository."""
    push = {"push": {"branch": f"^{re.escape(trigger.branch)}$"}}
    if CONNECTED.fullmatch(trigger.repository):
        return {"repositoryEventConfig": {"repository": trigger.repository, **push}}
    if LINKED.fullmatch(trigger.repository):
        return {"developerConnectEventConfig": {"gitRepositoryLink": trigger.repository, **push}}
    if source := SOURCE.fullmatch(trigger.repository):
        branch = push["push"]["branch"]
        named = {"projectId": source["project"], "repoName": source["name"], "branchName": branch}
        return {"triggerTemplate": named}
    return _hosted(trigger, push)


def _hosted(trigger: Trigger, push: Document) -> Document:
    path = trigger.repository.removeprefix("https://").partition("/")[2]
    owner, _, name = path.rstrip("/").removesuffix(".git").rpartition("/")
    host = HOST_CONFIG.fullmatch(trigger.host_config or "")
    if host and host["kind"] == "gitLabConfigs":
        namespace = {"projectNamespace": f"{owner}/{name}"}
        config = {"gitlabConfigResource": trigger.host_config, **namespace}
        return {"gitlabEnterpriseEventsConfig": {**config, **push}}
    github = {"owner": owner, "name": name, **push}
    if trigger.host_config:
        github["enterpriseConfigResourceName"] = trigger.host_config
    return {"github": github}


def _source(trigger: Trigger) -> Document:
    """The repository of a build that no push has started."""
    if CONNECTED.fullmatch(trigger.repository):
        return {"repository": trigger.repository}
    host = HOST_CONFIG.fullmatch(trigger.host_config or "")
    kind = "GITLAB" if host and host["kind"] == "gitLabConfigs" else "GITHUB"
    if SOURCE.fullmatch(trigger.repository):
        kind = "CLOUD_SOURCE_REPOSITORIES"
    github = {"githubEnterpriseConfig": trigger.host_config} if host and kind == "GITHUB" else {}
    return {"uri": trigger.repository, "repoType": kind, **github}


def _scheduled(plan: Plan, trigger: Trigger) -> Document:
    if trigger.secret is not None:
        return {"webhookConfig": {"secret": trigger.secret}}
    return {"pubsubConfig": {"topic": topic_of(plan, trigger)}}


def _scheduled_name(trigger: Trigger) -> str:
    return f"{trigger.name[:55]}-schedule"


def _common(plan: Plan, trigger: Trigger) -> Document:
    account = plan.cloudbuild.service_account
    return {
        "serviceAccount": account_name(account) if account else None,
        "approvalConfig": {"approvalRequired": True} if trigger.approval else None,
        "tags": list(plan.cloudbuild.tags),
    }


def _what(build_files: Sequence[str], trigger: Trigger, *, pushed: bool) -> Document:
    """The build itself: a file of the repository, or a build that submits several in order."""
    if len(build_files) > 1:
        return {"build": _several(build_files)}
    (path,) = build_files
    if pushed:
        return {"filename": path}
    where = {**_source(trigger), "revision": f"refs/heads/{trigger.branch}"}
    return {"gitFileSource": {"path": path, **where}}


def _several(build_files: Sequence[str]) -> Document:
    """A build that submits others, each when the one before has succeeded.

    It waits while they build, so its time-out is as long as Cloud Build allows.
    """
    made: list[dict[str, Any]] = []
    for path in build_files:
        made.append(
            {
                "id": posixpath.basename(path),
                "name": CLOUD_SDK,
                "args": ["gcloud", "builds", "submit", ".", f"--config={path}", "--suppress-logs"],
                "waitFor": [made[-1]["id"]] if made else ["-"],
            }
        )
    return {"steps": made, "timeout": "86400s", "options": {"logging": "CLOUD_LOGGING_ONLY"}}
