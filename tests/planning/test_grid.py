"""The grid of a matrix: what goes down, what across, and what it says of the rest."""

import pytest

import imagekit
from imagekit.errors import UsageError
from imagekit.planning.grid import MAX_CHOSEN_COLUMNS, as_markdown, grid

ORIGINAL = """
base_url: h/i
base_images:
  u1: {BASE_IMAGE: "ubuntu:1", UBUNTU_VERSION: 1}
  u2: {BASE_IMAGE: "ubuntu:2", UBUNTU_VERSION: 2}
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
gpu_versions: {cuda1: {CUDA: 1.0.7}}
images:
  - {base_image: [u1, u2], python: [py39, py310]}
  - {base_image: u1, python: [py39, py310], gpu: cuda1}
exclude:
  - {base_image: u1, python: py310, gpu: cuda1, reason: "no | <b>wheels</b>"}
"""
LAYERS = """
base_url: h/i
axes:
  os: {a: {A: 1}, b: {A: 2}}
  cuda: {c1: {C: 1}}
  rocm: {r1: {R: 1}}
  torch: {t1: {}, t2: {}}
recipes:
  base: {dockerfile: D, axes: [os], tag: "base-{os}"}
  gpu:
    dockerfile: D
    axes: [os]
    parent_only: true
    parent: [on-cuda, on-rocm]
    tag: "gpu-{os}-{cuda}-{rocm}"
  on-cuda: {dockerfile: D, axes: [cuda], parent_only: true, tag: "cuda-{cuda}"}
  on-rocm: {dockerfile: D, axes: [rocm], parent_only: true, tag: "rocm-{rocm}"}
  torch:
    {dockerfile: D, axes: [torch], parent: [base, gpu], tag: "{torch}-{os}-{cuda}-{rocm}"}
  lab: {dockerfile: D, parent: torch, tag: "lab-{torch}-{os}-{cuda}-{rocm}"}
images:
  - {os: [a, b]}
  - {os: [a, b], torch: [t1, t2], recipe: [torch, lab]}
  - {os: [a, b], torch: [t1, t2], cuda: c1, recipe: [torch, lab]}
  - {os: a, torch: [t1, t2], rocm: r1, recipe: torch}
"""


@pytest.fixture
def drawn(config_file):
    def draw(text, *, only=(), **options):
        config = imagekit.load(config_file(text))
        return grid(imagekit.matrix(config), imagekit.plan(config, only=only), **options)

    return draw


def places(section):
    return {line.names: [str(place or "") for place in line.places] for line in section.lines}


def test_the_last_axis_is_across_and_what_has_none_of_it_is_a_column(drawn):
    found = drawn(ORIGINAL)
    (section,) = found.sections
    assert found.rows == ("base image", "python")
    assert section.columns == (("no GPU",), ("cuda1",))
    assert places(section) == {
        ("u1", "py39"): ["✓", "✓"],
        ("u1", "py310"): ["✓", "✗ (1)"],
        ("u2", "py39"): ["✓", "· (2)"],
        ("u2", "py310"): ["✓", "· (2)"],
    }
    assert found.notes == ("no | <b>wheels</b>", "no entry in 'images' names it")
    assert found.more == ("1 more image is built only as a parent of these.",)
    assert section.lines[0].places[1].tag == "gpu-u1-py39-cuda1"


def test_markdown_names_versions_and_escapes_what_the_config_says(drawn):
    assert as_markdown(drawn(ORIGINAL, versions=True)) == (
        "| base image | python | no GPU | cuda1 (1.0.7) |\n"
        "| --- | --- | --- | --- |\n"
        "| u1 | py39 | ✓ | ✓ |\n"
        "| u1 | py310 | ✓ | ✗ (1) |\n"
        "| u2 | py39 | ✓ | · (2) |\n"
        "| u2 | py310 | ✓ | · (2) |\n"
        "\n"
        "1. no \\| &lt;b&gt;wheels&lt;/b&gt;\n"
        "2. no entry in 'images' names it\n"
        "\n"
        "1 more image is built only as a parent of these.\n"
    )


def test_a_selection_shows_what_it_leaves_out(drawn):
    found = drawn(ORIGINAL, only=["cpu-u1-*"])
    assert places(found.sections[0])["u1", "py39"] == ["✓", "○ (1)"]
    assert found.notes[0] == "left out by --only or --skip"


def test_axes_that_never_meet_share_a_column_and_recipes_of_the_same_axes_are_told_apart(drawn):
    found = drawn(LAYERS)
    (section,) = found.sections
    assert found.rows == ("OS", "cuda / rocm")
    assert section.columns == (
        ("base", ""),
        ("torch", "t1"),
        ("torch", "t2"),
        ("lab", "t1"),
        ("lab", "t2"),
    )
    assert [line.names for line in section.lines] == [
        ("a", "—"),
        ("a", "c1"),
        ("a", "r1"),
        ("b", "—"),
        ("b", "c1"),
        ("b", "r1"),
    ]
    assert places(section)["a", "r1"] == ["", "✓", "✓", "", ""]
    assert "| base | torch, t1 |" in as_markdown(found)
    assert found.more == ("5 more images are built only as parents of these.",)


