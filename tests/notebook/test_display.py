import json
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

import imagekit
from imagekit.compare.changes import compare_files
from imagekit.errors import LimitError, UsageError
from imagekit.notebook import display, graph, result, tables
from imagekit.notebook.display import Table, marked
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
    """The parts of a table's HTML as one element."""
    text = table._repr_mimebundle_()["text/html"].replace("<br>", "<br/>")
    return ET.fromstring(f"<div>{text.replace('&nbsp;', ' ')}</div>")


def test_a_table_can_be_read_by_a_screen_reader():
    frame = pd.DataFrame({"b<": ["<1>", "x\ny"]}, index=pd.Index(["<r>", "s"], name="a"))
    html = html_of(Table(frame, "Words & more", ("(1) a note",)))
    assert html.find(".//caption").text == "Words & more"
    heads = [(th.get("scope"), th.text) for th in html.iter("th")]
    assert heads == [("col", "a"), ("col", "b<"), ("row", "<r>"), ("row", "s")]
    assert [td.text for td in html.iter("td")] == ["<1>", "x\ny"]
    assert html.find(".//small").text == "(1) a note"
    region = html.find("./div")
    assert (region.get("role"), region.get("tabindex")) == ("region", "0")
    assert region.get("aria-label") == "Words & more"


def test_two_dollar_signs_are_no_mathematics():
    frame = pd.DataFrame({"reason": ["needs $HOME and $PATH"]}, index=pd.Index(["$A"], name="x"))
    html = html_of(Table(frame, "C $A $B", ("$C",)))
    assert "".join(html.find(".//td").itertext()) == "needs $HOME and $PATH"
    # MathJax looks for pairs within one text.
    assert all(text == "$" for text in html.itertext() if "$" in text)


def test_the_same_table_has_the_same_bytes_and_others_another_id(matrix, plan):
    tables_ = [tables.cells(matrix, plan).html() for _ in range(2)]
    assert tables_[0] == tables_[1]
    ids = [
        html_of(t).find(".//table").get("id")
        for t in (tables.images(plan), tables.axes(matrix.config))
    ]
    assert ids[0] != ids[1]


def test_values_have_words_and_glyphs_beside_their_colours():
    frame = pd.DataFrame(
        {
            "state": ["good", "bad"],
            "sure": [True, False],
            "number": pd.array([1.25, None], dtype="Float64"),
            "count": pd.array([3, None], dtype="Int64"),
            "at": pd.to_datetime(["2026-01-01T10:00:00.5Z", None], utc=True),
            "names": [("a", "b"), ()],
        },
        index=pd.Index(["x", "x"], name="twice"),
    )
    table = Table(frame, "C", formats={"state": marked({"good": "✓", "bad": "✗"})})
    assert table.texts().to_numpy().tolist() == [
        ["✓ good", "✓ yes", "1.2", "3", "2026-01-01 10:00:00", "a, b"],
        ["✗ bad", "no", "", "", "", ""],
    ]
    classes = [td.get("class").split() for td in html_of(table).iter("td")]
    assert [words[-2:] for words in classes if "good" in words] == [["good", "line"]] * 2
    assert "bad" in classes[6]


def test_a_long_table_says_how_many_rows_its_frame_has_besides():
    table = Table(pd.DataFrame({"a": range(display.MOST_ROWS + 2)}), "C")
    assert len(list(html_of(table).iter("td"))) == display.MOST_ROWS
    assert str(table).endswith("… and 2 more rows")
    assert len(table.frame) == display.MOST_ROWS + 2


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
    assert frame.loc["py310", "build args"] == "PYTHON_VERSION=3.10"
    assert list(frame.index)[:2] == ["old", "new"]


def test_versions_are_in_the_order_of_the_config_and_not_of_the_alphabet(matrix, plan):
    frame = tables.cells(matrix, plan).frame
    assert frame["python"].dtype.ordered
    assert list(frame["python"].cat.categories) == ["py39", "py310"]
    assert list(tables.grid(matrix, plan).frame.columns) == ["no GPU", "cuda9", "cuda10"]


