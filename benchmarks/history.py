"""How much the index of a run store saves: opening a history for the first time, and again.

`python benchmarks/history.py [RUNS]` makes a store of that many runs (10,000) from the example's
records, in a temporary folder, and prints both times and their ratio. No two runs that follow
each other generated the same, so that every one has to be compared with the one before.
"""

import datetime
import json
import os
import pathlib
import secrets
import sys
import tempfile
import time

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "notebooks" / "example-runs"


def fill(folder: pathlib.Path, number: int) -> None:
    """Put runs into a folder, half an hour apart, each with a build of its own."""
    records = [json.loads(path.read_text()) for path in sorted(EXAMPLE.glob("*.json"))]
    records = [record for record in records if record.get("result", {}).get("build")]
    started = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for index in range(number):
        started += datetime.timedelta(minutes=30)
        name = f"{started:%Y%m%dT%H%M%S.%fZ}-generate-{secrets.token_hex(4)}"
        record = records[index % len(records)] | {"run": name, "started": started.isoformat()}
        for image in record["result"]["build"]["images"].values():
            image["build_args"] = image.get("build_args", {}) | {"NUMBER": str(index)}
        (folder / f"{name}.json").write_text(json.dumps(record))


def opened(folder: pathlib.Path) -> float:
    """Seconds that it takes to read a store and count every run's changes."""
    from imagekit.runs import history
    from imagekit.runs.store import Store

    begun = time.perf_counter()
    found = history.read(Store(folder))
    found.counts(found.entries)
    return time.perf_counter() - begun


def main() -> None:
    """Print how long opening takes at first and again."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        fill(pathlib.Path(folder), number)
        first = opened(pathlib.Path(folder))
        again = min(opened(pathlib.Path(folder)) for _ in range(3))
    print(f"{number} runs: first {first:.2f} s, indexed {again:.2f} s, ratio {again / first:.2f}")


if __name__ == "__main__":
    main()
