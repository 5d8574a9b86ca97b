"""`imagekit build`: a build file's text in, built images and a report out."""

from __future__ import annotations

import asyncio
import datetime
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import click

from imagekit.engine import live, local, steps
from imagekit.engine.report import Report
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
    git = _git(here)
    known = {"COMMIT_SHA": git, "REVISION_ID": git, "SHORT_SHA": git[:7]}
    build = steps.read(text, name, known | dict(substitutions))
    local.check_programs(build)
    local.check_engine(options["docker"])
    chosen = local.Options(directory=here, logs=logs, labels=_labels(git), **options)
    watched = sys.stdout.isatty()
    doing = local.LocalBuild(build, name, chosen, (lambda _: None) if watched else live.plain)
    if watched:
        with live.Live(lambda: doing.report):
            report = asyncio.run(doing.run())
    else:
        report = asyncio.run(doing.run())
    for line in live.summary(report, logs):
        click.echo(line)
    click.echo(f"report: {logs / 'report.json'}")
    return _exit_code(report)


def _exit_code(report: Report) -> int:
    if report.outcome == "interrupted":
        return INTERRUPTED
    return 0 if report.outcome == "succeeded" else FAILED


def _git(directory: pathlib.Path) -> str:
    command = ["git", "-C", str(directory), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _labels(commit: str) -> dict[str, str]:
    """The OCI annotations that only the builder knows.

    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    labels = {}
    if commit:
        labels["org.opencontainers.image.revision"] = commit
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        created = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        labels["org.opencontainers.image.created"] = created.isoformat()
    return labels
