import subprocess

import pytest

from imagekit.cli import build

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
