"""Check a build against Cloud Build's rules and limits before it is submitted.

Figures: `imagekit.cloud.Limits`. Rules: GoogleCloudPlatform/cloud-build-local,
validate/validate.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from imagekit.config.cloudbuild import MAX_TIMEOUT, Limits, seconds
from imagekit.errors import LimitError, Problem

Document = dict[str, Any]


def validate(build: Document, limits: Limits) -> dict[str, str]:
    """Check a build; returns the checked rules with their figures.

    Raises LimitError with all violations.
    """
    steps, images = build["steps"], build.get("images", [])
    figures = Figures.of(steps)
    problems = [] if figures.is_sound and steps else [*_disordered(steps)]
    problems += _over_limits(build, limits, figures)
    if seconds(str(build["timeout"])) is None:
        message = f"the timeout {build['timeout']} is not between 1s and {MAX_TIMEOUT}s"
        problems.append(Problem(message=message))
    if problems:
        raise LimitError(problems)
    rules = {
        "steps": f"{len(steps)} of at most {limits.steps}",
        "step ids": "unique",
        "waitFor": "earlier steps only",
        "arguments in a step": f"{figures.most} of at most {limits.args}",
        "characters in an argument": f"{figures.longest:,} of at most {limits.arg_length:,}",
        "timeout": f"{build['timeout']} of at most {MAX_TIMEOUT}s",
    }
    return rules | ({"images": f"{len(images)} of at most {limits.images}"} if images else {})


class Figures(msgspec.Struct, kw_only=True):
    """The figures of a build's steps, or figures that they do not exceed.

    Only a build that may have a problem is looked at closely, to explain it.
    """

    steps: int
    """The number of steps."""
    most: int = 0
    """The most arguments of a step."""
    longest: int = 0
    """The most characters of an argument."""
    longest_name: int = 0
    """The most characters of an id."""
    has_env: bool = False
    """Whether a step has environment variables."""
    is_sound: bool = True
    """Whether the ids are unique and each step waits only for earlier ones."""

    @classmethod
    def of(cls, steps: Sequence[dict[str, Any]]) -> Figures:
        """The figures of steps, in their order."""
        figures, ids = cls(steps=len(steps)), {"-"}
        for step in steps:
            name, args = step["id"], step["args"]
            if name in ids or not name or not ids.issuperset(step["waitFor"]):
                figures.is_sound = False
            ids.add(name)
            figures.most = max(figures.most, len(args))
            figures.longest = max(figures.longest, *map(len, args), 0)
            figures.longest_name = max(figures.longest_name, len(name))
            figures.has_env = figures.has_env or "env" in step
        return figures

    def fit(self, around: Document, limits: Limits) -> bool:
        """Whether the steps, and everything around them, certainly break no rule."""
        env, images = around.get("options", {}).get("env", []), around.get("images", [])
        return (
            self.is_sound
            and 0 < self.steps <= limits.steps
            and self.most <= limits.args
            and self.longest <= limits.arg_length
            and max(self.longest_name, *map(len, images), 0) <= limits.name_length
            and len(images) <= limits.images
            and not self.has_env
            and len(env) <= limits.env
            and len("".join(env)) <= limits.env_length
            and seconds(str(around["timeout"])) is not None
        )


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


def _over_limits(build: Document, limits: Limits, figures: Figures) -> Iterator[Problem]:
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
    has_env = len(everywhere) > limits.env or len("".join(everywhere)) > limits.env_length
    is_over = figures.most > limits.args or figures.longest > limits.arg_length
    for step in steps if is_over else ():
        yield from _too_many("arguments", step, step["args"], limits.args, "args")
        yield from _too_long("an argument", step, step["args"], limits.arg_length, "arg_length")
    for step in steps:
        if has_env or "env" in step:
            env = [*everywhere, *step.get("env", [])]
            yield from _too_many("environment variables", step, env, limits.env, "env")
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
