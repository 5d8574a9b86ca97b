"""The commands that speak with Google Cloud: submitting a build, and its triggers."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

import imagekit
from imagekit import api
from imagekit.build import progress
from imagekit.build.cloud import submit as engine
from imagekit.build.cloud import upload
from imagekit.build.cloud.gcloud import Gcloud
from imagekit.build.cloud.service import FINAL, Service
from imagekit.build.report import NAME, StepReport
from imagekit.config import cloudbuild
from imagekit.docker.context import is_inside_context
from imagekit.document import steps, terraform
from imagekit.document import trigger as triggers
from imagekit.errors import INTERRUPTED, BuildError, UsageError, counted, did_you_mean
from imagekit.planning.load import Checked
from imagekit.support import git
from imagekit.support.files import replace_file
from imagekit.support.workspace import DEFAULT_BUILD_FILE, DEFAULT_CONFIG

_config = click.option(
    "--config", "-c", default=DEFAULT_CONFIG, show_default=True, metavar="FILE", help="The matrix."
)


@click.command()
@_config
@click.option(
    "--file",
    "-f",
    "build_file",
    metavar="FILE",
    help="Submit this build file, or the files of this manifest, as they are, whatever the "
    f"config says. [default: {DEFAULT_BUILD_FILE}, if it is what the config gives]",
)
@click.option("--project", metavar="ID", help="The project to build in. [default: the config's]")
@click.option("--region", metavar="NAME", help="Where to build. [default: the config's]")
@click.option(
    "--substitution",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Set the substitution ${NAME}; repeatable.",
)
@click.option(
    "--staging", metavar="GS", help="Where to upload the source, such as gs://bucket/source."
)
@click.option(
    "--via",
    type=click.Choice(["gcloud", "library"]),
    default="gcloud",
    show_default=True,
    help="Google's command line, or its client library.",
)
@click.option(
    "--gcloud", default="gcloud", envvar="IMAGEKIT_GCLOUD", show_default=True, help="The program."
)
@click.option("--dry-run", is_flag=True, help="Print the commands without running them.")
@click.option("--stream", is_flag=True, help="Stream the logs.")
@click.option("--cancel", is_flag=True, help="On Ctrl-C, cancel the build, too.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value="latest",
    metavar="[BUILD]",
    help="Resume the last submission, or watch a build by its id.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.1),
    default=5.0,
    show_default=True,
    help="Seconds between status requests.",
)
@click.option(
    "--logs",
    default="runs/build",
    show_default=True,
    metavar="FOLDER",
    help="Where logs and report go.",
)
def submit(config: str, build_file: str | None, given: tuple[str, ...], **options: Any) -> None:
    """Build the images at Google Cloud Build.

    Uploads what the build needs, and watches. Several files are built in their order, each when
    the one before has succeeded.
    """
    resume = options["resume"]
    if resume and options["dry_run"]:
        raise click.UsageError("--dry-run and --resume cannot be combined")
    by_id = resume not in (None, "latest")
    checked = _checked(config, needed=not by_id and build_file is None)
    service = _service(checked, _substitutions(given), options)
    chosen = engine.Options(
        logs=pathlib.Path(options["logs"]),
        interval=options["interval"],
        cancel=options["cancel"],
        only_watch=by_id,
        show=click.echo if options["stream"] else None,
    )
    if by_id:
        file, begun = engine.watched(service.describe(resume))
        sys.exit(_run(engine.Submission(resume, [file], service, chosen, _plain, [begun]), ()))
    name = build_file or _up_to_date(checked)
    files = upload.files_of(pathlib.Path(name))
    _check_used([file.text for file in files], _substitutions(given))
    here = pathlib.Path.cwd()
    files = [upload.with_inputs(file, here, service.substitutions) for file in files]
    if options["dry_run"]:
        click.echo("\n".join(service.commands([file.path for file in files])))
        return
    needed = upload.check(files, service, here)
    size = sum(pathlib.Path(path).stat().st_size for path in needed)
    needs = f"{counted(len(needed), 'file')}, {max(1, round(size / 1000))} kB"
    click.echo(f"{name}: {counted(len(files), 'build')}; needs {needs}")
    earlier = engine.earlier(chosen.logs) if resume else []
    again = "" if config == DEFAULT_CONFIG else f" --config {config}"
    again += f" --file {build_file}" if build_file else ""
    doing = engine.Submission(name, files, service, chosen, _plain, earlier)
    sys.exit(_run(doing, needed, again))


def _plain(entry: StepReport) -> None:
    if not sys.stdout.isatty():
        progress.plain(entry)


def _run(doing: engine.Submission, names: Sequence[str], again: str = "") -> int:
    """Submit and watch, show it, and give the exit code. `again` are words for another time."""
    logs = doing.options.logs
    # Lines of a log would tear a live display apart.
    if sys.stdout.isatty() and doing.options.show is None:
        with progress.Live(lambda: doing.report) as shown:
            doing.on_start = lambda entry: shown.print(engine.summary_line(entry))
            report = doing.run(names)
    else:
        doing.on_start = lambda entry: click.echo(engine.summary_line(entry))
        report = doing.run(names)
    for line in progress.summary(report, logs):
        click.echo(line)
    for note in doing.notes:
        click.echo(f"warning: {note}", err=True)
    for line in engine.summary(report):
        click.echo(line)
    click.echo(f"report: {logs / NAME}")
    going = [e.id for e in report.builds if e.id and e.status not in FINAL]
    if report.outcome == "running" and going:
        click.echo(
            f"build {going[0]} is still running; imagekit submit{again} --resume watches it, and "
            f"{doing.service.cancel_command(going[0])} ends it",
            err=True,
        )
    elif report.outcome == "interrupted" and not going:
        click.echo(f"imagekit submit{again} --resume continues with what is left", err=True)
    if report.outcome in ("running", "interrupted"):
        return INTERRUPTED
    return 0 if report.outcome == "succeeded" else BuildError.exit_code


def _service(
    checked: Checked | None, substitutions: Mapping[str, str], options: Mapping[str, Any]
) -> Service:
    known = checked.config.cloudbuild if checked else cloudbuild.CloudBuild()
    commit = git.output(pathlib.Path.cwd(), "rev-parse", "HEAD") or ""
    # As a trigger would, and a build on this machine does.
    own = {"COMMIT_SHA": commit, "REVISION_ID": commit, "SHORT_SHA": commit[:7]} if commit else {}
    where: dict[str, Any] = {
        "project": options["project"] or known.project,
        "region": options["region"] or cloudbuild.region_of(known),
        "staging": options["staging"],
        "substitutions": own | dict(substitutions),
    }
    if options["via"] == "library":
        # Google's libraries take seconds to load.
        from imagekit.build.cloud.library import Library

        return Library(pathlib.Path.cwd(), **where)
    return Gcloud(options["gcloud"], **where)


def _checked(config: str, *, needed: bool) -> Checked | None:
    """A config and its plan; None where there is no config and none is needed."""
    if not needed and not pathlib.Path(config).exists():
        return None
    checked = api.check(config)
    for warning in checked.warnings if needed else ():
        click.echo(warning, err=True)
    return checked


def _up_to_date(checked: Checked | None) -> str:
    """The build file of a config, or its manifest. Raises DriftError where it is another one."""
    files = imagekit.files(checked.plan, checked.config, DEFAULT_BUILD_FILE) if checked else {}
    api.write(files, DEFAULT_BUILD_FILE, check=True)
    return list(files)[-1]


SETTABLE = (*("REPO_NAME", "BRANCH_NAME", "TAG_NAME", "REVISION_ID", "COMMIT_SHA", "SHORT_SHA"),)
"""Cloud Build's own substitutions that a submission may set
(GoogleCloudPlatform/cloud-build-local, validate/validate.go)."""


def _substitutions(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals or not (cloudbuild.SUBSTITUTION.fullmatch(name) or name in SETTABLE):
            message = f"{name!r} is not a valid substitution; write _NAME=VALUE, in capitals"
            raise UsageError(f"--substitution: {message}")
    return {name: value for name, _, value in pairs}


def _check_used(texts: Sequence[str], given: Mapping[str, str]) -> None:
    used = {name for text in texts for name in steps.references(text)}
    for name in given:
        if name not in used:
            near = did_you_mean(name, used)
            raise UsageError(f"--substitution: no build file holds ${{{name}}}{near}")


@click.command()
@_config
@click.option(
    "--build-file",
    default=DEFAULT_BUILD_FILE,
    show_default=True,
    metavar="FILE",
    help="The build file's path in the repository.",
)
@click.option(
    "--output", "-o", default="-", metavar="FILE", help="The file to write. [default: print it]"
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["yaml", "terraform"]),
    default="yaml",
    show_default=True,
    help="What gcloud imports, or a .tf.json file.",
)
def trigger(config: str, build_file: str, output: str, kind: str) -> None:
    """Write the triggers that rebuild the images.

    One starts a build when what images are made of changes on a branch, and a second one by the
    clock where the config has a schedule. With --output, what is left to do by hand is printed.
    """
    if kind == "terraform" and output != "-" and not output.endswith(".tf.json"):
        raise click.UsageError(f"{output}: Terraform reads JSON from files that end with .tf.json")
    if not is_inside_context(build_file):
        raise click.UsageError(f"--build-file: {build_file!r} is not a path inside the repository")
    checked = api.check(config)
    options = checked.config.cloudbuild
    files = imagekit.files(checked.plan, checked.config, build_file)
    parts = list(files)[:-1] if len(files) > 1 else list(files)
    builds = [upload.BuildFile(pathlib.Path(name), files[name]) for name in parts]
    needed = upload.needed(builds, pathlib.Path.cwd())
    found = triggers.documents(checked.plan, options, parts, needed)
    text = (
        triggers.render(found) if kind == "yaml" else terraform.render(checked.plan, options, found)
    )
    if output == "-":
        click.echo(text, nl=False)
        return
    replace_file(pathlib.Path(output), text.encode())
    click.echo(f"{output} written: {counted(len(found), 'trigger')}")
    if kind == "yaml":
        click.echo("What is left to do, once:")
        for line in triggers.commands(checked.plan, options, output):
            click.echo(f"  {line}")
