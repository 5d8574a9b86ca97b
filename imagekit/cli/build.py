"""`imagekit build`: build the images on the local Docker engine."""

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
import msgspec

from imagekit import api
from imagekit.build import local, progress
from imagekit.build.report import NAME, Report
from imagekit.cli import completion
from imagekit.cli.common import is_quiet, say
from imagekit.cli.options import config_options, known_substitutions, planned, timeout_option
from imagekit.document import cloudbuild, steps
from imagekit.errors import INTERRUPTED, BuildError, BuildFileError, EngineError, UsageError
from imagekit.support import git, workspace
from imagekit.support.terminal import echo, harmless


def read_steps(
    text: str, name: str, substitutions: Mapping[str, str], timeout: int | None
) -> steps.Build:
    """The steps of a build file with values for substitutions; `timeout` overrides the file's."""
    known = () if "SHORT_SHA" in substitutions else (text,)
    defaults = known_substitutions(pathlib.Path.cwd(), known)
    build = steps.read(text, name, defaults | dict(substitutions))
    return build if timeout is None else msgspec.structs.replace(build, timeout=float(timeout))


def run_build(
    build: steps.Build, name: str, logs: pathlib.Path, options: Mapping[str, Any], *, dry_run: bool
) -> int:
    """Build, print the progress, and return the exit code.

    `name` is the name of the build file; `options` are further fields of local.Options. With
    `dry_run`, nothing is built or written.
    """
    here = pathlib.Path.cwd()
    local_options = local.Options(directory=here, logs=logs, labels=labels(here), **options)
    if dry_run:
        for line in progress.dry_run(_dry_run(build, name, local_options)):
            echo(line)
        return 0
    if not options.get("push") and (problems := steps.unheld(build)):
        raise BuildFileError(problems)
    local.check_programs(build)
    local.check_engine(options["docker"])
    is_live = sys.stdout.isatty() and not is_quiet()
    observe = (lambda _: None) if is_live or is_quiet() else progress.plain
    local_build = local.LocalBuild(build, name, local_options, observe)
    if is_live:
        with progress.Live(lambda: local_build.report):
            report = asyncio.run(local_build.run())
    else:
        report = asyncio.run(local_build.run())
    code = _exit_code(report)
    if code or not is_quiet():
        _print_summary(report, logs)
    return code


@harmless
def _print_summary(report: Report, logs: pathlib.Path) -> None:
    for line in progress.summary(report, logs):
        echo(line)
    echo(f"report: {logs / NAME}")


def _dry_run(build: steps.Build, name: str, options: local.Options) -> Report:
    """What a build would do. Without an engine, no image is up to date."""
    try:
        local.check_engine(options.docker)
    except EngineError as error:
        say(f"warning: {error}; every image is listed as if it was not built", err=True)
        options = msgspec.structs.replace(options, force=True)
    return local.LocalBuild(build, name, options, lambda _: None).dry_run()


def _exit_code(report: Report) -> int:
    if report.outcome == "interrupted":
        return INTERRUPTED
    return 0 if report.outcome == "succeeded" else BuildError.exit_code


def labels(directory: pathlib.Path) -> dict[str, str]:
    """The OCI labels of the images: source and revision of the checkout, and the time of creation.

    The time is SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), if it is set.
    Keys: github.com/opencontainers/image-spec, annotations.md.
    """
    # The URL of a remote may contain a token.
    origin = re.sub(r"//[^/@]*@", "//", git.output(directory, "remote", "get-url", "origin") or "")
    values = {"source": origin, "revision": git.output(directory, "rev-parse", "HEAD")}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        try:
            created = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
        except (ValueError, OverflowError, OSError):
            message = f"SOURCE_DATE_EPOCH is {epoch!r}; set it to seconds since 1970, or unset it"
            raise UsageError(message) from None
        values["created"] = created.isoformat()
    return {f"org.opencontainers.image.{key}": value for key, value in values.items() if value}


@click.command()
@config_options
@click.option(
    *("--file", "-f", "build_file"),
    metavar="FILE",
    shell_complete=completion.files,
    help="Any Cloud Build file to run.",
)
@timeout_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print what would be built, tested and pushed, in order, and what is up to date.",
)
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
    *("--substitution", "substitutions"),
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
    default=workspace.DEFAULT_LOGS,
    show_default=True,
    metavar="FOLDER",
    shell_complete=completion.folders,
    help="Folder for the report and the log of each step.",
)
def build(config: str, build_file: str | None, logs: str, dry_run: bool, **options: Any) -> None:
    """Build the images on the local Docker engine.

    Runs the steps that Cloud Build would run, with the same dependencies between them.
    """
    selection = {name: options.pop(name) for name in ("base_url", "only", "skip")}
    substitutions, timeout = options.pop("substitutions"), options.pop("timeout")
    if build_file is None:
        # The limits of Cloud Build do not apply to a local build.
        checked, plan = planned(config, **selection)
        text = cloudbuild.text_of(cloudbuild.assemble(plan, checked.config.cloudbuild))
    elif any(selection.values()):
        raise click.UsageError("--only, --skip and --base-url cannot be combined with --file")
    else:
        text = api.read_build(build_file)
    if wrong := [text for text in substitutions if "=" not in text]:
        raise click.UsageError(f"--substitution {wrong[0]}: write NAME=VALUE")
    values = dict(text.partition("=")[::2] for text in substitutions)
    name = build_file or config
    read = read_steps(text, name, values, timeout)
    folder = workspace.logs(logs)
    sys.exit(run_build(read, name, folder, options, dry_run=dry_run))
