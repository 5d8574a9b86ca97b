"""Check a build against Cloud Build's rules and limits before it is submitted.

Figures: `imagekit.cloud.Limits`. Rules: GoogleCloudPlatform/cloud-build-local,
validate/validate.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imagekit.config.cloudbuild import MAX_TIMEOUT, Limits, seconds
from imagekit.errors import LimitError, Problem

Document = dict[str, Any]


def validate(build: Document, limits: Limits) -> dict[str, str]:
    """Check a build; returns the checked rules with their figures.

    Raises LimitError with all violations.
    """
    steps, images = build["steps"], build.get("images", [])
    problems = [*_disordered(steps), *_over_limits(build, limits)]
    if seconds(str(build["timeout"])) is None:
        message = f"the timeout {build['timeout']} is not between 1s and {MAX_TIMEOUT}s"
        problems.append(Problem(message=message))
    if problems:
        raise LimitError(problems)
    longest = max((len(arg) for step in steps for arg in step["args"]), default=0)
    most = max((len(step["args"]) for step in steps), default=0)
    found = {
        "steps": f"{len(steps)} of at most {limits.steps}",
        "step ids": "unique",
        "waitFor": "earlier steps only",
        "arguments in a step": f"{most} of at most {limits.args}",
        "characters in an argument": f"{longest:,} of at most {limits.arg_length:,}",
        "timeout": f"{build['timeout']} of at most {MAX_TIMEOUT}s",
    }
    return found | ({"images": f"{len(images)} of at most {limits.images}"} if images else {})


def _disordered(steps: list[dict[str, Any]]) -> Iterator[Problem]:
    if not steps:
        yield Problem(message="the build has no steps")
    earlier: set[str] = set()
    for step in steps:
        if step["id"] in ("", "-"):
            yield Problem(message=f"invalid step id {step['id']!r}")
        if step["id"] in earlier:
            yield Problem(message=f"duplicate step id {step['id']}")
        for name in step["waitFor"]:
            if name != "-" and name not in earlier:
                yield Problem(message=f"step {step['id']} waits for {name}, which is not earlier")
        earlier.add(step["id"])


REMEDY = "or raise 'cloudbuild.limits.{}' if your project's quota is higher"


def _over_limits(build: Document, limits: Limits) -> Iterator[Problem]:
    steps, images = build["steps"], build.get("images", [])
    if len(steps) > limits.steps:
        yield Problem(
            message=f"{len(steps)} steps are more than the {limits.steps} that a build may have; "
            f"split the plan, {REMEDY.format('steps')}"
        )
    if len(images) > limits.images:
        yield Problem(
            message=f"{len(images)} images are more than the {limits.images} that a "
            f"build may name; split the plan, {REMEDY.format('images')}"
        )
    everywhere = build.get("options", {}).get("env", [])
    for step in steps:
        env = [*everywhere, *step.get("env", [])]
        yield from _too_many("arguments", step, step["args"], limits.args, "args")
        yield from _too_many("environment variables", step, env, limits.env, "env")
        yield from _too_long("an argument", step, step["args"], limits.arg_length, "arg_length")
        yield from _too_long("a variable", step, env, limits.env_length, "env_length")
    names = dict.fromkeys([*(step["id"] for step in steps), *images])
    for name in names:
        if len(name) > limits.name_length:
            yield Problem(
                message=f"the name {name[:SHOWN]!r}… has {len(name)} characters, at most "
                f"{limits.name_length} are accepted; shorten it, {REMEDY.format('name_length')}"
            )


SHOWN = 40
"""Characters of a long text that a message repeats."""


def _too_many(
    what: str, step: dict[str, Any], given: list[str], limit: int, key: str
) -> Iterator[Problem]:
    if len(given) > limit:
        yield Problem(
            message=f"step {step['id'][: SHOWN * 4]} has {len(given)} {what}, at most {limit} are "
            f"accepted; give fewer build args, {REMEDY.format(key)}"
        )


def _too_long(
    what: str, step: dict[str, Any], given: list[str], limit: int, key: str
) -> Iterator[Problem]:
    longest = max(given, key=len, default="")
    if len(longest) > limit:
        yield Problem(
            message=f"step {step['id'][: SHOWN * 4]} has {what} of {len(longest)} characters, at "
            f"most {limit} are accepted; shorten what starts with {longest[:SHOWN]!r}, "
            f"{REMEDY.format(key)}"
        )
