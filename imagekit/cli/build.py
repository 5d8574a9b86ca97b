"""`imagekit build`: the images on this machine's Docker engine."""

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

from imagekit import api
from imagekit.build import local, progress
from imagekit.build.report import NAME, Report
from imagekit.cli.options import config_options, planned
from imagekit.document import cloudbuild, steps
from imagekit.errors import INTERRUPTED, BuildError
from imagekit.support import git


def run_build(
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
    commit = git.output(here, "rev-parse", "HEAD") or ""
    known = {"COMMIT_SHA": commit, "REVISION_ID": commit, "SHORT_SHA": commit[:7]}
    build = steps.read(text, name, known | dict(substitutions))
    local.check_programs(build)
    local.check_engine(options["docker"])
    chosen = local.Options(directory=here, logs=logs, labels=labels(here), **options)
    watched = sys.stdout.isatty()
    doing = local.LocalBuild(build, name, chosen, (lambda _: None) if watched else progress.plain)
    if watched:
        with progress.Live(lambda: doing.report):
            report = asyncio.run(doing.run())
    else:
        report = asyncio.run(doing.run())
    for line in progress.summary(report, logs):
        click.echo(line)
    click.echo(f"report: {logs / NAME}")
    return _exit_code(report)


def _exit_code(report: Report) -> int:
    if report.outcome == "interrupted":
        return INTERRUPTED
    return 0 if report.outcome == "succeeded" else BuildError.exit_code


def labels(directory: pathlib.Path) -> dict[str, str]:
    """The OCI annotations that the builder knows: origin and commit of a checkout, and a time.

    The time is SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), where set.
    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    # A checkout's address may hold a token, which is for nobody else.
    origin = re.sub(r"//[^/@]*@", "//", git.output(directory, "remote", "get-url", "origin") or "")
    found = {"source": origin, "revision": git.output(directory, "rev-parse", "HEAD")}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        created = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        found["created"] = created.isoformat()
    return {f"org.opencontainers.image.{key}": value for key, value in found.items() if value}


@click.command()
@config_options
@click.option("--file", "-f", "build_file", metavar="FILE", help="Any Cloud Build file to run.")
@click.option(
    *("--jobs", "-j"),
    type=click.IntRange(1),
    metavar="N",
    default=os.cpu_count(),
    show_default="number of cores",
    help="Number of steps to run in parallel.",
)
@click.option("--push", is_flag=True, help="Push the images. [default: push nothing]")
@click.option("--force", is_flag=True, help="Rebuild images that are up to date, too.")
@click.option("--fail-fast", is_flag=True, help="Stop all steps when one fails.")
@click.option("--network", metavar="MODE", help="Network mode of the builds, such as host.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="SPEC",
    help="Secret for the builds, in the syntax of docker build.",
)
@click.option(
    *("--substitution", "given"),
    multiple=True,
    metavar="NAME=VALUE",
    help="Set a substitution such as _TAG, instead of the file's value; repeatable.",
)
@click.option(
    "--docker",
    default="docker",
    envvar="IMAGEKIT_DOCKER",
    show_default=True,
    metavar="PROGRAM",
    help="The Docker client. [env: IMAGEKIT_DOCKER]",
)
@click.option(
    "--logs",
    default="runs/build",
    show_default=True,
    metavar="FOLDER",
    help="Folder for the report and the log of each step.",
)
def build(
    config: str,
    build_file: str | None,
    given: tuple[str, ...],
    logs: str,
    **options: Any,
) -> None:
    """Build the images on this machine's Docker engine.

    The steps are those that Cloud Build would run, and wait for each other as they would there.
    """
    selection = {name: options.pop(name) for name in ("base_url", "only", "skip")}
    if build_file is None:
        # Here, Cloud Build's limits do not count.
        checked, plan = planned(config, **selection)
        text = cloudbuild.text_of(cloudbuild.assemble(plan, checked.config.cloudbuild))
    elif any(selection.values()):
        raise click.UsageError(
            "--file is built as it is; --only, --skip and --base-url need --config"
        )
    else:
        text = api.read_build(build_file)
    values = dict(text.partition("=")[::2] for text in given)
    sys.exit(run_build(text, build_file or config, values, pathlib.Path(logs), options))
