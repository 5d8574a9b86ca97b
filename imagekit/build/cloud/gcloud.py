"""Cloud Build client that runs the `gcloud` command."""

from __future__ import annotations

import datetime
import itertools
import pathlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence

import msgspec

from imagekit.build.cloud.service import Remote, parse
from imagekit.docker.names import Registry
from imagekit.document.steps import references
from imagekit.errors import CloudError, one_line
from imagekit.support import log
from imagekit.support.files import read_text
from imagekit.support.json_text import decode

REMEDIES: Mapping[str, str] = {
    r"active account|gcloud auth login|[Rr]eauthenticat|default credentials": (
        "not logged in; run gcloud auth login, or gcloud auth activate-service-account"
    ),
    r"property \[project\]": (
        "give --project, set 'project' under 'cloudbuild' in the config, or "
        "run gcloud config set project PROJECT"
    ),
    r"SERVICE_DISABLED|has not been used in project|API .* not enabled": (
        "the API is not enabled; run gcloud services enable cloudbuild.googleapis.com"
    ),
    r"storage\.(objects|buckets)|accessing the bucket": (
        "ask for the role Storage Admin (roles/storage.admin) on the bucket, or name another one: "
        "--staging gs://BUCKET/source"
    ),
    r": unused": (
        "this gcloud does not know that field; run gcloud components update, or use --via library"
    ),
    r"(?i)\bquota|RESOURCE_EXHAUSTED": "wait, or ask for more quota",
    r"PERMISSION_DENIED|does not have permission|\b403\b": (
        "ask for the role Cloud Build Editor (roles/cloudbuild.builds.editor) on the project"
    ),
    r"INVALID_ARGUMENT|FAILED_PRECONDITION": "Cloud Build rejected the build; fix what it names",
    r"NOT_FOUND": "look at the id, --project and --region",
    r"gcloud crashed|[Cc]onnection|resolve|timed out|UNAVAILABLE": (
        "Google Cloud cannot be reached; look at the network and its proxy"
    ),
}
"""The remedies, by patterns of gcloud's error message."""


def cloud_error(stderr: str) -> CloudError:
    """The error for gcloud's standard error: one line, with a remedy if there is one."""
    lines = re.findall(r"^ERROR: (?:\([\w.-]+\) )?(.+)", stderr, re.MULTILINE)
    reason = lines[-1] if lines else (stderr.strip().splitlines() or ["no answer"])[-1]
    # With disabled credentials, gcloud adds this sentence to every error.
    reason = reason.partition(" This command is unauthenticated")[0].rstrip(".")
    for pattern, remedy in REMEDIES.items():
        if re.search(pattern, stderr):
            return CloudError(one_line(f"gcloud: {reason}; {remedy}"))
    return CloudError(one_line(f"gcloud: {reason}"))


class Entry(msgspec.Struct, rename="camel"):
    """A log entry in Cloud Logging."""

    insert_id: str
    """The unique id of the entry."""
    timestamp: str
    """Its time, as RFC 3339."""
    text_payload: str = ""
    """Its text."""


