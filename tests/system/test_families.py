"""Other families in the place of this repository's: all that a family has works with each.

A copy of the repository's files gets another `config/images.yaml`, and the environment that is
there. For each, the programs of `make generate` are run, the site is built, and the tests of
`tests/family/`. No notebook is executed twice where once is enough.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tools import site
from tools.family import PARTS
from tools.notebooks import EXAMPLES, NAMES

pytestmark = pytest.mark.edge

COPIED = (*PARTS, "imagekit", "tests", "tools", "README.md")
SINGLE = """
base_url: us-docker.pkg.dev/one/image/ml
base_images: {debian13: {BASE_IMAGE: "debian:13"}}
python_versions: {py313: {PYTHON_VERSION: 3.13}}
images: [{base_image: debian13, python: py313}]
"""


def named(prefix, number, **build_args):
    """An axis with a number of values, each with build args that differ."""
    return {
        f"{prefix}{n}": {key: value.format(n) for key, value in build_args.items()}
        for n in range(number)
    }


def many():
    """1,000 images: 104 without a GPU, 64 GPU bases, and 832 images on these."""
    axes = {
        "base_images": named("base", 8, BASE_IMAGE="ubuntu:{}", UBUNTU_VERSION="{}"),
        "python_versions": named("py3", 13, PYTHON_VERSION="3.{}"),
        "gpu_versions": named("cuda", 8, CUDA="13.{}.0"),
    }
    bases, pythons, gpus = map(list, axes.values())
    entry = {"base_image": bases, "python": pythons, "gpu": [None, *gpus]}
    return json.dumps({"base_url": "us-docker.pkg.dev/many/images/ml", **axes, "images": [entry]})


def shipped(name):
    return (ROOT / "tests/fixtures/family/config" / name).read_text(encoding="utf-8")


FAMILIES = {
    "worked example": (lambda: shipped("layers.yaml"), 42, 1),
    "original": (lambda: shipped("caliban.json"), 8, 1),
    "single image": (lambda: SINGLE, 1, 1),
    "1,000 images": (many, 1000, 7),
}
"""The config of each, and how many images and build files it gives."""


@pytest.fixture(params=FAMILIES)
def family(request, tmp_path):
    """A copy of the repository with another config, and what it is to give."""
    folder = tmp_path / "repository"
    folder.mkdir()
    config, images, files = FAMILIES[request.param]
    for path in (found for part in COPIED for found in ROOT.glob(part)):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    (folder / "config/images.yaml").write_text(config(), encoding="utf-8")
    return folder, images, files


def run(folder, *command):
    """Run a Python program in the copy, whose code comes before the installed one."""
    outer = ("COV", "PYTEST")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        # pytest's other plugins take longer to load than the tests of a family.
        env=environment | {"PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(folder, *command):
    done = run(folder, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_works_with_another_family(family):
    folder, images, files = family
    # The committed build file is of another config, until `make generate`.
    assert run(folder, "imagekit", "generate", "--check").returncode == 4
    for command in recipe("generate"):
        succeed(folder, *command)
    number = "1 image" if images == 1 else f"{images} images"
    assert number in succeed(folder, "imagekit", "generate", "--check")
    parts = sorted(path.name for path in folder.glob("cloudbuild*.json"))
    assert len(parts) == (1 if files == 1 else files + 1), parts
    if files > 1:
        changed_or_gone(folder)
    # `make generate` has executed it; with several files, what it finds is another matter.
    executed = ("generate",) if files == 1 else ()
    the_site_is_built(folder, (*executed, *EXAMPLES))
    told = succeed(folder, "pytest", "-q", "-p", "no:cacheprovider", "tests/family", *LEFT_OUT)
    assert " passed" in told


def the_site_is_built(folder, not_executed):
    """Build the site, which executes the notebooks; a warning of any page is an error."""
    site.with_few_pages(folder, not_executed)
    code, said = site.build(folder.parent / "site", folder)
    assert code == 0, said
    assert said.count("Executing notebook") == len(NAMES) - len(not_executed)
    pages = {path.stem for path in (folder.parent / "site/html/notebooks").glob("*.html")}
    assert pages == {path.stem for path in (folder / "notebooks").glob("*.ipynb")}


LEFT_OUT = ("--ignore", "tests/family/test_notebooks.py")
"""The site's build has just executed the notebooks."""


def recipe(target):
    """The programs that a target of the Makefile runs in its environment."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    found = re.findall(r"^\t@?\$\(BIN\)/(.*)$", lines, re.MULTILINE)
    assert len(found) == len(lines.splitlines())
    return [line.split() for line in found]


def changed_or_gone(folder):
    """A file of several that changes, vanishes or is left over is seen by `generate --check`."""
    second, more = folder / "cloudbuild-02.json", folder / "cloudbuild-08.json"
    text = second.read_text(encoding="utf-8")
    for path, other in ((second, text.replace("PYTHON", "PYTHN", 1)), (second, ""), (more, text)):
        before = path.exists()
        path.write_text(other, encoding="utf-8") if other else path.unlink()
        done = run(folder, "imagekit", "generate", "--check")
        assert done.returncode == 4, done.stdout
        assert "cloudbuild-manifest.json is out of date" in done.stderr
        path.write_text(text, encoding="utf-8") if before else path.unlink()
    assert run(folder, "imagekit", "generate", "--check").returncode == 0
