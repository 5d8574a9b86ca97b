"""Tables on a terminal: a pseudo terminal is one, whatever its width."""

import os
import re
import shutil
import sys

import pytest
from rich.cells import cell_len

from imagekit.cli import table
from tools import terminal

RUN = "20261123T203326.593979Z-generate-8f31f4fd"
WHY = "cell 5: DriftError: cloudbuild.json is out of date (1 changed, 1 rebuilt)"

pytestmark = pytest.mark.edge


@pytest.fixture
def shown(tmp_path, monkeypatch, family):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLUMNS", raising=False)
    shutil.copytree(family / "notebooks/example-runs", tmp_path / "runs")
    (tmp_path / "runs" / "damaged.ipynb").write_text("{")

    def lines(width):
        command = ["-m", "imagekit", "runs", "--runs", str(tmp_path / "runs")]
        _, text = terminal.run([sys.executable, *command], tmp_path, {**os.environ}, width)
        return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()

    return lines


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, "run outcome images changes"),
        (100, "run took outcome images changes"),
        (120, "run took outcome images changes parameters commit"),
        (200, "run began (UTC) notebook took outcome images changes parameters commit config"),
    ],
)
def test_a_history_fits_and_no_word_in_it_is_broken(width, columns, shown):
    head, rule, *lines, _ = shown(width)
    assert head.split() == columns.split()
    assert max(map(len, [head, rule, *lines])) <= width
    rows = [line for line in lines if line.startswith(" 2026") or line.startswith(" damaged")]
    assert len(rows) == 11
    number = next(n for n, line in enumerate(lines) if line.startswith(f" {RUN}"))
    below = lines[number + 1]
    assert below == f"     {WHY}"
    values = re.split("  +", lines[number].strip())
    assert set(values) <= {
        *(RUN, "2026-11-23 20:33:26", "generate", "2.2 s", "failed", "check=true", "176f706b0e"),
    }


def test_a_terminal_of_a_few_columns_gets_all_the_same(shown):
    lines = shown(4)
    assert lines[0] == " run                                         outcome"
    assert f" {RUN}   failed" in lines


def test_only_what_went_wrong_has_a_line_below(shown):
    below = [line for line in shown(120) if line.startswith("     ")]
    assert [line.split(":")[0].strip() for line in below] == [
        "cell 3",
        "cell 5",
        "its notebook cannot be read",
    ]


def test_where_there_is_room_why_is_a_column(shown):
    head, _, *lines = shown(300)
    assert head.split()[-1] == "why"
    assert not [line for line in lines if line.startswith("     ")]


def test_columns_go_in_the_order_in_which_they_are_missed_least():
    widths = {"a": 10, "b": 10, "c": 10, "why": 10}
    fit = table.Fit(below=("why",), drop=("b", "a"))
    assert table._fitting(widths, fit, 50) == ["a", "b", "c", "why"]
    assert table._fitting(widths, fit, 49) == ["a", "b", "c"]
    assert table._fitting(widths, fit, 30) == ["a", "c"]
    assert table._fitting(widths, fit, 5) == ["c"]


def test_a_very_long_cell_makes_no_other_line_long(capsys):
    long = "x" * (table.WIDEST + 1)
    table.show(("a", "b"), [((long, "1"), ""), (("y", "2"), ""), (("─" * 3, "3"), "")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [f" {long}   1", " y     2", " ───   3"]
    assert lines[0] == " a     b"
    table.show(("a", "b"), [((long, "1"), ""), (("y", "2"), "")])
    assert capsys.readouterr().out.splitlines()[2:] == [f" {long}   1", " y   2"]


def test_symbols_that_are_not_measured_take_one_column():
    assert {cell_len(chr(symbol)) for symbol in table.NARROW} == {1}
