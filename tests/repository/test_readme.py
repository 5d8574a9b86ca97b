"""What the README shows is what happens."""

import re

import pytest
import yaml

import imagekit
from imagekit.cli.app import main
from tools import console


@pytest.fixture
def blocks(root):
    text = (root / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_table_is_what_the_example_gives(blocks, config_file, capsys):
    (example,) = [text for kind, text in blocks if kind == "yaml"]
    shown = next(text for kind, text in blocks if kind == "console" and "matrix" in text)
    name = config_file(example, "mine.yaml")
    with pytest.raises(SystemExit):
        main(["matrix", "--config", name])
    assert shown.split("\n", 1)[1] == capsys.readouterr().out


def test_the_messages_are_the_real_ones(blocks, config_file, capsys):
    shown = next(text for kind, text in blocks if kind == "console" and "broken" in text)
    name = config_file(console.BROKEN, "broken.yaml")
    with pytest.raises(SystemExit) as stop:
        main(["generate", "--config", name])
    assert stop.value.code == 3
    assert shown.split("\n", 1)[1] == capsys.readouterr().err


def test_examples_name_the_present_version(root):
    named = re.compile(r"(?:imagekit@|rev: )v(\d+\.\d+\.\d+)")
    for page in ("README.md", "docs/howto/ci.md"):
        found = named.findall((root / page).read_text(encoding="utf-8"))
        assert set(found) == {imagekit.__version__}, page


def test_the_reference_s_recipes_are_the_built_in_ones(root):
    from imagekit.planning.recipes import built_in

    text = (root / "docs/config.md").read_text(encoding="utf-8")
    for with_base_images in (True, False):
        for recipe in built_in(with_base_images).values():
            assert f"`{recipe.tags[0]}`" in text
            assert f"`{recipe.dockerfile}`" in text


def test_the_examples_of_the_reference_are_well_formed(root):
    text = (root / "docs/config.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert [type(yaml.safe_load(example)) for example in examples] == [dict] * len(examples)
    assert examples
