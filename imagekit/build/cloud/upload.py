"""The build files to submit, the files that they need, and checks before the upload."""

from __future__ import annotations

import hashlib
import pathlib
import posixpath
import re
from collections.abc import Mapping, Sequence

import msgspec

from imagekit import api
from imagekit.build.cloud.service import Service
from imagekit.docker.context import ignore_file, made_of
from imagekit.docker.names import registry_of
from imagekit.document import steps
from imagekit.errors import BuildFileError, CloudError, Problem
from imagekit.support.checkout import Folder
from imagekit.support.files import read_text


class BuildFile(msgspec.Struct, frozen=True):
    """A build file to submit."""

    path: pathlib.Path
    """The path of the file."""
    text: str
    """The content of the file."""
    inputs: str = ""
    """The hashes of the needed files and the substitutions, as JSON; see `with_inputs`."""
    substitutions: dict[str, str] = {}
    """The values of substitutions that are known before the build runs."""
    is_foreign: bool = False
    """Whether it is what Cloud Build says of a build, and not a file."""

    @property
    def sha256(self) -> str:
        """A hash of the text and the inputs: equal hashes mean the same build."""
        return hashlib.sha256(f"{self.text}{self.inputs}".encode()).hexdigest()


def files_of(path: pathlib.Path) -> list[BuildFile]:
    """A build file, or all files that a manifest lists, in order.

    Raises UsageError if a file cannot be read or does not match its manifest.
    """
    text = read_text(path)
    parts = api.parts_of(text, str(path))
    if parts is None:
        return [BuildFile(path, text)]
    return [BuildFile(pathlib.Path(name), read_text(name)) for name in parts]


def with_inputs(
    file: BuildFile,
    root: pathlib.Path,
    substitutions: Mapping[str, str],
    project: str | None = None,
) -> BuildFile:
    """The build file with the hashes of its needed files and the substitutions that it uses."""
    known = {"PROJECT_ID": project} if project else {}
    file = msgspec.structs.replace(file, substitutions={**substitutions, **known})
    tree, used = Folder(root), steps.references(file.text)
    values = {name: value for name, value in substitutions.items() if name in used}
    hashes = {name: tree.hash(name) for name in needed([file], root)}
    return msgspec.structs.replace(file, inputs=msgspec.json.encode([hashes, values]).decode())


def needed(files: Sequence[BuildFile], root: pathlib.Path) -> list[str]:
    """Every file that the steps of the builds read: sorted paths relative to `root`.

    Raises BuildFileError if a Dockerfile or a test file is missing.
    """
    tree, paths, absent = Folder(root), set[str](), set[str]()
    # Most images have their Dockerfile in common.
    read: set[tuple[str, str]] = set()
    for step in (step for file in files for step in steps_of(file)):
        if "$" in f"{step.dockerfile}{step.context}{step.dir}":
            # Only Cloud Build knows which file it is.
            continue
        if step.kind == "build" and not step.docker_build.is_remote:
            if (step.dockerfile, step.context) in read:
                continue
            read.add((step.dockerfile, step.context))
            hashes = made_of(tree, step.dockerfile, step.context)
            paths |= hashes.keys() | set(ignore_file(tree, step.dockerfile, step.context))
            absent |= set() if hashes else {step.dockerfile}
        elif step.kind == "test":
            tests = {posixpath.normpath(posixpath.join(step.dir, name)) for name in step.test_files}
            paths |= tests
            absent |= {name for name in tests if not (root / name).is_file()}
    if absent:
        raise BuildFileError(
            Problem(message=f"{name}: the build needs this file, and it does not exist")
            for name in sorted(absent)
        )
    return sorted(paths)


def steps_of(file: BuildFile) -> tuple[steps.Step, ...]:
    """The steps of a build file, including those that cannot run locally.

    Raises BuildFileError for a file that Cloud Build would not accept.
    """
    if file.is_foreign:
        return steps.of_foreign(file.text).steps
    return steps.read(file.text, str(file.path), file.substitutions, keep=True).steps


def check(files: Sequence[BuildFile], service: Service, root: pathlib.Path) -> list[str]:
    """The files that the builds need, after checking the upload and the target repositories.

    Raises BuildFileError if the upload would lack a file, and CloudError if a repository does
    not exist.
    """
    names = needed(files, root)
    if absent := service.missing(names):
        raise BuildFileError(
            Problem(message=f"{name}: the build needs this file, and .gcloudignore excludes it")
            for name in absent
        )
    for address in sorted(_repositories(files)):
        registry = registry_of(address)
        if registry is not None and service.exists(registry) is False:
            raise CloudError(
                f"{address}: repository {registry.name!r} not found in {registry.location} of "
                f"{registry.project}; create it: {registry.create_command}"
            )
    return names


def _repositories(files: Sequence[BuildFile]) -> set[str]:
    pushes = (step for file in files for step in steps_of(file) if step.kind == "push")
    # What only Cloud Build knows cannot be looked up.
    tags = [tag for step in pushes for tag in step.tags if "$" not in tag.rpartition(":")[0]]
    return {re.sub(r":[\w.-]+$", "", tag) for tag in tags}
