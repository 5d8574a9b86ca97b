"""The README's table is that of the config."""

import imagekit
from tests.conftest import ROOT
from tools import readme


def test_the_table_of_the_readme_is_that_of_the_config():
    config = imagekit.load(ROOT / "config/images.yaml")
    if not (config.base_images and config.python_versions):
        return  # this table needs both
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.rewritten(text) == text, "run `make goldens`"
