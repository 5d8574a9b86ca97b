"""`make fuzz`: every reader of files gets inputs that nobody would write.

An input is one of the corpus (tests/hostile/corpus, a folder for each reader) with random edits. A
reader may only raise what its callers expect, and only within its time; anything else is written to
the corpus, as short as it can be made, and stays there as a test (tests/hostile/test_fuzz.py).
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import hashlib
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import unittest.mock
import warnings
import zlib
from collections.abc import Callable, Iterator
from types import FrameType

from imagekit.build import images, report
from imagekit.build.cloud import service
from imagekit.compare import inventory
from imagekit.docker import dockerfile, patterns
from imagekit.document import build_files, build_reader, steps
from imagekit.errors import (
    BuildFileError,
    CloudError,
    ConfigError,
    EngineError,
    ProblemsError,
    UsageError,
)
from imagekit.planning.load import check_text
from imagekit.project import dependencies
from imagekit.project import dockerfile as project_dockerfile
from imagekit.project import settings as project_settings
from imagekit.runs import entry
from imagekit.scaffold import record
from imagekit.support import git, markdown, notebooks, terminal
from imagekit.support.json_text import decode, value_of

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "tests/hostile/corpus"
MAX_SECONDS = 5.0
"""The most processor time that a reader may take for an input of a few kilobytes."""
MAX_LENGTH = 20_000
"""The longest input; random edits may repeat a part of it."""

TOKENS = [
    *(b"\0", b"\\u0000", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\t", b" ", b"\x1b["),
    *(b"{", b"}", b"[", b"]", b"[" * 300, b"{'a':" * 100, b"(" * 200, b'"', b"'", b"`", b"\\"),
    *(b"9" * 5000, b"1e999", b"-0", b"NaN", b"0x1F", b"2024-13-45", b"9999-12-31T23:59:59+00:00"),
    *(
        b"true",
        b"null",
        b"~",
        b"<<: ",
        b"&a ",
        b"*a",
        b"!!binary ",
        b"- ",
        b"? ",
        b": ",
        b"#",
        b",",
    ),
    *(b"$", b"${_A}", b"$$", b"${", b"%{", b"../", b"/", b"x" * 300, b"*", b"**/", b"[^a]", b"!"),
    *(
        b"<b>",
        b"![x](y)",
        b"|",
        b"\xe2\x80\xae",
        b"\xc2\x9b",
        b"--",
        b"-x",
        b"<<EOF",
        b"FROM ",
        b"COPY ",
    ),
    *(
        b"steps",
        b"args",
        b"images",
        b"python",
        b"exclude",
        b"axes",
        b"recipes",
        b"cells",
        b"metadata",
    ),
]
"""What edits insert: what has a meaning to some reader."""

Edit = tuple[float, float, int]
"""Where, what is removed or repeated, and which token is inserted."""


def edited(data: bytes, edits: list[Edit]) -> bytes:
    """An input with edits: each removes, repeats or replaces a part at its place."""
    for place, size, token in edits:
        start = int(place * len(data))
        length = int(abs(size) * 20)
        if size < 0:
            # A part of it twice, or many times.
            part = data[start : start + length]
            data = data[:start] + part * (2 if token % 7 else 40) + data[start:]
        else:
            new = TOKENS[token % len(TOKENS)] if token >= 0 else b""
            data = data[:start] + new + data[start + length * (token % 2) :]
    return data[:MAX_LENGTH]


def _config(data: bytes) -> None:
    with contextlib.suppress(ConfigError, UsageError):
        check_text(data, "f")


def _build_file(data: bytes) -> None:
    text = data.decode(errors="replace")
    with contextlib.suppress(BuildFileError):
        steps.read(text, "f", {})
    inventory.read(text)
    inventory.reference_names(text)


def _surrogates(data: bytes) -> None:
    text = data.decode(errors="surrogatepass") if b"\xed" in data else data.decode("latin-1")
    with contextlib.suppress(BuildFileError):
        build_reader.read(text, "f")


def _manifest(data: bytes) -> None:
    document = value_of(data.decode(errors="replace"))
    build_files.is_generated(document)
    with contextlib.suppress(UsageError):
        for name in build_files.members(document, "f") or ():
            build_files.hash_listed(document, name)
            assert pathlib.Path(name).name == name
            name.encode()


def _dockerfile(data: bytes) -> None:
    text = data.decode(errors="replace")
    for source in dockerfile.context_sources(text):
        patterns.source(source)
    dockerfile.declared_args(text)
    dockerfile.base_of(text, dockerfile.default_args(text))


def _ignore(data: bytes) -> None:
    rules = patterns.ignore(data.decode(errors="replace"))
    for path in (("a",), ("a" * 60,) * 4, ("a", ".git", "b\n", "ünïcode")):
        rules.leaves_out(path)


def _record(data: bytes) -> None:
    for read in (entry.of_record, entry.of_notebook):
        # Both are what the history expects.
        with contextlib.suppress(ValueError, RecursionError):
            read("r", data)


def _report(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        report.parse(data)


def _notebook(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        notebook = notebooks.read(data)
        notebooks.clean(notebook)
        notebooks.text(notebook)


def _answers(data: bytes) -> None:
    with contextlib.suppress(CloudError):
        service.parse(data)
    with contextlib.suppress(EngineError):
        images.inspected("docker", data.decode(errors="replace"))
    with contextlib.suppress(ValueError):
        decode(data, record.Record)


def _shown(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    assert all(part.isprintable() for part in terminal.clean(text).replace("\t", "\n").split("\n"))
    assert "<" not in markdown.text(text)
    assert "\n" not in markdown.code(text)


def _project(*names: str) -> Callable[[bytes], None]:
    """A reader of a project directory: the input is the content of one of these files."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=SHARED, prefix="imagekit-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def read(data: bytes) -> None:
        # What git says is not part of the input.
        with unittest.mock.patch.object(git, "output", return_value=None):
            read_one(data)

    def read_one(data: bytes) -> None:
        number = zlib.crc32(data)
        path = folder / names[number % len(names)]
        path.write_bytes(data)
        wanted = dependencies.Wanted(extras=("e",), mode="gpu" if number & 64 else "cpu")
        if number & 128:
            wanted = dependencies.Wanted(groups=("dev",), script="job.py")
        try:
            with contextlib.suppress(ConfigError):
                project_settings.read(folder)
            with contextlib.suppress(ConfigError):
                _render(dependencies.read(folder, wanted))
        finally:
            path.unlink()

    return read


