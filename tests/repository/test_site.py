"""The site: what it says is what happens, and nothing in it leads nowhere."""

import html
import json
import pathlib
import re
import shutil
import tomllib
import typing
import urllib.parse

import click
import msgspec
import nbformat
import pytest

from imagekit.cli.app import cli
from imagekit.config import cloudbuild, schema
from imagekit.runs.entry import OUTCOMES
from imagekit.runs.record import Record
from tests.conftest import FAMILY, ROOT
from tools import console, site
from tools import schema as schema_file

pytestmark = pytest.mark.edge


@pytest.fixture(scope="module")
def built(site_html):
    return site_html


def text_of(page):
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_no_link_is_broken(built):
    assert list(site.broken(built)) == []


def test_a_broken_link_would_be_found(built, tmp_path):
    copy = shutil.copytree(built, tmp_path / "html")
    page = copy / "index.html"
    links = '<a href="gone.html">x</a><a href="#gone">y</a><a href="tutorial.html#gone">z</a>'
    page.write_text(page.read_text().replace("</body>", f"{links}</body>"))
    assert len(list(site.broken(copy))) == 3


def test_nothing_is_loaded_from_elsewhere(built):
    for path in built.rglob("*.html"):
        loads = site.Page(path.read_text(encoding="utf-8")).loads
        assert not [name for name in loads if urllib.parse.urlsplit(name).netloc], path
    for path in built.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path


def test_editors_find_the_schema_where_its_id_says(built):
    address = json.loads(schema_file.FILE.read_text(encoding="utf-8"))["$id"]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    name = address.removeprefix(settings["project"]["urls"]["Documentation"] + "/")
    assert (built / name).read_bytes() == schema_file.FILE.read_bytes()


def test_every_page_is_reached_from_the_first(built):
    seen, waiting = set(), [built / "index.html"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".html" or not path.is_file():
            continue
        seen.add(path)
        for link in site.Page(path.read_text(encoding="utf-8")).links:
            parts = urllib.parse.urlsplit(link)
            if not parts.scheme and parts.path:
                waiting.append((path.parent / parts.path).resolve())
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in console.PAGES}
    notebooks = {
        pathlib.Path("notebooks") / f"{path.stem}.html" for path in FAMILY.glob("notebooks/*.ipynb")
    }
    assert {built / name for name in sources | notebooks} <= seen


