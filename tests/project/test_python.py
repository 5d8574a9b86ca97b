import pytest

from imagekit.errors import ConfigError

PACKAGE = "[project]\nname = 'x'\nrequires-python = '{}'\n"
POETRY = "[tool.poetry.dependencies]\npython = '{}'\n"


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        ({".python-version": "3.12.4\n"}, "==3.12.*"),
        ({".python-version": "# for pyenv\n3.12\n3.11\n"}, "==3.12.*"),
        ({".python-version": "cpython-3.12\n"}, "==3.12.*"),
        ({".python-version": ">=3.11\n"}, ">=3.11"),
        ({"runtime.txt": "python-3.11.9\n"}, "==3.11.*"),
        ({".tool-versions": "nodejs 20\npython 3.13.1\n"}, "==3.13.*"),
        ({"pyproject.toml": PACKAGE.format(">=3.11")}, ">=3.11"),
        ({"pyproject.toml": POETRY.format("^3.11")}, "^3.11"),
        ({"setup.cfg": "[options]\npython_requires = >=3.11\n"}, ">=3.11"),
        ({"setup.py": "import setuptools\nsetuptools.setup(python_requires='>=3.9')"}, ">=3.9"),
        ({"Pipfile": "[packages]\n[requires]\npython_version = '3.12'\n"}, "==3.12.*"),
        ({"Pipfile": "[requires]\npython_full_version = '3.12.1'\n"}, "==3.12.*"),
        ({"pylock.toml": "requires-python = '>=3.12'\n"}, ">=3.12"),
        ({"cog.yaml": "build: {python_version: '3.11'}\n"}, "==3.11.*"),
        ({"cog.yaml": "build: {python_version: 3.11}\n"}, "==3.11.*"),
        ({"binder/runtime.txt": "python-3.10\n"}, "==3.10.*"),
        ({"environment.yml": "dependencies: ['python=3.11']\n"}, "==3.11.*"),
        ({"environment.yml": "dependencies: ['conda-forge::python =3.12']\n"}, "==3.12.*"),
        ({"environment.yml": "dependencies: ['python>=3.10,<3.13']\n"}, ">=3.10,<3.13"),
    ],
)
def test_the_version_that_a_file_asks_for(read, files, asked):
    (request,) = read(files).pythons
    assert (request.file, request.text) == (*files, asked)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("poetry.lock", '[metadata]\npython-versions = "~3.11"\n'),
        ("pdm.lock", '[[metadata.targets]]\nrequires_python = "==3.11.*"\n'),
        ("uv.lock", 'requires-python = "==3.11.*"\n'),
    ],
)
def test_a_lock_file_was_made_for_some_versions(read, name, text):
    found = read({name: text, "pyproject.toml": PACKAGE.format(">=3.10")})
    assert [request.allows("3.11.4") for request in found.pythons] == [True, True]
    assert [request.allows("3.12.0") for request in found.pythons] == [True, False]


def test_a_lock_for_several_targets_does_not_choose_one(read):
    target = '[[metadata.targets]]\nrequires_python = "=={}.*"\n'
    lock = target.format("3.11") + target.format("3.12")
    assert read({"pdm.lock": lock, "pyproject.toml": "[project]\nname='x'\n"}).pythons == ()


def test_poetrys_constraints(read):
    (request,) = read({"pyproject.toml": POETRY.format("^3.8 || ~3.6")}).pythons
    allowed = [request.allows(version) for version in ("3.6.1", "3.7.0", "3.13.0", "4.0.0")]
    assert allowed == [True, False, True, False]


def test_without_any_request_any_version_will_do(read):
    assert read({"requirements.txt": "six\n", ".python-version": "# none\n"}).pythons == ()
    assert read({"pyproject.toml": POETRY.format("*")}).pythons == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {".python-version": "3.12\n", "pyproject.toml": PACKAGE.format(">=3.13")},
            r"pyproject.toml \(>=3.13\) and .python-version \(==3.12.\*\) ask for different",
        ),
        (
            {"runtime.txt": "python-3.11.2", ".tool-versions": "python 3.12.0"},
            r"runtime.txt \(==3.11.\*\) and .tool-versions \(==3.12.\*\) ask for",
        ),
        ({".python-version": "pypy3.10\n"}, r":1:1: 'pypy3.10' is not a version of CPython"),
        ({"runtime.txt": "r-4.1\n"}, "'r-4.1' is not a version of CPython .* --ignore runtime"),
        ({"pyproject.toml": PACKAGE.format("x")}, r"pyproject.toml:3:1: .*like '>=3.11'"),
        ({"pyproject.toml": POETRY.format("x y")}, r"pyproject.toml:2:1: .*like '>=3.11'"),
        ({"environment.yml": "dependencies: [python x]\n"}, "environment.yml:1:1: .*'x'"),
    ],
)
def test_files_that_disagree_and_versions_that_are_none(read, files, message):
    with pytest.raises(ConfigError, match=message):
        read(files)


def test_three_that_agree_in_pairs_only(read):
    files = {
        "pyproject.toml": PACKAGE.format("!=3.12.*,>=3.11"),
        "environment.yml": "dependencies: ['python>=3.12,<3.14']\n",
        "setup.py": "from setuptools import setup\nsetup(python_requires='<3.13')",
    }
    # The package's own requires-python is the one in pyproject.toml.
    assert len(read(files).pythons) == 2
    files["Pipfile"] = "[requires]\npython_version = '3.12'\n"
    with pytest.raises(ConfigError, match=r"pyproject.toml .* and Pipfile .* ask for different"):
        read(files)


def test_a_file_that_is_ignored_does_not_count(read):
    files = {".python-version": "3.12\n", "runtime.txt": "python-3.11"}
    found = read(files, ignored=("runtime.txt",))
    assert [request.file for request in found.pythons] == [".python-version"]
    assert found.notes == ("runtime.txt: ignored", "no dependencies are declared")
