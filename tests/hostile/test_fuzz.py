"""What `make fuzz` keeps, and a few edits of it each time; see tools/fuzz.py."""

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from tools.fuzz import CORPUS, TARGETS, TOKENS, corpus, edited, fails, shortened

KEPT = sorted(path.relative_to(CORPUS) for path in CORPUS.rglob("*") if path.is_file())
EDITS = strategies.lists(
    strategies.tuples(
        strategies.floats(0, 1), strategies.floats(-1, 1), strategies.integers(-20, 2 * len(TOKENS))
    ),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("kept", KEPT, ids=str)
def test_no_reader_fails_for_what_once_failed(kept):
    assert fails(kept.parts[0], (CORPUS / kept).read_bytes()) is None


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])
@given(data=strategies.data(), edits=EDITS)
def test_no_reader_fails_for_edits_of_it(target, data, edits):
    seed = data.draw(strategies.sampled_from(corpus(target)))
    assert fails(target, edited(seed, edits)) is None


def test_every_reader_has_inputs():
    assert {path.parts[0] for path in KEPT} == {*TARGETS}


def test_what_fails_is_found_and_made_short(monkeypatch):
    def read(data):
        if b"x" in data:
            raise KeyError("x")

    monkeypatch.setitem(TARGETS, "config", read)
    assert isinstance(fails("config", b"abxc"), KeyError)
    assert shortened("config", b"abxc" * 9, KeyError) == b"x"
    assert fails("config", b"abc") is None