def test_the_grid_is_compact_and_says_why(matrix, plan):
    grid = tables.grid(matrix, plan)
    frame = grid.frame
    assert grid.caption == "9 included, 1 excluded, 4 not listed: base image × python × GPU"
    assert frame.loc[("old", "py39"), "cuda10"] == "✓"
    assert frame.loc[("new", "py310"), "no GPU"] == "✓ cpu"
    assert frame.loc[("old", "py310"), "cuda9"] == "✗ ¹"
    assert frame.loc[("new", "py39"), "cuda9"] == "· ²"
    assert grid.notes[:2] == ("¹ <too> old", "² no entry in 'images' names it")
    assert list(frame.index)[:2] == [("old", "py39"), ("old", "py310")]


def test_a_cell_of_the_grid_shows_its_tag(matrix, plan):
    cells = {d.get("data-tag"): d for d in html_of(tables.grid(matrix, plan)).iter("details")}
    summary = cells["gpu-old-py39-cuda10"].find("summary")
    assert summary.get("title") == summary.get("aria-label") == "✓ included: gpu-old-py39-cuda10"
    assert cells["gpu-old-py39-cuda10"].find("code").text == "gpu-old-py39-cuda10"
    assert len(cells) == 12
    assert cells["gpu-old-py310-cuda9"].find("summary").text == "✗ ¹"


def test_the_grid_has_chosen_rows_and_columns(matrix, plan):
    grid = tables.grid(matrix, plan, rows=["gpu"], columns=["base_image", "python"])
    assert next(iter(grid.frame.columns)) == ("old", "py39")
    assert list(grid.frame.index) == ["—", "cuda9", "cuda10"]
    assert html_of(grid).find(".//caption").text == grid.caption
    with pytest.raises(UsageError, match="'x' is not an axis"):
        tables.grid(matrix, plan, rows=["x"])


def test_the_grid_has_no_base_image_where_the_config_has_none(family):
    config = imagekit.load(family / "config/caliban.json")
    frame = tables.grid(imagekit.matrix(config), imagekit.plan(config)).frame
    assert list(frame.index) == ["py37", "py38"]
    assert not (frame == "").to_numpy().any()


def test_the_grid_marks_what_a_selection_leaves_out(matrix, loaded):
    grid = tables.grid(matrix, imagekit.plan(loaded, only="cpu-*"))
    assert grid.frame.loc[("old", "py39"), "cuda10"].startswith("○ ")


def test_recipes_with_the_same_axes_have_sections_if_there_is_no_room_beside(config_file):
    values = ", ".join(f"v{n}: {{}}" for n in range(8))
    text = f"base_url: h/r\naxes: {{os: {{a: {{}}}}, python: {{{values}}}}}\nrecipes:\n"
    for name in ("one", "two"):
        text += (
            f"  {name}: {{dockerfile: D, axes: [os, python], tag: '{name}-{{os}}-{{python}}'}}\n"
        )
    names = ", ".join(f"v{n}" for n in range(8))
    text += f"images: [{{os: a, python: [{names}], recipe: [one, two]}}]\n"
    loaded = imagekit.load(config_file(text))
    frame = tables.grid(imagekit.matrix(loaded), imagekit.plan(loaded)).frame
    assert list(frame.index) == [("one", "a"), ("two", "a")]


def test_images_are_in_build_order_with_parents(plan):
    frame = tables.images(plan).frame
    assert list(frame["parent"])[-1] == "gpu-base-old-cuda10"
    assert list(frame.index) == [image.tag for image in plan.images]


def test_changes_have_a_word_beside_the_sign(plan, loaded):
    found = compare_files(None, imagekit.render(plan, loaded))
    table = tables.changes(found)
    assert list(table.texts()["change"])[:1] == ["+ added"]
    assert list(table.texts()["change"])[-1:] == ["~ build"]
    assert table.texts().index[-1] == ""


