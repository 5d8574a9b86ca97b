"""Time and memory of generating, comparing and splitting, as ratios measured in one run.

    python benchmarks/generate.py            # print the table and write it into README.md
    python benchmarks/generate.py --runs 9   # more runs; the fastest of each counts

Each figure is of the whole process, with the file on disk. imagekit is compared with the rules of
the original generator (plain_generator.py) on the same images, with `docker buildx bake --print`
where that is installed, and with itself. Commands that are compared take turns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
README = HERE / "README.md"
BEGIN, END = "<!-- begin: make bench -->\n", "<!-- end: make bench -->\n"
IMAGEKIT = [str(pathlib.Path(sys.executable).with_name("imagekit"))]
URL = "registry.example.com/p/ml"
DOCKERFILES = {
    "Dockerfile": "ARG BASE_IMAGE\nFROM $BASE_IMAGE\nARG PYTHON_VERSION\nARG MINICONDA_VERSION\n",
    "Dockerfile.gpu": "ARG UBUNTU_VERSION\nFROM ubuntu:$UBUNTU_VERSION\nARG CUDA\n",
}
"""The Dockerfiles of the images, with the build args that the original's declare."""
AT_LEAST = 10
"""The seconds for which two commands take turns: short ones vary most."""
UNLIMITED = {"limits": {"steps": 100_000_000, "images": 100_000_000}}
Figure = tuple[float, int]
"""Seconds, and the most memory in kilobytes."""


