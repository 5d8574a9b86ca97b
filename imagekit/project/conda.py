"""Environments of conda and pixi: what pip installs of them, and a way out for the rest."""

from __future__ import annotations

import re
import shlex
from typing import Any

import msgspec

from imagekit.errors import Path, Problem
from imagekit.project.directory import Directory, table
from imagekit.project.python import Pythons
from imagekit.project.requirement_files import RequirementFiles
from imagekit.project.settings import place_of
from imagekit.support.yaml_reader import Form, Source

FORM = Form("a conda environment", "'dependencies'", typed=True)
ENVIRONMENTS = ("environment.yml", "environment.yaml")
FREE = ("python", "pip", "setuptools", "wheel", "uv")
"""Packages that need not be installed: the image has them or does not need them."""
LOCKS = ("conda-lock.yml", "*.conda-lock.yml", "conda-*.lock", "pixi.lock")
WAY_OUT = (
    "add it to the dependencies that pip installs, add a Debian package to apt.txt, or use a base "
    "image that has it (--base); to skip"
)


def environment(
    directory: Directory, name: str, pythons: Pythons, reader: RequirementFiles
) -> list[str]:
    """Read an environment.yml. Return the words of pip's section for a command line."""
    source = directory.yaml_of(name, FORM)
    if source is None:
        return []
    found = _Environment(directory, name, source)
    entries = source.value.get("dependencies", [])
    if not isinstance(entries, list):
        found.report(("dependencies",), "'dependencies' must be a list")
        return []
    return [
        word
        for index, entry in enumerate(entries)
        for word in found.entry(("dependencies", index), entry, pythons, reader)
    ]


class _Environment:
    """An environment.yml: its values, and where each is."""

    def __init__(self, directory: Directory, name: str, source: Source) -> None:
        self.directory, self.name, self.source = directory, name, source

    def report(self, path: Path, message: str) -> None:
        problem = self.source.locate(Problem(message=message, path=path))
        self.directory.problems.append(msgspec.structs.replace(problem, path=(), line=""))

    def entry(
        self, path: Path, value: Any, pythons: Pythons, reader: RequirementFiles
    ) -> list[str]:
        """Read a package, or a section of pip. Return words for a command line."""
        if isinstance(value, dict):
            sections = value.items()
            return [word for key, part in sections for word in self._pip(path, key, part, reader)]
        if not isinstance(value, str):
            self.report(path, "expected a package")
            return []
        package = value.split("::")[-1].strip()
        match = re.match(r"([\w.-]+)\s*(.*)", package)
        bare, version = match.groups() if match else (package, "")
        if bare == "python" and version:
            pythons.add(self.name, specifier(version))
        if bare not in FREE:
            message = f"conda package {package!r} cannot be installed; {WAY_OUT} the file, pass "
            self.report(path, f"{message}--ignore {self.name}")
        return []

    def _pip(self, path: Path, key: str, section: Any, reader: RequirementFiles) -> list[str]:
        if key != "pip" or not isinstance(section, list):
            self.report(
                (*path, key), f"{key!r} is invalid; only a list under 'pip' is allowed here"
            )
            return []
        words: list[str] = []
        for index, value in enumerate(section):
            at = (*path, key, index)
            # A comment within a text, as in a requirement file.
            line = re.sub(r"\s#.*$", "", value.strip()) if isinstance(value, str) else ""
            if not line:
                self.report(at, "expected a requirement")
                continue
            place = self.source.locate(Problem(message="", path=at)).place
            words += pip_line(reader, self.name, place.line if place else 1, line)
        return words


def pip_line(reader: RequirementFiles, name: str, number: int, line: str) -> list[str]:
    """Read a line as of a requirement file. Return its words for uv's command line."""
    before = len(reader.itself)
    if include := re.match(r"(-r|-c|--requirement|--constraint)[\s=]*(\S.*)", line):
        target = reader.include(name, number, include[2])
        return [f"-{include[1].lstrip('-')[0]}", target] if target else []
    reader.read_line(name, number, line)
    edits = reader.edits.pop(name, [])
    if len(reader.itself) > before or line.startswith(("--pre", "--trusted-host")):
        return []
    if not line.startswith("-"):
        return [line]
    try:
        separate = re.sub(r"^(-[a-z])(?=[^\s=-])|^(--[\w-]+)=", r"\1\2 ", line)
        words = shlex.split(separate)
    except ValueError:
        reader.directory.add_problem(name, f"{line}: invalid quotes", number)
        return []
    # uv installs only directories as editable.
    return words[1:] if edits else words


def specifier(version: str) -> str:
    """Convert conda's `=3.11`, `==3.11.4`, `=3.11=build` or `>=3.10,<3.13` to pip's syntax."""
    exact = re.match(r"={0,2}\s*(\d+(?:\.\d+)*)", version)
    if exact is None:
        return version
    return f"=={exact[1]}.*" if exact[1].count(".") < 2 else f"=={exact[1]}"


# ---- pixi and lock files


def pixi(directory: Directory, pythons: Pythons) -> None:
    """Report what pixi installs, in pixi.toml and in `[tool.pixi]` of pyproject.toml."""
    if directory.has_file("pixi.toml"):
        _pixi(directory, "pixi.toml", "", directory.toml_of("pixi.toml"), pythons)
    if directory.has_file("pyproject.toml") and "tool.pixi" not in directory.ignored:
        tool = table(directory.toml_of("pyproject.toml"), "tool", "pixi")
        _pixi(directory, "pyproject.toml", "tool.pixi.", tool, pythons)


def _pixi(
    directory: Directory, name: str, prefix: str, settings: dict[str, Any], pythons: Pythons
) -> None:
    python = settings.get("dependencies", {})
    if isinstance(python, dict) and isinstance(python.get("python"), str):
        pythons.add(name, specifier(python["python"]) if python["python"] != "*" else "")
    targets = table(settings, "target")
    sections = [("", settings), *((f"target.{key}.", table(targets, key)) for key in targets)]
    ignore = "tool.pixi" if prefix else name
    for within, section in sections:
        for kind in ("dependencies", "pypi-dependencies"):
            for package, value in table(section, kind).items():
                if package in FREE or _is_itself(value):
                    continue
                place = place_of(directory.root / name, package, f"{prefix}{within}{kind}")
                what = "conda package" if kind == "dependencies" else "pixi's package"
                message = f"{what} {package!r} cannot be installed; {WAY_OUT} pixi's packages, pass"
                directory.add_problem(
                    name, f"{message} --ignore {ignore}", place.line, place.column
                )
    features = sorted(table(settings, "feature"))
    if features:
        directory.notes.append(f"{name}: pixi's features are left aside: {', '.join(features)}")


def _is_itself(value: Any) -> bool:
    return isinstance(value, dict) and value.get("path") in (".", "./")


def locks(directory: Directory) -> None:
    """Report lock files of conda; pixi's is left aside, because pixi.toml is reported."""
    for name in directory.names(*LOCKS):
        directory.used.add(name)
        if name == "pixi.lock":
            directory.notes.append("pixi.lock: left aside; it has the versions of pixi's packages")
            continue
        message = (
            "conda's packages cannot be installed; list those of the Python Package Index in "
            f"a requirements.txt, or use a base image that has them (--base); to skip the file, "
            f"pass --ignore {name}"
        )
        directory.add_problem(name, message)
