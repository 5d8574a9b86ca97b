"""What all tests stand on: no network and no processes, except where a test is marked `edge`."""

import os
import pathlib
import subprocess

import pytest
import pytest_socket

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _no_outside(request, monkeypatch):
    """Tests marked `edge` use the real thing; for all others the outside does not exist."""
    if request.node.get_closest_marker("edge"):
        yield
        return

    def refuse(*args, **_):
        raise AssertionError(f"a unit test started a process: {args}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    for name in ("system", "fork", "posix_spawn", "posix_spawnp"):
        monkeypatch.setattr(os, name, refuse)
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture
def root():
    """The checkout."""
    return ROOT


@pytest.fixture
def config_file(tmp_path, monkeypatch):
    """Write a config into an empty working directory and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="images.yaml"):
        pathlib.Path(name).write_text(text, encoding="utf-8")
        return name

    return write
