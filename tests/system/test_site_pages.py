"""The site in a real browser, as a person sees it: each page, in three widths, light and dark.

With IMAGEKIT_PICTURES set, pictures of what was seen are left in `build/screenshots`.
"""

import functools
import http.server
import re
import threading

import pytest

from tests.system.axe import axe_once
from tests.system.browser import elsewhere, page_of, picture

WIDTHS = {1440: 900, 900: 1100, 390: 844}
"""The heights of windows by their widths: a desk, a tablet, a phone."""
CUT_OFF = """() => {
    const width = document.documentElement.clientWidth;
    const beyond = box => box.scrollWidth > box.clientWidth + 1;
    const scrolls = box => ['auto', 'scroll'].includes(getComputedStyle(box).overflowX);
    const said = box => (box.getAttribute('aria-label') || box.textContent).trim().slice(0, 60);
    const found = [];
    for (const shown of document.querySelectorAll('article :is(table, svg, pre, img, figure)')) {
        const rect = shown.getBoundingClientRect();
        if (!rect.width) continue;
        let box = shown;
        while (box && !scrolls(box)) box = box.parentElement;
        const inBox = box && box.closest('article');
        if (inBox && beyond(box)) {
            const hint = box.closest('.more-left, .more-right');
            if (!hint) found.push(`no hint to scroll: ${said(shown)}`);
            if (box.tabIndex !== 0) found.push(`not for the keyboard: ${said(shown)}`);
        } else if (!inBox && (rect.right > width + 1 || beyond(shown))) {
            found.push(`cut off: ${said(shown)}`);
        }
    }
    return found;
}"""
"""JavaScript: the tables, pictures and code that are not seen whole, and do not say so."""
TEXTS = """() => [...document.querySelectorAll('.drawing text')].filter(text => {
    const inner = text.getBoundingClientRect();
    const outer = text.ownerSVGElement.getBoundingClientRect();
    return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.height < 9;
}).map(text => text.textContent)"""
"""JavaScript: the words that reach out of their picture, or that are too small to read."""
OUTPUT = """() => [...document.querySelectorAll('article div.highlight-console pre')]
    .filter(pre => pre.scrollWidth > pre.clientWidth).map(pre => pre.textContent)"""
"""JavaScript: the output of a terminal that does not fit its column."""
EDGES = """table => Object.fromEntries([...table.querySelectorAll('thead th')].map(head =>
    [head.textContent, head.getBoundingClientRect().right
        - table.parentElement.getBoundingClientRect().right]))"""
