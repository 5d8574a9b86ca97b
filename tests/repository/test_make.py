"""The targets of make that depend on who calls them."""

import os
import subprocess

import pytest


@pytest.mark.edge
@pytest.mark.parametrize(("uid", "allowed"), [("0", True), ("1000", False)])
def test_lab_runs_as_root_where_there_is_no_other_user(uid, allowed, root, tmp_path):
    own = tmp_path / "id"
    own.write_text(f"#!/bin/sh\necho {uid}\n")
    own.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["make", "-n", "lab"],
        cwd=root,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("--allow-root" in done.stdout) == allowed
