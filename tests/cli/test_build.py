import subprocess

import pytest

from imagekit.cli import build
from imagekit.cli.app import main
from imagekit.cli.options import known_substitutions
from imagekit.errors import UsageError

pytestmark = pytest.mark.edge


def test_labels_tell_origin_commit_and_time(tmp_path, monkeypatch):
    def git(*args):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        asked = ["git", "-C", str(tmp_path), *identity, *args]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert build.labels(tmp_path) == {}
    git("init", "-q")
    git("commit", "-qm", "one", "--allow-empty")
    git("remote", "add", "origin", "https://user:secret@example.com/a/b.git")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert build.labels(tmp_path) == {
        "org.opencontainers.image.source": "https://example.com/a/b.git",
        "org.opencontainers.image.revision": git("rev-parse", "HEAD"),
        "org.opencontainers.image.created": "2023-11-14T22:13:20+00:00",
    }


@pytest.mark.parametrize("epoch", ["abc", "9" * 40, "1.5"])
def test_a_time_that_is_none_is_said(tmp_path, monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH is"):
        build.labels(tmp_path)


def test_a_substitution_without_a_value_is_said(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["build", "--substitution", "_TAG"])
    assert stop.value.code == 2
    assert "--substitution _TAG: write NAME=VALUE" in capsys.readouterr().err


def test_git_and_gcloud_know_what_a_trigger_would(tmp_path, monkeypatch):
    def git(*args):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        asked = ["git", "-C", str(tmp_path), *identity, *args]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    for name in ("CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    assert known_substitutions(tmp_path, ()).keys() == {
        *("COMMIT_SHA", "REVISION_ID", "SHORT_SHA", "_DATE"),
    }
    git("init", "-q", "-b", "topic")
    git("commit", "-qm", "one", "--allow-empty")
    git("remote", "add", "origin", "git@example.com:acme/code.git")
    git("tag", "v1")
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "p")
    known = known_substitutions(tmp_path, ())
    assert known["COMMIT_SHA"].startswith(known["SHORT_SHA"])
    names = ("BRANCH_NAME", "TAG_NAME", "REF_NAME", "REPO_NAME", "REPO_FULL_NAME", "PROJECT_ID")
    found = [known[name] for name in names]
    assert found == ["topic", "v1", "topic", "code", "acme/code", "p"]
    git("checkout", "-q", "--detach")
    assert "BRANCH_NAME" not in known_substitutions(tmp_path, ())


FOREIGN = """\
steps:
- name: python:3.12
  id: test
  args: [python, -m, pytest]
  secretEnv: [TOKEN]
- name: gcr.io/cloud-builders/docker
  args: [build, -t, h.example/a/web, .]
images: [h.example/a/web]
artifacts: {objects: {location: gs://acme, paths: [a]}}
substitutions: {_UNUSED: x}
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A folder with somebody's build file, and a client of docker that only notes what it does."""
    client = tmp_path / "docker"
    client.write_text(
        '#!/bin/sh\ncase "$*" in version*) echo 28 28 ;; buildx*|context*|image*) ;; *) '
        f'echo "$@" >> {tmp_path}/asked; echo 1 ;; esac\n'
    )
    client.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/b.yaml").write_text(FOREIGN)
    monkeypatch.chdir(tmp_path / "work")

    def call(*options):
        with pytest.raises(SystemExit) as stop:
            main(["build", "-f", "b.yaml", "--docker", str(client), *options])
        return stop.value.code

    return call


def test_a_dry_run_says_what_would_run_where_and_what_cannot(foreign, tmp_path, capsys):
    assert foreign("--dry-run") == 5
    told = capsys.readouterr()
    assert told.out == (
        "run         test\n"
        "              in a container of python:3.12, in /workspace: python -m pytest\n"
        "build       step 2\n"
        "              on this machine: docker build -t h.example/a/web .\n"
        "not pushed  h.example/a/web-push\n"
        "              on this machine: docker push h.example/a/web\n"
        "1 to run, 1 to build, 1 not pushed\n"
    )
    places = [line.partition(" step")[0] for line in told.err.splitlines() if " step " in line]
    assert places == ["b.yaml:2:3:", "b.yaml:5:14:"]
    assert not (tmp_path / "asked").exists()
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["b.yaml"]


def test_nothing_starts_before_everything_is_permitted(foreign, tmp_path, capsys, monkeypatch):
    assert foreign() == 5
    first = capsys.readouterr()
    assert foreign("--secret-env", "TOKEN") == 2
    assert "--secret-env TOKEN: no such environment variable" in capsys.readouterr().err
    monkeypatch.setenv("TOKEN", "hidden")
    assert foreign("--secret-env", "TOKEN") == 5
    assert (first.err.count("b.yaml:"), first.out) == (2, "")
    assert not (tmp_path / "asked").exists()
    assert foreign("--secret-env", "TOKEN", "--allow-network") == 0
    told = capsys.readouterr()
    assert told.out.startswith(
        "runs with: docker of this machine, 1 step in containers of their builder images\n"
    )
    assert "artifacts.objects is not uploaded by a local build" in told.err
    assert "substitution _UNUSED: nothing in the file uses it" in told.err
    asked = (tmp_path / "asked").read_text()
    assert "--env TOKEN python:3.12 python -m pytest" in asked
    assert "hidden" not in asked
    assert "push" not in asked


@pytest.mark.parametrize("command", [["generate"], ["dockerfile", "."], ["trigger"]])
def test_a_folder_that_does_not_exist_is_said_before_the_work(
    tmp_path, monkeypatch, command, capsys
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([*command, "--output", "no/such/file"])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told == "no/such/file: the folder no/such does not exist; create it first\n"
    assert list(tmp_path.iterdir()) == []