def config(images: int, *, each: bool, bits: str = "0") -> dict[str, Any]:
    """A config of 10 base images × 10 Pythons × as many CUDA versions as `images` needs."""
    axes = {
        "base_image": {
            f"os{n}": {"BASE_IMAGE": f"os:{n}", "UBUNTU_VERSION": f"{n}"} for n in range(10)
        },
        "python": {f"py{n}": {"PYTHON_VERSION": f"3.{n}"} for n in range(10)},
        "gpu": {f"cuda{n}": {"CUDA": f"{n}.{bits}"} for n in range(max(1, images // 100))},
    }
    # The original needs the CPU image of every Python that a GPU image has.
    cpu: dict[str, Any] = {axis: list(axes[axis]) for axis in ("base_image", "python")}
    listed = [cpu, {axis: list(values) for axis, values in axes.items()}]
    if each:
        listed = [
            dict(zip(entry, names, strict=True))
            for entry in listed
            for names in itertools.product(*entry.values())
        ]
    return {
        "base_images": axes["base_image"],
        "python_versions": axes["python"],
        "gpu_versions": axes["gpu"],
        "images": listed,
        "cloudbuild": UNLIMITED,
    }


def bake(images: int) -> dict[str, Any]:
    """The same images for buildx."""
    targets = {}
    for number in range(images):
        base, python, gpu = number % 10, number // 10 % 10, number // 100
        targets[f"gpu-os{base}-py{python}-cuda{gpu}"] = {
            "dockerfile": "dockerfiles/Dockerfile",
            "args": {"BASE_IMAGE": f"gpu-base-os{base}-cuda{gpu}", "PYTHON_VERSION": f"3.{python}"},
            "tags": [f"{URL}:gpu-os{base}-py{python}-cuda{gpu}"],
        }
    return {"group": {"default": {"targets": list(targets)}}, "target": targets}


def run(command: Sequence[str], folder: pathlib.Path, fresh: pathlib.Path | None = None) -> Figure:
    """Run a command in a folder once, after removing the file that it writes anew."""
    if fresh is not None:
        for path in fresh.parent.glob(f"{fresh.stem}*{fresh.suffix}"):
            path.unlink()
    # Neither without compiled modules, nor with a system call for each line that is printed.
    unset = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    begin = time.perf_counter()
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=nowhere, stderr=nowhere)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"exit {process.returncode}: {' '.join(command)}")
    return seconds, usage.ru_maxrss


class Bench:
    """The commands of the benchmark, with their files in a folder."""

    def __init__(self, folder: pathlib.Path, runs: int, original: Sequence[str]) -> None:
        self.folder = folder
        self.runs = runs
        self.command = original
        (folder / "dockerfiles").mkdir()
        for name, text in DOCKERFILES.items():
            (folder / "dockerfiles" / name).write_text(text, encoding="utf-8")

    def file(self, name: str, value: object) -> pathlib.Path:
        """Write a value as JSON."""
        path = self.folder / name
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    def generate(self, source: pathlib.Path, out: str) -> tuple[list[str], pathlib.Path]:
        """The command of imagekit, and the file that it writes."""
        target = self.folder / out / "cloudbuild.json"
        target.parent.mkdir(exist_ok=True)
        options = ["--config", str(source), "--base-url", URL, "--output", str(target)]
        return [*IMAGEKIT, "generate", *options], target

    def original(self, source: pathlib.Path) -> tuple[list[str], None]:
        """The command of the plain generator."""
        target = self.folder / "plain.json"
        options = ["--config", str(source), "--base_url", URL, "--output", str(target)]
        return [*self.command, *options], None

    def pair(
        self,
        ours: tuple[list[str], pathlib.Path | None],
        other: tuple[list[str], pathlib.Path | None],
    ) -> tuple[Figure, Figure]:
        """The fastest run of each of two commands, which take turns for some seconds at least."""
        figures: tuple[list[Figure], list[Figure]] = ([], [])
        begin = time.perf_counter()
        while len(figures[0]) < self.runs or time.perf_counter() - begin < AT_LEAST:
            for (command, fresh), found in zip((ours, other), figures, strict=True):
                found.append(run(command, self.folder, fresh))
        return min(figures[0]), min(figures[1])


def measure(bench: Bench) -> list[tuple[str, str, str, str]]:
    """The rows of the table: work, against what, aim, and what was measured."""
    small = bench.file("small.json", config_of_the_original())
    lists = {
        n: bench.file(f"lists{n}.json", config(n, each=False)) for n in (2_000, 10_000, 100_000)
    }
    each = bench.file("each.json", config(100_000, each=True))
    rows = []

    def row(
        work: str, against: str, aim: str, ours: Any, other: Any, *, memory: bool = False
    ) -> None:
        (seconds, kilobytes), (others, others_kilobytes) = bench.pair(ours, other)
        text = f"{seconds / others:.2f}"
        text += f", memory {kilobytes / others_kilobytes:.1f}" if memory else ""
        rows.append((work, against, aim, text))
        print(f"{work} | {against} | {aim} | {text}", flush=True)

    row(
        "the original's config, 8 images", "the original generator", "≤ 1",
        bench.generate(small, "small"), bench.original(small),
    )  # fmt: skip
    row(
        "100,000 images, as lists that multiply", "the original, the same images",
        "≤ 0.33, memory ≤ 2", bench.generate(lists[100_000], "lists"), bench.original(each),
        memory=True,
    )  # fmt: skip
    row(
        "100,000 images, each listed", "the original", "≤ 1",
        bench.generate(each, "each"), bench.original(each),
    )  # fmt: skip
    again, _ = bench.generate(lists[100_000], "again")
    run(again, bench.folder)
    row(
        "the same with an unchanged file there", "without", "≤ 2",
        (again, None), bench.generate(lists[100_000], "lists"),
    )  # fmt: skip
    row(
        "100,000 images", "10,000 images", "≤ 12",
        bench.generate(lists[100_000], "lists"), bench.generate(lists[10_000], "ten"),
    )  # fmt: skip
    other = bench.file("other.json", config(10_000, each=False, bits="1"))
    builds = [bench.generate(lists[10_000], "ten"), bench.generate(other, "other")]
    for command, _ in builds:
        run(command, bench.folder)
    files = [str(target) for _, target in builds]
    row(
        "`diff` of two builds of 10,000", "`generate` of 10,000", "≤ 2",
        ([*IMAGEKIT, "diff", *files], None), bench.generate(lists[10_000], "fresh"),
    )  # fmt: skip
    published = {**config(10_000, each=False), "cloudbuild": {}}
    split = bench.file("split.json", published)
    row(
        "10,000 images in 74 build files", "`generate` of 10,000", "≤ 2",
        bench.generate(split, "split"), bench.generate(lists[10_000], "fresh"),
    )  # fmt: skip
    row_of_bake(bench, lists[2_000], row)
    return rows


def row_of_bake(bench: Bench, source: pathlib.Path, row: Any) -> None:
    """Compare with buildx, if it is installed."""
    docker = shutil.which("docker")
    has_bake = (
        docker
        and not subprocess.run(
            [docker, "buildx", "version"], capture_output=True, check=False
        ).returncode
    )
    if not has_bake:
        print("docker buildx is not installed: no comparison with `docker buildx bake --print`")
        return
    file = bench.file("docker-bake.json", bake(2_000))
    command = ["docker", "buildx", "bake", "--print", "-f", str(file)]
    row(
        "2,000 images", "`docker buildx bake --print`", "≤ 0.1",
        bench.generate(source, "bake"), (command, None),
    )  # fmt: skip


def config_of_the_original() -> dict[str, Any]:
    """The versions and the eight images of the original's published config."""
    bases = {"ubuntu1804": "18.04", "ubuntu2004": "20.04"}
    pythons = {"py37": "3.7", "py38": "3.8"}
    gpus = {"cuda100": "10.0", "cuda101": "10.1", "cuda110": "11.0"}
    cpu = [{"base_image": base, "python": python} for base in bases for python in pythons]
    gpu = [
        {"base_image": "ubuntu1804", "python": python, "gpu": cuda}
        for python in pythons
        for cuda in ("cuda100", "cuda101")
    ]
    return {
        "base_images": {
            name: {"BASE_IMAGE": f"ubuntu:{version}", "UBUNTU_VERSION": version}
            for name, version in bases.items()
        },
        "python_versions": {
            name: {"PYTHON_VERSION": version, "MINICONDA_VERSION": f"{name}_4.8.2"}
            for name, version in pythons.items()
        },
        "gpu_versions": {name: {"CUDA": version} for name, version in gpus.items()},
        "images": [*cpu, *gpu],
    }


def table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """The rows as a table in Markdown."""
    head = ("work", "against", "aim", "measured")
    lines = [head, ("---",) * 4, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Measure, and write the table into README.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--original", help="the command of another generator to compare with")
    options = parser.parse_args()
    plain = [sys.executable, str(HERE / "plain_generator.py")]
    original = shlex.split(options.original) if options.original else plain
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Bench(pathlib.Path(folder), options.runs, original))
    if options.original:
        return
    text = README.read_text(encoding="utf-8")
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    made = re.sub(pattern, lambda _: f"{BEGIN}\n{table(rows)}\n{END}", text, flags=re.DOTALL)
    README.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
