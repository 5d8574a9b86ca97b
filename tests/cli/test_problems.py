import os
import sys

import pytest

from tools import terminal

CONFIG = """base_url: h/r
python_versions: {py: {P: 1}}
images: [{python: py, gpu: x}]
"""


def on_terminal(folder, **environment):
    """What `imagekit generate` prints on a terminal."""
    (folder / "images.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "imagekit", "generate", "-c", "images.yaml"]
    _, shown = terminal.run(command, folder, os.environ | environment)
    return shown


@pytest.mark.edge
def test_problems_are_in_color_on_a_terminal(tmp_path):
    shown = on_terminal(tmp_path, NO_COLOR="")
    assert "\x1b[1mimages.yaml:3:28: \x1b[0mgpu 'x' is not in" in shown
    assert "\x1b[31m    |                            ^\x1b[0m" in shown


@pytest.mark.edge
def test_no_color_is_respected(tmp_path):
    shown = on_terminal(tmp_path, NO_COLOR="1")
    assert "\x1b" not in shown
    assert "images.yaml:3:28: gpu 'x' is not in 'gpu_versions'" in shown