@pytest.mark.parametrize("name", [path.stem for path in FAMILY.glob("notebooks/*.ipynb")])
def test_notebooks_stand_there_executed(name, built):
    notebook = nbformat.read(FAMILY / "notebooks" / f"{name}.ipynb", as_version=4)
    page = (built / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
    shown = [cell for cell in notebook.cells if cell.get("outputs")]
    assert page.count('class="cell_output') == len(shown)
    pictures = [o for c in shown for o in c.outputs if "image/svg+xml" in o.get("data", {})]
    assert page.count('role="img"') >= len(pictures)


def test_the_reference_has_every_key_command_and_field(built):
    keys = text_of(built / "reference/keys.html")
    kinds = (
        schema.Config,
        schema.Entry,
        schema.Exclude,
        schema.RecipeChange,
        cloudbuild.CloudBuild,
    )
    for kind in (*kinds, cloudbuild.Limits, cloudbuild.Trigger, schema.Alias):
        assert [f.name for f in msgspec.structs.fields(kind) if f.name not in keys] == []
    fields = text_of(built / "reference/records.html")
    assert [f.name for f in msgspec.structs.fields(Record) if f.name not in fields] == []
    for kind in typing.get_type_hints(cloudbuild.CloudBuild)["machine_type"].__args__[0].__args__:
        assert kind in keys
    commands = html.unescape(text_of(built / "reference/cli.html"))
    for command in _commands(cli):
        for parameter in command.params:
            is_shown = isinstance(parameter, click.Option) and not parameter.hidden
            names = parameter.opts if is_shown else []
            assert [name for name in names if name not in commands] == []


def test_options_stand_on_the_page_as_they_are_typed(built):
    page = html.unescape(text_of(built / "reference/cli.html"))
    # In running text, too: an option's name, and not a dash and a word.
    assert "same formats as --since" in page
    assert "–" not in page
    assert 'such as "generate"' in page


def test_every_outcome_is_explained(built):
    page = html.unescape(text_of(built / "reference/records.html"))
    for outcome, meaning in OUTCOMES.items():
        assert re.search(rf"^{outcome}\n{re.escape(meaning.replace('`', ''))}$", page, re.MULTILINE)


def test_exit_codes_are_those_that_somebody_meets(built):
    page = html.unescape(text_of(built / "reference/exit-codes.html"))
    assert "ProblemsError" not in page
    assert "130\nKeyboardInterrupt\nCtrl-C" in page
    assert "sys.exit(N)" in page


def test_the_api_shows_neither_addresses_nor_garbled_attributes(built):
    page = html.unescape(text_of(built / "reference/api.html"))
    assert not re.findall(r"<function|<factory>|at 0x|Type:\n", page)
    assert "images: dict[str, ImageSpec] = {}" in page
    assert "outcomes(selection: Selection)" in page


def _commands(group):
    context = click.Context(group)
    for command in (group.get_command(context, name) for name in group.list_commands(context)):
        if command.hidden:
            continue
        yield command
        if isinstance(command, click.Group):
            yield from _commands(command)


def test_the_search_knows_the_pages(built):
    index = (built / "searchindex.js").read_text(encoding="utf-8")
    assert "howto/add-cuda" in index
    assert (built / "search.html").is_file()


def test_a_notebook_that_fails_fails_the_site(tmp_path):
    # That the same pages are built with notebooks that succeed, tests/system/test_families.py sees.
    site.with_few_pages(tmp_path)
    (tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(ROOT / "tests/notebooks/raises.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# The only one"))
    nbformat.write(notebook, tmp_path / "notebooks/only.ipynb")
    code, said = site.build(tmp_path / "out", tmp_path)
    assert code != 0
    assert "notebooks/only.ipynb" in said
    assert "ZeroDivisionError" in said


# ---- what pages show is what happens


@pytest.mark.parametrize("page", console.PAGES, ids=lambda path: path.stem)
def test_commands_print_what_the_page_shows(page, tmp_path):
    for command, shown, now in console.played(page.read_text(encoding="utf-8"), tmp_path):
        assert now == shown, f"{command}: run `make goldens`"


MADE = {ROOT / "docs/reference" / name for name in ("keys.md", "exit-codes.md", "records.md")}
"""Pages that have no source; `test_the_reference_has_every_key_command_and_field` reads them."""


def broken_links(text, page):
    """The links of a page's text that lead nowhere."""
    text = re.sub(r"```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        found = (page.parent / target).resolve() if target else page
        # The site has the notebooks beside the pages.
        inside = found.relative_to(ROOT / "docs") if found.is_relative_to(ROOT / "docs") else None
        beside = inside and inside.parts[:1] == ("notebooks",) and (ROOT / inside).exists()
        if not (found.exists() or found in MADE or beside):
            yield link
        elif anchor and found.suffix == ".md" and found.exists():
            heads = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {
                re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads
            }
            if anchor not in slugs:
                yield link


@pytest.mark.parametrize("page", [*console.PAGES, ROOT / "README.md"], ids=lambda path: path.stem)
def test_links_between_the_sources_lead_somewhere(page):
    assert list(broken_links(page.read_text(encoding="utf-8"), page)) == []


@pytest.mark.parametrize("page", [ROOT / "docs/index.md", ROOT / "README.md"])
def test_a_link_between_sources_that_leads_nowhere_would_be_found(page):
    wrong = ["notebooks/nope.ipynb", "reference/nope.md", "nope.md", "#nope"]
    right = ["notebooks/start.ipynb", "https://example.com/nope"]
    text = "".join(f"[x]({link})\n" for link in [*wrong, *right])
    assert list(broken_links(text, page)) == wrong
