import pytest

from imagekit.errors import ConfigError
from imagekit.project import conda


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("=3.11", "==3.11.*"),
        ("=3.11=h1_0", "==3.11.*"),
        ("== 3.11.4", "==3.11.4"),
        (">=3.10,<3.13", ">=3.10,<3.13"),
    ],
)
def test_condas_versions(version, specifier):
    assert conda.specifier(version) == specifier


def test_pips_section_is_as_a_requirement_file(read):
    text = """
dependencies:
  - python=3.11
  - pip
  - pip:
      - git+https://github.com/pallets/click@8.1.7
      - https://files.example/six-1.17.0-py2.py3-none-any.whl
      - ./libs/helper  # ours
      - --extra-index-url https://download.pytorch.org/whl/cu124
      - --pre
      - -e git+https://example.com/x#egg=y
      - -c limits.txt
      - "six ; python_version < '4'"
"""
    found = read({"environment.yml": text, "libs/helper/x": "", "limits.txt": "six<2\n"})
    (step,) = found.before
    assert step.commands[0].replace(" \\\n       ", "").split("uv pip install ")[1] == (
        "--pre --refresh git+https://github.com/pallets/click@8.1.7 "
        "https://files.example/six-1.17.0-py2.py3-none-any.whl ./libs/helper "
        "--extra-index-url https://download.pytorch.org/whl/cu124 "
        "'git+https://example.com/x#egg=y' -c limits.txt \"six ; python_version < '4'\""
    )
    assert (found.files, found.folders) == (("limits.txt",), ("libs/helper",))


def test_the_directory_itself_with_an_extra(read):
    text = "dependencies: [{pip: ['-e .[train]']}]\n"
    setup = "from setuptools import setup\nsetup(extras_require={'train': ['numpy']})\n"
    found = read({"environment.yml": text, "setup.py": setup})
    assert found.extras == ("train",)
    assert found.after[0].commands[0].endswith("-e '.[train]'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", r"environment.yml:\d+:\d+: invalid YAML"),
        ("a: \x01", r"environment.yml:1:4: the character U\+0001 is not allowed"),
        ("dependencies: x", "environment.yml:1:15: 'dependencies' must be a list"),
        ("dependencies: [[a], '']", ":1:16: expected a package"),
        ("dependencies:\n- pip\n- \n", ":3:2: conda package '' cannot be installed"),
        ("dependencies: [cuda]", "conda package 'cuda' .*to skip the file, pass --ignore env"),
        ("dependencies: [{conda: [a]}]", ":1:24: 'conda' is invalid; only"),
        ("dependencies: [{pip: [-r ../x]}]", ":1:1: ../x is outside"),
        ("dependencies: [{pip: ['']}]", ":1:23: expected a requirement"),
        ('dependencies: [{pip: ["--no-binary \'x"]}]', "--no-binary 'x: invalid quotes"),
    ],
)
def test_what_of_an_environment_cannot_be_installed(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read({"environment.yml": text})


PIXI = """
[dependencies]
python = "3.11.*"
gdal = ">=3.9"
[pypi-dependencies]
me = {path = ".", editable = true}
requests = "*"
[target.linux-64.dependencies]
cuda = "*"
[feature.docs.dependencies]
sphinx = "*"
"""


def test_pixis_packages_are_refused_with_a_way_out(read):
    with pytest.raises(ConfigError) as caught:
        read({"pixi.toml": PIXI})
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "7", "9"]
    assert all("apt.txt" in line and "--ignore pixi.toml" in line for line in lines)
    found = read({"pixi.lock": ""}, ignored=("pixi.toml",))
    assert found.notes[0].startswith("pixi.lock: left aside")


def test_pixi_in_pyproject_may_be_skipped_alone(read):
    text = "[project]\nname='x'\ndependencies=['rich']\n[tool.pixi.dependencies]\ngdal = '*'\n"
    with pytest.raises(
        ConfigError, match=r"pyproject.toml:5:1: conda package 'gdal' .*--ignore tool.pixi"
    ):
        read({"pyproject.toml": text})
    found = read({}, ignored=("tool.pixi",))
    assert found.names == ("rich",)
    assert found.notes[-1] == "tool.pixi: ignored"


def test_only_features_of_pixi(read):
    found = read({"pixi.toml": "[dependencies]\npython = '*'\n[feature.a]\n[feature.b]\n"})
    assert "pixi.toml: pixi's features are left aside: a, b" in found.notes
    assert found.pythons == ()


@pytest.mark.parametrize("name", ["conda-lock.yml", "x.conda-lock.yml", "conda-linux-64.lock"])
def test_conda_locks_are_refused(read, name):
    with pytest.raises(ConfigError, match=f"{name}:1:1: conda's packages cannot .*--ignore {name}"):
        read({name: ""})
