"""`imagekit generate`: the build file from the config."""

from __future__ import annotations

from typing import Any

import click

import imagekit
from imagekit import api
from imagekit.cli.options import config_options, planned
from imagekit.cli.problems import show
from imagekit.config.cloudbuild import MAX_TIMEOUT
from imagekit.document.targets import TARGETS
from imagekit.errors import counted
from imagekit.planning import preflight
from imagekit.support.files import read_utf8
from imagekit.support.workspace import DEFAULT_BUILD_FILE


@click.command()
@config_options
@click.option(
    "--output",
    "-o",
    default=DEFAULT_BUILD_FILE,
    show_default=True,
    metavar="FILE",
    help="The Cloud Build file to write; - is standard output.",
)
@click.option(
    "--timeout-sec",
    "--timeout_sec",
    type=click.IntRange(1, MAX_TIMEOUT),
    metavar="N",
    help="Timeout of the build in seconds, instead of the config's.",
)
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    default="cloudbuild",
    show_default=True,
    # An option with one choice is no choice.
    hidden=len(TARGETS) == 1,
    help="The format to write.",
)
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 4 if the file is out of date, and show why."
)
def generate(
    config: str,
    output: str,
    target: str,
    timeout_sec: int | None,
    check: bool,
    **selection: Any,
) -> None:
    """Write cloudbuild.json from the config."""
    if check and output == "-":
        raise click.UsageError("--check needs a file to compare with; use --output")
    checked, plan = planned(config, timeout=timeout_sec, **selection)
    for warning in preflight.dockerfiles(plan, checked.config, read_utf8):
        show(checked.locate(warning))
    files = imagekit.files(plan, checked.config, output, target=target)
    if output == "-":
        if len(files) > 1:
            message = f"the build needs {len(files) - 1} files, see 'cloudbuild.limits'; "
            raise click.UsageError(f"{message}name a file with --output")
        click.echo(files[output], nl=False)
        return
    changes = api.write(files, output, check=check)
    for line in changes.lines():
        click.echo(line)
    verb = "is up to date" if check or not changes else "written"
    several = f" in {len(files) - 1} build files" if len(files) > 1 else ""
    images = counted(len(plan.images), "image")
    click.echo(f"{list(files)[-1]} {verb}: {images}{several}; {changes.summary()}")
