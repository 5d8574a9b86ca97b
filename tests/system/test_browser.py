"""JupyterLab in a real browser, as a person sees it.

Pictures of what was seen are left in `build/screenshots` for looking at.
"""

import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from imagekit.support import notebooks
from tests.system.browser import elsewhere, page_of, picture
from tests.system.conftest import wait_until
from tools.family import ROOT, copied

CUT_OFF = """tables => tables.flatMap(table => [...table.querySelectorAll('td, th')])
    .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
"""JavaScript: the texts that are wider than their cells."""

pytestmark = [
    pytest.mark.edge,
    # playwright's own event loop may still be closing when its process has ended.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


# ---- JupyterLab


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab as `make lab` starts it, on a copy of the tests' family; gives its address."""
    folder = tmp_path_factory.mktemp("lab")
    project = folder / "project"
    project.mkdir()
    copied(project)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    offline = re.search(r"^OFFLINE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *offline.split()),
        *(f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"),
        "--ServerApp.ip=127.0.0.1",
    ]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = {name: str(folder / name.lower()) for name in (*names, "JUPYTERLAB_WORKSPACES_DIR")}
    log = folder / "log"
    with log.open("w") as said:
        server = subprocess.Popen(
            command, cwd=project, env=os.environ | own, stdout=said, stderr=said
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api?token={token}", server, log)

        def page(path):
            # Each has a workspace of its own: what another left open would open again.
            return f"{address}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?token={token}"

        page.project = project
        yield page
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address, server, log):
    deadline = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5).close()  # noqa: S310 - our own
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def choose(page, menu, command):
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()


def run_all(page):
    """Run every cell from the menu, and wait until the last has ended."""
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    numbered = prompts.filter(has_text=re.compile(r"\[\d+\]:"))
    # The notebook is committed with its outputs: without them, a number says that a cell has run.
    # That it is running may be over before it is looked at.
    choose(page, "Edit", "editmenu:clear-all")
    numbered.first.wait_for(state="detached")
    choose(page, "Run", "runmenu:run-all")
    numbered.nth(prompts.count() - 1).wait_for()


def open_notebook(page, lab, name):
    page.goto(lab(f"notebooks/{name}.ipynb"))
    page.locator(".jp-Notebook").wait_for()
    # Cells that are run before there is a kernel only lose their outputs.
    page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for()


def test_the_start_notebook_says_where_to_go(lab, browser):
    with page_of(browser) as (page, asked):
        open_notebook(page, lab, "start")
        picture(page, "lab-start")
        page.locator(".jp-Notebook a", has_text="explore").first.click()
        page.get_by_role("tab", name="explore.ipynb").wait_for()
        assert elsewhere(asked) == []


def read_whole(file):
    """The notebook, or None while JupyterLab, which writes in place, is still writing it."""
    try:
        return notebooks.read(file.read_bytes())
    except ValueError:
        return None


def test_a_saved_notebook_is_clean_again(lab, browser):
    file = lab.project / "notebooks/generate.ipynb"
    before = read_whole(file)
    with page_of(browser, height=3000) as (page, _):
        open_notebook(page, lab, "generate")
        run_all(page)
        choose(page, "File", "docmanager:save")
        wait_until(lambda: read_whole(file) not in (None, before))
        notebook = read_whole(file)
    notebooks.clean(notebook)
    assert notebook["metadata"] == before["metadata"]
    kept = ("id", "metadata", "source", "execution_count")
    shown = [
        [{key: cell.get(key) for key in kept} for cell in n["cells"]] for n in (notebook, before)
    ]
    assert shown[0] == shown[1]


def test_a_person_explores_the_matrix(lab, browser):
    # Tall, so that JupyterLab, which draws only what is in sight, draws all of it.
    with page_of(browser, height=6000) as (page, asked):
        open_notebook(page, lab, "explore")
        run_all(page)
        page.locator(".dt-search input").first.wait_for()
        assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        assert page.locator(".jp-RenderedText[data-mime-type*='error']").count() == 0
        assert page.get_by_text("✓ cpu-ubuntu2404-py313", exact=True).count() >= 1
        box = page.locator(".jp-RenderedSVG svg, .jp-RenderedSVG img").first.bounding_box()
        assert min(box["width"], box["height"]) > 100
        picture(page, "lab-explore")
        assert page.locator("table.dataTable").evaluate_all(CUT_OFF) == []
        search_narrows_a_table(page)
        a_widget_changes_everything(page)
        assert elsewhere(asked) == []


def search_narrows_a_table(page):
    table = page.locator(".dt-container").filter(has_text="Build matrix:").first
    rows = table.locator("tbody tr")
    before = rows.count()
    table.locator(".dt-search input").fill("py313 excluded")
    page.wait_for_function(
        "([table, n]) => table.querySelectorAll('tbody tr').length < n",
        arg=[table.element_handle(), before],
    )
    assert all("py313" in text and "excluded" in text for text in rows.all_inner_texts())
    picture(page, "lab-search")
    table.locator(".dt-search input").fill("")


def a_widget_changes_everything(page):
    counts = page.locator("strong[aria-live]")
    before = counts.inner_text()
    widgets = page.locator(".widget-vbox").first
    graph = widgets.locator("svg title").first
    titled = graph.text_content()
    assert "cuda130" in widgets.inner_text()
    widgets.get_by_label("cuda130").uncheck()
    page.wait_for_function(
        "before => document.querySelector('strong[aria-live]').innerText !== before", arg=before
    )
    # One after the other reaches the page.
    widgets.locator("td", has_text="cuda130").first.wait_for(state="detached")
    page.wait_for_function(
        "([graph, before]) => graph.isConnected === false || graph.textContent !== before",
        arg=[graph.element_handle(), titled],
    )
    assert graph.text_content() != titled
    widgets.get_by_placeholder("globs on tags, such as gpu-*").fill("nonsense")
    page.locator("[role=alert]").get_by_text("matches no image").wait_for()
    picture(page, "lab-widgets")
