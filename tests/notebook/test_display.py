import json
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

import imagekit
from imagekit.compare.changes import compare_files
from imagekit.errors import LimitError
from imagekit.notebook import graph, result, tables
from imagekit.notebook.display import Table
from imagekit.runs.record import RESULT_TYPE
from imagekit.support.files import sha256

CONFIG = """
base_url: example.com/team/image
base_images: {old: {BASE_IMAGE: a, UBUNTU_VERSION: 1}, new: {BASE_IMAGE: b, UBUNTU_VERSION: 2}}
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
gpu_versions: {cuda9: {CUDA: 9.0}, cuda10: {CUDA: 10.0}}
images:
  - {base_image: [old, new], python: [py39, py310]}
  - {base_image: old, python: [py39, py310], gpu: [cuda9, cuda10]}
exclude:
  - {python: py310, gpu: cuda9, reason: "<too> old"}
aliases:
  cpu: {base_image: new, python: py310}
"""


@pytest.fixture
def loaded(config_file):
    return imagekit.load(config_file(CONFIG))


@pytest.fixture
def matrix(loaded):
    return imagekit.matrix(loaded)


@pytest.fixture
def plan(loaded):
    return imagekit.plan(loaded)


def html_of(table):
    return ET.fromstring(table._repr_mimebundle_()["text/html"].replace("<br>", "<br/>"))


def test_a_table_can_be_read_by_a_screen_reader():
    frame = pd.DataFrame({"b": ["<1>", "x\ny"]}, index=pd.Index(["r", "s"], name="a"))
    html = html_of(Table(frame, "Words & more", ("(1) a note",)))
    assert html.find(".//caption").text == "Words & more"
    assert [th.get("scope") for th in html.iter("th")] == ["col", "col", "row", "row"]
    assert html.find(".//td").text == "<1>"
    assert html.find(".//td/br").tail == "y"
    assert html.find(".//small").text == "(1) a note"


def test_a_table_as_text_keeps_every_row_on_a_line():
    frame = pd.DataFrame({"b": ["1", "2\n3"]}, index=pd.Index(["long name", "s"], name="a"))
    assert str(Table(frame, "C", ("n",))).splitlines() == [
        "C",
        "",
        "a          b",
        "─────────  ───",
        "long name  1",
        "s          2 3",
        "n",
    ]


def test_an_empty_table_says_so():
    bundle = Table(pd.DataFrame({"a": []}), "Nothing <here>")._repr_mimebundle_()
    assert bundle == {"text/html": "<p>Nothing &lt;here&gt;</p>", "text/plain": "Nothing <here>"}


def test_the_axes_show_their_build_args(loaded):
    frame = tables.axes(loaded).frame
    assert frame.loc[("python", "py310"), "build args"] == "PYTHON_VERSION=3.10"
    assert list(frame.index.get_level_values("value"))[:2] == ["old", "new"]


def test_versions_are_in_the_order_of_the_config_and_not_of_the_alphabet(matrix, plan):
    frame = tables.cells(matrix, plan).frame
    assert frame["python"].dtype.ordered
    assert list(frame["python"].cat.categories) == ["", "py39", "py310"]
    assert list(tables.grid(matrix, plan).frame.columns) == ["no GPU", "cuda9", "cuda10"]


def test_the_grid_shows_tags_and_reasons(matrix, plan):
    grid = tables.grid(matrix, plan)
    frame = grid.frame
    assert frame.loc[("old", "py39"), "cuda10"] == "✓ gpu-old-py39-cuda10"
    assert frame.loc[("old", "py310"), "cuda9"] == "✗ excluded (1)"
    assert frame.loc[("new", "py39"), "cuda9"] == "· not listed (2)"
    assert grid.notes == ("(1) <too> old", "(2) no entry in 'images' names it")
    assert list(frame.index)[:2] == [("old", "py39"), ("old", "py310")]