"""JavaScript: how far each column of a table reaches beyond the right edge of its box."""
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""JavaScript: what watches the size of boxes has been told."""
NARROW = ("index.html", "comparison.html", "search.html", "notebooks/explore.html")
"""The pages that axe-core looks at in narrow windows, too: each has another layout."""

pytestmark = [
    pytest.mark.edge,
    # playwright's own event loop may still be closing when its process has ended.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


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


def test_every_page_is_seen_whole_and_by_everybody(built, browser):
    """Each page is loaded once, and then is in windows of each size, light and dark.

    In a phone's browser, a page that does not ask for the width of the window has another.
    """
    address, pages = built
    with page_of(browser, is_mobile=True) as (page, asked):
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        found, looks = {}, set()
        for name in pages:
            page.goto(f"{address}/{name}")
            for width, scheme in windows(name):
                page.emulate_media(color_scheme=scheme)
                # The light comes first in each size.
                if scheme == "light":
                    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
                    page.evaluate(SETTLED)
                picture(page, f"site-{width}-{scheme}-{name[:-5].replace('/', '-')}")
                problems = [*problems_of(page, width)]
                if is_looked_at_closely(name, width):
                    problems += axe_once(page, looks, every_rule=scheme == "light")
                if problems:
                    found[f"{name} at {width}, {scheme}"] = problems
        assert found == {}
        assert said == []
        assert elsewhere(asked) == []


def is_looked_at_closely(name, width):
    return width == max(WIDTHS) or name in NARROW


def windows(name):
    """The widths and color schemes in which a page is looked at."""
    for width in WIDTHS:
        yield width, "light"
        # The colors are others in the dark, and nothing else is.
        if is_looked_at_closely(name, width):
            yield width, "dark"


def problems_of(page, width):
    yield from page.evaluate(CUT_OFF)
    yield from page.evaluate(TEXTS)
    if page.evaluate("document.documentElement.scrollWidth") > width:
        yield "the page scrolls sideways"
    if width == max(WIDTHS):
        yield from page.evaluate(OUTPUT)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_follow_the_scheme(scheme, built, browser):
    address, _ = built
    with page_of(browser, color_scheme=scheme) as (page, _asked):
        for name in ("index", "notebooks/explore"):
            page.goto(f"{address}/{name}.html")
            background, text = page.evaluate(
                """() => [getComputedStyle(document.body).backgroundColor,
                          getComputedStyle(document.querySelector('article')).color]"""
            )
            assert abs(brightness(background) - brightness(text)) > 0.6
            assert (brightness(background) < 0.3) == (scheme == "dark")
        drawn = page.locator("article svg[role=img]").first
        color = drawn.evaluate("svg => getComputedStyle(svg).stroke")
        assert (brightness(color) > 0.6) == (scheme == "dark")
        page.goto(f"{address}/index.html")
        color = page.locator(".drawing rect.yes").first.evaluate(
            "box => getComputedStyle(box).fill"
        )
        assert (brightness(color) < 0.3) == (scheme == "dark")


def brightness(color):
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", color)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


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


def test_the_search_finds_a_page(built, browser):
    address, _ = built
    with page_of(browser) as (page, asked):
        page.goto(f"{address}/index.html")
        page.get_by_placeholder("Search").fill("manifest inspect")
        page.keyboard.press("Enter")
        page.locator(".search li a", has_text="Add a CUDA").first.wait_for()
        picture(page, "site-search")
        assert elsewhere(asked) == []


def test_a_page_is_used_by_the_keyboard_alone(built, browser):
    address, _ = built
    with page_of(browser) as (page, _):
        page.goto(f"{address}/index.html")
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert "Skip to content" in focused.inner_text()
        page.keyboard.press("Enter")
        for _press in range(20):
            page.keyboard.press("Tab")
            if focused.inner_text() == "tutorial":
                break
        assert focused.evaluate("link => getComputedStyle(link).outlineStyle") != "none"
        page.keyboard.press("Enter")
        page.wait_for_url("**/tutorial.html")


def test_the_keyboard_scrolls_a_table_and_the_hint_follows(built, browser):
    address, _ = built
    with page_of(browser, 390, 844, is_mobile=True) as (page, _):
        page.goto(f"{address}/comparison.html")
        box = page.locator(".table-wrapper").first
        assert box.get_attribute("role") == "region"
        assert "Compared" in box.get_attribute("aria-label")
        frame = page.locator(".scrolls", has=box).first
        assert "more-right" in frame.get_attribute("class")
        hint = "frame => getComputedStyle(frame, '::after').content"
        assert "›" in frame.evaluate(hint)
        box.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("box => box.scrollLeft > 0", arg=box.element_handle())
        page.locator(".scrolls.more-left").first.wait_for()
        for _press in range(60):
            page.keyboard.press("ArrowRight")
        page.locator(".scrolls.more-left:not(.more-right)").first.wait_for()
        picture(page, "site-390-scrolled")


def test_a_button_copies_commands_without_prompt_and_output(built, browser):
    address, _ = built
    with page_of(browser, permissions=["clipboard-read", "clipboard-write"]) as (page, _):
        page.goto(f"{address}/tutorial.html")
        block = page.locator("div.highlight-console", has_text="imagekit diff before.yaml")
        block.hover()
        block.locator("button.copybtn").click()
        assert page.evaluate("navigator.clipboard.readText()").splitlines() == [
            "cp config/images.yaml before.yaml",
            "sed -i 's/13.0.3/13.0.4/' config/images.yaml",
            "imagekit diff before.yaml config/images.yaml",
            "rm before.yaml",
        ]
