"""JupyterLab and the site in a real browser, as a person sees them.

Pictures of what was seen are left in `build/screenshots` for looking at.
"""

import contextlib
import functools
import http.server
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from imagekit.support import notebooks
from tests.system.conftest import missing, wait_until
from tools.family import ROOT, copied

PICTURES = ROOT / "build" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
# What a browser would ask its maker for, and the sandbox that root cannot have.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
CUT_OFF = """tables => tables.flatMap(table => [...table.querySelectorAll('td, th')])
    .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
"""JavaScript: the texts that are wider than their cells."""
EDGES = """table => Object.fromEntries([...table.querySelectorAll('thead th')].map(head =>
    [head.textContent, head.getBoundingClientRect().right
        - table.parentElement.getBoundingClientRect().right]))"""
"""JavaScript: how far each column of a table reaches beyond the right edge of its box."""
TIMEOUT = 60_000
"""Milliseconds that the slowest thing may take."""

pytestmark = [
    pytest.mark.edge,
    # playwright's own event loop may still be closing when its process has ended.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        missing("no browser: apt-get install chromium")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield opened
        opened.close()


@contextlib.contextmanager
def page_of(browser, width=1280, height=1000, **options):
    """A page, and every address that it asks for."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    yield page, asked
    context.close()


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def elsewhere(asked):
    """What was asked of another host than this machine."""
    hosts = (urllib.parse.urlsplit(url) for url in asked)
    known = {"127.0.0.1", "localhost", None}
    return [h.geturl() for h in hosts if h.scheme in ("http", "https") and h.hostname not in known]


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


# ---- the site


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def built(site_html):
    """The site on a port of this machine: its search asks for files, which `file:` forbids."""
    handler = functools.partial(Quiet, directory=str(site_html))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    pages = sorted(path.relative_to(site_html) for path in site_html.rglob("*.html"))
    yield f"http://127.0.0.1:{server.server_port}", [str(path) for path in pages]
    server.shutdown()
    server.server_close()
    thread.join()


def test_no_page_scrolls_sideways_on_a_phone(built, browser):
    address, pages = built
    with page_of(browser, 390, 844, is_mobile=True) as (page, asked):
        for name in pages:
            page.goto(f"{address}/{name}")
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= 390, name
            if name in ("index.html", "notebooks/explore.html", "reference/keys.html"):
                picture(page, f"site-phone-{pathlib.Path(name).stem}")
        assert elsewhere(asked) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_legible_in_both_modes(scheme, built, browser):
    address, _ = built
    with page_of(browser, color_scheme=scheme) as (page, asked):
        for name in (
            "index",
            "tutorial",
            "notebooks/explore",
            "notebooks/history",
            "reference/cli",
        ):
            page.goto(f"{address}/{name}.html")
            background, text = page.evaluate(
                """() => [getComputedStyle(document.body).backgroundColor,
                          getComputedStyle(document.querySelector('article')).color]"""
            )
            assert abs(brightness(background) - brightness(text)) > 0.6
            assert (brightness(background) < 0.3) == (scheme == "dark")
            picture(page, f"site-{scheme}-{pathlib.Path(name).stem}")
        page.goto(f"{address}/notebooks/explore.html")
        drawn = page.locator("svg[role=img]").first
        drawn.scroll_into_view_if_needed()
        color = drawn.evaluate("svg => getComputedStyle(svg).stroke")
        assert (brightness(color) > 0.6) == (scheme == "dark")
        picture(page, f"site-{scheme}-graph")
        assert elsewhere(asked) == []


def test_the_history_is_read_without_scrolling(built, browser):
    """Outcome, changes and why are in sight on a notebook's screen, and so are the charts."""
    address, _ = built
    with page_of(browser, 1280, 800) as (page, _):
        page.goto(f"{address}/notebooks/history.html")
        picture(page, "site-history-1280")
        table = page.locator(".cell_output table").first
        seen = table.evaluate(EDGES)
        assert {"run", "outcome", "changes", "why", "images"} <= {*seen}
        assert max(seen[name] for name in ("outcome", "changes", "why", "images")) <= 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        charts = page.locator(".imagekit-picture > svg")
        assert charts.count() == 2
        for chart in charts.all():
            assert chart.evaluate("svg => svg.scrollWidth <= svg.parentElement.clientWidth + 1")


def brightness(color):
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", color)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_search_finds_a_page(built, browser):
    address, _ = built
    with page_of(browser) as (page, asked):
        page.goto(f"{address}/index.html")
        page.get_by_placeholder("Search").fill("manifest inspect")
        page.keyboard.press("Enter")
        page.locator(".search li a", has_text="Add a CUDA").first.wait_for()
        picture(page, "site-search")
        assert elsewhere(asked) == []
