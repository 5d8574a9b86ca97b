"""Files that declare dependencies in other formats: apt.txt, cog.yaml, scripts, binder folders."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from imagekit.errors import ConfigError, counted
from imagekit.project.conda import pip_line
from imagekit.project.directory import Directory, strings, table, text
from imagekit.project.left_aside import inline_metadata
from imagekit.project.python import Pythons
from imagekit.project.requirement_files import RequirementFiles
from imagekit.support import toml_reader
from imagekit.support.yaml_reader import Boolean, Form

DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[\w.+:~-]+)?")
"""A Debian package, with optional architecture and version
(debian.org/doc/debian-policy/ch-controlfields.html#source)."""
COG = Form("a config of cog", "'build'", typed=True)
BINDER = ("binder", ".binder")
"""Folders of which repo2docker reads the files, and not those beside them
(repo2docker.readthedocs.io/en/latest/configuration)."""


def binder(directory: Directory) -> str:
    """Return the prefix of repo2docker's files: `binder/`, `.binder/`, or an empty text."""
    found = [name for name in BINDER if directory.is_folder(name)]
    found = [name for name in found if name not in directory.ignored]
    if len(found) > 1:
        directory.add_problem(found[0], "binder and .binder both exist; keep one, or --ignore one")
    return f"{found[0]}/" if found else ""


def binder_notes(directory: Directory, folder: str) -> None:
    """Name what repo2docker would run or read, and imagekit does not."""
    for name in directory.names(f"{folder}*") if folder else ():
        if name not in directory.used:
            directory.notes.append(f"{name}: left aside; it is for repo2docker only")


def apt(directory: Directory, name: str) -> list[str]:
    """Read an apt.txt."""
    packages = []
    for number, line in enumerate(directory.text_of(name).splitlines(), start=1):
        for package in line.partition("#")[0].split():
            packages.append(package)
            if not DEBIAN.fullmatch(package):
                message = f"{package!r} is not a valid Debian package name"
                directory.add_problem(name, message, number)
    directory.notes.append(f"{name}: {counted(len(packages), 'Debian package')}")
    return packages


def cog(
    directory: Directory, pythons: Pythons, reader: RequirementFiles
) -> tuple[list[str], list[str]]:
    """Read a cog.yaml (github.com/replicate/cog, docs/yaml.md).

    Return words for uv's command line, and Debian packages.
    """
    name = "cog.yaml"
    source = directory.yaml_of(name, COG)
    if source is None:
        return [], []
    root = source.value
    build = table(root, "build")
    # A number is the text that stands there, so that 3.10 is not 3.1.
    pythons.pin(name, text(build.get("python_version")))
    words: list[str] = []
    for requirement in strings(build.get("python_packages")):
        words += pip_line(reader, name, 1, requirement.strip())
    if target := text(build.get("python_requirements")):
        included = reader.include(name, 1, target)
        words += ["-r", included] if included else []
    packages = strings(build.get("system_packages"))
    for package in packages:
        if not DEBIAN.fullmatch(package):
            directory.add_problem(name, f"{package!r} is not a valid Debian package name")
    directory.notes.append(f"{name}: {_cog_notes(build, root)}")
    return words, packages


def _cog_notes(build: dict[str, Any], root: Any) -> str:
    aside = [key for key in build if key in ("run", "cuda", "cudnn")]
    aside += [str(key) for key in table(root) if key != "build"]
    gpu = build.get("gpu")
    is_gpu = isinstance(gpu, Boolean) and gpu.value
    gpu = "; it asks for a GPU, see --gpu" if is_gpu else ""
    return "dependencies" + gpu + (f"; left aside: {', '.join(aside)}" if aside else "")


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The inline metadata of a script."""

    name: str
    """The name of the script."""
    lines: tuple[str, ...]
    """The lines of the metadata."""
    lock: str
    """The lock file of the script; empty if there is none."""
    names: frozenset[str]
    """The packages that it requires."""


def script(
    directory: Directory, name: str, pythons: Pythons, reader: RequirementFiles
) -> Script | None:
    """Read the inline metadata of a script; None without any."""
    if not directory.has_file(name):
        return None
    content = directory.text_of(name).replace("\r\n", "\n")
    number, lines = inline_metadata(content)
    if not lines:
        return None
    block = "\n".join(line.removeprefix("#").strip() for line in lines[1:-1])
    try:
        settings = toml_reader.parse(block.encode(errors="replace"), name)
    except ConfigError as error:
        (problem,) = error.problems
        reason = problem.message.removeprefix("invalid TOML: ")
        directory.add_problem(name, f"invalid inline metadata: {reason}", number)
        return None
    pythons.add(name, settings.get("requires-python"))
    before = len(reader.directory.problems)
    named = set(reader.names)
    for requirement in strings(settings.get("dependencies")):
        reader.read_line(name, number, requirement)
    for source in table(settings, "tool", "uv", "sources").values():
        if path := text(table(source).get("path")):
            reader.copy(name, number, path, path)
    if len(reader.directory.problems) == before:
        directory.notes.append(f"{name}: its inline dependencies")
    lock = f"{name}.lock"
    return Script(
        name=name,
        lines=tuple(lines),
        lock=lock if directory.has_file(lock) else "",
        names=frozenset(reader.names - named),
    )
