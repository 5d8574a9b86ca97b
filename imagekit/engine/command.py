"""`imagekit build`: a build file's text in, built images and a report out."""

from __future__ import annotations

import asyncio
import datetime
import os
import pathlib
import re
import sys
from collections.abc import Mapping
from typing import Any

import click

from imagekit import git, steps
from imagekit.engine import live, local
from imagekit.engine.report import NAME, Report
from imagekit.errors import INTERRUPTED

FAILED = 6
"""The exit code when an image failed to build or failed its test."""


def run(
    text: str,
    name: str,
    substitutions: Mapping[str, str],
    logs: pathlib.Path,
    options: Mapping[str, Any],
) -> int:
    """Build, show it, and return the exit code.

    `name` is the file that the text comes from; `options` are further fields of local.Options.
    """
    here = pathlib.Path.cwd()
    commit = git.ask(here, "rev-parse", "HEAD") or ""
    known = {"COMMIT_SHA": commit, "REVISION_ID": commit, "SHORT_SHA": commit[:7]}
    build = steps.read(text, name, known | dict(substitutions))
    local.check_programs(build)
    local.check_engine(options["docker"])
    chosen = local.Options(directory=here, logs=logs, labels=labels(here), **options)
    watched = sys.stdout.isatty()
    doing = local.LocalBuild(build, name, chosen, (lambda _: None) if watched else live.plain)
    if watched:
        with live.Live(lambda: doing.report):
            report = asyncio.run(doing.run())
    else:
        report = asyncio.run(doing.run())
    for line in live.summary(report, logs):
        click.echo(line)
    click.echo(f"report: {logs / NAME}")
    return _exit_code(report)


def _exit_code(report: Report) -> int:
    if report.outcome == "interrupted":
        return INTERRUPTED
    return 0 if report.outcome == "succeeded" else FAILED


def labels(directory: pathlib.Path) -> dict[str, str]:
    """The OCI annotations that the builder knows: origin and commit of a checkout, and a time.

    The time is SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), where set.
    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    # A checkout's address may hold a token, which is for nobody else.
    origin = re.sub(r"//[^/@]*@", "//", git.ask(directory, "remote", "get-url", "origin") or "")
    found = {"source": origin, "revision": git.ask(directory, "rev-parse", "HEAD")}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        created = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        found["created"] = created.isoformat()
    return {f"org.opencontainers.image.{key}": value for key, value in found.items() if value}
