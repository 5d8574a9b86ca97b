"""The Cloud Build client interface, and the fields of a build that it returns.

Fields: cloud.google.com/build/docs/api/reference/rest/v1/projects.locations.builds.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from imagekit.build.report import State
from imagekit.docker.names import Registry
from imagekit.errors import CloudError
from imagekit.support.json_text import decode

STATES: Mapping[str, State] = {
    "WORKING": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "INTERNAL_ERROR": "failed",
    "TIMEOUT": "timed out",
    "EXPIRED": "timed out",
    "CANCELLED": "interrupted",
}
"""The states of Cloud Build's statuses; steps and builds with any other status are waiting."""

WAITING = ("PENDING", "QUEUED")
"""The statuses of builds that have not begun."""

FINAL = ("SUCCESS", "FAILURE", "INTERNAL_ERROR", "TIMEOUT", "EXPIRED", "CANCELLED")
"""The statuses of builds that have ended."""


class Fields(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of Cloud Build's JSON; unknown fields are ignored."""


class Timing(Fields, frozen=True):
    """The start and the end of a step."""

    start_time: str | None = None
    """The start time, as RFC 3339."""
    end_time: str | None = None
    """The end time, as RFC 3339."""


class RemoteStep(Fields, frozen=True):
    """The state of a step."""

    status: str = "QUEUED"
    """Its status, a key of STATES."""
    exit_code: int | None = None
    """The exit code of its container."""
    timing: Timing = Timing()
    """When it ran."""


class Pushed(Fields, frozen=True):
    """An image that Cloud Build pushed because `images` lists it."""

    name: str
    """The image name with its tag."""
    digest: str = ""
    """Its digest in the registry."""


class Results(Fields, frozen=True):
    """The results of a build."""

    images: tuple[Pushed, ...] = ()
    """The pushed images."""


class Failure(Fields, frozen=True):
    """The failure of a build."""

    detail: str = ""
    """Why the build failed."""


class LogOptions(Fields, frozen=True):
    """The options of a build that set where its log is."""

    logging: str | None = None
    """The logging mode, such as `CLOUD_LOGGING_ONLY`; None for the default."""


class Remote(Fields, frozen=True):
    """A build and its current state."""

    id: str
    """The build id."""
    project_id: str = ""
    """The Google Cloud project."""
    status: str = "QUEUED"
    """Its status."""
    status_detail: str = ""
    """More about its status, as text."""
    create_time: str = ""
    """The time of its creation, as RFC 3339."""
    log_url: str = ""
    """The address of the log in the Cloud console."""
    logs_bucket: str = ""
    """The bucket of the log, as `gs://` address."""
    steps: tuple[RemoteStep, ...] = ()
    """The state of each step."""
    results: Results = Results()
    """Its results."""
    options: LogOptions = LogOptions()
    """Its log options."""
    failure_info: Failure = Failure()
    """Its failure."""
    text: str = ""
    """The complete response of Cloud Build, as JSON."""

    @property
    def ended(self) -> bool:
        """Whether the build has ended."""
        return self.status in FINAL


def parse(text: str | bytes) -> Remote:
    """A build from Cloud Build's JSON. Raises CloudError if the JSON is not a build."""
    try:
        build = decode(text, Remote)
    except ValueError as error:
        raise CloudError(f"unexpected response from Cloud Build: {error}") from None
    response = text.decode(errors="replace") if isinstance(text, bytes) else text
    return msgspec.structs.replace(build, text=response)


class Service(Protocol):
    """A Cloud Build client. A method that fails raises CloudError with a remedy."""

    substitutions: Mapping[str, str]
    """Substitutions to set; each build gets those that it uses."""

    def cancel_command(self, build: str) -> str:
        """The shell command that cancels a build."""

    def missing(self, needed: Sequence[str]) -> list[str]:
        """The needed files that would not be uploaded."""

    def exists(self, registry: Registry) -> bool | None:
        """Whether a repository exists; None if that cannot be determined."""

    def submit(self, file: pathlib.Path, needed: Sequence[str]) -> Remote:
        """Upload the needed files and start the build."""

    def describe(self, build: str) -> Remote:
        """The current state of a build, by its id."""

    def cancel(self, build: str) -> None:
        """Cancel a build."""

    def log(self, build: Remote) -> bytes:
        """The new part of a build's log since the last call."""
