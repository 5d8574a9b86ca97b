"""`imagekit generate`: the build file from the config."""

from __future__ import annotations

from typing import Any

import click

import imagekit
from imagekit import api
from imagekit.cli import completion
from imagekit.cli.common import say
from imagekit.cli.options import config_options, output_file, planned, timeout_option
from imagekit.cli.problems import show
from imagekit.compare.changes import written
from imagekit.document.targets import TARGETS
from imagekit.planning import preflight
from imagekit.support.files import read_utf8
from imagekit.support.terminal import Clean, emit
from imagekit.support.workspace import DEFAULT_BUILD_FILE


@click.command()
@config_options
@click.option(
    "--output",
    "-o",
    default=DEFAULT_BUILD_FILE,
    show_default=True,
    callback=output_file,
    metavar="FILE",
    shell_complete=completion.files,
    help="The Cloud Build file to write; - is standard output.",
)
@timeout_option
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
@click.option(
    *("--yes", "-y"),
    "replace",
    is_flag=True,
    help="Write even if that removes images that --only or --skip leaves out.",
)
def generate(
    config: str,
    output: str,
    target: str,
    check: bool,
    replace: bool,
    **selection: Any,
) -> None:
    """Write cloudbuild.json from the config."""
    if check and output == "-":
        raise click.UsageError("--check needs a file to compare with; use --output")
    checked, plan = planned(config, **selection)
    for warning in preflight.dockerfiles(plan, checked.config, read_utf8):
        show(checked.locate(warning))
    files = imagekit.files(plan, checked.config, output, target=target)
    if output == "-":
        if len(files) > 1:
            message = f"the build needs {len(files) - 1} files, see 'cloudbuild.limits'; "
            raise click.UsageError(f"{message}name a file with --output")
        emit(files[output], nl=False)
        return
    changes = api.write(files, output, check=check, replace=replace)
    if changes:
        # At once: each line on its own would be written on its own, too.
        say(Clean("\n".join(changes.lines())))
    say(written(list(files), len(plan.images), changes))
