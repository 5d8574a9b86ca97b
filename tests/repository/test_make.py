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


@pytest.mark.edge
@pytest.mark.parametrize(("keeps_none", "option"), [("1", "--compile"), ("", "--no-compile")])
def test_bytecode_is_compiled_in_advance_only_where_none_is_kept(keeps_none, option, root):
    done = subprocess.run(
        ["make", "-n", "-B", ".venv/run"],
        cwd=root,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": keeps_none},
        capture_output=True,
        text=True,
        check=True,
    )
    installs = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert len(installs) == 3
    assert all(option in line.split() for line in installs)