def _render(found: dependencies.Dependencies) -> None:
    text = project_dockerfile.render(found, project_dockerfile.Options(base="b"))
    # What begins a line is an instruction, a comment, or continues one.
    before = ""
    for line in text.splitlines():
        known = (" ", "#", "FROM ", "USER ", "WORKDIR ", "RUN ", "COPY ", "ENV ", "CMD ")
        assert before.endswith("\\") or not line or line.startswith(known), line
        before = line


SHARED = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None  # noqa: S108 - a fast folder
TARGETS: dict[str, Callable[[bytes], None]] = {
    "config": _config,
    "build_file": _build_file,
    "surrogates": _surrogates,
    "manifest": _manifest,
    "dockerfile": _dockerfile,
    "ignore": _ignore,
    "record": _record,
    "report": _report,
    "notebook": _notebook,
    "answers": _answers,
    "shown": _shown,
    "project_toml": _project("pyproject.toml", "imagekit.toml", "pixi.toml", "Pipfile"),
    "project_lock": _project("pylock.toml", "Pipfile.lock"),
    "project_yaml": _project("environment.yml", "cog.yaml", ".calibanconfig.json"),
    "project_lines": _project("requirements.txt", "apt.txt", ".python-version"),
    "project_code": _project("setup.py", "job.py"),
    "project_ini": _project("setup.cfg", "pip.conf"),
}
"""The readers by name. Each returns, or raises what no caller expects."""


def corpus(target: str) -> list[bytes]:
    """The inputs that are kept for a reader."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def fails(target: str, data: bytes) -> BaseException | None:
    """What a reader raises, if that is not expected; TimeoutError if it takes too long."""

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"longer than {MAX_SECONDS} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        TARGETS[target](data)
    except (Exception, RecursionError) as error:
        # A message is part of it, and may fail for itself.
        if isinstance(error, ProblemsError):
            [problem.excerpt() for problem in error.problems]
        return error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return None


def shortened(target: str, data: bytes, kind: type[BaseException]) -> bytes:
    """The input without what it does not need to fail in the same way."""
    # To find out what takes too long takes as long, many times.
    size = 0 if issubclass(kind, TimeoutError) else len(data) // 2
    while size:
        start = 0
        while start < len(data):
            shorter = data[:start] + data[start + size :]
            if isinstance(fails(target, shorter), kind):
                data = shorter
            else:
                start += size
        size //= 2
    return data


def _edits(source: random.Random) -> list[Edit]:
    number = source.choice((1, 1, 2, 2, 3, 5, 8))
    return [
        (source.random(), source.uniform(-1, 1), source.randrange(-20, 2 * len(TOKENS)))
        for _ in range(number)
    ]


def _inputs(target: str, source: random.Random) -> Iterator[bytes]:
    seeds = corpus(target)
    while True:
        yield edited(source.choice(seeds), _edits(source))


def main() -> int:
    """Fuzz until the time is over or the number is reached, and print the figures."""
    # A warning of Python's is one to users, too.
    warnings.simplefilter("error")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="in all; 0 is no limit")
    parser.add_argument("--inputs", type=int, default=0, help="for all readers; 0 is no limit")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    print(f"seed {options.seed}")
    begin, found, total = time.monotonic(), 0, 0
    for number, target in enumerate(TARGETS):
        inputs = _inputs(target, random.Random(f"{options.seed} {target}"))  # noqa: S311
        until = begin + options.seconds * (number + 1) / len(TARGETS)
        count, most = 0, options.inputs // len(TARGETS) + 1
        while (not options.seconds or time.monotonic() < until) and (
            not options.inputs or count < most
        ):
            data = next(inputs)
            count += 1
            if (error := fails(target, data)) is not None:
                short = shortened(target, data, type(error))
                name = f"{type(error).__name__}-{hashlib.sha256(short).hexdigest()[:8]}"
                (CORPUS / target / name).write_bytes(short)
                print(f"{target}: {error!r:.200}; kept as {CORPUS / target / name}", flush=True)
                found += 1
                if found > 50:
                    return 1
        total += count
        print(f"{target:<12} {count:>9,} inputs", flush=True)
    print(f"{total:,} inputs in {time.monotonic() - begin:.0f} s, {found} finds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
