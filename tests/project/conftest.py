import pytest

from imagekit.project import dependencies
from imagekit.project.dependencies import Wanted
from imagekit.project.directory import Directory
from imagekit.support import git


@pytest.fixture
def write(tmp_path):
    """Write files into a code directory; the directory."""

    def make(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return tmp_path

    return make


@pytest.fixture
def read(write):
    """Read the dependencies of a directory with these files."""

    def make(files, **wanted):
        return dependencies.read(write(files), Wanted(**wanted))

    return make


@pytest.fixture
def directory(write):
    """A directory with these files, for the readers of single files."""

    def make(files):
        return Directory(write(files))

    return make


@pytest.fixture(autouse=True)
def no_repository(monkeypatch):
    """No directory is in a git repository."""
    monkeypatch.setattr(git, "output", lambda *_: None)
