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
from imagekit.build import local, placement, progress
from imagekit.build.engine import check_engine
from imagekit.build.execution import Options
from imagekit.build.report import NAME, Report
from imagekit.cli import completion
from imagekit.cli.common import is_quiet, say
from imagekit.cli.options import (
    Command,
    config_options,
    known_substitutions,
    planned,
    timeout_option,
)
from imagekit.document import cloudbuild, steps
from imagekit.errors import INTERRUPTED, BuildError, EngineError, UsageError, counted
from imagekit.support import git, workspace
from imagekit.support.terminal import echo, harmless


def read_steps(
    text: str,
    name: str,
    substitutions: Mapping[str, str],
    timeout: int | None,
    check: steps.Check = lambda _: (),
) -> steps.Build:
    """The steps of a build file with values for substitutions; `timeout` overrides the file's.

    Raises BuildFileError with what is invalid and with what `check` finds.
    """
    known = () if "SHORT_SHA" in substitutions else (text,)
    defaults = known_substitutions(pathlib.Path.cwd(), known)
    if "_DATE" not in steps.references(text):
        # Steps with all substitutions in their environment get those of the file.
        del defaults["_DATE"]
    build = steps.read(text, name, substitutions, defaults=defaults, check=check)
    return build if timeout is None else msgspec.structs.replace(build, timeout=float(timeout))


def run_build(build: steps.Build, name: str, options: Options) -> int:
    """Build, print the progress, and return the exit code. `name` is that of the build file."""
    local.check_programs(build, options)
    check_engine(options.docker)
    is_live = sys.stdout.isatty() and not is_quiet()
    observe = (lambda _: None) if is_live or is_quiet() else progress.plain
    local_build = local.LocalBuild(build, name, options, observe)
    if is_live:
        with progress.Live(lambda: local_build.report):
            report = asyncio.run(local_build.run())
    else:
        report = asyncio.run(local_build.run())
    code = _exit_code(report)
    if code or not is_quiet():
        _print_summary(report, options.logs)
    return code


@harmless
def _print_summary(report: Report, logs: pathlib.Path) -> None:
    for line in progress.summary(report, logs):
        echo(line)
    echo(f"report: {logs / NAME}")


def _dry_run(build: steps.Build, name: str, options: Options, *, is_foreign: bool) -> None:
    """Print what a build would do. Without an engine, no image is up to date."""
    try:
        check_engine(options.docker)
    except EngineError as error:
        say(f"warning: {error}; every image is listed as if it was not built", err=True)
        options = msgspec.structs.replace(options, force=True)
    report = local.LocalBuild(build, name, options, lambda _: None).dry_run()
    commands = {
        step.id: placement.described(step, placement.place_of(step, options))
        for step in (build.steps if is_foreign else ())
    }
    for line in progress.dry_run(report, commands):
        echo(line)


def _tell(build: steps.Build, options: Options) -> None:
    """Say where the steps of a foreign file run, and what of it is left out here."""
    places = [placement.place_of(step, options) for step in build.steps]
    programs = [name for place, name in placement.PROGRAMS.items() if place in places]
    parts = [f"{' and '.join(programs)} of this machine"] if programs else []
    if number := places.count("container"):
        parts.append(f"{counted(number, 'step')} in containers of their builder images")
    if number := places.count("host"):
        parts.append(f"{counted(number, 'step')} as programs of this machine (--on-host)")
    say(f"runs with: {', '.join(parts)}")
    for kind in build.uploads:
        say(f"warning: artifacts.{kind} is not uploaded by a local build", err=True)
    for name in build.unused:
        message = "nothing in the file uses it, so gcloud builds submit refuses the file"
        say(f"warning: substitution {name}: {message}", err=True)


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


def step_options(command: Command) -> Command:
    """Add the options for steps that are not docker's or container-structure-test's."""
    for option in reversed(
        (
            click.option(
                "--allow-network",
                is_flag=True,
                help="Run steps that may push something by themselves in a container with a "
                "network, and push nothing else.",
            ),
            click.option(
                "--secret-env",
                multiple=True,
                metavar="NAME",
                callback=_set_variables,
                help="Give this environment variable to the steps with NAME in their secretEnv; "
                "repeatable.",
            ),
            click.option(
                "--workspace",
                type=click.Path(exists=True, file_okay=False, path_type=pathlib.Path),
                metavar="FOLDER",
                help="Folder that containers have as /workspace, such as `.`. [default: a copy of "
                "this folder, removed at the end]",
            ),
            click.option(
                "--socket",
                multiple=True,
                metavar="IMAGE",
                help="Give the engine's socket to containers of this builder image, too; "
                "repeatable.",
            ),
            click.option(
                "--on-host",
                is_flag=True,
                help="Run steps as programs of this machine, not in containers.",
            ),
        )
    ):
        command = option(command)
    return command


def _set_variables(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    if missing := [name for name in value if name not in os.environ]:
        raise UsageError(f"--secret-env {missing[0]}: no such environment variable; set it first")
    return value


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
@step_options
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
    project: dict[str, str] = {}
    if build_file is None:
        # The limits of Cloud Build do not apply to a local build.
        checked, plan = planned(config, **selection)
        text = cloudbuild.unlimited(plan, checked.config.cloudbuild)
        if checked.config.cloudbuild.project:
            project = {"PROJECT_ID": checked.config.cloudbuild.project}
        # All steps are those of this config.
        options["on_host"] = True
    elif any(selection.values()):
        raise click.UsageError("--only, --skip and --base-url cannot be combined with --file")
    else:
        text = api.read_build(build_file)
    if wrong := [text for text in substitutions if "=" not in text]:
        raise click.UsageError(f"--substitution {wrong[0]}: write NAME=VALUE")
    values = project | dict(text.partition("=")[::2] for text in substitutions)
    name, here = build_file or config, pathlib.Path.cwd()
    chosen = Options(directory=here, logs=workspace.logs(logs), labels=labels(here), **options)
    is_foreign = build_file is not None
    if dry_run:
        read = read_steps(text, name, values, timeout)
        _dry_run(read, name, chosen, is_foreign=is_foreign)
    read = read_steps(text, name, values, timeout, lambda b: placement.problems(b, chosen))
    if is_foreign:
        _tell(read, chosen)
    if not dry_run:
        sys.exit(run_build(read, name, chosen))
