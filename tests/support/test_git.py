import subprocess

import pytest

from imagekit.support import git


@pytest.mark.edge
def test_the_commit_says_when_files_differ_from_it(tmp_path):
    def run(*args):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        command = ["git", "-C", tmp_path, *identity, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git.commit(tmp_path) is None
    run("init", "-q")
    assert git.commit(tmp_path) is None
    (tmp_path / "file").write_text("a")
    run("add", ".")
    run("commit", "-qm", "one")
    head = run("rev-parse", "HEAD")
    assert git.commit(tmp_path) == head
    (tmp_path / "file").write_text("b")
    assert git.commit(tmp_path) == f"{head}-dirty"
