import io
import sys

import pytest

from imagekit.notebook import display, session, sortable


class Kernel:
    def __init__(self, request):
        self.kernel = self
        self.request = request

    def get_parent(self, _):
        return self.request


@pytest.fixture
def kernel(monkeypatch):
    import IPython

    def running(request):
        monkeypatch.setattr(IPython, "get_ipython", lambda: Kernel(request))

    monkeypatch.delenv(session.VARIABLE, raising=False)
    return running


@pytest.mark.parametrize(
    ("request_", "seen"),
    [
        ({"msg_type": "execute_request", "content": {"allow_stdin": True}}, True),
        ({"msg_type": "execute_request", "content": {"allow_stdin": False}}, False),
        ({"msg_type": "comm_msg", "content": {}}, True),
        ({}, False),
    ],
)
def test_a_front_end_says_whether_it_can_ask_its_user(request_, seen, kernel):
    kernel(request_)
    assert session.is_interactive() == seen


@pytest.mark.parametrize(("value", "seen"), [("1", True), ("0", False)])
def test_the_variable_overrides_it(value, seen, kernel, monkeypatch):
    kernel({"content": {"allow_stdin": not seen}})
    monkeypatch.setenv(session.VARIABLE, value)
    assert session.is_interactive() == seen


def test_outside_a_kernel_a_session_is_not_interactive(monkeypatch):
    monkeypatch.delenv(session.VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not session.is_interactive()


def test_progress_is_shown_to_a_terminal_only(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(session.progress([1, 2, 3], what="reading")) == [1, 2, 3]
        assert ("reading" in stream.getvalue()) == shown


def test_a_table_stays_plain_where_nothing_makes_it_sortable(monkeypatch):
    import pandas as pd

    table = display.Table(pd.DataFrame({"a": [1]}), "caption")
    plain = table._repr_mimebundle_()["text/html"]
    monkeypatch.setenv(session.VARIABLE, "1")
    monkeypatch.setattr(display, "send_library", lambda: None)
    assert table._repr_mimebundle_()["text/html"] == plain
    monkeypatch.setattr(display, "send_library", lambda: "sent")
    assert 'data-rows="1"' in table._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("missing", ["anywidget", "itables.utils"])
def test_without_the_extra_nothing_is_sent(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    assert sortable.send_library.__wrapped__() is None
