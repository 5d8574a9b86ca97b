import imagekit
from imagekit.planning.rows import counts, rows


def test_a_recipe_that_is_not_told_apart_by_an_axis_has_one_row_for_all_of_it(config_file):
    config = imagekit.load(
        config_file(
            """
base_url: h/i
base_images: {a: {UBUNTU_VERSION: 1}, b: {UBUNTU_VERSION: 2}}
python_versions: {p: {}}
gpu_versions: {c: {}}
recipes: {cpu: {axes: [python], tag: "cpu-{python}", build_args: {BASE_IMAGE: x}}}
images: [{python: p}, {base_image: [a, b], python: p, gpu: c}]
"""
        )
    )
    found = rows(imagekit.matrix(config), imagekit.plan(config))
    assert [row.tag for row in found].count("cpu-p") == 1
    assert counts(found) == "5 included"


def test_what_a_selection_leaves_out_is_not_selected(config_file):
    text = "base_url: h/i\npython_versions: {a: {}, b: {}}\nimages: [{python: [a, b]}]\n"
    config = imagekit.load(config_file(text))
    found = rows(imagekit.matrix(config), imagekit.plan(config, only=["*-b"]))
    assert [(row.status, row.tag) for row in found] == [
        ("built", "cpu-b"),
        ("not selected", "cpu-a"),
    ]
    assert found[1].reason == "left out by --only or --skip"
