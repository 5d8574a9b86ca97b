"""The notebooks of runs, builds and images in JupyterLab, as a person sees them."""

import shutil

import pytest

from tests.system.browser import elsewhere, page_of, picture

# JupyterLab is started as for the other module.
from tests.system.test_browser import lab, open_notebook, pytestmark, run_all  # noqa: F401

# ruff: noqa: F811

RUN = "20261123T203345.612384Z-generate-a9d2cc81"


@pytest.fixture
def runs(lab):
    """The runs of the project: those of the example, one of them with its executed notebook."""
    folder = shutil.copytree(lab.project / "notebooks/example-runs", lab.project / "runs")
    shutil.copy(lab.project / "notebooks/generate.ipynb", folder / f"{RUN}.ipynb")
    yield folder
    shutil.rmtree(folder)


def test_a_person_finds_a_run_and_opens_its_notebook(lab, browser, runs):
    with page_of(browser, width=1440, height=4000) as (page, asked):
        open_notebook(page, lab, "history")
        run_all(page)
        history = page.locator(".imagekit-history")
        counts = history.locator("strong[aria-live]")
        counts.get_by_text("10 of 10 runs").wait_for()
        table = history.locator("table")
        assert history.locator(".dt-search").is_hidden()
        picture(page, "lab-history")
        history.get_by_role("checkbox", name="failed").uncheck()
        counts.get_by_text("8 of 10 runs").wait_for()
        search = history.get_by_placeholder("run, reason")
        search.fill("A9D2CC81")
        search.press("Enter")
        counts.get_by_text("1 of 10 runs").wait_for()
        link = table.get_by_role("link", name="generate")
        link.wait_for()
        assert page.locator(".imagekit-picture > svg").count() == 2
        assert page.locator(".imagekit-picture > svg").first.is_visible()
        assert page.locator(".imagekit-words").first.is_hidden()
        link.click()
        page.get_by_role("tab", name=f"{RUN}.ipynb").wait_for()
        assert elsewhere(asked) == []


def test_where_a_notebook_is_not_trusted_there_are_words(lab, browser):
    with page_of(browser, height=6000) as (page, _):
        page.goto(lab("notebooks/images.ipynb"))
        words = page.locator(".imagekit-words")
        words.first.wait_for()
        assert words.first.is_visible()
        assert "212.6 MB  cpu-bookworm-py311" in words.first.inner_text()
        assert page.locator(".imagekit-picture").first.is_hidden()
        picture(page, "lab-not-trusted")
