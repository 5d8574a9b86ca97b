"""What a side of a diff may be named as."""

import itertools
import json
import shutil
import subprocess
import sys

import msgspec
import pytest

from imagekit.cli import sides
from imagekit.cli.app import main
from imagekit.compare import inventory
from imagekit.compare.changes import ORDER, compare
from imagekit.compare.inventory import Known
from imagekit.errors import ConfigError, UsageError
from imagekit.runs.store import Store
from tests.support.test_checkout import commit, git

pytestmark = pytest.mark.edge

CONFIG = """\
base_url: h/r
python_versions: {py312: {PYTHON_VERSION: 3.12}}
images: [{python: py312}]
"""


@pytest.fixture
def project(tmp_path, monkeypatch, family):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "images.yaml").write_text(CONFIG)
    shutil.copytree(family / "dockerfiles", "dockerfiles")
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("cache\n")
    commit(tmp_path)
    return tmp_path


def side(name):
    return sides.read(name, Store("runs"), Known())


def read(name):
    """All that is known of the images of a side."""
    found = side(name)
    return msgspec.structs.replace(found.with_files(), order=found.with_order().order)


def test_a_config_and_what_was_generated_from_it_are_the_same(project, capsys):
    with pytest.raises(SystemExit):
        main(["generate", "--config", "images.yaml"])
    with pytest.raises(SystemExit):
        main(["matrix", "--config", "images.yaml", "--json"])
    printed = capsys.readouterr().out
    (project / "plan.json").write_text(printed[printed.index("{") :])
    config, document, plan = map(read, ("images.yaml", "cloudbuild.json", "plan.json"))
    assert config == document
    assert config.files.keys() == {"dockerfiles/Dockerfile"}
    assert plan.images["cpu-py312"].build_args == config.images["cpu-py312"].build_args


def test_a_revision_has_its_own_dockerfiles(project):
    (project / "dockerfiles/Dockerfile").write_text("FROM other\n")
    (project / "images.yaml").write_text(CONFIG.replace("3.12}", "3.13}"))
    before, after = read("HEAD:images.yaml"), read(sides.other_side("HEAD:images.yaml"))
    changes = compare(before, after)
    assert [str(difference) for difference in changes.changed["cpu-py312"]] == [
        "PYTHON_VERSION 3.12 → 3.13",
        "dockerfiles/Dockerfile changed",
    ]


def test_the_output_of_matrix_is_compared_with_its_files(project, capsys):
    with pytest.raises(SystemExit):
        main(["matrix", "--config", "images.yaml", "--json"])
    (project / "plan.json").write_text(capsys.readouterr().out)
    (project / "dockerfiles/Dockerfile").write_text("FROM other\n")
    changed = side("HEAD:images.yaml").changes_to(side("plan.json")).changed
    assert [*map(str, changed["cpu-py312"])] == ["dockerfiles/Dockerfile changed"]


def test_what_is_staged_has_the_files_that_are_staged(project):
    (project / "dockerfiles/Dockerfile").write_text("FROM staged\n")
    git(project, "add", "-A")
    (project / "dockerfiles/Dockerfile").write_text("FROM other\n")
    names = ("HEAD:images.yaml", ":images.yaml", "images.yaml")
    sides_of = {name: side(name) for name in names}
    told = {
        (one, other): sides_of[one].changes_to(sides_of[other]).summary()
        for one, other in itertools.pairwise((*names, names[0]))
    }
    assert {*told.values()} == {"1 changed"}
    assert not side(":images.yaml").changes_to(side(":images.yaml"))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("HEAD:one.json", "HEAD:other.json", ["Dockerfile D → E", "D removed", "E added"]),
        ("one.json", "other.json", ["Dockerfile D → E", "E added"]),
        ("HEAD:one.json", "other.json", ["Dockerfile D → E", "D removed", "E added"]),
        ("HEAD:one.json", "one.json", ["D removed"]),
        ("HEAD:one.json", "HEAD:one.json", []),
        ("one.json", "one.json", []),
    ],
)
def test_files_are_compared_where_they_can_differ(project, before, after, told):
    for name, dockerfile in (("one", "D"), ("other", "E")):
        steps = [
            {"name": "gcr.io/cloud-builders/docker", "args": ["build", "-t", tag, "-f", file, "."]}
            for tag, file in (("r:a", dockerfile), ("r:b", "dockerfiles/Dockerfile"))
        ]
        (project / f"{name}.json").write_text(json.dumps({"steps": steps}))
        (project / dockerfile).write_text("FROM ubuntu\n")
    commit(project)
    (project / "D").unlink()
    known, store = Known(), Store("runs")
    old, new = (sides.read(name, store, known) for name in (before, after))
    changed = old.changes_to(new).changed
    assert [str(one) for differences in changed.values() for one in differences] == told


def test_a_config_with_problems_gets_all_of_them(project):
    (project / "images.yaml").write_text(CONFIG.replace("python: py312", "python: py31"))
    commit(project)
    with pytest.raises(ConfigError, match=r"^HEAD:images\.yaml:3:19: python 'py31' is not in"):
        read("HEAD:images.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing.yaml", r"^nothing\.yaml: no such file, and no run is called"),
        ("HEAD:nothing.yaml", r"no such file in that git revision, and no run is called"),
        ("latest", r"latest: .* has 0 runs"),
        ("HEAD", r"^HEAD is a git revision; name a file in it, as HEAD:config/images\.yaml"),
        ("HEAD:", r"^HEAD: is a git revision; name a file in it, as HEAD:config/images\.yaml"),
        ("--help", r"^--help: no such file, and no run is called"),
    ],
)
def test_a_name_that_stands_for_nothing(name, message, project):
    with pytest.raises(UsageError, match=message):
        read(name)


