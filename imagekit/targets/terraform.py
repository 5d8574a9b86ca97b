"""Triggers as Terraform's JSON, for those who keep their project in Terraform.

Resources: registry.terraform.io/providers/hashicorp/google, cloudbuild_trigger, pubsub_topic and
cloud_scheduler_job. Syntax: developer.hashicorp.com/terraform/language/syntax/json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from imagekit.images import Plan
from imagekit.targets.limits import Document
from imagekit.targets.trigger import project_of, topic_of


def render(plan: Plan, triggers: Sequence[Document]) -> str:
    """The text of a `.tf.json` file: the triggers, and the job and topic of a schedule."""
    resources: dict[str, dict[str, Any]] = {"google_cloudbuild_trigger": {}}
    for trigger in triggers:
        fields = _snake(trigger)
        if plan.cloudbuild.region:
            fields["location"] = plan.cloudbuild.region
        project = project_of(plan)
        resources["google_cloudbuild_trigger"][_label(trigger["name"])] = (
            {"project": project, **fields} if project else fields
        )
    config = plan.cloudbuild.trigger
    if config is not None and config.schedule is not None and config.secret is None:
        topic = topic_of(plan, config)
        label = _label(topic.rpartition("/")[2])
        _, project, _, name = topic.split("/")
        resources["google_pubsub_topic"] = {label: {"project": project, "name": name}}
        resources["google_cloud_scheduler_job"] = {
            label: {
                "project": project,
                "name": name,
                "schedule": config.schedule,
                "time_zone": config.time_zone,
                "pubsub_target": {
                    "topic_name": f"${{google_pubsub_topic.{label}.id}}",
                    "data": '${base64encode("build")}',
                },
            }
        }
    return json.dumps({"resource": resources}, indent=2, ensure_ascii=False) + "\n"


def _label(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _snake(value: Any) -> Any:
    """Google's names as Terraform writes them, and no text that Terraform would interpolate."""
    if isinstance(value, Mapping):
        return {_name(key): _snake(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_snake(inside) for inside in value]
    if isinstance(value, str):
        return value.replace("${", "$${").replace("%{", "%%{")
    return value


def _name(key: str) -> str:
    # The provider repeats a block for each step.
    snake = re.sub(r"(?<=[a-z])([A-Z])", lambda m: f"_{m[1].lower()}", key)
    return {"steps": "step"}.get(snake, snake)
