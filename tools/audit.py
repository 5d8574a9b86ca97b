"""`make audit`: known vulnerabilities of what requirements/test.txt pins.

pip-audit asks PyPI. Where the network has no such service, --database names a file that was
downloaded elsewhere: the advisories of PyPI in OSV's format (ossf.github.io/osv-schema), as one
JSON list, or as the zip archive that osv.dev offers for an ecosystem.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = pathlib.Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements/test.txt"


def pinned(text: str) -> dict[str, str]:
    """The versions by name of a file of requirements."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def advisories(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The advisories in a database file. Raises ValueError for a file of another kind."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield json.loads(archive.read(name))
        return
    found = json.loads(path.read_bytes())
    if not isinstance(found, list):
        raise ValueError(f"{path}: not a list of advisories")
    yield from found


def affects(advisory: dict[str, Any], pins: dict[str, str]) -> str | None:
    """The pinned name and version that an advisory is about; None if it is about none."""
    for affected in () if advisory.get("withdrawn") else advisory.get("affected", ()):
        package = affected.get("package", {})
        name = canonicalize_name(package.get("name", ""))
        if package.get("ecosystem") != "PyPI" or name not in pins:
            continue
        if pins[name] in affected.get("versions", ()) or any(
            _is_within(part.get("events", ()), Version(pins[name]))
            for part in affected.get("ranges", ())
            if part.get("type") == "ECOSYSTEM"
        ):
            return f"{name} {pins[name]}"
    return None


def _is_within(events: list[dict[str, str]], version: Version) -> bool:
    """Whether a version is in a range: events in order, each introducing or ending it."""
    inside = False
    for event in events:
        ((kind, text),) = event.items()
        try:
            other = Version(text)
        except InvalidVersion:
            continue
        if kind == "introduced" and version >= other:
            inside = True
        elif (kind == "fixed" and version >= other) or (
            kind == "last_affected" and version > other
        ):
            inside = False
    return inside


def main() -> int:
    """Print what is found; 1 if there is anything, 2 if nothing could be asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    if options.database is None:
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
        return subprocess.run([*command, "-r", PINS], check=False).returncode
    pins = pinned(PINS.read_text(encoding="utf-8"))
    count, found = 0, 0
    for advisory in advisories(options.database):
        count += 1
        if (what := affects(advisory, pins)) is not None:
            found += 1
            print(f"{what}: {advisory['id']}: {advisory.get('summary', '')}")
    print(f"{len(pins)} packages, {count:,} advisories, {found} found")
    # A database without advisories is the wrong file.
    return 2 if not count else int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
