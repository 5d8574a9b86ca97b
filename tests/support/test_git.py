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


@pytest.mark.edge
def test_a_checkout_of_somebody_else_runs_no_program_of_its_configuration(tmp_path):
    def run(*args):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        subprocess.run(["git", "-C", tmp_path, *identity, *args], check=True, capture_output=True)

    run("init", "-q")
    (tmp_path / "file").write_text("a")
    run("add", ".")
    run("commit", "-qm", "one")
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    spy.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "pre-commit"):
        (hooks / name).symlink_to(spy)
    run("config", "core.fsmonitor", str(spy))
    run("config", "core.hooksPath", str(hooks))
    (tmp_path / "file").touch()
    assert git.commit(tmp_path)
    assert git.blob(tmp_path, "HEAD:file") == b"a"
    assert not (tmp_path / "ran").exists()
    run("status")
    assert (tmp_path / "ran").exists(), "the programs would have run"


@pytest.mark.parametrize("name", ["--help", "-x:file", "HEAD:a\0b"])
def test_a_revision_is_no_option(tmp_path, name):
    assert git.blob(tmp_path, name) is None
