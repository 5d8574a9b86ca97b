"""What is read of the Cloud Build files in `tests/document/files`, each with its golden.

`make goldens` rewrites them; a test compares.
"""

import json
import pathlib
from collections.abc import Iterator

import msgspec

from imagekit.build import placement
from imagekit.build.placement import Rules
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
    text, rules = path.read_text(encoding="utf-8"), Rules()
    try:
        yield from build_reader.write(build_reader.read(text, path.name)).splitlines()
        for step in _steps(text, path.name):
            yield f"{step.id}: {step.kind} {' '.join(step.tags)}".rstrip()
            yield f"  needs {list(step.needs)}, runs {list(step.args)}"
            yield f"  {placement.described(step, placement.place_of(step, rules))}"
            if step.env:
                yield f"  env {step.env}"
        steps.read(text, path.name, check=lambda build: placement.problems(build, rules))
    except BuildFileError as error:
        yield str(error)
    found = inventory.read(text)
    yield (
        f"images: {json.dumps(msgspec.to_builtins(found) | {'order': ''}, indent=2)}"
        if (found)
        else "no images"
    )


def _steps(text: str, name: str) -> tuple[steps.Step, ...]:
    try:
        return steps.read(text, name).steps
    except BuildFileError:
        return steps.read(text, name, keep=True).steps


if __name__ == "__main__":
    for file in FILES:
        golden(file).write_text(read(file), encoding="utf-8")
