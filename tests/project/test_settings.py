import pathlib

import pytest

from imagekit.errors import ConfigError
from imagekit.project import settings


@pytest.fixture
def read(tmp_path):
    def make(name, text):
        (tmp_path / name).write_text(text)
        return settings.read(tmp_path)

    return make


def test_a_directory_without_settings(tmp_path):
    assert settings.read(tmp_path) == (settings.Settings(), None)


def test_a_pyproject_without_a_table_of_ours_has_none(read):
    assert read("pyproject.toml", "[tool.other]\nx = 1\n") == (settings.Settings(), None)


def test_one_value_is_meant_for_both_modes(read):
    found, origin = read("imagekit.toml", 'base_image = "a"\napt_packages = ["b"]\n')
    assert origin == "imagekit.toml"
    assert found.base_image == {"cpu": "a", "gpu": "a"}
    assert found.apt_packages == {"cpu": ("b",), "gpu": ("b",)}


def test_a_value_by_mode(read):
    found, _ = read("pyproject.toml", '[tool.imagekit.base_image]\ngpu = "a"\n')
    assert found.base_image == {"gpu": "a"}


def test_the_original_s_file(read):
    text = '{"apt_packages": ["a"], "base_image": {"cpu": "b"}, "julia_version": "1"}'
    found, origin = read(".calibanconfig.json", text)
    assert origin == ".calibanconfig.json"
    assert found.apt_packages == {"cpu": ("a",), "gpu": ("a",)}
    assert found.base_image == {"cpu": "b"}


def test_the_original_s_mistakes_have_their_places(read):
    with pytest.raises(ConfigError) as error:
        read(".calibanconfig.json", '{\n  "apt_packages": "a",\n  "base_image": [1]\n}')
    places = [str(problem).partition(": ")[0] for problem in error.value.problems]
    assert [pathlib.Path(place).name for place in places] == [
        ".calibanconfig.json:2:19",
        ".calibanconfig.json:3:17",
    ]


def test_where_a_key_of_a_table_stands(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text('a = 1\n[x]\na = 2\n[tool.imagekit]\n  a = 3\n"b" = 4\n')
    places = [settings.place_of(path, *key) for key in (("a",), ("a", "tool.imagekit"))]
    assert [(place.line, place.column) for place in places] == [(1, 1), (5, 3)]
    assert settings.place_of(path, "b", "tool.imagekit").line == 6
    assert settings.place_of(path, "x").line == 2


@pytest.mark.parametrize("name", ["dlvm:pytorch-cpu-1.4", "gcr.io/x:{x}"])
def test_names_that_only_the_original_understands(read, name):
    with pytest.raises(ConfigError, match="is expanded only by caliban"):
        read(".calibanconfig.json", f'{{"base_image": "{name}"}}')
    with pytest.raises(ConfigError, match=":1:24: "):
        read(".calibanconfig.json", f'{{"base_image": {{"cpu": "{name}", "gpu": "b"}}}}')
