import pytest

from imagekit.support.workspace import root, runs


@pytest.mark.parametrize(
    "marker", ["pyproject.toml", ".git", ".imagekit.json", "config/images.yaml"]
)
def test_the_root_is_the_nearest_folder_with_a_marker(tmp_path, marker):
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    (tmp_path / marker).parent.mkdir(exist_ok=True)
    (tmp_path / marker).touch()
    assert root(below) == tmp_path


def test_without_a_marker_the_folder_itself_is_the_root(tmp_path):
    assert root(tmp_path) == tmp_path


def test_the_runs_of_a_project_inside_a_larger_repository(tmp_path, monkeypatch):
    project = tmp_path / "big" / "project"
    (project / "below").mkdir(parents=True)
    (tmp_path / "big/.git").mkdir()
    (project / "pyproject.toml").touch()
    monkeypatch.chdir(project / "below")
    assert runs() == project / "runs"
