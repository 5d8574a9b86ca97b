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
