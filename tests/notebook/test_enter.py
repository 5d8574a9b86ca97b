import os

from imagekit.notebook import session


def test_enter_goes_to_the_root(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "notebooks")
    session.enter()
    assert os.getcwd() == str(tmp_path)  # noqa: PTH109
