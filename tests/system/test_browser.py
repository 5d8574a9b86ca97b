"""JupyterLab in a real browser, as a person sees it.

With IMAGEKIT_PICTURES set, pictures of what was seen are left in `build/screenshots`.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import urllib.request

import pytest

from imagekit.planning.load import check_text
from imagekit.support import notebooks
from tests.system.axe import axe
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
    token = secrets.token_hex(16)
    offline = re.search(r"^OFFLINE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *offline.split()),
        # It chooses one, and writes it down.
        *("--ServerApp.port=0", f"--IdentityProvider.token={token}"),
        "--ServerApp.ip=127.0.0.1",
    ]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    own = {name: str(folder / name.lower()) for name in (*names, "JUPYTERLAB_WORKSPACES_DIR")}
    log = folder / "log"
    with log.open("w") as said:
        server = subprocess.Popen(
            command, cwd=project, env=os.environ | own, stdout=said, stderr=said
        )
    try:
        address = address_of(folder / "jupyter_runtime_dir", server, log)

        def page(path):
            # Each has a workspace of its own: what another left open would open again.
            return f"{address}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?token={token}"

        page.project = project
        yield page
    finally:
        server.terminate()
        # At times it waits for a kernel that has ended, and goes on waiting.
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(30)
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def seen(lab, browser):
    """A page, and every address that it asks for: the tests open their notebooks in one JupyterLab.

    It is tall, so that JupyterLab, which draws only what is in sight, draws all of a notebook.
    """
    with page_of(browser, 1440, height=6000, permissions=["clipboard-read"]) as (page, asked):
        yield page, asked


def address_of(folder, server, log):
    """Where JupyterLab answers, as soon as it does."""

    def answers():
        assert server.poll() is None, log.read_text()
        # The file may be there before what is in it, and before the server listens.
        with contextlib.suppress(OSError, ValueError, StopIteration):
            about = json.loads(next(folder.glob("jpserver-*.json")).read_text())
            address = f"http://127.0.0.1:{about['port']}"
            asked = f"{address}/api?token={about['token']}"
            urllib.request.urlopen(asked, timeout=30).close()  # noqa: S310 - our own
            return address
        return None

    return wait_until(answers)


def choose(page, menu, command):
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()


def choose_theme(page, name):
    page.locator(".lm-MenuBar-item", has_text=re.compile("^Settings$")).click()
    page.locator(".lm-Menu-item", has_text=re.compile("^Theme$")).hover()
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{name}$")).click()
    page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")


IN_FRONT = ".jp-NotebookPanel:not(.lm-mod-hidden)"
"""The CSS selector of the notebook that is in front, where several are open."""


def run_all(page, file):
    """Run every cell of a notebook's file from the menu, and wait until the last has ended."""
    prompts = page.locator(f"{IN_FRONT} .jp-CodeCell .jp-InputPrompt")
    numbered = prompts.filter(has_text=re.compile(r"\[\d+\]:"))
    # The notebook is committed with its outputs: without them, a number says that a cell has run.
    # That it is running may be over before it is looked at.
    choose(page, "Edit", "editmenu:clear-all")
    numbered.first.wait_for(state="detached")
    choose(page, "Run", "runmenu:run-all")
    # Those in the page would not do: JupyterLab draws one cell after the other.
    numbered.nth(len(code_cells(notebooks.read(file.read_bytes()))) - 1).wait_for()


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def open_notebook(page, lab, name):
    """Open a notebook in front, in the page's JupyterLab if it is loaded, which takes seconds."""
    if not page.locator(".jp-LabShell").count():
        page.goto(lab(f"notebooks/{name}.ipynb"))
    else:
        choose(page, "File", "filebrowser:open-path")
        page.locator(".jp-Dialog input").fill(f"notebooks/{name}.ipynb")
        page.keyboard.press("Enter")
    is_in_front(page, name)
    page.locator(f"{IN_FRONT} .jp-Notebook").wait_for()
    has_its_kernel(page)
    return page.locator(IN_FRONT)


def has_its_kernel(page):
    """Wait for the kernel: cells that are run before there is one only lose their outputs.

    The status bar is that of the notebook in front, and says what the kernel does as soon as there
    is one; the notebook's own mark says that it is idle before.
    """
    page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for()


def is_in_front(page, name):
    page.locator(".lm-TabBar-tab.jp-mod-current", has_text=f"{name}.ipynb").wait_for()


