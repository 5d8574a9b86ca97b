import os
import pty
import subprocess
import sys

import pytest

CONFIG = """base_url: h/r
python_versions: {py: {P: 1}}
images: [{python: py, gpu: x}]
"""


def on_terminal(folder, **environment):
    """What `imagekit generate` prints on a terminal."""
    (folder / "images.yaml").write_text(CONFIG)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "imagekit", "generate", "-c", "images.yaml"]
    subprocess.run(
        command, cwd=folder, stdout=theirs, stderr=theirs, env=os.environ | environment, check=False
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 1_000)
        except OSError:
            break
        shown += part
    os.close(ours)
    return shown.decode()


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
