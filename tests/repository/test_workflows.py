"""The workflows: well-formed, pinned, and running what exists."""

import contextlib
import pathlib
import re
import stat
import subprocess
import sys
import tomllib

import click
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema import ValidationError
from jsonschema.validators import validator_for

import imagekit
from imagekit.cli.app import cli
from tests.conftest import FAMILY, ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


def scripts(path):
    return [step["run"] for job in jobs(path).values() for step in job["steps"] if "run" in step]


def test_there_are_four():
    assert [path.stem for path in WORKFLOWS] == ["check", "generate", "release", "weekly"]


@pytest.fixture(scope="module")
def schema():
    """The schema of `check-jsonschema --builtin-schema vendor.github-workflows`."""
    found = get_builtin_schema("vendor.github-workflows")
    return validator_for(found)(found)


@each
def test_follows_the_schema_of_workflows(path, schema):
    # As YAML 1.2, in which "on" is a key like any other.
    document = yaml.safe_load(path.read_text())
    document["on"] = document.pop(True)
    schema.validate(document)


def test_the_schema_sees_a_mistake(schema):
    with pytest.raises(ValidationError):
        schema.validate({"on": "push", "jobs": {"a": {"runs-on": "x", "steps": [{"rum": "y"}]}}})


@each
def test_actions_are_pinned_by_commit(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


@each
def test_rights_are_few_and_time_is_limited(path):
    document = yaml.safe_load(path.read_text())
    assert document["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 90 for job in document["jobs"].values())


RIGHTS = {
    "check": {},
    "generate": {"contents": "write", "actions": "write"},
    "release": {"id-token": "write"},
    "weekly": {"contents": "write", "pull-requests": "write", "actions": "write"},
}


@each
def test_only_the_jobs_that_push_may_write(path):
    *others, job = jobs(path).values()
    assert job.get("permissions", {}) == RIGHTS[path.stem]
    assert not any("permissions" in other for other in others)
    # What may write runs nothing of the checkout.
    if RIGHTS[path.stem]:
        run = "\n".join(step.get("run", "") for step in job["steps"])
        assert not re.search(r"\bmake\b|\.venv|imagekit |pip |python", run)


@each
def test_what_runs_code_keeps_no_token(path):
    for job in jobs(path).values():
        for step in job["steps"]:
            if "checkout@" in step.get("uses", "") and "permissions" not in job:
                assert step["with"]["persist-credentials"] is False


@each
def test_what_a_workflow_pushes_it_has_checked(path):
    text = "\n".join(scripts(path))
    # With a workflow's own token, nothing else would start the check.
    started = re.findall(r"git push .*\n(?: *#.*\n)* *gh workflow run (\S+) --ref ", text)
    assert len(started) == text.count("git push")
    for name in started:
        document = yaml.safe_load((path.parent / name).read_text())
        # YAML 1.1 takes the key "on" for a truth value.
        assert "workflow_dispatch" in document[True]


@each
def test_whoever_asks_github_has_a_token(path):
    for job in jobs(path).values():
        for step in job["steps"]:
            if re.search(r"^\s*gh ", step.get("run", ""), re.MULTILINE):
                assert "GH_TOKEN" in step["env"]


@each
def test_nothing_from_outside_is_pasted_into_a_script(path):
    assert [script for script in scripts(path) if "${{" in script] == []


def test_ci_is_what_the_workflow_runs_on_every_python():
    (job,) = jobs(ROOT / ".github/workflows/check.yml").values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert any(" .ci/run" in step.get("run", "") for step in job["steps"])
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [line.rpartition(" ")[2] for line in settings["classifiers"] if ":: 3." in line]
    assert named == job["strategy"]["matrix"]["python"]


@each
def test_what_is_run_exists(path):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(scripts(path))
    for line in re.findall(r"^\s*make (.*)$", text, re.MULTILINE):
        assert {word for word in line.split() if "=" not in word} <= targets
    for line in re.findall(r"imagekit (.*?)(?: \\\n|>|$)", text, re.MULTILINE):
        command, *options = line.split()
        parameters = cli.get_command(click.Context(cli), command).params
        known = {name for parameter in parameters for name in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= known


@pytest.mark.edge
@each
def test_scripts_are_well_formed(path):
    for script in scripts(path):
        done = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
        assert done.returncode == 0, script


@pytest.fixture
def checkout(tmp_path):
    """A clone with a remote to push to, and programs that stand in for the slow and the far."""

    def git(*args, cwd=tmp_path / "work"):
        return subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@example.com", *args],
            cwd=cwd,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    git("init", "-q", "--bare", "remote", cwd=tmp_path)
    git("clone", "-q", "remote", "work", cwd=tmp_path)
    work = tmp_path / "work"
    (work / "cloudbuild.json").write_text((FAMILY / "cloudbuild.json").read_text())
    (work / "README.md").write_text("# Images\n")
    git("add", "-A")
    git("commit", "-qm", "m")
    (work / ".venv").symlink_to(pathlib.Path(sys.executable).parent.parent)
    (work / ".git/info/exclude").write_text(".venv\n")
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    told = f'echo "$@" >> {tmp_path}/asked'
    gh.write_text(f'#!/bin/sh\n{told}\nif [ "$2" = list ]; then cat {tmp_path}/open; fi\n')
    gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "open").write_text("")
    return work, git


def run_last_scripts(checkout, name):
    """Run the last script of each job, the second one in a checkout without the changes."""
    work, git = checkout
    (path,) = [path for path in WORKFLOWS if path.stem == name]
    pack, push = scripts(path)[-2:]
    output = work.parent / "output"
    output.write_text("")
    said = run_script(work, pack)
    git("reset", "-q", "--hard")
    return said + run_script(work, push) if "changed=true" in output.read_text() else said


def run_script(work, script):
    folder = work.parent
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=work,
        env={
            "GITHUB_OUTPUT": str(folder / "output"),
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "RUNNER_TEMP": str(folder),
            "BASE": "main",
            "BRANCH": "topic",
            "HOME": str(folder),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.edge
@pytest.mark.parametrize(("already", "verb"), [("", "create"), ("7\n", "edit")])
def test_the_weekly_run_opens_one_pull_request_with_the_diff(already, verb, checkout):
    work, git = checkout
    (work.parent / "open").write_text(already)
    file = work / "cloudbuild.json"
    file.write_text(file.read_text().replace("CUDA=13.0.3", "CUDA=13.0.4"))
    run_last_scripts(checkout, "weekly")
    assert f"pr {verb} " in (work.parent / "asked").read_text()
    body = (work.parent / "result/body.md").read_text()
    assert "`13.0.3` | `13.0.4`" in body
    assert "rebuilt as a consequence" in body
    assert "Regenerate" in git("log", "-1", "--format=%s", "origin/weekly")
    assert "workflow run check.yml --ref weekly\n" in (work.parent / "asked").read_text()


@pytest.mark.edge
@pytest.mark.parametrize(
    ("name", "said"), [("weekly", "nothing changed"), ("generate", "up to date")]
)
def test_without_a_change_nothing_is_pushed(name, said, checkout):
    assert said in run_last_scripts(checkout, name)
    assert not (checkout[0].parent / "asked").exists()


def split(work):
    """Put several build files in the place of the one."""
    text = (FAMILY / "config/images.yaml").read_text()
    (work.parent / "split.yaml").write_text(text + "cloudbuild: {limits: {steps: 30}}\n")
    config = imagekit.load(work.parent / "split.yaml")
    plan = imagekit.plan(config)
    with contextlib.chdir(work):
        imagekit.write(imagekit.files(plan, config), "cloudbuild.json")
    return {path.name for path in work.glob("cloudbuild*.json")}


@pytest.mark.edge
def test_a_pull_request_gets_its_build_files(checkout):
    work, git = checkout
    files = split(work)
    assert len(files) == 3
    (work / "other.txt").touch()
    run_last_scripts(checkout, "generate")
    git("fetch", "-q")
    assert {*git("ls-tree", "--name-only", "origin/topic").split()} == files | {"README.md"}
    assert (work.parent / "asked").read_text() == "workflow run check.yml --ref topic\n"


@pytest.mark.edge
def test_the_weekly_run_adds_every_build_file(checkout):
    work, git = checkout
    files = split(work)
    run_last_scripts(checkout, "weekly")
    assert {*git("ls-tree", "--name-only", "origin/weekly").split()} == files | {"README.md"}
    assert "cloudbuild-manifest.json" in (work.parent / "result/body.md").read_text()
    # And from several to one, with a change.
    (work.parent / "asked").unlink()
    text = (FAMILY / "cloudbuild.json").read_text()
    imagekit.write(text.replace("CUDA=13.0.3", "CUDA=13.0.4"), work / "cloudbuild.json")
    run_last_scripts(checkout, "weekly")
    assert git("ls-tree", "--name-only", "origin/weekly").split() == [
        "README.md",
        "cloudbuild.json",
    ]
    assert "`13.0.3` | `13.0.4`" in (work.parent / "result/body.md").read_text()


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci/run"], ids=lambda path: path.stem)
def test_no_script_asks_git_whether_the_build_file_is_up_to_date(path):
    # It would not see one that is new or gone, nor any but the first of several.
    assert not re.search(r"git diff .*cloudbuild", path.read_text())
