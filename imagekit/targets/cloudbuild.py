"""The plan as a Google Cloud Build file.

Schema: cloud.google.com/build/docs/build-config-file-schema. Substitutions:
cloud.google.com/build/docs/configuring-builds/substitute-variable-values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imagekit.config import MAX_TIMEOUT, Limits, seconds
from imagekit.errors import LimitError, Problem
from imagekit.images import Image, Plan

BUILDER = "gcr.io/cloud-builders/docker"
STRUCTURE_TEST = "gcr.io/gcp-runtimes/container-structure-test"

Step = dict[str, Any]
Document = dict[str, Any]


def document(plan: Plan) -> Document:
    """The build as a mapping: per image a build step and a push step, parents first.

    Raises LimitError where Cloud Build would refuse it.
    """
    whole = assemble(plan)
    validate(whole, plan.cloudbuild.limits)
    return whole


def assemble(plan: Plan) -> Document:
    """Like `document`, whether Cloud Build would take it or not."""
    options = plan.cloudbuild
    whole: Document = {"steps": _steps(plan), "timeout": f"{options.timeout}s"}
    chosen = {"machineType": options.machine_type, "logging": options.logging}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    # The Dockerfiles mount caches and secrets, which only BuildKit can.
    whole["options"] = {"env": ["DOCKER_BUILDKIT=1"], **chosen}
    return whole


def render(plan: Plan) -> str:
    """The text of `cloudbuild.json`: the same for the same plan, on every machine."""
    return json.dumps(document(plan), indent=2, ensure_ascii=False) + "\n"


def _steps(plan: Plan) -> list[Step]:
    made = {
        image.tag: [_build_step(plan, image), *_test_step(plan, image)] for image in plan.images
    }
    ready = {tag: steps[-1]["id"] for tag, steps in made.items()}
    together = plan.cloudbuild.publish == "together"
    pushes = {
        image.tag: [
            _push_step(
                plan, name, list(ready.values()) if together else _proofs(image, plan, ready)
            )
            for name in (image.tag, *image.aliases)
        ]
        for image in plan.images
    }
    if together:
        return [step for steps in (*made.values(), *pushes.values()) for step in steps]
    return [step for tag in made for step in (*made[tag], *pushes[tag])]


def _proofs(image: Image, plan: Plan, ready: dict[str, str]) -> list[str]:
    """What a push waits for: its image, and the tests of those that it stands on."""
    by_tag = {other.tag: other for other in plan.images}
    found = [ready[image.tag]]
    while image.parent is not None:
        image = by_tag[image.parent]
        found += [ready[image.tag]] if image.test else []
    return found


def _build_step(plan: Plan, image: Image) -> Step:
    tags = [plan.reference(name) for name in (image.tag, *image.aliases)]
    build_args = [f"{name}={value}" for name, value in image.build_args.items()]
    args = [
        "build",
        *(part for tag in tags for part in ("-t", tag)),
        *("-f", image.dockerfile),
        *(part for build_arg in build_args for part in ("--build-arg", build_arg)),
    ]
    return {
        "id": tags[0],
        "name": BUILDER,
        "args": [*(escape(arg) for arg in args), *_labels(plan), "."],
        "waitFor": ["-" if image.parent is None else plan.reference(image.parent)],
    }


def _labels(plan: Plan) -> list[str]:
    """Where an image comes from, for who finds it; Cloud Build fills in the commit of a trigger.

    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    if plan.source is None:
        return []
    source = f"org.opencontainers.image.source={escape(plan.source)}"
    return ["--label", source, "--label", "org.opencontainers.image.revision=$COMMIT_SHA"]


def _test_step(plan: Plan, image: Image) -> list[Step]:
    """The step that an image must pass before it is pushed, where its recipe names a test."""
    if not image.test:
        return []
    reference = plan.reference(image.tag)
    files = [part for name in image.test for part in ("--config", escape(name))]
    return [
        {
            "id": f"{reference}-test",
            "name": STRUCTURE_TEST,
            "args": ["test", "--image", reference, *files],
            "waitFor": [reference],
        }
    ]


def _push_step(plan: Plan, name: str, wait_for: list[str]) -> Step:
    reference = plan.reference(name)
    return {
        "id": f"{reference}-push",
        "name": BUILDER,
        "args": ["push", reference],
        "waitFor": wait_for,
    }


def escape(text: str) -> str:
    """A text that Cloud Build's substitutions leave as it is."""
    return text.replace("$", "$$")


def validate(build: Document, limits: Limits) -> dict[str, str]:
    """What was checked of a build, and what was found: rule → figure.

    Raises LimitError, with everything that Cloud Build would refuse.
    """
    steps = build["steps"]
    problems = [*_disordered(steps), *_over_limits(steps, limits)]
    if seconds(str(build["timeout"])) is None:
        message = f"the time-out {build['timeout']} is not between 1s and {MAX_TIMEOUT}s"
        problems.append(Problem(message=message))
    if problems:
        raise LimitError(problems)
    longest = max((len(arg) for step in steps for arg in step["args"]), default=0)
    most = max((len(step["args"]) for step in steps), default=0)
    return {
        "steps": f"{len(steps)} of at most {limits.steps}",
        "step ids": "each is there once",
        "waitFor": "names earlier steps only",
        "arguments in a step": f"{most} of at most {limits.args}",
        "characters in an argument": f"{longest} of at most {limits.arg_length}",
        "time-out": f"{build['timeout']} of at most {MAX_TIMEOUT}s",
    }


def _disordered(steps: list[Step]) -> Iterator[Problem]:
    if not steps:
        yield Problem(message="the build has no steps")
    earlier: set[str] = set()
    for step in steps:
        if step["id"] in earlier:
            yield Problem(message=f"two steps are called {step['id']}")
        for name in step["waitFor"]:
            if name != "-" and name not in earlier:
                yield Problem(message=f"step {step['id']} waits for {name}, which is not earlier")
        earlier.add(step["id"])


def _over_limits(steps: list[Step], limits: Limits) -> Iterator[Problem]:
    remedy = "or raise 'cloudbuild.limits.{}' if your Cloud Build accepts more"
    if len(steps) > limits.steps:
        yield Problem(
            message=f"{len(steps)} steps are more than the {limits.steps} that a build may have; "
            f"build a part with --only, {remedy.format('steps')}"
        )
    for step in steps:
        if len(step["args"]) > limits.args:
            yield Problem(
                message=f"step {step['id']} has {len(step['args'])} arguments, at most "
                f"{limits.args} are accepted; give fewer build args, {remedy.format('args')}"
            )
        longest = max(step["args"], key=len)
        if len(longest) > limits.arg_length:
            yield Problem(
                message=f"step {step['id']} has an argument of {len(longest)} characters, at most "
                f"{limits.arg_length} are accepted; shorten what starts with {longest[:40]!r}, "
                f"{remedy.format('arg_length')}"
            )
