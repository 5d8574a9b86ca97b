"""The README's grid is that of the config."""

from tests.conftest import ROOT
from tools.goldens import printed


def test_the_grid_of_the_readme_is_that_of_the_config(monkeypatch):
    monkeypatch.chdir(ROOT)
    code, _, err = printed(["readme", "--check", "--quiet"])
    assert (code, err) == (0, ""), "run `make generate`, or `imagekit readme`"
