"""Every golden case, byte for byte."""

import pytest

from tools.goldens import CASES, WRITTEN, run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case):
    expected = {
        name: (case / name).read_bytes()
        for name in ("output", *sorted(path.name for path in case.glob(WRITTEN)))
        if (case / name).exists()
    }
    assert run(case) == expected


def test_every_case_is_complete():
    assert len(CASES) > 30
    for case in CASES:
        assert (case / "output").exists(), f"{case.name}: run `make goldens`"
