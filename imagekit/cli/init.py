"""`imagekit init`: start a family of images, and update its files after an upgrade."""

from __future__ import annotations

import pathlib
import shlex
from typing import Any

import click

import imagekit
from imagekit.cli.common import say
from imagekit.errors import MergeError, UsageError, counted
from imagekit.scaffold import start as starting
from imagekit.scaffold import update as updating
from imagekit.scaffold.start import Family
from imagekit.scaffold.template import CI_FILES, RENAMED, Options
from imagekit.support.terminal import echo
from imagekit.support.workspace import DEFAULT_CONFIG


@click.command()
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--base-url", metavar="URL", help="Repository to push to, for the config.")
@click.option(
    "--ci",
    type=click.Choice(list(CI_FILES)),
    help="The CI to set up.  [default: github]",
)
@click.option(
    "--example",
    is_flag=True,
    help="Start with imagekit's own matrix instead of a small one.",
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option(
    "--update",
    is_flag=True,
    help="Update the files of a family to this version of imagekit; what you changed is merged.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing; list what would happen.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would happen as a diff.")
def init(folder: str, update: bool, dry_run: bool, diff: bool, **options: Any) -> None:
    """Start a family of images, or update it.

    The files are a config, Dockerfiles and their tests, notebooks, a README, a Makefile, CI, and a
    requirement on this version of imagekit. Files that exist are kept.
    """
    if not folder:
        raise UsageError("the folder is empty; name one, or leave it out for the current folder")
    root = pathlib.Path(folder)
    family, before = _updated(root, options) if update else (_started(root, options), "")
    if diff:
        for change in family.changes:
            for line in change.diff():
                echo(line)
        return
    if not dry_run:
        family.write()
    _report(family, before, dry_run)
    unsettled = [c for c in family.changes if c.action in ("conflict", "beside")]
    if unsettled:
        names = ", ".join(change.path for change in unsettled)
        todo = (
            "these would have to be settled by hand" if dry_run else "settle by hand, then commit"
        )
        raise MergeError(f"{todo}: {names}")
    if not update and not dry_run:
        _what_next(family, folder)


def _started(root: pathlib.Path, options: dict[str, Any]) -> Family:
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: is not a folder")
    chosen = Options(
        name=root.resolve().name or "images",
        base_url=options["base_url"],
        ci=options["ci"] or "github",
        example=options["example"],
    )
    return starting.start(root, chosen, force=options["force"])


def _updated(root: pathlib.Path, options: dict[str, Any]) -> tuple[Family, str]:
    for name in ("base_url", "example", "force"):
        if options[name]:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} is for a new family; leave it out with --update")
    return updating.update(root, ci=options["ci"])


def _report(family: Family, before: str, dry_run: bool) -> None:
    """List what happened to the files, first those that are written."""
    # A dry run is asked for what it lists.
    out = echo if dry_run else say
    shown = [change for change in family.changes if change.written or change.why]
    for change in sorted(shown, key=lambda change: change.action == "keep"):
        out(change.line())
    written = sum(change.written is not None for change in family.changes)
    would = "would be " if dry_run else ""
    now = imagekit.__version__
    version = f"imagekit {before} → {now}: " if before not in ("", now) else ""
    upgraded = f"; up to date with imagekit {now}" if before and not written else ""
    out(f"{version}{counted(written, 'file')} {would}written{upgraded}")


def _what_next(family: Family, folder: str) -> None:
    """Say how names differ from those in the documentation, and the first command."""
    options = family.options
    for name in options.renamed:
        say(f"{name} was there before; imagekit's is {RENAMED[name]}")
    if options.ci == "github" and (top := _repository_above(family.root.resolve())):
        inside = family.root.resolve().relative_to(top)
        say(
            f"GitHub reads workflows at the top of a repository: move .github to {top} and set "
            f"defaults.run.working-directory to {inside} in images.yml"
        )
    make = "make" if "Makefile" not in options.renamed else f"make -f {RENAMED['Makefile']}"
    place = "" if family.root.samefile(".") else f"cd {shlex.quote(folder)} && "
    is_new = any(
        c.path == DEFAULT_CONFIG and c.action in ("add", "replace") for c in family.changes
    )
    if options.base_url is None and is_new:
        say(f"Put the address of your repository into base_url in {DEFAULT_CONFIG}")
    say(f"Next: {place}{make} generate")


def _repository_above(root: pathlib.Path) -> pathlib.Path | None:
    """The top of the git repository that a folder lies in; None if that is the folder itself."""
    if (root / ".git").exists():
        return None
    return next((above for above in root.parents if (above / ".git").exists()), None)
