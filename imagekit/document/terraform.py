"""Write triggers as Terraform JSON.

Resources: registry.terraform.io/providers/hashicorp/google, cloudbuild_trigger, pubsub_topic and
cloud_scheduler_job. Syntax: developer.hashicorp.com/terraform/language/syntax/json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from imagekit.config.cloudbuild import CloudBuild, trigger_region
from imagekit.document.cloudbuild import text_of
from imagekit.document.limits import Document
from imagekit.document.trigger import project_of, scheduled_name, topic_of, trigger_of, webhook_of
from imagekit.errors import UsageError
from imagekit.planning.plan import Plan

UNSUPPORTED = ("gitlabEnterpriseEventsConfig",)
"""Events of Cloud Build triggers that the provider does not support."""
KEY, SECRET = "cloud_build_api_key", "webhook_secret"
"""The Terraform variables of a schedule with a webhook."""

Resources = dict[str, dict[str, Any]]
"""Resources by type and label."""


def render(plan: Plan, options: CloudBuild, triggers: Sequence[Document]) -> str:
    """The text of a `.tf.json` file: the triggers, and the resources of a schedule.

    Raises UsageError for a trigger event that the Terraform provider does not support.
    """
    unsupported = {field for trigger in triggers for field in trigger if field in UNSUPPORTED}
    if unsupported:
        message = f"Terraform's provider has no {', '.join(sorted(unsupported))}; use --format yaml"
        raise UsageError(message)
    project, region = project_of(plan, options), trigger_region(options)
    where = {"project": escaped(project)} if project else {}
    where |= {"location": escaped(region)} if region else {}
    resources = {_label(fields["name"]): where | _trigger(fields) for fields in triggers}
    document: dict[str, Any] = {"resource": {"google_cloudbuild_trigger": resources}}
    trigger = options.trigger
    if trigger is not None and trigger.schedule is not None:
        if trigger.secret is not None:
            variables = {name: {"sensitive": True} for name in (KEY, SECRET)}
            document = {"variable": variables} | document
        document["resource"] |= _schedule(plan, options, resources)
    return text_of(document)


def _trigger(trigger: Document) -> dict[str, Any]:
    fields: dict[str, Any] = _snake(trigger)
    for block in ("source_to_build", "git_file_source"):
        if block in fields:
            # The provider requires a type, also for a connected repository.
            fields[block] = {"repo_type": "UNKNOWN"} | fields[block]
    return fields


def _schedule(plan: Plan, options: CloudBuild, triggers: dict[str, Any]) -> Resources:
    """The Cloud Scheduler job, and its Pub/Sub topic unless it uses a webhook."""
    config = trigger_of(options)
    name = scheduled_name(config)
    label = _label(name)
    job = _snake(
        {
            "project": project_of(plan, options),
            "name": name,
            "schedule": config.schedule,
            "time_zone": config.time_zone,
        }
    )
    if config.secret is not None:
        # The address is escaped before it gets the references, which Terraform replaces.
        address = escaped(webhook_of(plan, options, "KEY", "SECRET"))
        address = address.removesuffix("KEY&secret=SECRET")
        address += f"${{var.{KEY}}}&secret=${{var.{SECRET}}}"
        body = '${base64encode("{}")}'
        target = {"http_target": {"uri": address, "http_method": "POST", "body": body}}
        return {"google_cloud_scheduler_job": {label: job | target}}
    topic = f"${{google_pubsub_topic.{label}.id}}"
    # With a reference, Terraform creates the topic before the trigger.
    triggers[label]["pubsub_config"] = {"topic": topic}
    data = '${base64encode("build")}'
    _, project, _, topic_name = topic_of(plan, options).split("/")
    return {
        "google_pubsub_topic": {label: _snake({"project": project, "name": topic_name})},
        "google_cloud_scheduler_job": {
            label: job | {"pubsub_target": {"topic_name": topic, "data": data}}
        },
    }


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _snake(value: Any) -> Any:
    """Convert keys to snake case, and escape strings for Terraform."""
    if isinstance(value, Mapping):
        return {_name(key): _snake(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_snake(child) for child in value]
    return escaped(value) if isinstance(value, str) else value


def escaped(text: str) -> str:
    """A text in which Terraform finds no expression and no directive."""
    return text.replace("${", "$${").replace("%{", "%%{")


def _name(key: str) -> str:
    # The provider has one `step` block for each step.
    snake = re.sub(r"(?<=[a-z])([A-Z])", lambda m: f"_{m[1].lower()}", key)
    return {"steps": "step"}.get(snake, snake)
