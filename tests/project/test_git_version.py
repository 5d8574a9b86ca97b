import pytest

from imagekit.errors import ConfigError
from imagekit.project import git_version
from imagekit.support import git

BUILT = "[project]\nname = 'My.Pkg'\ndynamic = ['version']\n[build-system]\nrequires = ['{}']\n"


@pytest.mark.parametrize(
    ("requires", "variable"),
    [
        ("setuptools_scm[toml]>=8", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_PKG"),
        ("setuptools-scm", "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_MY_PKG"),
        ("hatch-vcs", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("pbr>=5", "PBR_VERSION"),
        ("poetry-dynamic-versioning>=1,<2", "POETRY_DYNAMIC_VERSIONING_BYPASS"),
        ("uv-dynamic-versioning", "UV_DYNAMIC_VERSIONING_BYPASS"),
    ],
)
def test_a_build_is_told_the_version(read, requires, variable):
    found = read({"pyproject.toml": BUILT.format(requires)})
    assert found.after[-1].commands[0] == f"export {variable}=0.1.dev0"
    assert "version: 0.1.dev0, from git" in found.notes


def test_pdms_own_backend(read):
    text = BUILT.format("pdm-backend") + "[tool.pdm.version]\nsource = 'scm'\n"
    commands = read({"pyproject.toml": text}).after[-1].commands
    assert commands[0] == "export PDM_BUILD_SCM_VERSION=0.1.dev0"


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("setup(use_scm_version=True)", "SETUPTOOLS_SCM_PRETEND_VERSION"),
        ("setup(setup_requires=['pbr'], pbr=True)", "PBR_VERSION"),
    ],
)
def test_a_setup_py_says_it_in_other_words(read, text, variable):
    found = read({"setup.py": f"from setuptools import setup\n{text}\n"})
    assert found.after[-1].commands[0] == f"export {variable}=0.1.dev0"
    # The dependencies do not change with the version, so their layer stays.
    assert found.before[0].commands[0] == f"export {variable}=0"


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"setup.cfg": "[versioneer]\nparentdir_prefix = pk-\n"}, "/mnt/pk-0.1.dev0"),
        ({"setup.cfg": "[versioneer]\nVCS = git\n"}, "/mnt/0.1.dev0"),
        ({}, "/mnt/0.1.dev0"),
    ],
)
def test_versioneer_reads_the_name_of_the_folder(read, files, source):
    (step,) = read({"pyproject.toml": BUILT.format("versioneer"), **files}).after
    assert step.source == source
    assert source in step.commands[-1]


def test_versioneers_settings_in_pyproject(read):
    text = BUILT.format("versioneer") + "[tool.versioneer]\nparentdir_prefix = 'x-'\n"
    assert read({"pyproject.toml": text}).after[0].source == "/mnt/x-0.1.dev0"


def test_what_cannot_be_told_is_refused_with_a_way_out(read):
    text = BUILT.format("versioningit")
    with pytest.raises(
        ConfigError, match=r"versioningit reads the version from .git, .*default-ver"
    ):
        read({"pyproject.toml": text})
    read({"pyproject.toml": text + "[tool.versioningit]\ndefault-version = '1'\n"})


def test_a_package_with_a_version_of_its_own_is_told_nothing(read):
    for text in (BUILT.format("hatchling"), "[project]\nname = 'x'\n", ""):
        found = read({"pyproject.toml": text})
        assert not any("from git" in note for note in found.notes)


@pytest.mark.parametrize(
    ("described", "version"),
    [
        ("v1.2.3-0-gabcdef0", "1.2.3"),
        ("1.2-0-gabcdef0", "1.2"),
        ("release-2.0rc1-0-gabcdef0", "2.0rc1"),
        ("v1.2.3-4-gabcdef0", "1.2.4.dev4+gabcdef0"),
        ("v2.0rc1-1-gabcdef0", "2.1.dev1+gabcdef0"),
        ("nothing", "0.1.dev7"),
        (None, "0.1.dev7"),
    ],
)
def test_the_version_of_a_commit(directory, monkeypatch, described, version):
    answers = {"describe": described, "rev-list": "7"}
    monkeypatch.setattr(git, "output", lambda _, command, *args: answers[command])
    assert git_version.version(directory({})) == version
