"""What imagekit knows as pandas DataFrames, and whether one can calculate with them."""

import subprocess
import sys

import pandas as pd
import pytest

import imagekit
from imagekit.build import report as reports
from imagekit.compare.changes import compare_files
from imagekit.errors import UsageError
from imagekit.runs import history
from imagekit.runs.store import Store
from tests.conftest import ROOT

CONFIG = """
base_url: h/r
base_images: {old: {BASE_IMAGE: a}, new: {BASE_IMAGE: b}}
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
gpu_versions: {cuda9: {CUDA: 9.0}}
images:
  - {base_image: [old, new], python: [py39, py310]}
  - {base_image: new, python: [py39, py310], gpu: cuda9}
exclude: [{python: py39, gpu: cuda9, reason: too old}]
aliases: {cpu: {base_image: new, python: py310}}
"""


@pytest.fixture
def loaded(config_file):
    return imagekit.load(config_file(CONFIG))


def test_a_matrix_has_a_row_for_each_combination(loaded):
    frame = imagekit.to_pandas(imagekit.matrix(loaded))
    assert list(frame.columns) == [
        *("status", "base_image", "python", "gpu", "recipe", "built", "aliases", "reason")
    ]
    assert frame["built"].sum() == 6
    assert list(frame.query("status == 'excluded'")["reason"]) == ["too old"]
    assert frame["python"].max() == "py310", "in the order of the config"
    assert frame["gpu"].isna().sum() == 4
    assert frame.loc["cpu-new-py310", "aliases"] == ("cpu",)
    table = frame.pivot_table(
        index="python", columns="gpu", values="built", aggfunc="sum", observed=True
    )
    assert table.loc["py310", "cuda9"] == 1


def test_a_plan_has_a_row_for_each_image_in_build_order(loaded):
    plan = imagekit.plan(loaded)
    frame = imagekit.to_pandas(plan)
    assert list(frame.index) == [image.tag for image in plan.images]
    assert frame.index.name == "tag"
    assert frame.groupby("recipe", observed=True).size().to_dict() == {
        **{"gpu-base": 1, "cpu": 4, "gpu": 1}
    }
    base = frame.loc["gpu-base-new-cuda9"]
    assert (base["children"], base["listed"], base["tests"]) == (1, False, 0)
    assert frame.loc["cpu-old-py39", "build_args"] == ("BASE_IMAGE=a", "PYTHON_VERSION=3.9")
    assert frame.loc["cpu-old-py39", "reference"] == "h/r:cpu-old-py39"
    assert frame["parent"].notna().sum() == 1


def test_an_axis_may_have_the_name_of_a_column(config_file):
    text = "base_url: h/r\naxes: {listed: {a: {}}, built: {b: {}}}\n"
    text += "recipes: {x: {dockerfile: D, axes: [listed, built], tag: '{listed}-{built}'}}\n"
    loaded = imagekit.load(config_file(text + "images: [{listed: a, built: b}]\n"))
    plan = imagekit.to_pandas(imagekit.plan(loaded))
    assert (plan.loc["a-b", "listed"], plan.loc["a-b", "listed_axis"]) == (True, "a")
    matrix = imagekit.to_pandas(imagekit.matrix(loaded))
    assert (matrix.loc["a-b", "built"], matrix.loc["a-b", "built_axis"]) == (True, "b")


def test_changes_have_a_row_for_each_difference(loaded):
    plan = imagekit.plan(loaded)
    before = imagekit.render(imagekit.plan(loaded, skip=["cpu-old-*"]), loaded)
    frame = imagekit.to_pandas(compare_files(before, imagekit.render(plan, loaded)))
    assert list(frame["change"]) == ["added", "added"]
    assert list(frame["change"].cat.categories)[:2] == ["added", "removed"]
    assert list(frame["image"]) == ["cpu-old-py39", "cpu-old-py310"]
    assert imagekit.to_pandas(compare_files(before, before)).empty


def test_a_build_report_has_a_row_for_each_step():
    report = reports.read(ROOT / "notebooks/example-build.json")
    frame = imagekit.to_pandas(report)
    assert len(frame) == len(report.steps)
    assert isinstance(frame["started"].dtype, pd.DatetimeTZDtype)
    ran = frame.dropna(subset=["seconds"])
    assert ran["seconds"].sum() > 0
    assert frame["critical"].any()
    assert not frame["critical"].all()
    assert (ran["start"].diff().dropna() > -1000).all()
    assert set(frame["state"].cat.categories) >= {"succeeded", "failed", "timed out"}


@pytest.mark.edge
def test_a_history_has_a_row_for_each_run():
    runs = history.read(Store(ROOT / "notebooks/example-runs"))
    frame = imagekit.to_pandas(runs)
    assert list(frame.index) == [entry.run for entry in runs.entries]
    assert isinstance(frame["began"].dtype, pd.DatetimeTZDtype)
    assert frame["began"].is_monotonic_increasing
    assert frame["seconds"].sum() > 0
    assert frame["added"].dtype == frame["images"].dtype == "Int64"
    assert "failed" in frame["outcome"].cat.categories
    assert frame.groupby("notebook")["seconds"].median().notna().any()


def test_anything_else_is_refused():
    with pytest.raises(UsageError, match="str is not a matrix"):
        imagekit.to_pandas("config/images.yaml")


@pytest.mark.edge
def test_pandas_is_loaded_when_it_is_used_and_named_when_it_is_missing():
    code = "import sys, imagekit.api; assert 'pandas' not in sys.modules\n"
    code += "sys.modules['pandas'] = None\n"
    code += "try: imagekit.to_pandas(1)\nexcept Exception as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'imagekit[run]'" in done.stdout
