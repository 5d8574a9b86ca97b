"""The images of a build: when they were built, their size and layers, and how to pull them."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pandas as pd

from imagekit.build import images as docker_images
from imagekit.build.progress import MARKS
from imagekit.build.report import Report, StepReport
from imagekit.errors import counted
from imagekit.notebook import charts
from imagekit.notebook.build_report import Build, short
from imagekit.notebook.display import Picture, Table, marked
from imagekit.notebook.frames import ordered, text, to_pandas

MOST = 60
"""The most images in a picture: the largest ones."""
ROW, PLOT = 20, 420
"""The height of a row and the width of the picture, in pixels."""


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """The images of a build as a DataFrame, one row for each."""

    build: Build
    frame: pd.DataFrame


def read(build: Build, *, engine: bool = False, registry: bool = False) -> Images:
    """The images of a build, with what its report says.

    With `engine`, sizes and layers are those of the images on the Docker engine now; with
    `registry`, the registry is asked for the size of the download. The Docker client is `docker`,
    or the program in IMAGEKIT_DOCKER. Raises EngineError if it does not answer.
    """
    frame = _reported(build.report, build.before)
    names = [str(name) for name in frame["reference"]]
    if engine:
        found = docker_images.on_engine(_docker(), names)
        frame["size"] = _numbers(found[n].size if n in found else None for n in names)
        frame["layers"] = _numbers(found[n].layers if n in found else None for n in names)
        ids = [found[name].id if name in found else None for name in names]
        frame["engine"] = _states(ids, frame["id"])
    if registry:
        there = docker_images.in_registry(_docker(), names)
        sizes = (there[name].size if name in there else None for name in names)
        frame["download"] = _numbers(sizes)
        digests = [there[name].digest if name in there else None for name in names]
        frame["registry"] = _states(digests, frame["digest"])
    return Images(build=build, frame=frame)


@to_pandas.register
def _(images: Images) -> pd.DataFrame:
    return images.frame.copy()


def _docker() -> str:
    return os.environ.get("IMAGEKIT_DOCKER", "docker")


def _states(found: list[str | None], expected: pd.Series) -> pd.Categorical:
    """Whether each image is there, and is the one that the report names."""
    known = expected.astype(object).where(expected.notna(), None)
    states = [
        "missing" if value is None else "there" if old in (None, value) else "another image"
        for value, old in zip(found, known, strict=True)
    ]
    return ordered(states, ("there", "another image", "missing"))


def _reported(report: Report, before: Report | None) -> pd.DataFrame:
    steps = to_pandas(report)
    built = [entry for entry in report.steps if entry.kind == "build" and entry.images]
    names = [entry.images[0] for entry in built]
    pushes, tests = (_by_image(report, kind) for kind in ("push", "test"))
    rows = steps.loc[[entry.id for entry in built]]
    old = {e.images[0]: e.size for e in before.steps if e.images and e.size} if before else {}
    sizes = _numbers(entry.size for entry in built)
    digests = [pushes[name].digest if name in pushes else None for name in names]
    pulls = [
        f"docker pull {_repository(n)}@{d}" if d else None
        for n, d in zip(names, digests, strict=True)
    ]
    finished = [entry.finished for entry in built]
    return pd.DataFrame(
        {
            "state": rows["state"].array,
            "built": pd.to_datetime(finished, utc=True, format="ISO8601", errors="coerce"),
            "seconds": rows["seconds"].array,
            "tested": text(tests[name].state if name in tests else None for name in names),
            "pushed": text(pushes[name].state if name in pushes else None for name in names),
            "size": sizes,
            "growth": sizes - _numbers(old.get(name) for name in names),
            "layers": _numbers(entry.layers for entry in built),
            "id": text(entry.digest for entry in built),
            "digest": text(digests),
            "pull": text(pulls),
            "reference": text(names),
        },
        index=pd.Index(_tags(names), name="image", dtype="string"),
    )


def _by_image(report: Report, kind: str) -> dict[str, StepReport]:
    return {n: entry for entry in report.steps if entry.kind == kind for n in entry.images}


def _repository(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def _tags(names: list[str]) -> list[str]:
    """The tag of each image, or its whole name if two images have the same tag."""
    tags = [short(name) for name in names]
    return tags if len({*tags}) == len(tags) else names


def _numbers(values: Any) -> Any:
    return pd.array(list(values), dtype="Int64")


def megabytes(size: int) -> str:
    """A size in bytes as `docker image ls` shows it."""
    return f"{size / 1e6:.1f} MB"


def table(images: Images) -> Table:
    """What was built when, tested and pushed, with sizes and layers."""
    frame = images.frame.drop(columns=["pull", "reference", "digest", "id"])
    what = counted(len(frame), "image")
    return Table(
        frame.dropna(axis="columns", how="all"),
        f"{what}. {images.build.title}",
        formats={
            **dict.fromkeys(("state", "tested", "pushed"), marked(MARKS)),
            **dict.fromkeys(("size", "download"), megabytes),
            "growth": lambda size: f"{size / 1e6:+.1f} MB" if size else "none",
            **dict.fromkeys(("engine", "registry"), _presence),
        },
    )


def _presence(state: str) -> str:
    return f"{'✓' if state == 'there' else '✗'} {state}"


def pulls(images: Images) -> Table:
    """The command that pulls each pushed image by its digest."""
    frame = images.frame
    pushed = frame.dropna(subset=["digest"])
    left = len(frame) - len(pushed)
    if pushed.empty:
        return Table(pd.DataFrame(), "No image was pushed; imagekit build --push pushes them")
    note = (f"{counted(left, 'image')} not pushed",) if left else ()
    what = f"Pull commands of {counted(len(pushed), 'image')}"
    return Table(pushed[["pull"]].rename(columns={"pull": "command"}), what, note)


def sizes(images: Images) -> Picture | Table:
    """A bar for the size of each image, the largest first."""
    known = images.frame.dropna(subset=["size"]).sort_values("size", ascending=False)
    if known.empty:
        what = "No sizes: the report has none, and the Docker engine is asked with engine=True"
        return Table(pd.DataFrame(), what)
    shown = known.head(MOST)
    what = counted(len(known), "image")
    if len(shown) < len(known):
        what = f"the {MOST} largest of {what}"
    lines = [f"{megabytes(size):>12}  {image}" for image, size in shown["size"].items()]
    return charts.picture(_bars(shown), f"Sizes of {what}", lines)


def _bars(frame: pd.DataFrame) -> dict[str, Any]:
    """The sizes as a chart in Vega-Lite."""
    sizes = [int(size) for size in frame["size"]]
    counts = ["" if pd.isna(n) else f", {counted(int(n), 'layer')}" for n in frame["layers"]]
    words = [f"{megabytes(size)}{n}" for size, n in zip(sizes, counts, strict=True)]
    labels = charts.labels(list(frame.index))
    across = charts.number("size", title="megabytes", tickCount=6, grid=False)
    where = {"y": charts.names("image"), "x": across}
    values = [
        {"image": label, "size": size / 1e6, "words": told, "about": f"{name}: {told}"}
        for name, label, size, told in zip(frame.index, labels, sizes, words, strict=True)
    ]
    return {
        "data": {"values": values},
        "width": PLOT,
        "height": ROW * len(frame),
        "layer": [
            {
                "mark": {"type": "bar", "height": 14, "color": charts.BLUE},
                "encoding": {**where, "description": charts.nominal("about")},
            },
            {
                "mark": {**charts.WORDS, "dx": 5},
                "encoding": {**where, "text": charts.nominal("words")},
            },
        ],
    }


def layers(images: Images) -> Table:
    """The layers of each image on the engine, those of its base first."""
    if "engine" not in images.frame:
        what = "Not shown: the Docker engine has the layers, and is asked with engine=True"
        return Table(pd.DataFrame(), what)
    frame = images.frame
    there = frame[frame["engine"] != "missing"]
    found = [
        (image, number, layer.size, layer.created, layer.instruction)
        for image, name in there["reference"].items()
        for number, layer in enumerate(docker_images.layers(_docker(), name), start=1)
    ]
    columns = ["image", "number", "size", "created", "instruction"]
    made = pd.DataFrame(found, columns=columns).set_index(["image", "number"])
    made["created"] = pd.to_datetime(made["created"], utc=True, format="ISO8601")
    what = f"Layers of {counted(len(there), 'image')}"
    return Table(made, what, formats={"size": megabytes}, prose=("instruction",))