def test_the_start_notebook_says_where_to_go(lab, seen):
    page, asked = seen
    open_notebook(page, lab, "start")
    picture(page, "lab-start")
    the_start_notebook_leads_to(page, "explore")
    the_start_notebook_leads_to(page, "images")
    where_a_notebook_is_not_trusted_there_are_words(page)
    the_start_notebook_leads_to(page, "generate")
    has_its_kernel(page)
    a_saved_notebook_is_clean_again(page, lab.project / "notebooks/generate.ipynb")
    assert elsewhere(asked) == []


def the_start_notebook_leads_to(page, name):
    """Follow a link of the start notebook: the other notebook is in front."""
    page.get_by_role("tab", name="start.ipynb").click()
    page.locator(f"{IN_FRONT} a", has_text=f"{name}.ipynb").first.click()
    is_in_front(page, name)


def where_a_notebook_is_not_trusted_there_are_words(page):
    words = page.locator(f"{IN_FRONT} .imagekit-words")
    words.filter(has_text="212.6 MB  cpu-bookworm-py311").first.wait_for()
    assert words.first.is_visible()
    assert page.locator(f"{IN_FRONT} .imagekit-picture").first.is_hidden()
    picture(page, "lab-not-trusted")


def read_whole(file):
    """The notebook, or None while JupyterLab, which writes in place, is still writing it."""
    try:
        return notebooks.read(file.read_bytes())
    except ValueError:
        return None


def a_saved_notebook_is_clean_again(page, file):
    before = read_whole(file)
    run_all(page, file)
    choose(page, "File", "docmanager:save")
    # JupyterLab also saves of itself, while cells still run.
    notebook = wait_until(lambda: is_run(read_whole(file), before))
    notebooks.clean(notebook)
    assert notebook["metadata"] == before["metadata"]
    kept = ("id", "metadata", "source", "execution_count")
    shown = [
        [{key: cell.get(key) for key in kept} for cell in n["cells"]] for n in (notebook, before)
    ]
    assert shown[0] == shown[1]


def is_run(notebook, before):
    """The notebook, if it is another one than before and each of its cells has run."""
    if notebook in (None, before):
        return None
    return notebook if all(cell["execution_count"] for cell in code_cells(notebook)) else None


def test_a_person_explores_the_matrix(lab, seen):
    page, asked = seen
    errors = errors_of(page)
    front = open_notebook(page, lab, "explore")
    run_all(page, lab.project / "notebooks/explore.ipynb")
    front.locator(".dt-search input").first.wait_for()
    assert front.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert front.locator(".jp-RenderedText[data-mime-type*='error']").count() == 0
    picture(page, "lab-explore")
    assert front.locator("table.dataTable").evaluate_all(CUT_OFF) == []
    # The grid and the graph of the first screen are whole.
    shown = front.locator(".imagekit-table, .imagekit-picture")
    assert [shown.nth(number).evaluate(HIDDEN) for number in (0, 1)] == [0, 0]
    assert front.locator(".imagekit-table").first.bounding_box()["y"] < 600
    a_cell_shows_its_tag(page, front)
    search_narrows_a_table(page, front)
    the_explorer_changes_the_config(page, front)
    assert axe(page, f"{IN_FRONT} .widget-vbox") == []
    assert axe(page, f"{IN_FRONT} .imagekit-table") == []
    assert elsewhere(asked) == []
    assert errors == []


HIDDEN = "box => Math.max(0, box.scrollWidth - box.clientWidth - 1)"
"""JavaScript: how many pixels of a box have to be scrolled to."""


def errors_of(page):
    """The errors in the page's console, as they come."""
    errors = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    return errors


def a_cell_shows_its_tag(page, front):
    cell = front.locator(".imagekit-table details").first
    tag = cell.get_attribute("data-tag")
    assert tag in cell.locator("summary").get_attribute("title")
    assert not cell.locator("code").is_visible()
    cell.locator("summary").focus()
    page.keyboard.press("Enter")
    assert cell.locator("code").inner_text() == tag


def search_narrows_a_table(page, front):
    table = front.locator(".dt-container").filter(has_text="Build matrix:").first
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


