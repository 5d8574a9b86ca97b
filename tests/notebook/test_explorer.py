import shutil
import sys

import pandas as pd
import pytest

from imagekit import api
from imagekit.errors import ConfigError
from imagekit.notebook import choice, explorer, session
from imagekit.notebook.display import Table

CONFIG = """\
base_url: h/r
base_images: {old: {}, new: {}}
python_versions: {py39: {}, py310: {}}
gpu_versions: {cuda9: {}}
images:
  - {base_image: [old, new], python: [py39, py310]}
  - {base_image: new, python: [py39, py310], gpu: cuda9}
exclude: [{python: py39, gpu: cuda9, reason: too old}]
"""


@pytest.fixture
def matrix(config_file):
    return api.check(config_file(CONFIG)).matrix


def chosen(**axes):
    every = {"base_image": ["old", "new"], "python": ["py39", "py310"], "gpu": [None, "cuda9"]}
    return every | axes


def test_everything_chosen_is_the_whole_matrix(matrix):
    view = choice.view(matrix, chosen(), "", "")
    assert view.message == ""
    assert view.counts == "6 included, 1 excluded, 2 not listed"
    assert "<svg" in view.graph


def test_a_value_that_is_not_chosen_takes_its_images_along(matrix):
    view = choice.view(matrix, chosen(gpu=[None]), "", "")
    assert view.counts == "4 included"
    assert "cuda9" not in view.grid
    assert choice.view(matrix, chosen(python=["py310"]), "", "").counts.startswith("4 included")


def test_globs_narrow_it_further(matrix):
    view = choice.view(matrix, chosen(), "cpu-new-*, cpu-old-*", "*py39")
    assert view.counts.startswith("2 included")


@pytest.mark.parametrize(
    ("axes", "only", "message"),
    [
        ({}, "nonsense", "matches no image"),
        ({"python": []}, "", "the selection contains no image"),
    ],
)
def test_a_wrong_choice_is_a_message(axes, only, message, matrix):
    view = choice.view(matrix, chosen(**axes), only, "")
    assert message in view.message
    assert view.grid == ""


def test_without_an_interactive_front_end_it_is_a_table(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "0")
    found = explorer.explore(config_file(CONFIG), only=["cpu-*"])
    assert isinstance(found, Table)
    assert found.frame.loc[("python", "py39"), "✓ included"] == 2
    with pytest.raises(ConfigError, match="matches no image"):
        explorer.explore("images.yaml", skip="nonsense")


def test_without_widgets_it_is_a_table_too(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "1")
    monkeypatch.setitem(sys.modules, "imagekit.notebook.widgets", None)
    assert isinstance(explorer.explore(config_file(CONFIG)), Table)


def test_the_widgets_follow(config_file, monkeypatch, tmp_path):
    monkeypatch.setenv(session.VARIABLE, "1")
    name = config_file(CONFIG)
    shutil.copy(name, tmp_path / "second.yaml")
    found = explorer.explore(name)
    assert "6 included" in found.counts.value
    found.boxes["gpu"]["cuda9"].value = False
    assert "4 included" in found.counts.value
    grid = found.grid.value
    found.only.value = "nonsense"
    assert "matches no image" in found.message.value
    assert found.grid.value == grid
    found.only.value = ""
    assert found.message.value == ""
    found.config.value = "second.yaml"
    assert "6 included" in found.counts.value
    (tmp_path / "images.yaml").write_text("images: 1\n")
    found.config.value = "images.yaml"
    assert "expected a list" in found.message.value
    counts = found.counts.value
    found.boxes["gpu"]["cuda9"].value = False
    found.only.value = "cpu-*"
    assert "expected a list" in found.message.value
    assert found.counts.value == counts
    found.config.value = "second.yaml"
    assert found.message.value == ""
    assert "4 included" in found.counts.value


def test_a_config_that_is_broken_from_the_beginning(config_file, monkeypatch):
    monkeypatch.setenv(session.VARIABLE, "1")
    from imagekit.notebook.widgets import Explorer

    name = config_file("images: 1\n")
    found = Explorer(name, "", "", Table(pd.DataFrame(), ""))
    found.only.value = "cpu-*"
    assert "expected a list" in found.message.value
