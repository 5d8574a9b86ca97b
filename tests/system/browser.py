"""Pages in a real browser.

With IMAGEKIT_PICTURES set, pictures of them are left in `build/screenshots` for looking at.
"""

import contextlib
import os
import shutil
import urllib.parse

from tools.family import ROOT

PICTURES = ROOT / "build" / "screenshots"
# The first draws no window, and needs half the time for everything but the page itself.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
# What a browser would ask its maker for, and the sandbox that root cannot have.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
TIMEOUT = 180_000
"""Milliseconds that the slowest thing may take."""


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
    if not os.environ.get("IMAGEKIT_PICTURES"):
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    # This format takes half the time, and hiding the cursor computes all styles again.
    page.screenshot(path=PICTURES / f"{name}.jpg", quality=85, caret="initial")


def elsewhere(asked):
    """What was asked of another host than this machine."""
    hosts = (urllib.parse.urlsplit(url) for url in asked)
    known = {"127.0.0.1", "localhost", None}
    return [h.geturl() for h in hosts if h.scheme in ("http", "https") and h.hostname not in known]