def test_the_grid_has_no_base_image_where_the_config_has_none(family):
    config = imagekit.load(family / "config/caliban.json")
    frame = tables.grid(imagekit.matrix(config), imagekit.plan(config)).frame
    assert list(frame.index) == ["py37", "py38"]
    assert frame.loc["py37", "no GPU"] == "✓ cpu-py37"
    assert not (frame == "").to_numpy().any()


def test_the_grid_marks_what_a_selection_leaves_out(matrix, loaded):
    frame = tables.grid(matrix, imagekit.plan(loaded, only="cpu-*")).frame
    assert frame.loc[("old", "py39"), "cuda10"].startswith("○ not selected")


def test_images_are_in_build_order_with_parents(plan):
    frame = tables.images(plan).frame
    assert list(frame["parent"])[-1] == "gpu-base-old-cuda10"
    assert list(frame.index) == list(range(1, len(plan.images) + 1))


def test_changes_have_a_word_beside_the_sign(plan, loaded):
    found = compare_files(None, imagekit.render(plan, loaded))
    frame = tables.changes(found).frame
    assert frame.index[0] == "+ added"
    assert frame.index[-1] == "~ build"


def test_checks_read_the_file_that_was_written(plan, loaded, tmp_path):
    imagekit.write(imagekit.render(plan, loaded), "out.json")
    frame = tables.checks("out.json", plan, loaded).frame
    assert set(frame["result"]) == {"✓ passed", "! warning"}
    assert "Dockerfile.gpu: No such file" in " ".join(frame.loc["Dockerfiles", "details"])
    assert frame.loc["steps", "details"] == f"{len(plan.images) * 2 + 1} of at most 300"
    build = json.loads((tmp_path / "out.json").read_text())
    build["steps"].append(build["steps"][0])
    (tmp_path / "out.json").write_text(json.dumps(build))
    with pytest.raises(LimitError, match="duplicate step id"):
        tables.checks("out.json", plan, loaded)


def test_the_graph_is_a_picture_with_words(plan):
    picture = graph.build_graph(plan)._repr_mimebundle_()
    svg = ET.fromstring(picture["image/svg+xml"])
    space = {"s": "http://www.w3.org/2000/svg"}
    assert svg.get("role") == "img"
    assert svg.find("s:title", space).text.startswith("Build graph: 9 images")
    tags = [text.text for text in svg.iterfind("s:text", space)]
    assert sorted(tags) == sorted(image.tag for image in plan.images)
    assert "  → gpu-old-py39-cuda9" in picture["text/plain"].splitlines()


def test_boxes_of_the_graph_do_not_overlap_and_stay_inside(plan):
    svg = ET.fromstring(graph.build_graph(plan).svg)
    boxes = [
        tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
        for rect in svg.iterfind("{*}rect")
    ]
    width, height = float(svg.get("width")), float(svg.get("height"))
    for x, y, w, h in boxes:
        assert min(x, y) >= 0
        assert x + w <= width
        assert y + h <= height
    for number, (x, y, w, h) in enumerate(boxes):
        for x2, y2, _, _ in boxes[number + 1 :]:
            assert x2 >= x + w or x2 + w <= x or abs(y - y2) >= h


@pytest.mark.edge
def test_the_result_is_data_for_machines_and_text_for_people(plan, loaded):
    imagekit.write(imagekit.render(plan, loaded), "out.json")
    changes = compare_files(None, "{}")
    found = result.of(plan, loaded, changes, config="images.yaml", output="out.json")
    bundle = found._repr_mimebundle_()
    data = bundle[RESULT_TYPE]
    build, summary = data.pop("build"), data.pop("summary")
    assert summary == ["out.json written: 9 images; " + changes.summary(), *list(changes.lines())]
    assert build["images"].keys() == {image.tag for image in plan.images}
    assert data == json.loads(bundle["text/plain"])
    assert data["inputs"]["images.yaml"] == sha256("images.yaml")
    assert data["inputs"]["dockerfiles/Dockerfile"] is None
    assert data["outputs"]["out.json"] == sha256("out.json")
    assert data["images"] == {"total": 9, "cpu": 4, "gpu": 3, "gpu-base": 2}
    assert data["commit"] is None
