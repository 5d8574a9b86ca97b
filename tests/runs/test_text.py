from imagekit.runs import text
from imagekit.runs.entry import Entry


def entries(*outcomes):
    return [Entry(run=str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]


def test_only_runs_count_as_runs():
    found = entries("failed", "succeeded", "unreadable", "not a run", "not a run")
    assert text.tally(found, found, "s") == "2 runs, 1 unreadable, 2 no run in s"
    assert text.tally(found[:1], found, "s") == "1 run of 2 in s"
    assert text.tally([], [], "s") == "0 runs in s"
