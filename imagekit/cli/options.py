"""Options that several commands share, and the objects that they select."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from imagekit import api
from imagekit.planning.load import Checked, select
from imagekit.planning.plan import Plan
from imagekit.runs.store import Store, existing
from imagekit.support import workspace
from imagekit.support.workspace import DEFAULT_CONFIG

Command = Callable[..., Any]


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
        click.option(
            "--config",
            "-c",
            default=DEFAULT_CONFIG,
            show_default=True,
            metavar="FILE",
            help="The configuration, in YAML or JSON.",
        ),
    ):
        command = option(command)
    return command


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
        click.echo(warning, err=True)
    return checked, select(checked, only, skip)


store_option = click.option(
    "--runs",
    metavar="STORE",
    help="The run store: a folder, or an address such as gs://bucket/runs. "
    " [default: runs/ of the project]",
)


def open_store(address: str | None) -> Store:
    """The run store at the address in `--runs`, else the project's own."""
    return Store(workspace.runs()) if address is None else existing(address)
