import pathlib

import pytest

from imagekit.runs.record import portable

ROOT = pathlib.Path("/home/me/work")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"/home/me/work/runs/a.ipynb"', '"runs/a.ipynb"'),
        ('"/home/me/work"', '"."'),
        ('"in /home/me/work: x"', '"in .: x"'),
        ('"/home/me/.cache/x"', '"~/.cache/x"'),
        ('"/home/me/working/x"', '"~/working/x"'),
        ('"/home/mean/x"', '"/home/mean/x"'),
        ('"/usr/lib/home/me"', '"/usr/lib/home/me"'),
        ('"gs://bucket/home/me/x"', '"gs://bucket/home/me/x"'),
    ],
)
def test_a_record_says_nothing_of_the_machine(monkeypatch, text, shown):
    monkeypatch.setenv("HOME", "/home/me")
    assert portable(text, ROOT) == shown


def test_the_root_of_all_files_is_no_home(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert portable('"/usr/lib"', pathlib.Path("/")) == '"/usr/lib"'