class Gcloud:
    """A client that runs `gcloud`. `project` and `region` override gcloud's own settings.

    `staging` overrides where gcloud uploads sources. Each build gets only the `substitutions`
    that it uses, because Cloud Build rejects unused ones.
    """

    def __init__(
        self,
        program: str,
        *,
        project: str | None = None,
        region: str | None = None,
        staging: str | None = None,
        substitutions: Mapping[str, str] | None = None,
    ) -> None:
        self.program = program
        self.staging = staging
        self.substitutions = substitutions or {}
        self.project_options = [f"--project={project}"] if project else []
        self.region_options = [f"--region={region}"] if region else []
        self.offsets: dict[str, int] = {}
        self.seen: dict[str, dict[str, set[str]]] = {}

    def wait_command(self, file: pathlib.Path, text: str, *, stream: bool) -> list[str]:
        """The gcloud command that submits a build file with this text and waits for the build.

        With `stream`, gcloud prints the log. It reads a log in a bucket in any case.
        """
        command = [self.program, *self._submit_arguments(file, text), "--quiet"]
        return command if stream else [*command, "--suppress-logs"]

    def cancel_command(self, build: str) -> str:
        """The command that cancels a build."""
        return shlex.join([self.program, "builds", "cancel", build, *self._location_options])

    def missing(self, needed: Sequence[str]) -> list[str]:
        """The needed files that gcloud would not upload."""
        uploaded = set(self._output("meta", "list-files-for-upload", ".").splitlines())
        return [name for name in needed if name not in uploaded]

    def exists(self, registry: Registry) -> bool | None:
        """Whether an Artifact Registry repository exists; None if that cannot be determined."""
        result = self._run(
            *("artifacts", "repositories", "describe", registry.name, "--format=json"),
            *(f"--location={registry.location}", f"--project={registry.project}"),
        )
        if result.returncode == 0:
            return True
        return False if b"NOT_FOUND" in result.stderr else None

    def submit(self, file: pathlib.Path, needed: Sequence[str]) -> Remote:
        """Upload all files that .gcloudignore does not exclude, and start the build."""
        text = read_text(file)
        return parse(self._output(*self._submit_arguments(file, text), "--async", "--format=json"))

    def describe(self, build: str) -> Remote:
        """The current state of a build, by its id."""
        return parse(
            self._output("builds", "describe", build, *self._location_options, "--format=json")
        )

    def cancel(self, build: str) -> None:
        """Cancel a build."""
        self._output("builds", "cancel", build, *self._location_options, "--format=json")

    def log(self, build: Remote) -> bytes:
        """The new part of a build's log, from its bucket or from Cloud Logging."""
        if build.options.logging == "NONE":
            return b""
        if build.options.logging in ("CLOUD_LOGGING_ONLY", "STACKDRIVER_ONLY"):
            return self._cloud_logging(build)
        name = f"{build.logs_bucket.rstrip('/')}/log-{build.id}.txt"
        begin = self.offsets.get(build.id, 0)
        result = self._run("storage", "cat", "-r", f"{begin}-", name)
        if result.returncode:
            stderr = result.stderr.decode(errors="replace")
            # A queued build has no log yet.
            if re.search(r"404|not found|matched no objects|NOT_FOUND", stderr):
                return b""
            raise cloud_error(stderr)
        # The offset counts bytes: the output may end within a character.
        self.offsets[build.id] = begin + len(result.stdout)
        return result.stdout

    def _cloud_logging(self, build: Remote) -> bytes:
        """New lines of Cloud Logging.

        Entries may arrive late, so the last minute is read again and known entries are skipped.
        """
        seen = self.seen.setdefault(build.id, {})
        since = _minute_before(max(seen)) if seen else build.create_time
        filter_ = (
            f'resource.type="build" AND resource.labels.build_id="{build.id}" '
            f'AND timestamp>="{since}"'
        )
        text = self._output(
            *("logging", "read", filter_, f"--project={build.project_id}"),
            *("--format=json", "--order=asc"),
        )
        new = []
        for entry in _entries(text):
            known = seen.setdefault(entry.timestamp, set())
            if entry.insert_id not in known:
                known.add(entry.insert_id)
                new.append(f"{entry.text_payload}\n")
        return "".join(new).encode()

    @property
    def _location_options(self) -> list[str]:
        return [*self.project_options, *self.region_options]

    def _submit_arguments(self, file: pathlib.Path, text: str) -> list[str]:
        more = [f"--gcs-source-staging-dir={self.staging}"] if self.staging else []
        used = references(text)
        values = {name: value for name, value in self.substitutions.items() if name in used}
        if values:
            more.append(f"--substitutions={_pairs(values)}")
        return ["builds", "submit", ".", f"--config={file}", *self._location_options, *more]

    def _output(self, *args: str) -> str:
        result = self._run(*args)
        if result.returncode:
            raise cloud_error(result.stderr.decode(errors="replace"))
        return result.stdout.decode(errors="replace")

    def _run(self, *args: str) -> subprocess.CompletedProcess[bytes]:
        if shutil.which(self.program) is None:
            remedy = "install Google Cloud's command line, or use --via library"
            raise CloudError(f"program {self.program!r} not found; {remedy}")
        log.debug("running %s", shlex.join([self.program, *args]))
        return subprocess.run(
            [self.program, *args, "--quiet"],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            # Ctrl-C must not end gcloud: an interrupted submission would leave a build behind.
            start_new_session=True,
        )


def _entries(text: str) -> list[Entry]:
    try:
        return decode(text, list[Entry])
    except ValueError as error:
        raise CloudError(f"unexpected response from Cloud Logging: {error}") from None


def _minute_before(time: str) -> str:
    return (datetime.datetime.fromisoformat(time) - datetime.timedelta(minutes=1)).isoformat()


def _pairs(values: Mapping[str, str]) -> str:
    """Substitutions in gcloud's syntax, with another separator if a value contains a comma."""
    pairs = [f"{name}={value}" for name, value in values.items()]
    if not any("," in pair for pair in pairs) and not pairs[0].startswith("^"):
        return ",".join(pairs)
    text = "".join(pairs)
    marks = itertools.chain((";", "|", "#", "~"), (f"@{n}@" for n in itertools.count()))
    separator = next(mark for mark in marks if mark not in text)
    return f"^{separator}^{separator.join(pairs)}"
