"""The site, built as `make docs` builds it, and its pages as what links to what."""

import html.parser
import shutil
import subprocess
import sys
import urllib.parse

from tools.family import FAMILY, ROOT, copied


def project(folder, family=FAMILY):
    """A folder with the documentation and a copy of a family, of which a site can be built."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CHANGELOG.md", folder)
    return copied(folder, family)


INDEX = """# Site

```{toctree}
config
reference/exit-codes
reference/records
```

```{toctree}
:glob:

notebooks/*
```
"""


def with_few_pages(folder, not_executed=()):
    """Give a project the pages that a site needs, beside those of its notebooks.

    Notebooks that are not to be executed are shown as they are.
    """
    (folder / "docs/reference").mkdir(parents=True)
    for part in ("_static", "_templates"):
        shutil.copytree(ROOT / "docs" / part, folder / "docs" / part)
    for path in (ROOT / "docs").glob("*.py"):
        shutil.copy(path, folder / "docs")
    names = [f"notebooks/{name}.ipynb" for name in not_executed]
    with (folder / "docs/conf.py").open("a", encoding="utf-8") as conf:
        conf.write(f"\nnb_execution_excludepatterns = {names}\n")
    (folder / "docs/index.md").write_text(INDEX, encoding="utf-8")
    (folder / "docs/config.md").write_text("# Config\n", encoding="utf-8")
    return folder


def build(folder, root, *options):
    """Build the site of a project into `folder/html`; gives Sphinx's exit code and words."""
    command = [sys.executable, str(root / "docs" / "build.py"), str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


class Page(html.parser.HTMLParser):
    """What a page links to, what can be linked to in it, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.loads = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag in ("script", "link", "img", "iframe", "source"):
            self.loads |= {found[name] for name in ("src", "href") if found.get(name)}
        elif found.get("href"):
            self.links.add(found["href"])


def broken(folder):
    """Every internal link and in-page anchor of a built site that leads nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    for path, page in pages.items():
        for link in page.links | page.loads:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve()
            target = path if not parts.path else target
            there = target in pages or target.is_file()
            anchor = urllib.parse.unquote(parts.fragment)
            # furo's own links for its menus lead to elements without an id in some pages.
            if not there or (anchor and target in pages and anchor not in pages[target].anchors):
                yield f"{path.relative_to(folder)}: {link}"
