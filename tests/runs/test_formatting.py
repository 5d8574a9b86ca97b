import pytest

from imagekit.runs import formatting
from imagekit.runs.entry import Entry
from imagekit.runs.index import Counts
from imagekit.runs.record import CellError


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (Counts(0, 0, 0), "="),
        (Counts(1, 0, 3), "+1 ~3"),
        (Counts(0, 2, 0), "-2"),
        (Counts(0, 0, 0, whole=1), "~"),
        (Counts(1, 0, 0, whole=1), "+1"),
    ],
)
def test_changes_in_a_few_words(numbers, words):
    assert formatting.changed(numbers) == words


def test_parameters_as_they_were_given():
    entry = Entry(run="x", outcome="failed", parameters={"a": "b c", "check": True, "only": ["g*"]})
    assert formatting.parameters_text(entry) == 'a=b c check=true only=["g*"]'


@pytest.mark.parametrize(
    ("commit", "short"),
    [
        (None, ""),
        ("0123456789abcdef", "0123456789"),
        ("0123456789abcdef-dirty", "0123456789-dirty"),
    ],
)
def test_a_commit_as_people_write_it(commit, short):
    assert formatting.short_commit(commit) == short


def test_why_a_run_ended():
    cell = CellError(number=2, error="E", message="no:\n  more")
    assert (
        formatting.why(Entry(run="x", outcome="failed", cell=cell, problem="p"))
        == "cell 2: E: no; p"
    )
    assert formatting.why(Entry(run="x", outcome="succeeded")) == ""


def entries(*outcomes):
    return [Entry(run=str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]


def test_only_runs_count_as_runs():
    found = entries("failed", "succeeded", "unreadable", "not a run", "not a run")
    assert formatting.tally(found, found, "s") == "2 runs, 1 unreadable, 2 not a run in s"
    assert formatting.tally(found[:1], found, "s") == "1 run of 2 in s"
    assert formatting.tally([], [], "s") == "0 runs in s"
