"""Steps that several build files have are read once, wherever they stand."""

import json

import pytest

from imagekit.document import quick_reader
from imagekit.document.quick_reader import KnownSteps, read_quickly

STEPS = [{"name": "gcr.io/cloud-builders/docker", "args": ["push", f"r:{n}"]} for n in range(5)]
NEW = {"name": "ubuntu", "script": "true"}


def text(*steps, **others):
    return json.dumps({"steps": steps, **others})


@pytest.mark.parametrize(
    ("numbers", "more"),
    [
        ((0, 1, 2, 3, 4), 0),
        ((0, 1, 9, 3, 4), 1),
        ((9, 0, 1, 2, 3, 4), 1),
        ((1, 2, 3, 4), 0),
        ((4, 3, 2, 1, 0), 0),
        ((0, 1, 2, 3, 4, 9), 1),
        ((9, 9), 2),
        ((), 0),
    ],
)
def test_a_step_of_another_file_is_not_read_again(numbers, more):
    known = KnownSteps()
    before = read_quickly(text(*STEPS), known)
    other = text(*(STEPS[n] if n < len(STEPS) else NEW for n in numbers))
    after = read_quickly(other, known)
    assert after == read_quickly(other)
    assert sum(all(one is not step for one in before.steps) for step in after.steps) == more


def test_steps_of_all_files_are_known():
    known = KnownSteps()
    first = read_quickly(text(*STEPS[:3]), known)
    second = read_quickly(text(*STEPS[2:]), known)
    assert second.steps[0] is first.steps[2]
    again = read_quickly(text(*STEPS), known)
    assert [*map(id, again.steps)] == [*map(id, first.steps + second.steps[1:])]


def test_many_steps_are_decoded_a_part_at_a_time(monkeypatch):
    whole = read_quickly(text(*STEPS))
    monkeypatch.setattr(quick_reader, "TOGETHER", 2)
    assert read_quickly(text(*STEPS)) == whole


def test_a_file_that_is_not_read_leaves_what_is_known_as_it_was(monkeypatch):
    monkeypatch.setattr(quick_reader, "TOGETHER", 2)
    known = KnownSteps()
    before = read_quickly(text(*STEPS), known)
    twice = '{"name": "a", "name": "a"}'
    assert read_quickly(text(*STEPS, NEW).replace(json.dumps(NEW), twice), known) is None
    assert read_quickly(text(*STEPS, extra=1), known) is None
    assert [*map(id, read_quickly(text(*STEPS), known).steps)] == [*map(id, before.steps)]


def test_a_build_may_be_changed():
    known = KnownSteps()
    del read_quickly(text(*STEPS), known).steps[0]
    assert read_quickly(text(*STEPS), known) == read_quickly(text(*STEPS))