def test_a_plan_that_is_none(project):
    (project / "plan.json").write_text(json.dumps({"rows": [{"status": "built"}]}))
    with pytest.raises(UsageError, match="not the output of imagekit matrix --json"):
        read("plan.json")


@pytest.mark.parametrize("name", ["images.yaml", "HEAD:", "HEAD:gone.yaml"])
def test_only_a_revision_s_file_has_an_other_side(name, project):
    with pytest.raises(UsageError, match="give a second argument"):
        sides.other_side(name)


def test_a_run_by_its_file(project, family):
    example = sorted((family / "notebooks/example-runs").glob("*-generate-*.json"))[0]
    shutil.copytree(example.parent, "runs")
    by_file = read(f"runs/{example.name}")
    assert by_file == read(example.stem) == read(example.stem[:20])
    assert len(by_file.images) == 4


def test_a_run_that_generated_nothing(project, family):
    shutil.copytree(family / "notebooks/example-runs", "runs")
    failed = next(p for p in (project / "runs").iterdir() if '"outcome": "failed"' in p.read_text())
    with pytest.raises(UsageError, match=r"its files record no images \(failed\)"):
        read(failed.stem)


@pytest.mark.parametrize(
    "text", [b'steps: [{args: ["caf\xe9"]}]', b'{"steps": [{"args": ["caf\xe9"]}]}']
)
def test_a_byte_that_is_no_text_is_told_and_not_replaced(project, text):
    (project / "build").write_bytes(text)
    with pytest.raises(ConfigError, match="invalid UTF-8 byte 0xe9") as refused:
        read("build")
    assert refused.value.problems[0].place.column == text.index(b"\xe9") + 1


# ---- several build files

SPLIT = CONFIG.replace("[{python: py312}]", "[{python: [py312, py313]}]").replace(
    "{py312:", "{py313: {PYTHON_VERSION: 3.13}, py312:"
)


@pytest.mark.parametrize("before", ["images.yaml", "before.json"])
def test_steps_in_another_order_are_a_change(project, capsys, before):
    with pytest.raises(SystemExit):
        main(["generate", "--config", "images.yaml", "--output", "before.json"])
    build = json.loads((project / "before.json").read_text())
    build["steps"].reverse()
    (project / "after.json").write_text(json.dumps(build))
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["diff", before, "after.json", "--exit-code"])
    assert ended.value.code == 1
    assert ORDER in capsys.readouterr().out
    # A recorded run has no build file.
    run = sides.Side("run", inventory.read((project / "before.json").read_text()))
    after = side("after.json")
    assert run.changes_to(after).summary() == ORDER


@pytest.mark.parametrize(
    "text",
    [
        "steps:\n- {name: gcr.io/cloud-builders/docker, args: [build, -t, 'r:a', .]}\n",
        '{"steps": {"name": "gcr.io/cloud-builders/docker", "args": ["build", "-t", "r:a", "."]}}',
    ],
)
def test_a_build_file_that_somebody_has_written(project, text):
    (project / "cloudbuild.yaml").write_text(text)
    assert [*read("cloudbuild.yaml").images] == ["r:a"]


def test_the_files_of_a_manifest_are_found_from_anywhere(project, monkeypatch):
    (project / "images.yaml").write_text(SPLIT + "cloudbuild: {limits: {steps: 2}}\n")
    with pytest.raises(SystemExit):
        main(["generate", "--config", "images.yaml"])
    commit(project)
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    names = ("../cloudbuild-manifest.json", str(project / "cloudbuild-manifest.json"))
    revisions = (f"HEAD:{path}cloudbuild.json" for path in ("", "../"))
    for name in (*names, *revisions):
        assert [*read(name).images] == ["cpu-py312", "cpu-py313"]


def test_a_manifest_stands_for_all_of_its_files(project):
    text = SPLIT + "cloudbuild: {limits: {steps: 2}}\n"
    (project / "images.yaml").write_text(text)
    with pytest.raises(SystemExit):
        main(["generate", "--config", "images.yaml"])
    assert (project / "cloudbuild-02.json").exists()
    found = read("cloudbuild-manifest.json")
    assert found == read("images.yaml")
    assert list(found.images) == ["cpu-py312", "cpu-py313"]
    commit(project)
    assert read("HEAD:cloudbuild-manifest.json").images == found.images
    # Whoever does not know whether it was split asks for the single file.
    assert read("HEAD:cloudbuild.json").images == found.images
    assert side("HEAD:cloudbuild.json").name == "HEAD:cloudbuild-manifest.json"
    (project / "cloudbuild-02.json").unlink()
    with pytest.raises(UsageError, match=r"cloudbuild-02.json is missing"):
        read("cloudbuild-manifest.json")
    (project / "images.yaml").write_text(CONFIG)
    with pytest.raises(SystemExit):
        main(["generate", "--config", "images.yaml"])
    commit(project)
    assert read("HEAD:cloudbuild-manifest.json") == read("images.yaml")


def test_a_revision_that_git_does_not_know(project):
    with pytest.raises(UsageError, match="unknown git revision 'v9'; see git log"):
        read("v9:images.yaml")


def test_a_folder_is_no_side(project):
    with pytest.raises(UsageError, match="is a folder; name a file in it"):
        read("dockerfiles")


def test_a_pipe_is_as_good_as_a_file(project):
    config = (project / "images.yaml").read_text()
    command = [sys.executable, "-m", "imagekit", "diff", "/dev/stdin", "images.yaml", "--exit-code"]
    done = subprocess.run(command, input=config, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("no change")


def test_a_revision_without_git_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="program 'git' not found; install git"):
        sides.read("HEAD:config/images.yaml", Store("runs"), Known())
