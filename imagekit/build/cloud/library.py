"""Cloud Build through Google's client library, for machines without `gcloud`.

It needs `pip install 'imagekit[cloud]'` and application default credentials. It supports the
environment variables CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD and
CLOUDSDK_AUTH_DISABLE_CREDENTIALS of gcloud, and STORAGE_EMULATOR_HOST of Google's library for
Cloud Storage.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import re
import tarfile
import urllib.parse
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import yaml

from imagekit.build.cloud.service import Remote, parse
from imagekit.docker.names import Registry
from imagekit.document.steps import references
from imagekit.errors import CloudError, one_line
from imagekit.support import extras
from imagekit.support.files import read_text

Response = TypeVar("Response")

REMEDIES: Mapping[str, str] = {
    "DefaultCredentialsError": "not logged in; run gcloud auth application-default login, "
    "or set GOOGLE_APPLICATION_CREDENTIALS",
    "RefreshError": "the login has ended; run gcloud auth application-default login",
    "Forbidden": "ask for the roles Cloud Build Editor (roles/cloudbuild.builds.editor) and "
    "Storage Admin on the project",
    "PermissionDenied": "ask for the role Cloud Build Editor (roles/cloudbuild.builds.editor)",
    "Unauthenticated": "run gcloud auth application-default login",
    "BadRequest": "Cloud Build rejected the build; fix what it names",
    "InvalidArgument": "Cloud Build rejected the build; fix what it names",
    "NotFound": "look at the id, --project and --region",
}
"""The remedies, by the class of the library's error."""


