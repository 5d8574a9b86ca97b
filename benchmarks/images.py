"""Size and build time of the shipped image against the plainest way to the same result.

    python benchmarks/images.py --base ubuntu:24.04 --uv ghcr.io/astral-sh/uv:0.13.9 --python 3.12

Both are built with Docker on the same base, by turns, each time without the layer cache. What is
quoted is the ratio of one run, shipped to plain: figures of one machine say nothing of another.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

PLAIN = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install -y git python3 python3-venv
RUN python3 -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
"""


def build(options: argparse.Namespace, dockerfile: pathlib.Path, tag: str, *more: str) -> float:
    """Build without the layer cache; seconds."""
    command = [
        *(options.docker, "build", "--no-cache", "-q", "-t", tag, "-f", str(dockerfile)),
        *("--build-arg", f"BASE_IMAGE={options.base}", *more, *options.option),
        str(ROOT / "dockerfiles"),
    ]
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def size(options: argparse.Namespace, name: str) -> int:
    """Bytes of an image."""
    asked = [options.docker, "image", "inspect", "--format", "{{.Size}}", name]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True, help="a base image that has apt")
    parser.add_argument("--uv", required=True, help="an image with uv")
    parser.add_argument("--python", required=True, help="the Python that the base's apt has")
    parser.add_argument("--docker", default="docker")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--option", action="append", default=[], help="further option of docker")
    options = parser.parse_args()
    shipped = (
        "--build-arg",
        f"UV_IMAGE={options.uv}",
        "--build-arg",
        f"PYTHON_VERSION={options.python}",
    )
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        plain = pathlib.Path(folder) / "Dockerfile"
        plain.write_text(PLAIN)
        for _ in range(options.runs):
            ours = build(options, ROOT / "dockerfiles/Dockerfile", "benchmark:shipped", *shipped)
            theirs = build(options, plain, "benchmark:plain")
            ratios.append(ours / theirs)
    base = size(options, options.base)
    added = {name: size(options, f"benchmark:{name}") - base for name in ("shipped", "plain")}
    print("shipped to plain, same base, same machine")
    print(f"  build time      {statistics.median(ratios):.2f} (median of {options.runs} pairs)")
    print(f"  bytes on base   {added['shipped'] / added['plain']:.2f}")
    print(
        f"  shipped adds    {added['shipped'] / 1e6:.0f} MB, "
        f"plain adds {added['plain'] / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
