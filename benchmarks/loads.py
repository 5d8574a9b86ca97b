"""`make bench-loads`: inputs whose time once grew faster than they did, at two sizes.

Each is a config or a text as it would be read; the figure is the time of one of twice the size to
that of the smaller one, of the fastest of three runs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from imagekit.docker import patterns
from imagekit.errors import ConfigError
from imagekit.planning.load import check_text

AIM = 3.0
"""Twice the input should take twice the time; the rest is the machine's."""


def cubes(size: int) -> str:
    """Three axes of which an entry names one combination."""
    axes = "".join(
        f"  {axis}:\n"
        + "".join(f"    {axis}{n}: {{{axis.upper()}_V: '{n}'}}\n" for n in range(size))
        for axis in ("os", "py", "gpu")
    )
    recipe = "{dockerfile: D, axes: [os, py, gpu], tags: ['{os}-{py}-{gpu}']}"
    entry = "{recipe: r, os: os0, py: py0, gpu: gpu0}"
    return f"base_url: a/b\naxes:\n{axes}recipes:\n  r: {recipe}\nimages:\n  - {entry}\n"


def _pythons(size: int) -> str:
    return "base_url: a/b\npython_versions:\n" + "".join(
        f"  py{n:06}: {{V: '{n}'}}\n" for n in range(size)
    )


def misspelled(size: int) -> str:
    """As many misspelled names as there are right ones."""
    entries = "".join(f"  - {{python: pz{n:06}}}\n" for n in range(size))
    return f"{_pythons(size)}images:\n{entries}"


def excluded(size: int) -> str:
    """As many exclusions as there are values."""
    names = ", ".join(f"py{n:06}" for n in range(size))
    rules = "".join(f"  - {{python: py{n:06}, reason: x}}\n" for n in range(size - 1))
    return f"{_pythons(size)}images:\n  - {{python: [{names}]}}\nexclude:\n{rules}"


def deep(size: int) -> str:
    """Recipes each of which is built on the one before."""
    others = "".join(
        f"  r{n}: {{dockerfile: D, parent: r{n - 1}, tags: ['r{n}-{{python}}']}}\n"
        for n in range(1, size)
    )
    first = "  r0: {dockerfile: D, axes: [python], tags: ['r0-{python}']}\n"
    entry = f"  - {{recipe: r{size - 1}, python: py000000}}\n"
    return f"{_pythons(1)}recipes:\n{first}{others}images:\n{entry}"


def _config(make: Callable[[int], str]) -> Callable[[int], Callable[[], None]]:
    def prepared(size: int) -> Callable[[], None]:
        data = make(size).encode()

        def read() -> None:
            with contextlib.suppress(ConfigError):
                check_text(data, "c")

        return read

    return prepared


def _wildcards(size: int) -> Callable[[], None]:
    rules = patterns.ignore("*a" * 20 + "b")
    return lambda: [rules.names(("a" * size,)) for _ in range(200)] and None


LOADS: dict[str, tuple[Callable[[int], Callable[[], None]], int]] = {
    "three axes, one combination listed": (_config(cubes), 400),
    "misspelled names": (_config(misspelled), 500),
    "excludes of as many values": (_config(excluded), 2000),
    "recipes upon each other": (_config(deep), 200),
    "20 wildcards in `.dockerignore`": (_wildcards, 500),
}
"""What is measured: how the input of a size is read, and the smaller size."""


def fastest(read: Callable[[], None]) -> float:
    """The shortest of three times, in seconds."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        read()
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    """Print the table."""
    print("| load | sizes | aim | time of twice the size |\n| --- | --- | --- | --- |")
    for name, (prepared, size) in LOADS.items():
        small, large = fastest(prepared(size)), fastest(prepared(2 * size))
        print(f"| {name} | {size:,} and {2 * size:,} | ≤ {AIM} | {large / small:.1f} |", flush=True)


if __name__ == "__main__":
    main()
