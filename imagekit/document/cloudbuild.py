"""Generate a Google Cloud Build file from a plan.

Schema: cloud.google.com/build/docs/build-config-file-schema. Substitutions:
cloud.google.com/build/docs/configuring-builds/substitute-variable-values.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from imagekit.config.cloudbuild import CloudBuild, account_name, escape, substituted
from imagekit.document.limits import Document, Figures, validate
from imagekit.planning.plan import Image, Plan
from imagekit.support.json_text import dumps, loads, quoted

BUILDER = "gcr.io/cloud-builders/docker"
STRUCTURE_TEST = "gcr.io/gcp-runtimes/container-structure-test"

INLINE_CACHE = "BUILDKIT_INLINE_CACHE=1"
"""The build arg that makes BuildKit write what it needs for reuse into the image itself
(docs.docker.com/build/cache/backends/inline)."""


def document(plan: Plan, options: CloudBuild) -> Document:
    """The build as a mapping: a build step and a push step per image, parents first.

    Raises LimitError if Cloud Build would reject it.
    """
    build: Document = loads(render(plan, options))
    return build


def render(plan: Plan, options: CloudBuild) -> str:
    """The text of `cloudbuild.json`; the same plan always gives the same bytes.

    Raises LimitError if Cloud Build would reject the build.
    """
    around, steps = _around(plan, options), _Steps(plan, options)
    text = steps.text(around)
    if not steps.figures().fit(around, options.limits):
        validate(loads(text), options.limits)
    return text


def unlimited(plan: Plan, options: CloudBuild) -> str:
    """Like `render`, without checking Cloud Build's limits."""
    return _Steps(plan, options).text(_around(plan, options))


TOGETHER = 1000
"""The number of steps that are joined at once. Memory of this size is used again for the next."""
BEGIN = "{\n"
"""The beginning of a mapping."""


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


def text_of(build: Document) -> str:
    """The text of a build file."""
    return dumps(build) + "\n"


AT_BUILD = {"{date}": "${_DATE}", "{commit}": "${SHORT_SHA}"}
"""What only the build knows, as substitutions. Cloud Build knows the commit of a build that a
trigger starts, and no date; `imagekit submit` and `imagekit build` give both."""


def written(reference: str) -> str:
    """An image reference as an argument of a step."""
    if "{" in reference:
        for placeholder, substitution in AT_BUILD.items():
            reference = reference.replace(placeholder, substitution)
    return reference


class _Arguments(dict[str, str]):
    """Texts as arguments of a step, in JSON. Most stand in many steps and are written once."""

    def __init__(self, flag: str = "", live: Collection[str] = ()) -> None:
        self.before = f"{quoted(flag)}{COMMA}" if flag else ""
        self.live = live
        self.longest = 0
        """The most characters of an argument, in JSON."""

    def __missing__(self, text: str) -> str:
        own = quoted(escape(text, self.live))
        self.longest = max(self.longest, len(own))
        self[text] = argument = self.before + own
        return argument


