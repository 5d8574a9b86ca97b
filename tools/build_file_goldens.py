"""What is read of the Cloud Build files in `tests/document/files`, each with its golden.

`make goldens` rewrites them; a test compares.
"""

import json
import pathlib
from collections.abc import Iterator

import msgspec

from imagekit.compare import inventory
from imagekit.document import build_reader, steps
from imagekit.errors import BuildFileError

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "document" / "files"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".yaml", ".json"))


def golden(path: pathlib.Path) -> pathlib.Path:
    """Return where the golden of a file is."""
    return path.with_name(f"{path.name}.golden")


def read(path: pathlib.Path) -> str:
    """Return what is read of a file: as Google's JSON, its steps, its problems, its images."""
    return "".join(f"{line}\n" for line in _lines(path))


def _lines(path: pathlib.Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    try:
        yield from build_reader.write(build_reader.read(text, path.name)).splitlines()
        build, problems = steps.parse(text, path.name)
        for step in build.steps:
            yield f"{step.id}: {step.kind} {' '.join(step.tags)}".rstrip()
            yield f"  needs {list(step.needs)}, runs {list(step.args)}"
            if step.env:
                yield f"  env {step.env}"
        yield from map(str, problems)
    except BuildFileError:
        try:
            steps.read(text, path.name)
        except BuildFileError as error:
            yield str(error)
    found = inventory.read(text)
    yield (
        f"images: {json.dumps(msgspec.to_builtins(found) | {'order': ''}, indent=2)}"
        if (found)
        else "no images"
    )


if __name__ == "__main__":
    for file in FILES:
        golden(file).write_text(read(file), encoding="utf-8")
