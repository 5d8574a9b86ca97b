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

STATES: Mapping[str, State] = {
    "WORKING": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "INTERNAL_ERROR": "failed",
    "TIMEOUT": "timed out",
    "EXPIRED": "timed out",
    "CANCELLED": "interrupted",
}
"""What Cloud Build calls the states of steps and builds; what is not here still waits."""

OVER = ("SUCCESS", "FAILURE", "INTERNAL_ERROR", "TIMEOUT", "EXPIRED", "CANCELLED")
"""The states that a build ends in."""


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


class Choices(Fields, frozen=True):
    """Those options of a build that say where its log is."""

    logging: str | None = None


class Remote(Fields, frozen=True):
    """A build and how far it is."""

    id: str
    project_id: str = ""
    status: str = "QUEUED"
    status_detail: str = ""
    create_time: str = ""
    log_url: str = ""
    logs_bucket: str = ""
    steps: tuple[RemoteStep, ...] = ()
    results: Results = Results()
    options: Choices = Choices()
    failure_info: Failure = Failure()
    text: str = ""
    """All that Cloud Build said, as JSON."""

    @property
    def over(self) -> bool:
        """Whether the build has ended."""
        return self.status in OVER


def parse(text: str | bytes) -> Remote:
    """A build from Cloud Build's JSON. Raises CloudError if the JSON is not a build."""
    try:
        found = msgspec.json.decode(text, type=Remote)
    except msgspec.DecodeError as error:
        raise CloudError(f"unexpected response from Cloud Build: {error}") from None
    whole = text.decode() if isinstance(text, bytes) else text
    return msgspec.structs.replace(found, text=whole)


class Service(Protocol):
    """A client of Cloud Build. Every method raises CloudError, with the remedy, where it fails."""

    substitutions: Mapping[str, str]

    def commands(self, files: Sequence[pathlib.Path]) -> list[str]:
        """The commands or calls that submit these build files, one line each."""

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
