"""The hooks run the tools that `make lint` runs."""

import re

import yaml

from tests.conftest import ROOT


def test_hooks_and_make_lint_are_the_same_tools():
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook["entry"].split() for repo in settings["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    lines = [line.split() for line in recipe.replace("$(BIN)", ".venv/bin").splitlines()]
    assert hooks == lines
