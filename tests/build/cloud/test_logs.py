"""A remote build's log, which comes in pieces that end anywhere."""

import json

import pytest

from imagekit.build.cloud.logs import Log
from imagekit.build.cloud.service import parse
from imagekit.build.report import StepReport

SAID = (
    b'starting\nStep #0 - "a": one\nStep #1: two\nStep #7: of none\nStep #0 - "a": digest: sha256:'
)
SAID += b"0" * 64 + b" size: 1\nStep #1: last"


class Pieces:
    """A service whose log comes in pieces of a length."""

    def __init__(self, length):
        self.rest = [SAID[at : at + length] for at in range(0, len(SAID), length)]

    def log(self, _):
        return self.rest.pop(0)


@pytest.mark.parametrize("length", [1, 7, 1000])
def test_steps_get_their_lines_whatever_the_pieces(tmp_path, length):
    part = [StepReport(id=name, kind="push") for name in ("a", "b")]
    shown = []
    log = Log(tmp_path / "whole.txt", shown.append, part, 4)
    service = Pieces(length)
    while service.rest:
        status = "WORKING" if len(service.rest) > 1 else "SUCCESS"
        log.read(service, parse(json.dumps({"id": "1", "status": status})))
    assert (tmp_path / "whole.txt").read_bytes() == SAID
    assert shown == SAID.decode().splitlines()
    first, second = (tmp_path / own.log for own in part)
    assert first.name.startswith("005")
    assert first.read_text().splitlines() == ["one", f"digest: sha256:{'0' * 64} size: 1"]
    assert second.read_text().splitlines() == ["two", "last"]
    assert [log.digest(own) for own in part] == [f"sha256:{'0' * 64}", None]