class Library:
    """A client that uses Google's libraries. `project` may be None if the credentials have one.

    Paths in a build file are relative to `root`.
    """

    def __init__(
        self,
        root: pathlib.Path,
        *,
        project: str | None = None,
        region: str | None = None,
        staging: str | None = None,
        substitutions: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.region = region or "global"
        self.substitutions: Mapping[str, str] = dict(substitutions or {})
        self.offsets: dict[str, int] = {}
        self._load(project)
        self.bucket = (staging or f"gs://{self.project}_cloudbuild").removeprefix("gs://")

    def _load(self, project: str | None) -> None:
        with extras.needed("--via library", "cloud"):
            from google.cloud import storage
            from google.cloud.devtools import cloudbuild_v1
        self.types = cloudbuild_v1
        credentials, default_project = _call(_credentials)
        self.project = project or default_project
        if not self.project:
            message = "no project is set; use --project, or set 'project' under 'cloudbuild'"
            raise CloudError(f"{message} in the config")
        from google.auth.transport.requests import AuthorizedSession

        self.session = AuthorizedSession(credentials)
        self.client = _client(cloudbuild_v1, credentials)
        self.storage = storage.Client(project=self.project, credentials=credentials)

    def cancel_command(self, build: str) -> str:
        """The command that cancels a build."""
        return f"gcloud builds cancel {build} --project={self.project} --region={self.region}"

    def missing(self, needed: Sequence[str]) -> list[str]:
        """Always empty: exactly the needed files are uploaded."""
        return []

    def exists(self, registry: Registry) -> bool | None:
        """Whether an Artifact Registry repository exists; None if that cannot be determined."""
        variable = "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY"
        host = os.environ.get(variable, "https://artifactregistry.googleapis.com/")
        location = f"projects/{registry.project}/locations/{registry.location}"
        address = f"{host}v1/{location}/repositories/{registry.name}"
        response = _call(lambda: self.session.get(address, timeout=60))
        return {200: True, 404: False}.get(response.status_code)

    def submit(self, file: pathlib.Path, needed: Sequence[str]) -> Remote:
        """Upload the needed files and start the build."""
        text = read_text(file)
        document, used = yaml.safe_load(text), references(text)
        values = {name: value for name, value in self.substitutions.items() if name in used}
        if values:
            document["substitutions"] = (document.get("substitutions") or {}) | values
        build = self._build(document, file)
        source = _call(lambda: self._upload(needed))
        build.source = self.types.Source(storage_source=self.types.StorageSource(source))
        request = self.types.CreateBuildRequest(
            parent=self._parent, project_id=self.project, build=build
        )
        operation = _call(lambda: self.client.create_build(request=request))
        return self._remote(operation.metadata.build)

    def _build(self, document: Any, file: pathlib.Path) -> Any:
        try:
            return self.types.Build.from_json(json.dumps(document), ignore_unknown_fields=False)
        except Exception as error:
            # The error of protobuf names the unknown field.
            reason = one_line(str(error).replace("Message type ", ""))
            raise CloudError(f"{file}: Cloud Build would reject it: {reason}; fix it") from None

    def describe(self, build: str) -> Remote:
        """The current state of a build, by its id."""
        name = f"{self._parent}/builds/{build}"
        request = self.types.GetBuildRequest(name=name, project_id=self.project, id=build)
        return self._remote(_call(lambda: self.client.get_build(request=request)))

    def cancel(self, build: str) -> None:
        """Cancel a build."""
        name = f"{self._parent}/builds/{build}"
        request = self.types.CancelBuildRequest(name=name, project_id=self.project, id=build)
        _call(lambda: self.client.cancel_build(request=request))

    def log(self, build: Remote) -> bytes:
        """The new part of a build's log in its bucket; empty if it is in Cloud Logging only."""
        if build.options.logging in ("NONE", "CLOUD_LOGGING_ONLY", "STACKDRIVER_ONLY"):
            return b""
        begin = self.offsets.get(build.id, 0)
        bucket, _, folder = build.logs_bucket.removeprefix("gs://").partition("/")
        name = "/".join(filter(None, (folder.strip("/"), f"log-{build.id}.txt")))
        blob = self.storage.bucket(bucket).blob(name)
        from google.api_core import exceptions

        try:
            data: bytes = blob.download_as_bytes(start=begin)
        except (exceptions.NotFound, exceptions.RequestRangeNotSatisfiable):
            return b""
        except Exception as error:
            raise _cloud_error(error) from None
        self.offsets[build.id] = begin + len(data)
        return data

    @property
    def _parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def _remote(self, build: Any) -> Remote:
        return parse(self.types.Build.to_json(build, use_integers_for_enums=False))

    def _upload(self, needed: Sequence[str]) -> dict[str, Any]:
        bucket_name, _, folder = self.bucket.partition("/")
        bucket = self.storage.lookup_bucket(bucket_name)
        if bucket is None:
            bucket = self.storage.create_bucket(bucket_name)
        blob = bucket.blob("/".join(filter(None, (folder, "source", f"{uuid.uuid4().hex}.tgz"))))
        blob.upload_from_string(archive(self.root, needed), content_type="application/gzip")
        return {"bucket": bucket_name, "object_": blob.name, "generation": blob.generation}


def archive(root: pathlib.Path, names: Sequence[str]) -> bytes:
    """Files as a compressed tar archive, without owners and modification times."""

    def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = 0
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            tar.add(root / name, arcname=name, recursive=False, filter=anonymous)
    return buffer.getvalue()


def _credentials() -> tuple[Any, str | None]:
    if os.environ.get("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "").lower() in ("1", "true"):
        from google.auth.credentials import AnonymousCredentials

        return AnonymousCredentials(), os.environ.get("CLOUDSDK_CORE_PROJECT")
    import google.auth

    default: tuple[Any, str | None] = google.auth.default(
        scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    return default


def _client(types: Any, credentials: Any) -> Any:
    override = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD")
    if not override:
        return types.CloudBuildClient(credentials=credentials, transport="rest")
    from google.cloud.devtools.cloudbuild_v1.services.cloud_build.transports import rest

    address = urllib.parse.urlsplit(override)
    transport = rest.CloudBuildRestTransport(
        host=address.netloc, url_scheme=address.scheme, credentials=credentials
    )
    return types.CloudBuildClient(transport=transport)


def _call(request: Callable[[], Response]) -> Response:
    try:
        return request()
    except Exception as error:
        # Google's libraries raise many types of errors, also of other libraries.
        raise _cloud_error(error) from None


def _cloud_error(error: Exception) -> CloudError:
    name = type(error).__name__
    message = str(getattr(error, "message", None) or error) or name
    # The library puts the request before the reason.
    reason = re.sub(r"^[A-Z]+ https?://\S+: ", "", message)
    remedy = REMEDIES.get(name, "Google Cloud cannot be reached; look at the network and its proxy")
    return CloudError(one_line(f"Cloud Build: {reason.rstrip('.')}; {remedy}"))