def test_checks_read_the_file_that_was_written(plan, loaded, tmp_path):
    imagekit.write(imagekit.render(plan, loaded), "out.json")
    frame = tables.checks("out.json", plan, loaded).frame
    assert set(frame["result"]) == {"passed", "warning"}
    assert "Dockerfile.gpu: No such file" in " ".join(frame.loc["Dockerfiles", "details"])
    assert frame.loc["steps", "details"] == f"{len(plan.images) * 2 + 1} of at most 300"
    build = json.loads((tmp_path / "out.json").read_text())
    build["steps"].append(build["steps"][0])
    (tmp_path / "out.json").write_text(json.dumps(build))
    with pytest.raises(LimitError, match="duplicate step id"):
        tables.checks("out.json", plan, loaded)


def svg_of(plan):
    picture = graph.build_graph(plan)._repr_mimebundle_()["text/html"]
    return ET.fromstring(picture[picture.index("<svg") : picture.index("</svg>") + len("</svg>")])


def test_the_graph_is_a_picture_with_words(plan):
    svg = svg_of(plan)
    space = {"s": "http://www.w3.org/2000/svg"}
    assert svg.get("role") == "img"
    assert svg.find("s:title", space).text.startswith("Build graph: 9 images")
    nodes = {g.get("data-tag"): g for g in svg.iterfind(".//s:g", space)}
    assert sorted(nodes) == sorted(image.tag for image in plan.images)
    assert all(g.find("s:text", space).text == tag for tag, g in nodes.items())
    words = nodes["gpu-base-old-cuda10"].find("s:title", space).text.splitlines()
    assert words[1:] == [
        "recipe: gpu-base (dockerfiles/Dockerfile.gpu)",
        "a change also rebuilds 2 images",
        *("UBUNTU_VERSION=1", "CUDA=10.0"),
    ]
    assert "parent: gpu-base-old-cuda9" in nodes["gpu-old-py39-cuda9"].find("s:title", space).text
    text = str(graph.build_graph(plan)).splitlines()
    assert "  → gpu-old-py39-cuda9" in text


def test_every_recipe_has_a_colour_and_is_in_the_legend(plan):
    svg = svg_of(plan)
    words = [text.text for text in svg.iterfind("{*}text")]
    assert words[:3] == ["gpu-base", "cpu", "gpu"]
    fills = {rect.get("fill") for rect in svg.iterfind("{*}rect")}
    assert fills == {*graph.COLOURS[:3]}


def test_many_images_are_grouped_by_recipe_and_parent(config_file):
    names = [f"v{n}" for n in range(60)]
    values = ", ".join(f"{name}: {{}}" for name in names)
    text = f"base_url: h/r\naxes: {{os: {{a: {{}}, b: {{}}}}, py: {{{values}}}}}\nrecipes:\n"
    for number in range(9):
        text += f"  r{number}: {{dockerfile: D, axes: [os, py], tag: 'r{number}-{{os}}-{{py}}'}}\n"
    text += "  top: {dockerfile: D, parent: r0, tag: 'top-{os}-{py}'}\n"
    text += f"images:\n  - {{os: [a, b], py: [{', '.join(names)}], recipe: r1}}\n"
    text += "  - {os: a, py: v0, recipe: [r0, r2, r3, r4, r5, r6, r7, r8]}\n"
    text += "  - {os: a, py: v0, recipe: top}\n"
    found = imagekit.plan(imagekit.load(config_file(text)))
    svg = svg_of(found)
    words = [text.text for text in svg.iterfind(".//{*}text")]
    assert "r1: 120 images" in words
    assert "r0-a-v0" in words, "an image with children has a box of its own"
    tags = sorted(g.get("data-tag") for g in svg.iterfind(".//{*}g"))
    assert tags == sorted(image.tag for image in found.images)
    assert float(svg.get("height")) < 600
    assert {*graph.COLOURS} <= {rect.get("fill") for rect in svg.iterfind(".//{*}rect")}
    assert any(rect.get("stroke-dasharray") for rect in svg.iterfind(".//{*}rect"))


def test_boxes_of_the_graph_do_not_overlap_and_stay_inside(plan):
    svg = svg_of(plan)
    boxes = [
        tuple(float(rect.get(key)) for key in ("x", "y", "width", "height"))
        for rect in svg.iterfind(".//{*}rect")
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
