"""The files around the code: dependencies and what may stand in them."""

import re
import tomllib

import pytest
import yaml

PINNED = re.compile(r"[a-z0-9-]+==[A-Za-z0-9.!+]+( ; [A-Za-z0-9_ .'()=<>!*]+)?", re.ASCII)


@pytest.fixture
def pyproject(root):
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_constraints_are_names_and_versions_only(root):
    lines = (root / "constraints.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []


def test_every_dependency_is_pinned(root, pyproject):
    project = pyproject["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in wanted} - {"imagekit"}
    pinned = {line.split("==")[0] for line in (root / "constraints.txt").read_text().splitlines()}
    assert names - pinned == set()


@pytest.mark.parametrize("extra", ["pip", "run", "test", "lab", "docs"])
def test_what_make_installs_has_hashes_and_the_same_versions(root, extra):
    text = (root / f"requirements/{extra}.txt").read_text()
    assert "://" not in text
    pins = {line.split(" ;")[0] for line in (root / "constraints.txt").read_text().splitlines()}
    blocks = re.findall(r"^(\S+==\S+)(.*(?:\n    .*)+)", text, re.MULTILINE)
    assert len(blocks) == len(re.findall("^[^ #]", text, re.MULTILINE))
    assert all("--hash=sha256:" in block for _, block in blocks)
    # What only other systems or interpreters need is pinned here alone.
    assert {name for name, block in blocks if ";" not in block} <= pins


def test_the_build_back_end_is_pinned_and_has_hashes(root, pyproject):
    (back_end,) = pyproject["build-system"]["requires"]
    assert f"\n{back_end} \\\n    --hash" in (root / "requirements/run.txt").read_text()


def test_make_installs_only_what_has_hashes(root):
    text = (root / "Makefile").read_text()
    installs = re.findall(r"^\t.*\$\(INSTALL\).*", text, re.MULTILINE)
    assert len(installs) == 3
    # Nothing else installs, with whichever program.
    assert len(re.findall(r"^INSTALL = .* \$\(INSTALLER\) install ", text, re.MULTILINE)) == 1
    assert not re.search(
        r"(pip|INSTALLER\)) install", text.replace("$(INSTALLER) install", "", 1), re.IGNORECASE
    )
    for line in installs:
        assert "--require-hashes --no-deps -r" in line or line.endswith(
            "--no-build-isolation --no-deps -e ."
        )


def test_conda_gets_every_extra_that_pip_gets(root, pyproject):
    environment = yaml.safe_load((root / "environment.yml").read_text())
    conda = [name for name in environment["dependencies"] if isinstance(name, str)]
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    extras = ",".join(pyproject["project"]["optional-dependencies"])
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    (python,) = [name for name in conda if name.startswith("python=")]
    lowest = pyproject["project"]["requires-python"].removeprefix(">=")
    assert _version(python.split("=")[1]) >= _version(lowest)


def _version(text):
    return tuple(map(int, text.split(".")))