def test_recipes_are_sections_if_there_would_be_too_many_columns(drawn, monkeypatch):
    monkeypatch.setattr("imagekit.planning.grid.MAX_COLUMNS", 4)
    found = drawn(LAYERS)
    assert [section.name for section in found.sections] == ["base", "torch", "lab"]
    assert found.sections[0].columns == (("no torch",),)
    assert found.sections[2].columns == (("t1",), ("t2",))
    assert as_markdown(found).startswith("**base**\n\n| OS | cuda / rocm | no torch |\n")


@pytest.mark.parametrize(
    ("options", "rows", "columns"),
    [
        ({"columns": ["python"]}, ("base image", "GPU"), ["py39", "py310"]),
        ({"rows": ["gpu"]}, ("GPU",), ["u1 py39", "u1 py310", "u2 py39", "u2 py310"]),
        ({"rows": ["python"], "columns": ["base_image"]}, ("python", "GPU"), ["u1", "u2"]),
        (
            {"rows": ["recipe", "base_image", "gpu", "python"]},
            ("recipe", "base image", "GPU", "python"),
            ["image"],
        ),
        (
            {"columns": ["base_image", "gpu"]},
            ("python",),
            ["u1 no GPU", "u1 cuda1", "u2 no GPU", "u2 cuda1"],
        ),
    ],
)
def test_the_axes_can_be_chosen(options, rows, columns, drawn):
    found = drawn(ORIGINAL, **options)
    assert found.rows == rows
    assert [" ".join(words) for words in found.sections[0].columns] == columns


def test_recipes_that_are_not_chosen_are_sections(drawn):
    found = drawn(LAYERS, rows=["os"], columns=["cuda"])
    assert [section.name for section in found.sections] == ["base", "torch", "lab"]
    assert found.rows == ("OS", "rocm", "torch")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": ["pyhton"]}, "'pyhton' is not an axis; did you mean 'python'?"),
        ({"rows": ["x"]}, "'x' is not an axis: base_image, python, gpu, recipe"),
        (
            {"rows": ["gpu"], "columns": ["python", "gpu"]},
            "'gpu' is named twice; name it in --rows or in --columns",
        ),
    ],
)
def test_a_wrong_choice_is_an_error(options, message, drawn):
    with pytest.raises(UsageError) as error:
        drawn(ORIGINAL, **options)
    assert str(error.value) == message


def numbered(axes, most):
    names = {axis: [f"{axis}{n}" for n in range(1, most + 1)] for axis in axes}
    values = "".join(f"  {a}: {{{', '.join(f'{n}: {{V: 1}}' for n in names[a])}}}\n" for a in axes)
    tag = "-".join(f"{{{axis}}}" for axis in axes)
    return (
        f"base_url: h/i\naxes:\n{values}"
        f'recipes: {{r: {{dockerfile: D, axes: [{", ".join(axes)}], tag: "{tag}"}}}}\n'
        f"images: [{{{', '.join(f'{axis}: {names[axis]}' for axis in axes)}}}]\n"
    )


def test_axes_with_many_values_are_all_down(drawn):
    found = drawn(numbered(["x", "y"], 11))
    assert found.sections[0].columns == (("image",),)
    assert len(found.sections[0].lines) == 121


def test_a_grid_of_one_image(drawn):
    found = drawn(numbered(["x", "y"], 1))
    assert (found.rows, found.sections[0].columns) == (("X", "Y"), (("image",),))
    assert found.more == ()
    assert as_markdown(found) == "| X | Y | image |\n| --- | --- | --- |\n| x1 | y1 | ✓ |\n"


def test_a_grid_of_one_axis_is_a_list(drawn):
    assert drawn(numbered(["x"], 2)).rows == ("X",)


def test_too_many_columns_are_an_error(drawn):
    with pytest.raises(UsageError, match="x across would make 201 columns, and a grid has at most"):
        drawn(numbered(["x"], MAX_CHOSEN_COLUMNS + 1), columns=["x"])


def test_combinations_that_are_only_counted_are_not_shown(drawn):
    text = numbered(["x", "y", "z"], 20)
    text = text[: text.index("images:")] + "images: [{x: x1, y: y1, z: [z1, z2]}]\n"
    with pytest.warns(imagekit.errors.ConfigWarning):
        found = drawn(text)
    assert len(found.sections[0].lines) == 1
    assert found.more == ("7998 combinations that no entry in 'images' names: not shown.",)


def test_a_value_that_two_axes_have_is_named_with_its_axis(drawn):
    text = LAYERS.replace("r1", "c1").replace("-{rocm}", "_{rocm}")
    names = [line.names for line in drawn(text).sections[0].lines]
    assert names[:3] == [("a", "—"), ("a", "cuda c1"), ("a", "rocm c1")]


def test_an_axis_without_values_is_in_no_grid(drawn):
    text = "base_url: h/i\npython_versions: {p: {PYTHON_VERSION: 3}}\nimages: [{python: p}]\n"
    assert drawn(text, columns=["gpu", "python"]).sections[0].columns == (("p",),)
