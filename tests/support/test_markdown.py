import re

import pytest

from imagekit.support.markdown import code, text

EVIL = "![t](https://x/y.png) [click](https://x) __init__ `a` ~~s~~ <b> | \\ *b* &amp;"


def test_a_text_has_no_markup():
    shown = text(EVIL)
    assert not re.search(r"[`*_\[\]~<]", shown)
    assert "![" not in shown
    assert not re.search(r"(?<!\\)\|", shown)
    assert text("# head") == "&#35; head"
    assert text("plain, 1.0 (x) a-b") == "plain, 1.0 (x) a-b"


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("", ""),
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("``", "``` `` ```"),
        (" a ", "`  a  `"),
        ("a|b", "`a\\|b`"),
        ("<b>\n", "`<b>\\n`"),
    ],
)
def test_a_code_span_has_one_meaning(plain, shown):
    assert code(plain) == shown


def test_a_code_span_is_one_to_markdown():
    markdown_it = pytest.importorskip("markdown_it")
    html = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(f"x {code(EVIL)} y")
    assert html.count("<") == html.count("<p>") * 2 + 2
    assert "<code>" in html
    html = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(text(EVIL))
    assert re.findall("<[^>]*>", html) == ["<p>", "</p>"]
