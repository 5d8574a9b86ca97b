"""What every command does grows with the number of images, and not with its square.

Two sizes are compared: by the number of calls, which is the same each time, and by the time of the
process, generously, because a step such as building a set again for each image makes no more calls.
"""

import contextlib
import cProfile
import gc
import json
import pathlib
import time

import pytest

import imagekit
from imagekit import api
from imagekit.compare import inventory
from imagekit.compare.changes import compare, compare_files
from imagekit.document.cloudbuild import BUILDER
from imagekit.document.split import split
from imagekit.errors import ConfigError
from imagekit.planning.grid import as_markdown, grid
from imagekit.planning.rows import counts, plain, rows
from imagekit.planning.select import select_images

pytestmark = pytest.mark.slow

SMALL, LARGE = 250, 2_000
FACTOR = LARGE / SMALL


def config(images, version="1"):
    """Three axes, a parent for every ten images, two tags, rules, aliases and tests."""
    gpus = images // 10
    text = f"""
base_url: example.com/p/ml
axes:
  os: {{{", ".join(f"o{n}: {{OS: {n}}}" for n in range(2))}}}
  python: {{{", ".join(f"p{n}: {{PYTHON: {n}}}" for n in range(5))}}}
  gpu: {{{", ".join(f"g{n}: {{GPU: {n}.{version}}}" for n in range(gpus))}}}
recipes:
  base: {{dockerfile: D, axes: [os, gpu], parent_only: true, tag: "base-{{os}}-{{gpu}}", test: t}}
  layer:
    dockerfile: D
    axes: [python]
    parent: base
    tags: ["{{os}}-{{python}}-{{gpu}}", "{{gpu.GPU}}-{{os}}-{{python}}-{{commit}}"]
images:
  - os: [o0, o1]
    python: [p0, p1, p2, p3, p4]
    gpu: [{", ".join(f"g{n}" for n in range(gpus))}]
exclude:
  - {{python: p4, gpu: [{", ".join(f"g{n}" for n in range(0, gpus, 2))}], reason: r}}
{"".join(f"  - {{os: o0, python: p3, gpu: g{n}, reason: r}}{chr(10)}" for n in range(gpus))}
aliases:
{"".join(f"  a{n}: {{os: o1, python: p0, gpu: g{n}}}{chr(10)}" for n in range(gpus))}
"""
    path = pathlib.Path(f"{images}-{version}.yaml")
    path.write_text(text, encoding="utf-8")
    return str(path)


def prepared(images):
    """A checked config and its build files, before and after a change."""
    before, after = (api.check(config(images, version)) for version in ("1", "2"))
    texts = [dict(imagekit.files(one.plan, one.config, "b.json")) for one in (before, after)]
    # What it is made with is measured for the other side.
    return before, inventory.of_plan(after.plan, after.config.cloudbuild), texts


def builds(texts):
    return [text for name, text in texts.items() if "manifest" not in name]


WORK = {
    "read, check and plan": lambda before, *_: api.check(config(len_of(before))),
    "render": lambda before, *_: imagekit.files(before.plan, before.config, "b.json"),
    "split": lambda before, *_: split(before.plan, before.config.cloudbuild),
    "compare files": lambda _, __, texts: compare_files(*map(builds, texts)),
    "compare plans": lambda before, after, _: compare(
        inventory.of_plan(before.plan, before.config.cloudbuild), after
    ),
    "write": lambda _, __, texts: api.write(texts[0], "b.json"),
    "rows": lambda before, *_: counts(rows(before.matrix, before.plan)),
    "rows as JSON": lambda before, *_: plain(rows(before.matrix, before.plan), before.config.axes),
    "grid": lambda before, *_: as_markdown(grid(before.matrix, before.plan)),
    "explain mistakes": lambda before, *_: explained(len_of(before)),
    "compare pushes of all tags": lambda before, *_: compare_files(
        *(pushes_of_all_tags(len_of(before), version) for version in "12")
    ),
    "select by name": lambda before, *_: select_images(
        before.plan, [image.tag for image in before.plan.images], []
    ),
    "select": lambda before, *_: select_images(before.plan, ["*-g1*"], ["*p4*"]),
    "tables": lambda before, *_: in_notebook(before),
}


def explained(mistakes):
    """The errors of entries with a misspelled value each, of as many values."""
    pathlib.Path("wrong.yaml").write_text(
        "base_url: h/r\naxes:\n  os:\n"
        + "".join(f"    os{n:05}: {{OS: {n}}}\n" for n in range(mistakes))
        + "recipes: {base: {dockerfile: D, axes: [os], tag: '{os}'}}\nimages:\n"
        + "".join(f"  - {{os: oz{n:05}}}\n" for n in range(mistakes)),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as error:
        api.check("wrong.yaml")
    assert len(error.value.problems) >= mistakes


def pushes_of_all_tags(images, version):
    steps = []
    for n in range(images):
        args = ["build", "-t", f"h/r:{n}", "--build-arg", f"V={version}", "."]
        steps.append({"id": f"b{n}", "name": BUILDER, "args": args, "waitFor": ["-"]})
        args = ["push", "--all-tags", "h/r"]
        steps.append({"name": BUILDER, "args": args, "waitFor": [f"b{n}"]})
    return json.dumps({"steps": steps})


def len_of(checked):
    return SMALL if len(checked.config.axis("gpu")) == SMALL // 10 else LARGE


def in_notebook(checked):
    from imagekit.notebook import graph, tables

    tables.cells(checked.matrix, checked.plan)
    tables.grid(checked.matrix, checked.plan)
    tables.images(checked.plan)
    tables.by_value(checked.matrix, checked.plan)
    graph.build_graph(checked.plan)


def calls(work, inputs):
    """The number of calls of Python and C functions."""
    profile = cProfile.Profile()
    profile.runcall(work, *inputs)
    return sum(entry.callcount for entry in profile.getstats())


def seconds(work, inputs):
    """The process's time of a run."""
    begin = time.process_time()
    work(*inputs)
    return time.process_time() - begin


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    # Collections take longer the more objects there are, whoever made them.
    gc.disable()
    found = {}
    for size in (SMALL, LARGE):
        with contextlib.chdir(tmp_path_factory.mktemp(f"linear{size}")):
            found[size] = pathlib.Path.cwd(), prepared(size)
    yield found
    gc.enable()


@pytest.mark.parametrize("name", WORK)
def test_the_work_grows_with_the_number_of_images(inputs, name):
    # A small plan is split well at the first attempt, and a large one at the fifth.
    attempts = 5 if name in ("render", "split", "compare plans") else 1
    calls_of = {size: in_folder(calls, name, inputs[size]) for size in inputs}
    assert calls_of[LARGE] <= 1.3 * attempts * FACTOR * calls_of[SMALL]
    # A square would be 64 times as long, at each attempt. Below a millisecond, the clock says
    # nothing, and what else the machine does makes some runs longer, but not all.
    least = dict.fromkeys(inputs, float("inf"))
    for _ in range(10):
        for size, given in inputs.items():
            least[size] = min(least[size], in_folder(seconds, name, given))
        if least[LARGE] <= 4 * attempts * FACTOR * max(least[SMALL], 0.001):
            return
    pytest.fail(f"far more than {FACTOR} times as long: {least}")


def in_folder(measure, name, inputs):
    folder, given = inputs
    with contextlib.chdir(folder):
        return measure(WORK[name], given)
