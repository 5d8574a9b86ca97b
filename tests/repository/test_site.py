"""The site: what it says is what happens, and nothing in it leads nowhere."""

import ast
import functools
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.parse

import click
import msgspec
import nbformat
import pytest

import imagekit
from imagekit.cli.app import cli
from imagekit.config import check_cloudbuild, schema
from imagekit.project import settings
from imagekit.runs.entry import OUTCOMES
from imagekit.runs.record import Record
from imagekit.support.yaml_reader import parse
from tests.conftest import FAMILY, ROOT
from tools import console, site, terminal
from tools import schema as schema_file

sys.path.append(str(ROOT / "docs"))
import generated
import pictures

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


def test_the_reference_has_every_command_and_field(built):
    fields = text_of(built / "reference/records.html")
    assert [f.name for f in msgspec.structs.fields(Record) if f.name not in fields] == []
    commands = html.unescape(text_of(built / "reference/cli.html"))
    for command in _commands(cli):
        for parameter in command.params:
            is_shown = isinstance(parameter, click.Option) and not parameter.hidden
            names = parameter.opts if is_shown else []
            assert [name for name in names if name not in commands] == []


CONFIG, PROJECT = ROOT / "docs/config.md", ROOT / "docs/howto/project.md"


def test_each_key_is_described_once():
    text = CONFIG.read_text(encoding="utf-8") + PROJECT.read_text(encoding="utf-8")
    assert sorted(generated.KEY.findall(text)) == sorted(generated.facts())
    # A heading, and then the place of the type and the default.
    assert len(re.findall(r"^#+ .*\n<!-- key ", text, re.MULTILINE)) == len(generated.facts())


def test_each_key_has_its_type_and_default_on_the_page(built):
    page = html.unescape(text_of(built / "config.html"))
    for fact in (
        "Number of seconds, or a text such as 90m",
        "Whole number. Default 300.",
        "E2_HIGHCPU_8",
    ):
        assert fact in page
    assert "<!--" not in page
    classes = [*generated.KEYS.values(), settings.Settings]
    assert [kind.__name__ for kind in classes if re.search(rf"\b{kind.__name__}\(", page)] == []
    assert "RecipeChange" not in page
    assert not re.search(r"\b(str|tuple|dict|None|Struct)\b", page)


def entries(page):
    """The text below each key of a page, by the name of the key."""
    parts = generated.KEY.split(page.read_text(encoding="utf-8"))
    return {name: re.split(r"^#+ ", text, flags=re.MULTILINE)[0] for name, text in pairs(parts)}


def pairs(parts):
    return zip(parts[1::2], parts[2::2], strict=True)


@pytest.mark.parametrize("name", entries(CONFIG))
def test_the_example_of_a_key_is_valid_and_has_it(name):
    text = entries(CONFIG)[name]
    examples = [block for kind, block in console.BLOCK.findall(text) if kind == "yaml"]
    assert examples
    key = name.rpartition(".")[2]
    for example in examples:
        loaded, problems = schema.config_from(parse(example.encode(), f"{name}.yaml"))
        assert problems == []
        problems = check_cloudbuild.check(loaded.cloudbuild)
        assert [problem for problem in problems if problem.severity == "error"] == []
    # An axis is a key of its own.
    assert any(re.search(rf"\b{key}\b", example) for example in examples) or key == "axes"


@pytest.mark.parametrize("name", entries(PROJECT))
def test_the_example_of_a_setting_is_valid(name, tmp_path):
    text = entries(PROJECT)[name]
    (example,) = [block for kind, block in console.BLOCK.findall(text) if kind == "toml"]
    (tmp_path / settings.TOML).write_text(example, encoding="utf-8")
    found, _ = settings.read(tmp_path)
    assert getattr(found, name.rpartition(".")[2])


