"""The package indexes that a project names, and the logins that they may need."""

from __future__ import annotations

import re

import msgspec

from imagekit.project import parsing
from imagekit.project.directory import Directory, table, tables, text
from imagekit.project.requirement_files import variables

PIP_CONF = "pip.conf"
SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "find-links": "UV_FIND_LINKS",
}
"""Settings of pip.conf and the environment variables of uv that have the same effect
(docs.astral.sh/uv/reference/environment)."""


class Indexes(msgspec.Struct, frozen=True, kw_only=True):
    """The package indexes of a project."""

    urls: tuple[str, ...] = ()
    """The addresses of the indexes."""
    secrets: tuple[str, ...] = ()
    """The environment variables with logins, each of which is a secret of the build."""
    environment: dict[str, str] = {}
    """Environment variables that tell uv what pip.conf says."""


def read(directory: Directory) -> Indexes:
    """Read the indexes in the settings of uv, Poetry, PDM, Pipenv and pip."""
    urls: list[str] = []
    secrets: set[str] = set()
    for name, entry, pattern in _entries(directory):
        url = text(entry.get("url"))
        directory.check_secret(name, 1, url)
        if text(entry.get("password")):
            message = "the source has a password, which would be stored in the image; write ${NAME}"
            directory.add_problem(name, message)
        urls += [url] if url else []
        secrets |= variables(url)
        if (label := text(entry.get("name"))) and pattern:
            upper = re.sub(r"[^A-Z0-9]", "_", label.upper())
            secrets |= {pattern.format(upper, what) for what in ("USERNAME", "PASSWORD")}
    environment = _pip_conf(directory)
    urls += [environment[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX") if name in environment]
    return Indexes(urls=tuple(urls), secrets=tuple(sorted(secrets)), environment=environment)


def _entries(directory: Directory) -> list[tuple[str, dict[str, object], str]]:
    """Return each index with its file and the names of the variables that have its login."""
    uv, poetry = "UV_INDEX_{}_{}", "POETRY_HTTP_BASIC_{}_{}"
    entries: list[tuple[str, dict[str, object], str]] = []
    if directory.has_file("pyproject.toml"):
        name, tool = "pyproject.toml", table(directory.toml_of("pyproject.toml"), "tool")
        entries += [(name, entry, uv) for entry in tables(tool, "uv", "index")]
        entries += [(name, entry, poetry) for entry in tables(tool, "poetry", "source")]
        entries += [(name, entry, "") for entry in tables(tool, "pdm", "source")]
        entries += _older(name, table(tool, "uv"))
    if directory.has_file("uv.toml"):
        settings = directory.toml_of("uv.toml")
        entries += [("uv.toml", entry, uv) for entry in tables(settings, "index")]
        entries += _older("uv.toml", settings)
    if directory.has_file("Pipfile"):
        entries += [("Pipfile", e, "") for e in tables(directory.toml_of("Pipfile"), "source")]
    return entries


def _older(name: str, settings: dict[str, object]) -> list[tuple[str, dict[str, object], str]]:
    """Return the indexes in uv's older settings, which have no names."""
    extra = settings.get("extra-index-url")
    urls = [settings.get("index-url"), *(extra if isinstance(extra, list) else [])]
    return [(name, {"url": url}, "") for url in urls if url]


def _pip_conf(directory: Directory) -> dict[str, str]:
    """Read a pip.conf of the project, which pip itself would read only where it is installed."""
    if not directory.has_file(PIP_CONF):
        return {}
    try:
        parser = parsing.ini(directory.text_of(PIP_CONF))
    except ValueError as error:
        directory.add_problem(PIP_CONF, str(error))
        return {}
    environment = {}
    for key, variable in SETTINGS.items():
        values = [parser.get(part, key, fallback="") for part in ("global", "install")]
        value = " ".join(" ".join(values).split())
        directory.check_secret(PIP_CONF, 1, value)
        if wrong := parsing.not_one_line(value):
            directory.add_problem(PIP_CONF, f"{key}: {wrong}")
        elif value:
            environment[variable] = value
    directory.notes.append(f"{PIP_CONF}: the package index")
    return environment
