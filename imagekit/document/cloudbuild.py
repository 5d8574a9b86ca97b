"""Generate a Google Cloud Build file from a plan.

Schema: cloud.google.com/build/docs/build-config-file-schema. Substitutions:
cloud.google.com/build/docs/configuring-builds/substitute-variable-values.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from imagekit.config.cloudbuild import CloudBuild, account_name, escape, substituted
from imagekit.document.limits import Document, Figures, validate
from imagekit.planning.plan import Image, Plan
from imagekit.support.json_text import dumps

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
    build = assemble(plan, options)
    validate(build, options.limits)
    return build


def assemble(plan: Plan, options: CloudBuild) -> Document:
    """Like `document`, without checking Cloud Build's limits."""
    return {"steps": [*_steps(plan, options)], **_around(plan, options)}


def _around(plan: Plan, options: CloudBuild) -> Document:
    """Everything of the build but its steps."""
    build: Document = {"timeout": f"{options.timeout}s"}
    if options.publish == "provenance":
        build["images"] = [written(plan.reference(name)) for name in plan.names()]
    # The Dockerfiles mount caches and secrets, which only BuildKit can.
    build["options"] = {"env": ["DOCKER_BUILDKIT=1"], **_without_none(_options(options))}
    account = options.service_account
    more = {
        "serviceAccount": account_name(account) if account else None,
        "logsBucket": options.logs_bucket,
        "tags": list(options.tags) or None,
        "substitutions": _used_substitutions(plan, options) or None,
    }
    return build | _without_none(more)


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
    if not given:
        return {}
    texts = (value for image in plan.images for value in image.build_args.values())
    used = {name for text in texts for name in substituted(text, given)}
    return {name: value for name, value in given.items() if name in used}


def render(plan: Plan, options: CloudBuild) -> str:
    """The text of `cloudbuild.json`; the same plan always gives the same bytes.

    The steps are written as they are made, so that the memory does not grow with their number.
    Raises LimitError if Cloud Build would reject the build.
    """
    around = _around(plan, options)
    figures = Figures()
    steps = _steps(plan, options)
    parts: list[str] = []
    while chunk := list(itertools.islice(steps, CHUNK)):
        figures.add(chunk)
        # As in the whole document, for the same indentation.
        parts.append(dumps({"steps": chunk})[len(BEFORE) : -len(AFTER)])
    if not figures.fit(around, options.limits):
        return text_of(document(plan, options))
    rest = dumps(around).removeprefix("{\n")
    return f"{BEFORE}{SEPARATOR.join(parts)}\n  ],\n{rest}\n"


CHUNK = 1_000
"""The number of steps that are written at once."""
BEFORE, SEPARATOR, AFTER = '{\n  "steps": [\n', ",\n", "\n  ]\n}"
"""The text before, between and after steps."""


def text_of(build: Document) -> str:
    """The text of a build file."""
    return dumps(build) + "\n"


def _steps(plan: Plan, options: CloudBuild) -> Iterator[Step]:
    pulled = set(plan.pulled)
    by_tag = {image.tag: image for image in plan.images}
    for tag in plan.pulled:
        yield _pull_step(plan, tag)
    together = options.publish == "together"
    for image in plan.images:
        reference = plan.reference(image.tag)
        yield _build_step(plan, image, reference, options, pulled)
        if image.test:
            yield _test_step(image, reference)
        if options.publish == "each":
            waits = _proofs(plan, image, reference, by_tag)
            yield _push_step(reference, waits)
            for name in image.aliases:
                yield _push_step(plan.reference(name), waits)
    if together:
        ready = [_ready(image, plan.reference(image.tag)) for image in plan.images]
        for name in plan.names():
            yield _push_step(plan.reference(name), ready)


def _ready(image: Image, reference: str) -> str:
    """The step after which an image can be pushed."""
    return f"{reference}-test" if image.test else reference


def _proofs(plan: Plan, image: Image, reference: str, by_tag: dict[str, Image]) -> list[str]:
    """What a push waits for: its image, and the tests of the image's ancestors."""
    waits = [_ready(image, reference)]
    while image.parent is not None and image.parent in by_tag:
        image = by_tag[image.parent]
        if image.test:
            waits.append(_ready(image, plan.reference(image.tag)))
    return waits


AT_BUILD = {"{date}": "${_DATE}", "{commit}": "${SHORT_SHA}"}
"""What only the build knows, as substitutions. Cloud Build knows the commit of a build that a
trigger starts, and no date; `imagekit submit` and `imagekit build` give both."""


def written(reference: str) -> str:
    """An image reference as an argument of a step."""
    if "{" in reference:
        for placeholder, substitution in AT_BUILD.items():
            reference = reference.replace(placeholder, substitution)
    return reference


def _pull_step(plan: Plan, tag: str) -> Step:
    """The step that pulls a parent which an earlier build has pushed."""
    reference = plan.reference(tag)
    return {
        "id": f"{reference}-pull",
        "name": BUILDER,
        "args": ["pull", reference],
        "waitFor": ["-"],
    }


def _build_step(
    plan: Plan, image: Image, reference: str, options: CloudBuild, pulled: set[str]
) -> Step:
    live = options.substitutions
    args = ["build", "-t", reference]
    for alias in image.aliases:
        args += ("-t", written(plan.reference(alias)))
    args += ("-f", escape(image.dockerfile))
    if image.target is not None:
        args += ("--target", escape(image.target))
    for name, value in image.build_args.items():
        args += ("--build-arg", f"{name}={value}")
        if "$" in args[-1]:
            args[-1] = escape(args[-1], live)
    if options.cache is not None:
        # BuildKit reuses unchanged layers of the previous image.
        args += ("--cache-from", reference, "--build-arg", INLINE_CACHE)
    if image.labels or plan.source is not None:
        args += _labels(plan, image)
    args.append(escape(image.context))
    return {
        "id": reference,
        "name": BUILDER,
        "args": args,
        "waitFor": _parent_step(plan, image, pulled),
    }


def _parent_step(plan: Plan, image: Image, pulled: set[str]) -> list[str]:
    if image.parent is None:
        return ["-"]
    reference = plan.reference(image.parent)
    return [f"{reference}-pull" if image.parent in pulled else reference]


def _labels(plan: Plan, image: Image) -> list[str]:
    """The labels of an image, and those of its source: the repository and the commit.

    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    labels = [escape(f"{key}={value}") for key, value in image.labels.items()]
    if plan.source is not None:
        # A recipe's own label of the same key is kept.
        own = {
            "org.opencontainers.image.source": escape(plan.source),
            "org.opencontainers.image.revision": "$COMMIT_SHA",
        }
        labels += [f"{key}={value}" for key, value in own.items() if key not in image.labels]
    return [part for label in labels for part in ("--label", label)]


def _test_step(image: Image, reference: str) -> Step:
    """The test step that must pass before the image is pushed."""
    files = [part for name in image.test for part in ("--config", escape(name))]
    return {
        "id": f"{reference}-test",
        "name": STRUCTURE_TEST,
        "args": ["test", "--image", reference, *files],
        "waitFor": [reference],
    }


def _push_step(reference: str, wait_for: list[str]) -> Step:
    return {
        "id": f"{reference}-push",
        "name": BUILDER,
        "args": ["push", written(reference)],
        "waitFor": wait_for,
    }
