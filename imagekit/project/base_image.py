"""Choose the base image of a project: from the matrix, by tag or by needs, or by reference."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Sequence

import msgspec
from packaging.version import InvalidVersion, Version

from imagekit.config.schema import Config
from imagekit.errors import UsageError
from imagekit.planning.plan import Image, Plan
from imagekit.project.python import PythonRequest


class Base(msgspec.Struct, frozen=True):
    """The chosen base image."""

    reference: str
    """The full image reference."""
    gpu: bool
    """Whether the image is for a GPU."""
    why: str
    """Why the image was chosen, for the user."""
    cuda: str = ""
    """The version of CUDA; empty if it is not known, or without a GPU."""


REFERENCE = re.compile(
    r"(?=[A-Za-z0-9])(?![^:@]{256})[A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
"""The syntax of an image reference: name, tag and digest."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """The requirements that a base image must meet."""

    python: str | None = None
    """A Python version, whole or a prefix: 3.11 matches 3.11.4."""
    requests: tuple[PythonRequest, ...] = ()
    """What the project's files ask for."""
    gpu: bool = False
    """Whether CUDA is required; without it, only images without CUDA match."""


PYTHON = "python"
"""The axis with the versions of Python."""
ACCELERATORS = ("gpu", "cuda", "rocm")
"""The axes of which an image for a GPU has one."""


def _is_gpu(image: Image) -> bool:
    return any(axis in image.values for axis in ACCELERATORS)


def choose(wanted: str | None, needs: Needs, config: Config | None, plan: Plan | None) -> Base:
    """Return the requested base image, or one of the matrix that meets the needs.

    That is the one with the alias `cpu` or `gpu` if it meets them, else the newest. `wanted` is a
    tag or glob of the matrix, or any image reference. Raises UsageError, with the
    closest matches, if no image meets the needs.
    """
    if wanted is not None:
        return _requested(wanted, needs, config, plan)
    if config is None or plan is None:
        message = "no base image given, and no matrix to choose from; pass --base or "
        raise UsageError(f"{message}--config, or set 'config' in imagekit.toml")
    fitting = [image for image in _candidates(plan) if _fits(image, needs, config)]
    if not fitting:
        raise UsageError(_no_match_message(needs, config, plan))
    alias = "gpu" if needs.gpu else "cpu"
    aliased = next((image for image in _candidates(plan) if _has_alias(image, alias)), None)
    if aliased is not None and aliased in fitting:
        why = f"{aliased.tag}: the alias {alias!r} of the matrix, with {_describe(needs)}"
        return Base(plan.reference(aliased.tag), needs.gpu, why, _cuda(aliased, config))
    best = _newest(fitting, config)
    of = f"the newest of {len(fitting)} with" if len(fitting) > 1 else "the only one with"
    not_that = f"; the alias {alias!r}, {aliased.tag}, does not fit" if aliased else ""
    why = f"{best.tag}: {of} {_describe(needs)}{not_that}"
    return Base(plan.reference(best.tag), needs.gpu, why, _cuda(best, config))


def _has_alias(image: Image, alias: str) -> bool:
    # Before the colon is a repository.
    return any(name.rpartition(":")[2] == alias for name in image.aliases)


def gpu_of(wanted: str | None, plan: Plan | None) -> bool | None:
    """Return whether the requested image is for a GPU; None if not requested or ambiguous."""
    kinds = {_is_gpu(image) for image in _matching(wanted or "", plan)}
    return kinds.pop() if len(kinds) == 1 else None


def _matching(wanted: str, plan: Plan | None) -> list[Image]:
    """Return the images of the matrix that match a tag, alias, glob or full reference."""
    images = _candidates(plan) if plan else []
    short = wanted.removeprefix(f"{plan.repository}:") if plan else wanted
    return [i for i in images if any(fnmatch.fnmatchcase(n, short) for n in (i.tag, *i.aliases))]


