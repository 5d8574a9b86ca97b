"""What holds of any code directory: never a traceback, and no file is lost in silence."""

import pathlib
import re
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.errors import ConfigError
from imagekit.project import dependencies, dockerfile
from imagekit.project.dependencies import Wanted

PROJECT = '[project]\nname = "p"\nversion = "1"\n'
BUILD = '[build-system]\nrequires = ["{}"]\n'
FILES = {
    "pyproject.toml": [
        f'{PROJECT}dependencies = ["name-a"]\n',
        f'{PROJECT}dependencies = ["name-a"]\n{BUILD.format("setuptools-scm")}',
        f'{PROJECT}dynamic = ["dependencies"]\n{BUILD.format("versioneer")}',
        f'{PROJECT}[dependency-groups]\ng = ["name-a"]\n[tool.uv]\ndefault-groups = "all"\n',
        '[tool.poetry]\nname = "p"\n[tool.poetry.dependencies]\nname-a = {path = "libs"}\n',
        '[tool.poetry.dependencies]\npython = "^3.11"\nname-a = "*"\n'
        + BUILD.format("poetry-core"),
        f'{PROJECT}dependencies = ["name-a"]\n[[tool.pdm.source]]\nurl = "https://example.com/s"\n',
        f'{PROJECT}[tool.pixi.dependencies]\nname-a = "*"\n',
        '[tool.uv.workspace]\nmembers = ["libs"]\n',
        "[tool.ruff]\n",
        "[project\n",
        "project = 1\n",
        "[tool]\nuv = 1\npoetry = []\npdm = 'x'\npixi = 2\n[dependency-groups]\n",
    ],
    "setup.py": [
        "from setuptools import setup\nsetup(install_requires=['name-a'])\n",
        "from setuptools import setup\nsetup(**a, use_scm_version=True)\n",
        "(",
    ],
    "setup.cfg": ["[options]\ninstall_requires = name-a\n", "[flake8]\nx = 1\n", "[options\n"],
    "requirements.txt": [
        "name-a\n",
        "-r other.txt\n-e .[x]\n",
        "name-a --hash=sha256:00\n",
        "-e .\n./libs\n",
        "-e git+https://example.com/x#egg=name-a\n",
        "name a\n",
        "'",
        "-r\n-c '\n--\n-\n=\n@\n[\n;\n",
    ],
    "requirements.in": ["name-a\n"],
    "requirements-dev.txt": ["name-a\n"],
    "dev-requirements.txt": ["name-a\n"],
    "requirements/base.txt": ["name-a\n"],
    "constraints.txt": ["name-a<2\n"],
    "other.txt": ["name-b\n-r requirements.txt\n"],
    "environment.yml": [
        "dependencies: [python=3.11, {pip: [name-a, -e ., -r other.txt]}]\n",
        "dependencies: [name-a]\n",
        "a: [",
        "- a\n",
        "dependencies:\n  pip: [a]\n",
        "dependencies: [{pip: [\"-e 'x\", '-', 1, null, [a]]}, {1: 2}, [a], null]\n",
    ],
    "environment-gpu.yml": ["dependencies: [name-a]\n"],
    "conda-lock.yml": ["x"],
    "pixi.toml": ['[dependencies]\nname-a = "*"\n', "x"],
    "pixi.lock": ["x"],
    "uv.lock": ["version = 1\n", '[[package]]\nname = "p"\nsource = {editable = "."}\n', "x"],
    "pylock.toml": ["lock-version = '1.0'\n", "packages = [{directory = {path = 'libs'}}, 1]\n"],
    "pylock.a.toml": ["lock-version = '1.0'\n"],
    "pylock.b.toml": ["lock-version = '1.0'\n"],
    "poetry.lock": ['[metadata]\npython-versions = "^3.11"\n', "[[package]]\nsource = 1\n"],
    "pdm.lock": ['[[metadata.targets]]\nrequires_python = ">=3.11"\n'],
    "Pipfile": [
        '[packages]\nname-a = "*"\nb = {path = ".", editable = true}\n[dev-packages]\nc = "*"\n',
        "packages = 1\n[requires]\npython_version = 3\n",
    ],
    "Pipfile.lock": ['{"default": {"name-a": {}}}', "[]", "{"],
    "requirements.lock": ["name-a\n-e file:.\n"],
    "apt.txt": ["bc\n", "a b $(c)\n"],
    "packages.txt": ["bc\n"],
    "runtime.txt": ["python-3.11.9\n", "r-4.1\n"],
    ".python-version": ["# x\n3.11\n", "pypy3.10\n", "", "3.12.1\n"],
    ".tool-versions": ["nodejs 20\npython 3.11.2\n"],
    "cog.yaml": [
        "build: {python_version: '3.11', python_packages: [name-a], system_packages: [bc]}\n",
        "build: [1]\n",
        "a: [",
        "build: {python_requirements: other.txt, python_version: 3, gpu: true, run: [x]}\n",
    ],
    "binder/requirements.txt": ["name-a\n"],
    "binder/postBuild": ["x"],
    "binder/environment.yml": ["dependencies: [{pip: [name-a]}]\n"],
    ".binder/apt.txt": ["bc\n"],
    "pip.conf": ["[global]\nindex-url = https://example.com/simple\n", "x"],
    "uv.toml": ['[[index]]\nname = "a"\nurl = "https://example.com/simple"\n', "["],
    "a.ipynb": ["{}"],
    "job.py": ['# /// script\n# dependencies = ["name-a"]\n# ///\n', "# /// script\n# x\n# ///\n"],
    "job.py.lock": ["version = 1\n"],
    "install.R": ["x"],
    "package.json": ["{}"],
    "libs/pyproject.toml": [PROJECT],
}
OF_NO_CONCERN = {"other.txt", "libs/pyproject.toml", "job.py.lock", ".binder/apt.txt", "uv.toml"}
"""What counts only where another file or an option names it, and the folder that counts less."""


