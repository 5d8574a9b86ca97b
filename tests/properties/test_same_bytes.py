"""The same bytes come out wherever and however Python runs."""

import os
import subprocess
import sys

import pytest

from imagekit import api

SURROUNDINGS = (
    # Without the two switches Python would replace the C locale by a UTF-8 one.
    {"PYTHONHASHSEED": "0", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONHASHSEED": "4242", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONOPTIMIZE": "1"},
)


@pytest.mark.edge
@pytest.mark.parametrize("name", ["images.yaml", "caliban.json"])
def test_same_bytes_under_another_hash_seed_and_locale(root, family, tmp_path, name):
    config = family / "config" / name
    written = []
    for number, surroundings in enumerate(SURROUNDINGS):
        output = tmp_path / f"{number}.json"
        command = [sys.executable, "-m", "imagekit", "generate", "-c", config, "-o", output]
        environment = {**os.environ, "PYTHONPATH": str(root), **surroundings}
        subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
        written.append(output.read_bytes())
    loaded = api.load(config)
    here = api.render(api.plan(loaded), loaded).encode()
    assert written == [here, here]