def the_explorer_changes_the_config(page, front):
    widgets = front.locator(".widget-vbox").first
    summary = widgets.locator("[aria-live] strong")
    assert summary.inner_text() == "14 → 14 images against the config: the same images"
    # By keyboard alone: a cell, its reason, and the button.
    widgets.locator("[data-tag='cpu-ubuntu2404-py313'] summary").focus()
    page.keyboard.press("Enter")
    widgets.get_by_label("reason").wait_for()
    widgets.get_by_label("reason").focus()
    page.keyboard.type("too slow")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    summary.get_by_text("14 → 13 images").wait_for()
    widgets.locator(".imagekit-notes", has_text="too slow").first.wait_for()
    widgets.get_by_label("add to").select_option("python")
    widgets.get_by_label("name").fill("py316")
    # Those of another value are offered, which may come after what is typed before.
    offered = widgets.get_by_label("build args")
    page.wait_for_function(
        "box => box.value.startsWith('PYTHON_VERSION=')", arg=offered.element_handle()
    )
    offered.fill("PYTHON_VERSION=3.16")
    widgets.get_by_role("button", name="Add value").click()
    widgets.get_by_text("added:").wait_for()
    widgets.get_by_role("checkbox", name="cuda126").uncheck()
    summary.get_by_text(re.compile("removed")).wait_for()
    # One after the other reaches the page; the graph is the last.
    widgets.locator("svg [data-tag*='cuda126']").first.wait_for(state="detached")
    widgets.locator("svg .node").first.click()
    widgets.locator("li", has_text="a change also rebuilds").wait_for()
    widgets.get_by_role("button", name="Zoom in").click()
    picture(page, "lab-what-if")
    widgets.get_by_role("button", name="Copy as YAML").click()
    widgets.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    checked = check_text(copied.encode(), "copied.yaml")
    assert f"14 → {len(checked.plan.images)} images" in summary.inner_text()
    assert list(checked.config.axis("gpu")) == ["cuda130"]
    assert checked.config.axis("python")["py316"] == {"PYTHON_VERSION": "3.16"}
    assert [rule.reason for rule in checked.config.exclude][-1] == "too slow"
    widgets.get_by_role("button", name="Reset").click()
    summary.get_by_text("the same images").wait_for()


def test_the_explorer_is_legible_on_every_screen(lab, browser):
    with page_of(browser, 900, height=3000) as (page, _):
        # A document of its own, without the file browser.
        page.goto(lab("notebooks/explore.ipynb").replace("/lab/", "/doc/"))
        page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for(state="attached")
        choose(page, "Run", "runmenu:run-all")
        page.locator(".widget-vbox [aria-live]").first.wait_for()
        for width, theme in [(900, "Dark"), (390, "Light")]:
            page.set_viewport_size({"width": width, "height": 3000})
            choose_theme(page, f"JupyterLab {theme}")
            picture(page, f"lab-explore-{width}-{theme}")
            everything_is_legible(page, width)


def everything_is_legible(page, width):
    for box in page.locator(".imagekit-table, .imagekit-picture").all():
        # What is wider than the screen scrolls, and its edge shows that.
        style = box.evaluate("box => [getComputedStyle(box).overflowX, box.clientWidth]")
        assert style[0] == "auto"
        assert style[1] <= width
    for text in page.locator(".imagekit-picture text").all()[:9]:
        assert contrast(*text.evaluate(INK_AND_PAPER)) >= 4.5


INK_AND_PAPER = """text => {
    const paper = getComputedStyle(document.body).getPropertyValue('--jp-layout-color0');
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = paper;
    const shown = getComputedStyle(probe).color;
    probe.remove();
    return [getComputedStyle(text).fill, shown];
}"""
"""JavaScript: the colour of a text in a picture, and that of the page behind it."""


def contrast(first, second):
    """The contrast of two colours (WCAG 2.2, contrast ratio)."""
    lights = sorted(luminance(color) for color in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(color):
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


# ---- runs

RUN = "20261123T203345.612384Z-generate-a9d2cc81"


@pytest.fixture
def runs(lab):
    """The runs of the project: those of the example, one of them with its executed notebook."""
    folder = shutil.copytree(lab.project / "notebooks/example-runs", lab.project / "runs")
    shutil.copy(lab.project / "notebooks/generate.ipynb", folder / f"{RUN}.ipynb")
    yield folder
    shutil.rmtree(folder)


def test_a_person_finds_a_run_and_opens_its_notebook(lab, seen, runs):
    page, asked = seen
    front = open_notebook(page, lab, "history")
    run_all(page, lab.project / "notebooks/history.ipynb")
    history = front.locator(".imagekit-history")
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
    assert front.locator(".imagekit-picture > svg").count() == 2
    assert front.locator(".imagekit-picture > svg").first.is_visible()
    assert front.locator(".imagekit-words").first.is_hidden()
    link.click()
    page.get_by_role("tab", name=f"{RUN}.ipynb").wait_for()
    assert elsewhere(asked) == []
