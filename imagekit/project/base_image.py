"""The base image of a project: out of a matrix by tag or by needs, or any other by its name."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Sequence

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from imagekit.config.schema import Config
from imagekit.errors import UsageError
from imagekit.planning.plan import Image, Plan


class Base(msgspec.Struct, frozen=True):
    """An image to stand on: its whole name, whether it is for a GPU, and why it was chosen."""

    reference: str
    gpu: bool
    why: str


REFERENCE = re.compile(
    r"[A-Za-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?", re.ASCII
)
"""An image's name, tag and digest, as far as their characters go."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a base image must have: a version of Python, or one that a specifier admits; a GPU."""

    python: str | None = None
    specifier: str = ""
    gpu: bool = False


def choose(wanted: str | None, needs: Needs, config: Config | None, plan: Plan | None) -> Base:
    """The base image that is named, or the newest of the matrix that does what is needed.

    `wanted` is a tag or glob of the matrix, or the reference of any image. Raises UsageError, with
    the nearest that there is, where nothing fits.
    """
    if wanted is not None:
        return _named(wanted, needs, config, plan)
    if config is None or plan is None:
        message = "no base image is named, and there is no matrix to choose from; give --base or "
        raise UsageError(f"{message}--config, or set 'config' in imagekit.toml")
    fitting = [image for image in _candidates(plan) if _fits(image, needs, config)]
    if not fitting:
        raise UsageError(_nothing_fits(needs, config, plan))
    best = _newest(fitting, config)
    # Who keeps the matrix may advise another than the newest.
    advised = next((i for i in fitting if ("gpu" if needs.gpu else "cpu") in i.aliases), best)
    alias = "gpu" if needs.gpu else "cpu"
    hint = "" if advised is best else f" (--base {alias} is {advised.tag})"
    of = f"the newest of {len(fitting)} that have" if len(fitting) > 1 else "the only one that has"
    return Base(plan.reference(best.tag), needs.gpu, f"{best.tag}: {of} {_told(needs)}{hint}")


def gpu_of(wanted: str | None, plan: Plan | None) -> bool | None:
    """Whether what is named is for a GPU; None where nothing is named, or it may be either."""
    kinds = {image.combination.gpu is not None for image in _matching(wanted or "", plan)}
    return kinds.pop() if len(kinds) == 1 else None


def _matching(wanted: str, plan: Plan | None) -> list[Image]:
    """The images of a matrix that a tag, an alias, a glob or a whole name means."""
    images = _candidates(plan) if plan else []
    short = wanted.removeprefix(f"{plan.repository}:") if plan else wanted
    return [i for i in images if any(fnmatch.fnmatchcase(n, short) for n in (i.tag, *i.aliases))]


def _named(wanted: str, needs: Needs, config: Config | None, plan: Plan | None) -> Base:
    images = _candidates(plan) if plan else []
    found = _matching(wanted, plan)
    if found and config is not None and plan is not None:
        fitting = [image for image in found if _fits(image, needs, config)]
        if not fitting:
            has = f"Python {version_of(found[0], config)}"
            message = f"{wanted!r} was named, and {found[0].tag} has {has}"
            raise UsageError(f"{message}; what is needed is {_told(needs)}")
        best = _newest(fitting, config)
        many = f", the newest of {len(fitting)} that fit" if len(fitting) > 1 else ""
        gpu = best.combination.gpu is not None
        return Base(plan.reference(best.tag), gpu, f"{best.tag}: it was named{many}")
    own = plan is not None and wanted.startswith(f"{plan.repository}:")
    if not own and re.search(r"[:/@]", wanted) and not re.search(r"[*?\[\s]", wanted):
        if not REFERENCE.fullmatch(wanted):
            message = f"{wanted!r} is no reference of an image; write HOST/PATH:TAG in lower case"
            raise UsageError(message)
        return Base(wanted, needs.gpu, f"{wanted}: it was named")
    names = [name for image in images for name in (image.tag, *image.aliases)]
    if not names:
        message = "no matrix was found to look in; give --config, or the whole name of an image"
        raise UsageError(f"{wanted!r}: {message}")
    short = wanted.rpartition(":")[2].strip("*")
    near = difflib.get_close_matches(short, names, n=3, cutoff=0.3) or names[:3]
    message = f"no image of the matrix matches {wanted!r}; the nearest: {', '.join(near)}"
    raise UsageError(f"{message}. Another image is named with its tag, such as python:3.13-slim")


def _candidates(plan: Plan) -> list[Image]:
    """The images that a project can stand on: those with a Python."""
    return [image for image in plan.images if image.combination.python is not None]


def _fits(image: Image, needs: Needs, config: Config) -> bool:
    found = version_of(image, config)
    if (image.combination.gpu is not None) != needs.gpu or found is None:
        return False
    if needs.python and not f"{found}.".startswith(f"{needs.python}."):
        return False
    return _admits(needs.specifier, found)


def _admits(specifier: str, version: str) -> bool:
    """Whether some release of a version (3.11 is all of 3.11.x) is admitted."""
    allowed = SpecifierSet(specifier)
    if version.count(".") >= 2:
        return allowed.contains(version)
    return any(allowed.contains(f"{version}.{micro}") for micro in range(100))


def version_of(image: Image, config: Config) -> str | None:
    """An image's version of Python, by the build args of its axis value."""
    args = config.python_versions.get(image.combination.python or "", {})
    return next((text for text in args.values() if re.fullmatch(r"\d+(\.\d+)+", text)), None)


def _newest(images: Sequence[Image], config: Config) -> Image:
    """The newest by Python, then operating system, then CUDA, as far as they have numbers."""

    def key(image: Image) -> list[Version]:
        combination = image.combination
        systems = config.base_images.get(combination.base_image or "", {})
        gpus = config.gpu_versions.get(combination.gpu or "", {})
        texts = [version_of(image, config) or "", *map(_last_number, (systems, gpus))]
        return [_version(text) for text in texts]

    return max(images, key=key)


def _last_number(args: dict[str, str]) -> str:
    found = [number for text in args.values() for number in re.findall(r"\d+(?:\.\d+)*", text)]
    return found[-1] if found else ""


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _told(needs: Needs) -> str:
    parts = [f"Python {needs.python}"] if needs.python else []
    parts += [f"Python {needs.specifier}"] if needs.specifier else []
    return " and ".join([*(parts or ["a Python"]), "CUDA" if needs.gpu else "no GPU"])


def _nothing_fits(needs: Needs, config: Config, plan: Plan) -> str:
    images = _candidates(plan)
    same_mode = [i for i in images if (i.combination.gpu is not None) == needs.gpu]
    wanted = _version(needs.python or (re.findall(r"\d+(?:\.\d+)+", needs.specifier) or [""])[0])

    def distance(image: Image) -> tuple[int, int]:
        found = _version(version_of(image, config) or "")
        return abs(found.major - wanted.major), abs(found.minor - wanted.minor)

    near = sorted(same_mode or images, key=distance)[:3]
    names = ", ".join(f"{image.tag} (Python {version_of(image, config)})" for image in near)
    return f"no image of the matrix has {_told(needs)}; the nearest: {names or 'none'}"
