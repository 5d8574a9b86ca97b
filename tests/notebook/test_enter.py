import os
import subprocess

import pytest

from imagekit.notebook import session
from imagekit.support.files import sha256


def test_enter_goes_to_the_root(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "notebooks")
    session.enter()
    assert os.getcwd() == str(tmp_path)  # noqa: PTH109


@pytest.mark.edge
def test_the_commit_says_when_files_differ_from_it(tmp_path):
    def git(*args):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        command = ["git", "-C", tmp_path, *identity, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git.commit(tmp_path) is None
    git("init", "-q")
    assert git.commit(tmp_path) is None
    (tmp_path / "file").write_text("a")
    git("add", ".")
    git("commit", "-qm", "one")
    head = git("rev-parse", "HEAD")
    assert git.commit(tmp_path) == head
    (tmp_path / "file").write_text("b")
    assert git.commit(tmp_path) == f"{head}-dirty"


def test_a_file_that_is_not_there_has_no_hash(tmp_path):
    assert sha256(tmp_path / "absent") is None
