"""Options that several commands share, and the objects that they select."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from imagekit import api
from imagekit.cli.problems import show
from imagekit.errors import UsageError
from imagekit.planning.load import Checked, select
from imagekit.planning.plan import Plan
from imagekit.support import workspace
from imagekit.support.workspace import DEFAULT_CONFIG

if TYPE_CHECKING:
    from imagekit.runs.store import Store

Command = Callable[..., Any]


config_option = click.option(
    "--config",
    "-c",
    default=DEFAULT_CONFIG,
    show_default=True,
    metavar="FILE",
    help="The configuration, in YAML or JSON.",
)


def config_options(command: Command) -> Command:
    """Add the options that select the config and the images to build."""
    for option in (
        click.option(
            "--skip",
            multiple=True,
            metavar="GLOB",
            help="Skip the images whose tag or alias matches; repeatable.",
        ),
        click.option(
            "--only",
            multiple=True,
            metavar="GLOB",
            help="Only the images whose tag or alias matches, and their parents; repeatable.",
        ),
        click.option(
            "--base-url",
            "--base_url",
            metavar="URL",
            help="Repository to push to, instead of the config's.",
        ),
        config_option,
    ):
        command = option(command)
    return command


def grid_options(command: Command) -> Command:
    """Add the options that choose the axes of a grid."""
    for side, where in (("columns", "across"), ("rows", "down")):
        command = click.option(
            f"--{side}",
            metavar="AXIS,…",
            callback=_names,
            help=f"The axes of the grid that go {where}; `recipe` can be among them.",
        )(command)
    return command


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (value or "").split(","))))


def planned(
    config: str,
    *,
    base_url: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    timeout: int | None = None,
) -> tuple[Checked, Plan]:
    """Return a checked config and the selected plan; print warnings to standard error."""
    checked = api.check(config, base_url=base_url, timeout=timeout)
    for warning in checked.warnings:
        show(warning)
    return checked, select(checked, only, skip)


def known_substitutions(directory: pathlib.Path, texts: Iterable[str]) -> dict[str, str]:
    """What Cloud Build or a trigger would know of a build from this directory, and the date.

    `texts` are build files. Raises UsageError if a tag in one has a commit and there is none.
    """
    # Imported here because most commands use neither.
    from imagekit.document.steps import references
    from imagekit.support import git

    commit = git.output(directory, "rev-parse", "HEAD") or ""
    if not commit and any("SHORT_SHA" in references(text) for text in texts):
        raise UsageError(
            "the build file uses $SHORT_SHA, and there is no git commit here; commit first, or "
            "pass --substitution SHORT_SHA=VALUE"
        )
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    known = {"COMMIT_SHA": commit, "REVISION_ID": commit, "SHORT_SHA": commit[:7]}
    return {**known, "_DATE": today}


store_option = click.option(
    "--runs",
    metavar="STORE",
    help="The run store: a folder, or an address such as gs://bucket/runs. "
    " [default: runs/ of the project]",
)


def open_store(address: str | None) -> Store:
    """The run store at the address in `--runs`, else the project's own."""
    # Only the commands that read or write runs need this.
    from imagekit.runs.store import Store, existing

    return Store(workspace.runs()) if address is None else existing(address)