@pytest.mark.parametrize("page", [*(ROOT / "docs").rglob("*.md")], ids=lambda path: path.stem)
def test_every_example_of_a_config_can_be_read(page):
    for kind, block in console.BLOCK.findall(page.read_text(encoding="utf-8")):
        is_of_imagekit = kind == "yaml" and not re.search(r"^(- uses|repos):", block, re.MULTILINE)
        if is_of_imagekit and page.stem != "troubleshooting" and "wrong.yaml" not in block:
            _, problems = schema.config_from(parse(block.encode(), "example.yaml"))
            assert problems == []


# ---- troubleshooting


def messages():
    """The messages that the page about errors explains, without what differs."""
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(r"^### `(.*)`$", text, re.MULTILINE)


@functools.cache
def texts_of_the_code():
    """All texts of the package, those of one place joined: `…` stands for what differs."""
    found = []
    for path in (ROOT / "imagekit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", None) for part in node.values)
                found.append("".join(p if isinstance(p, str) else "…" for p in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_many_messages_are_explained():
    assert len(messages()) == len(set(messages())) >= 25


@pytest.mark.parametrize("message", messages())
def test_an_explained_message_is_one_of_the_code(message):
    def plain(text):
        return re.sub(r"'?…'?|config/images\.yaml", "…", text)

    parts = [part.strip(" ;:") for part in re.split("[…;:]", plain(message))]
    texts = [plain(text) for text in texts_of_the_code()]
    for part in filter(None, parts):
        assert any(part in text for text in texts), part


def test_each_message_has_a_cause_and_a_remedy():
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    for entry in text.split("\n### ")[1:]:
        assert "\n**Cause:** " in entry
        assert "\n**Remedy:** " in entry


# ---- what surrounds the pages


def test_each_page_is_described(built):
    found = {}
    for path in built.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        (text,) = re.findall(r'<meta name="description" content="([^"]*)"', page)
        assert 20 <= len(html.unescape(text)) <= 170, path
        found[path] = text
        assert len(re.findall(r'<meta property="og:\w+"', page)) == 4
    assert len({*found.values()}) == len(found)


def test_each_page_has_the_version_the_repository_and_an_icon(built):
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    for path in built.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert f"Version {imagekit.__version__}" in page
        assert f'href="{urls["Source"]}">Repository' in page
        (icon,) = re.findall(r'<link rel="shortcut icon" href="([^"]*)"', page)
        assert (path.parent / icon.partition("?")[0]).is_file()


def test_the_changelog_is_a_page(built):
    text = html.unescape(text_of(built / "changelog.html"))
    assert "Unreleased" in text
    assert "Keep a Changelog" in text


def test_the_first_page_has_three_lines_and_the_matrix(built):
    page = (built / "index.html").read_text(encoding="utf-8")
    lines = text_of(built / "index.html")
    assert "pip install imagekit\nimagekit init my-images && cd my-images\nmake generate" in (
        html.unescape(lines)
    )
    plan = imagekit.plan(imagekit.load(FAMILY / "config/images.yaml"))
    assert page.count('<rect class="yes"') == sum(image.listed for image in plan.images)
    assert "Ubuntu 22.04 gets no new Python" in page


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_shown_and_has_a_name(name, built):
    drawn = pictures.PICTURES[name](FAMILY if name == "matrix" else ROOT)
    assert re.search(r'<svg role="img" aria-label="[^"]{10,}"', drawn)
    assert "nan" not in drawn
    shown = "".join(path.read_text(encoding="utf-8") for path in built.rglob("*.html"))
    assert drawn[:200] in shown


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


def test_a_terminal_shows_all_that_a_program_prints(tmp_path):
    command = "for n in $(seq 3000); do echo line $n; done; exit 3"
    code, shown = terminal.run_quietly(command, tmp_path, {**os.environ})
    assert code == 3
    assert shown == "".join(f"line {number}\n" for number in range(1, 3001))


def test_what_a_killed_program_has_printed_is_not_compared(tmp_path):
    with pytest.raises(subprocess.CalledProcessError, match="SIGKILL"):
        terminal.run_quietly("echo half; kill -9 $$", tmp_path, {**os.environ})


MADE = {
    ROOT / "docs" / name
    for name in ("reference/exit-codes.md", "reference/records.md", "changelog.md")
}
"""Pages that have no source here."""


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
