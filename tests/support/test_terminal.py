import io
import sys

import pytest

from imagekit.support.terminal import Clean, clean, echo, emit, harmless

EVIL = "\x1b]0;title\x07\x1b[31mred\x9b31m\u202e\r"


def test_nothing_that_a_terminal_executes_is_left():
    shown = clean(f"a\tb {EVIL}\nc")
    assert shown.startswith("a\tb \\x1b]0;title\\x07\\x1b[31mred\\x9b31m\\u202e\\r\n")
    assert clean("plain ✓") == "plain ✓"


@pytest.mark.parametrize("err", [False, True])
def test_what_is_printed_is_clean(capsys, err):
    echo(EVIL, err=err)
    echo(Clean("\x1b[1mbold\x1b[0m"), err=err, color=True)
    printed = capsys.readouterr()[err]
    assert printed == f"{clean(EVIL)}\n\x1b[1mbold\x1b[0m\n"


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, clean(EVIL)), (False, EVIL)])
def test_a_document_is_clean_on_a_terminal_and_exact_elsewhere(
    capsys, monkeypatch, is_terminal, shown
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    emit(EVIL, nl=False)
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyError("x"), UnicodeEncodeError])
def test_a_display_that_fails_ends_nothing(error, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    seen = []

    @harmless
    def show(value):
        seen.append(value)
        raise error

    show(1)
    show(value=2)
    assert seen == [1, 2]