def _requested(wanted: str, needs: Needs, config: Config | None, plan: Plan | None) -> Base:
    images = _candidates(plan) if plan else []
    matches = _matching(wanted, plan)
    if matches and config is not None and plan is not None:
        fitting = [image for image in matches if _fits(image, needs, config)]
        if not fitting:
            message = f"{wanted!r}: {matches[0].tag} has Python {version_of(matches[0], config)}"
            raise UsageError(f"{message}; the project needs {_describe(needs)}")
        best = _newest(fitting, config)
        many = f", the newest of {len(fitting)} that match" if len(fitting) > 1 else ""
        gpu = _is_gpu(best)
        why = f"{best.tag}: requested{many}"
        return Base(plan.reference(best.tag), gpu, why, _cuda(best, config))
    own = plan is not None and wanted.startswith(f"{plan.repository}:")
    if not own and re.search(r"[:/@]", wanted) and not re.search(r"[*?\[\s]", wanted):
        if not REFERENCE.fullmatch(wanted):
            message = f"{wanted!r} is not a valid image reference; use HOST/PATH:TAG in lower case"
            raise UsageError(message)
        official = re.match(r"(?:.*/)?python:(\d+\.\d+)", wanted)
        if official and not _admits(needs, official[1]):
            message = f"{wanted!r} has Python {official[1]}; the project needs {_describe(needs)}"
            raise UsageError(message)
        return Base(wanted, needs.gpu, f"{wanted}: requested")
    names = [name for image in images for name in (image.tag, *image.aliases)]
    if not names:
        message = "no matrix found; pass --config, or a full image reference"
        raise UsageError(f"{wanted!r}: {message}")
    short = wanted.rpartition(":")[2].strip("*")
    near = difflib.get_close_matches(short, names, n=3, cutoff=0.3) or names[:3]
    message = f"no image of the matrix matches {wanted!r}; closest: {', '.join(near)}"
    raise UsageError(f"{message}. To use another image, include its tag, such as python:3.13-slim")


def _candidates(plan: Plan) -> list[Image]:
    """Return the images that a project can be based on: those with Python."""
    return [image for image in plan.images if PYTHON in image.values]


def _fits(image: Image, needs: Needs, config: Config) -> bool:
    version = version_of(image, config)
    if _is_gpu(image) != needs.gpu or version is None:
        return False
    if needs.python and not f"{version}.".startswith(f"{needs.python}."):
        return False
    return _admits(needs, version)


def _admits(needs: Needs, version: str) -> bool:
    """Return whether any release of a version is allowed (3.11 means all of 3.11.x)."""
    releases = [version] if version.count(".") >= 2 else [f"{version}.{n}" for n in range(100)]
    return any(all(asked.allows(release) for asked in needs.requests) for release in releases)


def version_of(image: Image, config: Config) -> str | None:
    """Return an image's Python version, from the build args of its axis value."""
    args = config.axis(PYTHON).get(image.values.get(PYTHON, ""), {})
    return next((text for text in args.values() if re.fullmatch(r"\d+(\.\d+)+", text)), None)


def _cuda(image: Image, config: Config) -> str:
    """Return an image's CUDA version, from the build args of its axis value; empty without."""
    values = (config.axis(axis).get(image.values.get(axis, ""), {}) for axis in ("cuda", "gpu"))
    texts = (text for args in values for text in args.values())
    return next((text for text in texts if re.fullmatch(r"\d+(\.\d+)+", text)), "")


def _newest(images: Sequence[Image], config: Config) -> Image:
    """Return the newest image: by version of Python, then by the other axes in order."""

    def key(image: Image) -> list[Version]:
        others = [axis for axis in config.axis_names() if axis != PYTHON]
        args = [config.axis(axis).get(image.values.get(axis, ""), {}) for axis in others]
        texts = [version_of(image, config) or "", *map(_last_number, args)]
        return [_version(text) for text in texts]

    return max(images, key=key)


def _last_number(args: dict[str, str]) -> str:
    numbers = [number for text in args.values() for number in re.findall(r"\d+(?:\.\d+)*", text)]
    return numbers[-1] if numbers else ""


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _describe(needs: Needs) -> str:
    parts = [f"Python {needs.python}"] if needs.python else []
    asked = dict.fromkeys(f"{request.text} ({request.file})" for request in needs.requests)
    parts += [f"Python {text}" for text in asked]
    return " and ".join([*(parts or ["Python"]), "CUDA" if needs.gpu else "no GPU"])


def _no_match_message(needs: Needs, config: Config, plan: Plan) -> str:
    images = _candidates(plan)
    same_mode = [i for i in images if _is_gpu(i) == needs.gpu]
    asked = " ".join(request.text for request in needs.requests)
    wanted = _version(needs.python or (re.findall(r"\d+(?:\.\d+)+", asked) or [""])[0])

    def distance(image: Image) -> tuple[int, int]:
        version = _version(version_of(image, config) or "")
        return abs(version.major - wanted.major), abs(version.minor - wanted.minor)

    near = sorted(same_mode or images, key=distance)[:3]
    names = ", ".join(f"{image.tag} (Python {version_of(image, config)})" for image in near)
    return f"no image of the matrix has {_describe(needs)}; closest: {names or 'none'}"
