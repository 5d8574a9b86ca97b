"""Versions that a package takes from git, which a build without `.git` has to be told."""

from __future__ import annotations

import re

import msgspec

from imagekit.project import parsing
from imagekit.project.directory import Directory, strings, table, text
from imagekit.project.package import Package
from imagekit.support import git


class GitVersion(msgspec.Struct, frozen=True, kw_only=True):
    """How a build is told the version of the package."""

    variables: tuple[str, ...] = ()
    """Environment variables that the package's build reads the version from."""
    prefix: str | None = None
    """For versioneer: what stands before the version in the name of the source's folder."""


PLUGINS = {
    # github.com/pypa/setuptools-scm, docs/overrides.md; {name} is the name of the package, so
    # that no dependency that is built from source takes the version for its own.
    "setuptools-scm": "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name}",
    "flit-scm": "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{name}",
    # github.com/ofek/hatch-vcs does not tell setuptools-scm the name (0.5, tried).
    "hatch-vcs": "SETUPTOOLS_SCM_PRETEND_VERSION",
    # docs.openstack.org/pbr/latest/user/packagers.html
    "pbr": "PBR_VERSION",
    # github.com/mtkennerly/poetry-dynamic-versioning
    "poetry-dynamic-versioning": "POETRY_DYNAMIC_VERSIONING_BYPASS",
    # github.com/ninoseki/uv-dynamic-versioning
    "uv-dynamic-versioning": "UV_DYNAMIC_VERSIONING_BYPASS",
}
"""Requirements of builds, and the variable that each reads."""
CANNOT_BE_TOLD = {
    "versioningit": "set default-version in [tool.versioningit]",
    "setuptools-git-versioning": "set version_file in [tool.setuptools-git-versioning]",
}
"""Requirements of builds that read the version from git only, and what to do instead."""


def of_package(directory: Directory, package: Package) -> GitVersion | None:
    """Return how the package's build is told its version; None if it has no version from git."""
    if not package.is_built:
        return None
    toml = directory.toml_of("pyproject.toml") if directory.has_file("pyproject.toml") else {}
    required = _required(directory, toml)
    tool = table(toml, "tool")
    _report(directory, required, tool)
    names = {PLUGINS[name] for name in required if name in PLUGINS}
    if table(tool, "pdm", "version").get("source") == "scm":
        # backend.pdm-project.org/metadata/#dynamic-versioning
        names.add("PDM_BUILD_SCM_VERSION")
    upper = re.sub(r"[^A-Z0-9]+", "_", package.name.upper())
    if not upper:
        names = {name.removesuffix("_FOR_{name}") for name in names}
    variables = tuple(sorted(name.format(name=upper) for name in names))
    prefix = _versioneer(directory, required, tool)
    if not variables and prefix is None:
        return None
    return GitVersion(variables=variables, prefix=prefix)


def _required(directory: Directory, toml: dict[str, object]) -> set[str]:
    """Return the requirements of the build, and what setup.py says in other ways."""
    required = strings(table(toml, "build-system").get("requires"))
    names = {re.split(r"[^\w.-]", line.strip())[0].lower().replace("_", "-") for line in required}
    if directory.has_file("setup.py"):
        source = directory.text_of("setup.py")
        words = {"use_scm_version": "setuptools-scm", "pbr": "pbr", "versioneer": "versioneer"}
        names |= {name for word, name in words.items() if re.search(rf"\b{word}\b", source)}
    return names


def _report(directory: Directory, required: set[str], tool: dict[str, object]) -> None:
    for name in sorted(required & CANNOT_BE_TOLD.keys()):
        settings = table(tool, name)
        if not settings.keys() & {"default-version", "version_file"}:
            message = (
                f"{name} reads the version from .git, which does not enter the image; "
                f"{CANNOT_BE_TOLD[name]}"
            )
            directory.add_problem("pyproject.toml", message)


def _versioneer(directory: Directory, required: set[str], tool: dict[str, object]) -> str | None:
    """Return versioneer's `parentdir_prefix`; None without versioneer.

    It becomes a part of a folder's name in the Dockerfile.
    """
    if "versioneer" not in required:
        return None
    prefix, file = text(table(tool, "versioneer").get("parentdir_prefix")), "pyproject.toml"
    if not prefix and directory.has_file("setup.cfg"):
        cfg, file = directory.text_of("setup.cfg"), "setup.cfg"
        match = re.search(r"(?m)^parentdir_prefix\s*=[ \t]*(\S*)", cfg)
        prefix = match[1].strip("'\"") if match else ""
    if re.fullmatch(r"[A-Za-z0-9._-]*", prefix):
        return prefix
    message = (
        f"parentdir_prefix: {parsing.short(prefix)!r} is not a valid beginning of a folder's name"
    )
    directory.add_problem(file, message)
    return ""


def version(directory: Directory) -> str:
    """Return the version of the checked-out commit, as setuptools-scm's defaults make it.

    That is the version in the last tag; after it, the next version with the number of commits.
    Without a tag or outside a repository it is 0.1.dev0.
    """
    described = git.output(directory.root, "describe", "--tags", "--long", "--match", "*[0-9]*")
    match = re.fullmatch(r"\D*(\d+(?:\.\d+)*[\w.+!-]*?)-(\d+)-g([0-9a-f]+)", described or "")
    if match is None:
        count = git.output(directory.root, "rev-list", "--count", "HEAD") or "0"
        return f"0.1.dev{count}"
    tag, distance, commit = match.groups()
    if distance == "0":
        return tag
    release = re.match(r"\d+(?:\.\d+)*", tag)
    numbers = release[0].split(".") if release else ["0"]
    numbers[-1] = str(int(numbers[-1]) + 1)
    return f"{'.'.join(numbers)}.dev{distance}+g{commit}"
