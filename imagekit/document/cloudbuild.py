"""Generate a Google Cloud Build file from a plan.

Schema: cloud.google.com/build/docs/build-config-file-schema. Substitutions:
cloud.google.com/build/docs/configuring-builds/substitute-variable-values.
"""

from __future__ import annotations

import json
from typing import Any

from imagekit.config.cloudbuild import CloudBuild, account_name, escape, substituted
from imagekit.document.limits import Document, validate
from imagekit.planning.plan import Image, Plan

BUILDER = "gcr.io/cloud-builders/docker"
STRUCTURE_TEST = "gcr.io/gcp-runtimes/container-structure-test"

INLINE_CACHE = "BUILDKIT_INLINE_CACHE=1"
"""The build arg that makes BuildKit write what it needs for reuse into the image itself
(docs.docker.com/build/cache/backends/inline)."""

Step = dict[str, Any]


def document(plan: Plan, options: CloudBuild) -> Document:
    """The build as a mapping: a build step and a push step per image, parents first.

    Raises LimitError if Cloud Build would reject it.
    """
    whole = assemble(plan, options)
    validate(whole, options.limits)
    return whole


def assemble(plan: Plan, options: CloudBuild) -> Document:
    """Like `document`, without checking Cloud Build's limits."""
    whole: Document = {"steps": _steps(plan, options), "timeout": f"{options.timeout}s"}
    if options.publish == "provenance":
        whole["images"] = [plan.reference(name) for name in plan.names()]
    # The Dockerfiles mount caches and secrets, which only BuildKit can.
    whole["options"] = {"env": ["DOCKER_BUILDKIT=1"], **_without_none(_options(options))}
    account = options.service_account
    more = {
        "serviceAccount": account_name(account) if account else None,
        "logsBucket": options.logs_bucket,
        "tags": list(options.tags) or None,
        "substitutions": _used_substitutions(plan, options) or None,
    }
    return whole | _without_none(more)


def _options(options: CloudBuild) -> dict[str, Any]:
    return {
        "machineType": options.machine_type,
        # Protobuf's JSON writes 64-bit integers as text.
        "diskSizeGb": str(options.disk_size) if options.disk_size else None,
        "pool": {"name": options.worker_pool} if options.worker_pool else None,
        "logging": options.logging,
        "requestedVerifyOption": "VERIFIED" if options.publish == "provenance" else None,
    }


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _used_substitutions(plan: Plan, options: CloudBuild) -> dict[str, str]:
    """The substitutions that the plan uses; Cloud Build rejects a build with unused ones."""
    given = options.substitutions
    texts = (value for image in plan.images for value in image.build_args.values())
    used = {name for text in texts for name in substituted(text, given)}
    return {name: value for name, value in given.items() if name in used}


def render(plan: Plan, options: CloudBuild) -> str:
    """The text of `cloudbuild.json`; the same plan always gives the same bytes."""
    return text_of(document(plan, options))


def text_of(build: Document) -> str:
    """The text of a build file."""
    return json.dumps(build, indent=2, ensure_ascii=False) + "\n"


def _steps(plan: Plan, options: CloudBuild) -> list[Step]:
    made = {
        image.tag: [_build_step(plan, image, options), *_test_step(plan, image)]
        for image in plan.images
    }
    pulls = [_pull_step(plan, tag) for tag in plan.pulled]
    if options.publish == "provenance":
        return [*pulls, *(step for steps in made.values() for step in steps)]
    ready = {tag: steps[-1]["id"] for tag, steps in made.items()}
    together = options.publish == "together"
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
        return [*pulls, *(step for steps in (*made.values(), *pushes.values()) for step in steps)]
    return [*pulls, *(step for tag in made for step in (*made[tag], *pushes[tag]))]


def _proofs(image: Image, plan: Plan, ready: dict[str, str]) -> list[str]:
    """What a push waits for: its image, and the tests of those that it stands on."""
    by_tag = {other.tag: other for other in plan.images}
    found = [ready[image.tag]]
    while image.parent in by_tag:
        image = by_tag[image.parent]
        found += [ready[image.tag]] if image.test else []
    return found


def _pull_step(plan: Plan, tag: str) -> Step:
    """The step that pulls a parent which an earlier build has pushed."""
    reference = plan.reference(tag)
    return {
        "id": f"{reference}-pull",
        "name": BUILDER,
        "args": ["pull", reference],
        "waitFor": ["-"],
    }


def _build_step(plan: Plan, image: Image, options: CloudBuild) -> Step:
    tags = [plan.reference(name) for name in (image.tag, *image.aliases)]
    build_args = [f"{name}={value}" for name, value in image.build_args.items()]
    args = [
        "build",
        *(part for tag in tags for part in ("-t", tag)),
        *("-f", image.dockerfile),
        *(part for build_arg in build_args for part in ("--build-arg", build_arg)),
    ]
    live = options.substitutions
    return {
        "id": tags[0],
        "name": BUILDER,
        "args": [
            *(escape(arg, live) for arg in args),
            *_cache(plan, image, options),
            *_labels(plan),
            ".",
        ],
        "waitFor": _parent_step(plan, image),
    }


def _parent_step(plan: Plan, image: Image) -> list[str]:
    if image.parent is None:
        return ["-"]
    reference = plan.reference(image.parent)
    return [f"{reference}-pull" if image.parent in plan.pulled else reference]


def _cache(plan: Plan, image: Image, options: CloudBuild) -> list[str]:
    """Arguments that let BuildKit reuse unchanged layers of the previous image."""
    if options.cache is None:
        return []
    return ["--cache-from", plan.reference(image.tag), "--build-arg", INLINE_CACHE]


def _labels(plan: Plan) -> list[str]:
    """Labels with the source repository and the commit, which Cloud Build substitutes.

    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    if plan.source is None:
        return []
    source = f"org.opencontainers.image.source={escape(plan.source)}"
    return ["--label", source, "--label", "org.opencontainers.image.revision=$COMMIT_SHA"]


def _test_step(plan: Plan, image: Image) -> list[Step]:
    """The test step that must pass before the image is pushed, if its recipe has a test."""
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