class _Steps:
    """The steps of a plan as JSON, and the figures that Cloud Build limits.

    The text is written directly, because objects that are encoded afterwards take several times as
    long. Names of images and of steps are JSON, too: text in quotes.
    """

    def __init__(self, plan: Plan, options: CloudBuild) -> None:
        self.plan = plan
        self.options = options
        self._plain = _Arguments()
        self._build_args = _Arguments("--build-arg", options.substitutions)
        self._longest_list = 0
        self._names: list[str] = []
        self._is_ordered = True
        self._built = {tag: _suffixed(self._name(tag), "pull") for tag in plan.pulled}
        """For the images so far, and those that are pulled: the step that makes them."""
        self._number = 0
        """The number of steps in the text."""

    def figures(self) -> Figures:
        """Figures that no step of the text exceeds, and whether they are certainly in order."""
        names = self._names
        # Two quotes less, and the longest suffix of a step's name more.
        longest_name = max(map(len, names), default=0) + 3
        has_suffix = any(name.endswith(SUFFIXES) for name in names)
        return Figures(
            steps=self._number,
            # Each element is at most an option and its value.
            most=2 * self._longest_list,
            longest=max(self._plain.longest, self._build_args.longest, longest_name),
            longest_name=longest_name,
            is_sound=self._is_ordered and not has_suffix and len({*names}) == len(names),
        )

    def _name(self, short: str) -> str:
        name = quoted(self.plan.reference(short))
        self._names.append(name)
        return name

    def text(self, around: Document) -> str:
        """The text of the build: the steps of each image, parents first, and what is around them.

        It is made once.
        """
        publish = self.options.publish
        pulls = zip(self._built.values(), self._names, strict=True)
        texts = [_step(step, BUILDER, f'"pull"{COMMA}{name}', NOTHING) for step, name in pulls]
        every: list[str] = []
        tests: dict[str | None, str] = {}
        made = '{\n  "steps": [\n'
        for image in self.plan.images:
            if len(texts) > TOGETHER:
                self._number += len(texts)
                # Python extends a text in its place. All joined at once, they would need the
                # memory of the whole text twice.
                made += ",\n".join((*texts, ""))
                texts.clear()
            name = self._name(image.tag)
            names = [name, *map(self._name, image.aliases)]
            texts.append(self._build(image, names))
            self._built[image.tag] = ready = name
            if image.test:
                ready = _suffixed(name, "test")
                texts.append(_step(ready, STRUCTURE_TEST, self._test_args(image, name), name))
            # A push waits for the tests of the image's ancestors, too.
            above = tests.get(image.parent, "")
            if image.test or above:
                tests[image.tag] = f"{COMMA}{ready}{above}" if image.test else above
            if publish == "each":
                texts += [_push(each, ready + above) for each in names]
            every.append(ready)
        if publish == "together":
            waits = COMMA.join(every)
            texts += [_push(name, waits) for name in self._names]
        self._number += len(texts)
        made += ",\n".join(texts)
        made += f"\n  ],\n{dumps(around).removeprefix(BEGIN)}\n"
        return made

    def _build(self, image: Image, names: Sequence[str]) -> str:
        """The step that builds an image."""
        plain, build_args = self._plain, self._build_args
        args = ['"build"']
        for name in names:
            args += ('"-t"', written(name) if "{" in name else name)
        args += ('"-f"', plain[image.dockerfile])
        if image.target is not None:
            args += ('"--target"', plain[image.target])
        for arg, value in image.build_args.items():
            args.append(build_args[f"{arg}={value}"])
        if self.options.cache is not None:
            # BuildKit reuses unchanged layers of the previous image.
            args += ('"--cache-from"', names[0], build_args[INLINE_CACHE])
        if image.labels or self.plan.source is not None:
            args += [f'"--label"{COMMA}{quoted(label)}' for label in _labels(self.plan, image)]
        args.append(plain[image.context])
        if len(args) > self._longest_list:  # noqa: PLR1730 - max() takes longer
            self._longest_list = len(args)
        parent = image.parent
        waits = NOTHING if parent is None else self._built.get(parent) or self._later(parent)
        return _step(names[0], BUILDER, COMMA.join(args), waits)

    def _later(self, parent: str) -> str:
        """The step of an image that has none so far, which is an error."""
        self._is_ordered = False
        return quoted(self.plan.reference(parent))

    def _test_args(self, image: Image, name: str) -> str:
        files = [f'"--config"{COMMA}{self._plain[file]}' for file in image.test]
        args = ['"test"', '"--image"', name, *files]
        self._longest_list = max(self._longest_list, len(args))
        return COMMA.join(args)


COMMA = ",\n        "
"""What separates the elements of a list in a step."""
NOTHING = '"-"'
"""What a step waits for that waits for no other."""
SUFFIXES = ('-pull"', '-push"', '-test"')
"""The ends of the names of steps that build nothing."""


def _suffixed(name: str, suffix: str) -> str:
    return f'{name[:-1]}-{suffix}"'


def _push(name: str, waits: str) -> str:
    """The step that pushes an image."""
    image = written(name) if "{" in name else name
    return _step(f'{name[:-1]}-push"', BUILDER, f'"push"{COMMA}{image}', waits)


def _step(name: str, builder: str, args: str, waits: str) -> str:
    return f"""\
    {{
      "id": {name},
      "name": "{builder}",
      "args": [
        {args}
      ],
      "waitFor": [
        {waits}
      ]
    }}"""


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
    return labels
