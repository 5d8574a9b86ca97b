"""Every golden case, byte for byte."""

import pytest

from tools.goldens import CASES, FOLDER, LIST, WRITTEN, names, run


@pytest.mark.parametrize("case", CASES, ids=names())
def test_case(case):
    expected = {
        name: (case / name).read_bytes()
        for name in ("output", *sorted(path.name for path in case.glob(WRITTEN)))
        if (case / name).exists()
    }
    assert run(case) == expected


def test_every_case_is_complete_and_none_has_vanished():
    assert names() == LIST.read_text(encoding="utf-8").split(), "run `make goldens`"
    for case in CASES:
        assert (case / "output").exists(), f"{case.relative_to(FOLDER)}: run `make goldens`"
