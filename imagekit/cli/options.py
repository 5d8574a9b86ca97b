"""Options that several commands share, and the objects that they select."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from imagekit import api
from imagekit.cli import completion
from imagekit.cli.common import keep
from imagekit.cli.problems import show
from imagekit.config.cloudbuild import MAX_TIMEOUT
from imagekit.errors import UsageError, counted
from imagekit.planning.load import Checked, select
from imagekit.planning.plan import Plan
from imagekit.planning.select import not_built
from imagekit.support import log, workspace
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
    shell_complete=completion.configs,
    help="The configuration, in YAML or JSON; - is standard input.",
)

timeout_option = click.option(
    "--timeout-sec",
    "--timeout_sec",
    "timeout",
    type=click.IntRange(1, MAX_TIMEOUT),
    metavar="N",
    help="Timeout of the build in seconds, instead of the config's.",
)


def selection_options(command: Command) -> Command:
    """Add the options that select images."""
    for name, text in (
        ("--skip", "Skip the images whose tag or alias matches; repeatable."),
        ("--only", "Only the images whose tag or alias matches, and their parents; repeatable."),
    ):
        option = click.option(
            name, multiple=True, metavar="GLOB", shell_complete=completion.images, help=text
        )
        command = option(command)
    return command


def grid_options(command: Command) -> Command:
    """Add the options that choose the axes of a grid."""
    for side, where in (("columns", "across"), ("rows", "down")):
        command = click.option(
            f"--{side}",
            metavar="AXIS,…",
            shell_complete=completion.axes,
            callback=_names,
            help=f"The axes of the grid that go {where}; `recipe` can be among them.",
        )(command)
    return command


def _names(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in (value or "").split(","))))


def config_options(command: Command) -> Command:
    """Add the options that select the config and the images to build."""
    base_url = click.option(
        "--base-url",
        "--base_url",
        metavar="URL",
        help="Repository to push to, instead of the config's.",
    )
    return config_option(base_url(selection_options(command)))


def planned(
    config: str,
    *,
    base_url: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    timeout: int | None = None,
) -> tuple[Checked, Plan]:
    """Return a checked config and the selected plan; print warnings to standard error."""
    if base_url == "":
        # An empty variable of a shell would otherwise mean the config's repository.
        raise UsageError("--base-url is empty; name a repository, or leave it out")
    checked = api.check(config, base_url=base_url, timeout=timeout)
    for warning in checked.warnings:
        show(warning)
    plan = select(checked, only, skip)
    keep(checked, plan)
    if log.is_debugging():
        for line in _left_out(checked, plan):
            log.debug("%s", line)
    return checked, plan


def _left_out(checked: Checked, plan: Plan) -> Iterator[str]:
    """One line for each image or combination that is not in the plan, and the totals."""
    for tag, reason in not_built(checked.matrix).items():
        yield f"left out: {tag}: {reason}"
    for tag in plan.left_out:
        yield f"left out: {tag}: by --only or --skip"
    yield f"{counted(len(plan.images), 'image')} of {len(checked.plan.images)} selected"


def output_file(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse a file in a folder that does not exist, before any work is done for it."""
    folder = pathlib.Path(value or "-").parent
    if not folder.is_dir():
        raise UsageError(f"{value}: the folder {folder} does not exist; create it first")
    return value


def known_substitutions(directory: pathlib.Path, texts: Iterable[str]) -> dict[str, str]:
    """What Cloud Build or a trigger would know of a build from this directory, and the date.

    `texts` are build files. Raises UsageError if a tag in one has a commit and there is none.
    What neither git nor gcloud's configuration knows is left out.
    """
    # Imported here because most commands use none of them.
    from imagekit.document.substitutions import references
    from imagekit.support import gcloud_settings, git

    commit = git.output(directory, "rev-parse", "HEAD") or ""
    if not commit and any("SHORT_SHA" in references(text) for text in texts):
        raise UsageError(
            "the build file uses $SHORT_SHA, and there is no git commit here; commit first, or "
            "pass --substitution SHORT_SHA=VALUE"
        )
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    known = {"COMMIT_SHA": commit, "REVISION_ID": commit, "SHORT_SHA": commit[:7]}
    branch = git.output(directory, "symbolic-ref", "--quiet", "--short", "HEAD")
    tag = git.output(directory, "describe", "--tags", "--exact-match", "HEAD") if commit else None
    origin = git.output(directory, "remote", "get-url", "origin")
    others = {
        "BRANCH_NAME": branch,
        "TAG_NAME": tag,
        "REF_NAME": branch or tag,
        "REPO_NAME": git.repository_name(origin or ""),
        "REPO_FULL_NAME": git.repository_name(origin or "", whole=True),
        "PROJECT_ID": gcloud_settings.project(),
    }
    filled = {name: value for name, value in others.items() if value}
    return {**known, **filled, "_DATE": today}


store_option = click.option(
    "--runs",
    metavar="STORE",
    shell_complete=completion.folders,
    help="The run store: a folder, or an address such as gs://bucket/runs. "
    " [default: runs/ of the project]",
)


def open_store(address: str | None) -> Store:
    """The run store at the address in `--runs`, else the project's own."""
    # Only the commands that read or write runs need this.
    from imagekit.runs.store import Store, existing

    return Store(workspace.runs()) if address is None else existing(address)