def say_nothing(name, text):
    """Whether a file declares nothing that an installer would install."""
    return (name, text) in {
        ("setup.cfg", "[flake8]\nx = 1\n"),
        ("pyproject.toml", "[tool.ruff]\n"),
        ("pyproject.toml", FILES["pyproject.toml"][-1]),
        (".python-version", ""),
    }


directories = st.dictionaries(
    st.sampled_from(sorted(FILES)), st.integers(min_value=0, max_value=20), max_size=6
).map(lambda chosen: {name: FILES[name][n % len(FILES[name])] for name, n in chosen.items()})
options = st.builds(
    Wanted,
    extras=st.sampled_from([(), ("x",)]),
    groups=st.sampled_from([(), ("g",)]),
    script=st.sampled_from(["", "job.py"]),
    mode=st.sampled_from(["cpu", "gpu"]),
)


@pytest.mark.slow
@settings(max_examples=250, deadline=None)
@given(directories, options)
def test_every_file_is_installed_or_refused_or_named(files, wanted):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        try:
            found = dependencies.read(root, wanted)
        except ConfigError:
            return
        text = dockerfile.render(found, dockerfile.Options(base="python:3.11"))
        named = set(re.split(r"[\s\"',\[\]]+", text)) | {request.file for request in found.pythons}
        named |= {note.partition(":")[0] for note in found.notes}
        for name in files.keys() - OF_NO_CONCERN:
            if say_nothing(name, files[name]):
                continue
            assert name in named, (name, text, found.notes)
        # So it is with packages, where nothing but a file of requirements declares them.
        plain = {name for name in files if name.endswith((".txt", ".in", ".yml", ".yaml", ".py"))}
        if any("name-a" in files[name] for name in plain) and not files.keys() - plain:
            aside = any("left aside" in note for note in found.notes)
            assert "name-a" in found.names or aside or "setup.py" in files, (files, found)
        for line in text.splitlines():
            assert line.isprintable()
