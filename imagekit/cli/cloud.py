"""`imagekit submit` and `imagekit trigger`: builds and triggers on Google Cloud."""

from __future__ import annotations

import pathlib
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click
import msgspec

import imagekit
from imagekit import api
from imagekit.build import progress
from imagekit.build.cloud import submit as engine
from imagekit.build.cloud import upload
from imagekit.build.cloud.gcloud import Gcloud
from imagekit.build.cloud.script import script
from imagekit.build.cloud.service import FINAL, Service
from imagekit.build.report import NAME, StepReport
from imagekit.cli import completion
from imagekit.cli.common import is_quiet, say
from imagekit.cli.options import (
    config_option,
    config_options,
    known_substitutions,
    output_file,
    timeout_option,
)
from imagekit.cli.problems import show
from imagekit.config import cloudbuild
from imagekit.docker.context import is_inside_context
from imagekit.document import steps, terraform
from imagekit.document import trigger as triggers
from imagekit.errors import INTERRUPTED, BuildError, UsageError, counted, did_you_mean
from imagekit.planning.load import Checked, select
from imagekit.support import workspace
from imagekit.support.files import replace_file
from imagekit.support.terminal import echo, emit, harmless
from imagekit.support.workspace import DEFAULT_BUILD_FILE, DEFAULT_CONFIG, DEFAULT_LOGS


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The build files of a submission."""

    name: str
    """The path of the build file or of the manifest."""
    files: list[upload.BuildFile]
    """The build files, in order."""
    options: list[str]
    """The options that name the same build files again."""
    commands: list[list[str]] = []
    """The commands that write the build files; none if they exist."""
    path: str = ""
    """The path that the build files are written for, if they do not exist."""
    texts: Mapping[str, str] | None = None
    """The texts to write; None if they exist."""


@click.command()
@config_options
@timeout_option
@click.option(
    "--file",
    "-f",
    "build_file",
    metavar="FILE",
    shell_complete=completion.files,
    help="Submit this build file, or the files of this manifest, without comparing them with "
    f"the config. [default: {DEFAULT_BUILD_FILE}, if it is up to date]",
)
@click.option("--project", metavar="ID", help="The project to build in. [default: the config's]")
@click.option("--region", metavar="NAME", help="Where to build. [default: the config's]")
@click.option(
    "--substitution",
    "substitutions",
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
@click.option(
    "--dry-run", is_flag=True, help="Print a shell script that does the same; run nothing."
)
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
    default=DEFAULT_LOGS,
    show_default=True,
    metavar="FOLDER",
    shell_complete=completion.folders,
    help="Folder for the report and the log of each step.",
)
def submit(
    config: str, build_file: str | None, substitutions: tuple[str, ...], **options: Any
) -> None:
    """Build the images on Google Cloud Build.

    Uploads the files that the build needs and watches the build. Several build files are submitted
    in order, each after the previous one has succeeded. With --only, --skip, --base-url or
    --timeout-sec, a build file of their own is written to the folder of the logs and submitted.
    """
    selection = {name: options.pop(name) for name in ("base_url", "only", "skip", "timeout")}
    by_id = options["resume"] not in (None, "latest")
    _check_combination(config, build_file, selection, options)
    checked = _load_config(config, selection, needed=not by_id and build_file is None)
    service = _service(checked, _parse_substitutions(substitutions), options)
    submit_options = engine.Options(
        logs=workspace.logs(options["logs"]),
        interval=options["interval"],
        cancel=options["cancel"],
        watched=service.describe(options["resume"]) if by_id else None,
        show=harmless(echo) if options["stream"] else None,
    )
    if submit_options.watched is not None:
        # The files are not known, and nothing is submitted.
        file, submitted = engine.watched(submit_options.watched)
        submission = engine.Submission(
            options["resume"], [file], service, submit_options, _print_plain, [submitted]
        )
        sys.exit(_run(submission, ()))
    source = _source(config, build_file, checked, selection, submit_options.logs)
    files = source.files
    _check_used([file.text for file in files], _parse_substitutions(substitutions))
    here = pathlib.Path.cwd()
    texts = [] if "SHORT_SHA" in service.substitutions else [file.text for file in files]
    known = known_substitutions(here, texts)
    configured = checked.config.cloudbuild.project if checked else None
    project = options["project"] or configured or known.get("PROJECT_ID")
    files = [upload.with_inputs(file, here, service.substitutions, project) for file in files]
    if isinstance(service, Gcloud) and options["dry_run"]:
        commands = [service.wait_command(f.path, f.text, stream=options["stream"]) for f in files]
        emit(script([*source.commands, *commands]), nl=False)
        return
    _submit(source, files, service, submit_options, resume=bool(options["resume"]))


def _submit(
    source: Source,
    files: Sequence[upload.BuildFile],
    service: Service,
    options: engine.Options,
    *,
    resume: bool,
) -> NoReturn:
    """Check and submit the build files, and exit with the exit code."""
    if source.texts is not None:
        options.logs.mkdir(parents=True, exist_ok=True)
        api.write(source.texts, source.path, replace=True)
    needed = upload.check(files, service, pathlib.Path.cwd())
    size = sum(pathlib.Path(path).stat().st_size for path in needed)
    needs = f"{counted(len(needed), 'file')}, {max(1, round(size / 1000))} kB"
    say(f"{source.name}: {counted(len(files), 'build')}; needs {needs}")
    earlier = engine.earlier(options.logs) if resume else []
    submission = engine.Submission(source.name, files, service, options, _print_plain, earlier)
    again = "".join(f" {shlex.quote(word)}" for word in source.options)
    sys.exit(_run(submission, needed, again))


def _source(
    config: str,
    build_file: str | None,
    checked: Checked | None,
    selection: Mapping[str, Any],
    logs: pathlib.Path,
) -> Source:
    """The build files to submit: the named ones, those of a selection, or the up-to-date ones."""
    resume = [] if config == DEFAULT_CONFIG else ["--config", config]
    if checked is None or build_file is not None:
        name = build_file or DEFAULT_BUILD_FILE
        options = [*resume, "--file", name]
        return Source(name=name, files=upload.files_of(pathlib.Path(name)), options=options)
    if not any(selection.values()):
        name = _up_to_date_file(checked)
        return Source(name=name, files=upload.files_of(pathlib.Path(name)), options=resume)
    plan = select(checked, selection["only"], selection["skip"])
    path = str(logs / DEFAULT_BUILD_FILE)
    texts = imagekit.files(plan, checked.config, path)
    names = list(texts)[:-1] if len(texts) > 1 else list(texts)
    words = [*resume, *_selection_words(selection)]
    return Source(
        name=list(texts)[-1],
        files=[upload.BuildFile(pathlib.Path(name), texts[name]) for name in names],
        options=words,
        commands=[
            ["mkdir", "-p", str(logs)],
            ["imagekit", "generate", *words, "--output", path, "--yes", "--quiet"],
        ],
        path=path,
        texts=texts,
    )


def _selection_words(selection: Mapping[str, Any]) -> Iterator[str]:
    """The options that a selection was given with."""
    for name, value in selection.items():
        option = "--timeout-sec" if name == "timeout" else f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, tuple) else [value] if value else []:
            yield f"{option}={one}"


def _check_combination(
    config: str, build_file: str | None, selection: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """Raise UsageError for options that cannot be combined."""
    by_id = options["resume"] not in (None, "latest")
    if options["resume"] and options["dry_run"]:
        raise click.UsageError("--dry-run and --resume cannot be combined")
    if any(selection.values()) and (build_file is not None or by_id):
        other = "--resume BUILD" if by_id else "--file"
        names = "--only, --skip, --base-url and --timeout-sec"
        raise click.UsageError(f"{names} cannot be combined with {other}")
    if options["dry_run"] and any(selection.values()) and config == "-":
        raise click.UsageError("a script cannot read the config from standard input; name a file")


@harmless
def _print_summary(submission: engine.Submission, logs: pathlib.Path) -> None:
    for line in progress.summary(submission.report, logs):
        echo(line)
    for note in submission.notes:
        echo(f"warning: {note}", err=True)
    for line in engine.summary(submission.report):
        echo(line)
    echo(f"report: {logs / NAME}")


def _print_plain(entry: StepReport) -> None:
    if not sys.stdout.isatty() and not is_quiet():
        progress.plain(entry)


def _run(submission: engine.Submission, needed: Sequence[str], resume_options: str = "") -> int:
    """Submit and watch, print the progress, and return the exit code.

    `resume_options` are the options of the command that resumes the submission.
    """
    logs = submission.options.logs
    # A live table and the lines of a log cannot be displayed together.
    if sys.stdout.isatty() and submission.options.show is None and not is_quiet():
        with progress.Live(lambda: submission.report) as live:
            submission.on_start = lambda entry: live.print(engine.summary_line(entry))
            report = submission.run(needed)
    else:
        submission.on_start = harmless(lambda entry: say(engine.summary_line(entry)))
        report = submission.run(needed)
    if report.outcome != "succeeded" or not is_quiet():
        _print_summary(submission, logs)
    running = [e.id for e in report.builds if e.id and e.status not in FINAL]
    if report.outcome == "running" and running:
        echo(
            f"build {running[0]} is still running; imagekit submit{resume_options} --resume "
            f"watches it, and {submission.service.cancel_command(running[0])} cancels it",
            err=True,
        )
    elif report.outcome == "interrupted" and not running:
        echo(f"imagekit submit{resume_options} --resume continues with the rest", err=True)
    if report.outcome in ("running", "interrupted"):
        return INTERRUPTED
    return 0 if report.outcome == "succeeded" else BuildError.exit_code


def _service(
    checked: Checked | None, substitutions: Mapping[str, str], options: Mapping[str, Any]
) -> Service:
    configured = checked.config.cloudbuild if checked else cloudbuild.CloudBuild()
    # The substitutions that a trigger and a local build set, too.
    known = known_substitutions(pathlib.Path.cwd(), ())
    defaults = {k: v for k, v in known.items() if v and (k in SETTABLE or k.startswith("_"))}
    where: dict[str, Any] = {
        "project": options["project"] or configured.project,
        "region": options["region"] or cloudbuild.region_of(configured),
        "staging": options["staging"],
        "substitutions": defaults | dict(substitutions),
    }
    # A script can only run gcloud.
    if options["via"] == "library" and not options["dry_run"]:
        # Imported here because Google's libraries take seconds to load.
        from imagekit.build.cloud.library import Library

        return Library(pathlib.Path.cwd(), **where)
    return Gcloud(options["gcloud"], **where)


def _load_config(config: str, selection: Mapping[str, Any], *, needed: bool) -> Checked | None:
    """A config and its plan; None if there is no config and it is not needed."""
    if not needed and not pathlib.Path(config).exists():
        return None
    checked = api.check(config, base_url=selection["base_url"], timeout=selection["timeout"])
    for warning in checked.warnings if needed else ():
        show(warning)
    return checked


def _up_to_date_file(checked: Checked | None) -> str:
    """The path of the build file or manifest. Raises DriftError if it is out of date."""
    files = imagekit.files(checked.plan, checked.config, DEFAULT_BUILD_FILE) if checked else {}
    api.write(files, DEFAULT_BUILD_FILE, check=True)
    return list(files)[-1]


SETTABLE = (*("REPO_NAME", "BRANCH_NAME", "TAG_NAME", "REVISION_ID", "COMMIT_SHA", "SHORT_SHA"),)
"""Cloud Build's own substitutions that a submission may set
(GoogleCloudPlatform/cloud-build-local, validate/validate.go)."""


def _parse_substitutions(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals or not (re.fullmatch(cloudbuild.SUBSTITUTION, name) or name in SETTABLE):
            message = f"{name!r} is not a valid substitution; write _NAME=VALUE, in capitals"
            raise UsageError(f"--substitution: {message}")
    return {name: value for name, _, value in pairs}


def _check_used(texts: Sequence[str], substitutions: Mapping[str, str]) -> None:
    used = {name for text in texts for name in steps.references(text)}
    for name in substitutions:
        if name not in used:
            near = did_you_mean(name, used)
            raise UsageError(f"--substitution: no build file uses ${{{name}}}{near}")


@click.command()
@config_option
@click.option(
    *("--file", "-f", "--build-file", "build_file"),
    default=DEFAULT_BUILD_FILE,
    show_default=True,
    metavar="FILE",
    shell_complete=completion.files,
    help="The build file's path in the repository.",
)
@click.option(
    *("--output", "-o"),
    default="-",
    callback=output_file,
    metavar="FILE",
    shell_complete=completion.files,
    help="The file to write. [default: print it]",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["yaml", "terraform"]),
    default="yaml",
    show_default=True,
    help="YAML for gcloud, or JSON for Terraform.",
)
def trigger(config: str, build_file: str, output: str, kind: str) -> None:
    """Write the triggers that rebuild the images.

    One trigger starts a build when a file of the images changes on a branch, and a second one on
    the schedule of the config, if it has one. With --output, the commands that set them up are
    printed.
    """
    if kind == "terraform" and output != "-" and not output.endswith(".tf.json"):
        raise click.UsageError(f"{output}: Terraform reads JSON from files that end with .tf.json")
    if not is_inside_context(build_file):
        raise click.UsageError(f"--file: {build_file!r} is not a path inside the repository")
    checked = api.check(config)
    options = checked.config.cloudbuild
    files = imagekit.files(checked.plan, checked.config, build_file)
    parts = list(files)[:-1] if len(files) > 1 else list(files)
    builds = [upload.BuildFile(pathlib.Path(name), files[name]) for name in parts]
    needed = upload.needed(builds, pathlib.Path.cwd())
    documents = triggers.documents(checked.plan, options, parts, needed)
    if kind == "yaml":
        text = triggers.render(documents)
    else:
        text = terraform.render(checked.plan, options, documents)
    if output == "-":
        emit(text, nl=False)
        return
    replace_file(pathlib.Path(output), text.encode())
    say(f"{output} written: {counted(len(documents), 'trigger')}")
    if kind == "yaml":
        say("Run these commands once:")
        for line in triggers.commands(checked.plan, options, output):
            say(f"  {line}")
