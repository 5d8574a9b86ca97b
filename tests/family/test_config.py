"""Every config can be read, and fits the Dockerfiles."""

import contextlib
import re

import pytest

import imagekit
from imagekit.planning import preflight
from imagekit.support.files import read_utf8
from tests.conftest import ROOT
from tools import schema

FORMATS = (".json", ".yaml", ".yml")
CONFIGS = sorted(p.name for p in (ROOT / "config").iterdir() if p.suffix in FORMATS)

each = pytest.mark.parametrize("name", CONFIGS)


@each
def test_the_config_gives_build_files(name):
    config = imagekit.load(ROOT / "config" / name)
    plan = imagekit.plan(config)
    assert plan.images
    assert imagekit.files(plan, config)


@each
def test_dockerfiles_exist_and_declare_every_build_arg(name):
    config = imagekit.load(ROOT / "config" / name)
    with contextlib.chdir(ROOT):
        problems = list(preflight.dockerfiles(imagekit.plan(config), config, read_utf8))
    assert [str(problem) for problem in problems] == []


@each
def test_editors_read_the_schema_of_this_version(name):
    text = (ROOT / "config" / name).read_text(encoding="utf-8-sig")
    named = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    # A file of one's own is fine as well.
    assert {name for name in named if name.startswith("https://")} <= {schema.address()}
