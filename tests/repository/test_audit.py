import json
import sys
import zipfile

import pytest

from tools import audit

PINS = "click==8.1 ; python_version > '3' \\\n    --hash=sha256:x\nPyYAML==6.0.2\n"


def advisory(name, *events, **more):
    package = {"ecosystem": "PyPI", "name": name}
    ranges = [{"type": "ECOSYSTEM", "events": [*events]}]
    return {"id": "X-1", "affected": [{"package": package, "ranges": ranges}]} | more


@pytest.mark.parametrize(
    ("found", "is_found"),
    [
        (advisory("Click", {"introduced": "0"}, {"fixed": "8.2"}), True),
        (advisory("click", {"introduced": "0"}, {"fixed": "8.1"}), False),
        (advisory("click", {"introduced": "0"}, {"last_affected": "8.1"}), True),
        (advisory("click", {"introduced": "8.2"}), False),
        (advisory("other", {"introduced": "0"}), False),
        (advisory("click", {"introduced": "0"}, withdrawn="2026-01-01"), False),
        (advisory("click", {"introduced": "not a version"}), False),
    ],
)
def test_an_advisory_is_about_a_pinned_version(found, is_found):
    assert (audit.affects(found, audit.pinned(PINS)) == "click 8.1") is is_found


@pytest.mark.parametrize("packed", [True, False])
def test_a_database_file_is_read_without_network(tmp_path, monkeypatch, capsys, packed):
    found = advisory("packaging", {"introduced": "0"}, summary="bad")
    file = tmp_path / "all"
    if packed:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("X-1.json", json.dumps(found))
    else:
        file.write_text(json.dumps([found]))
    monkeypatch.setattr(sys, "argv", ["audit", "--database", str(file)])
    assert audit.main() == 1
    assert "X-1: bad" in capsys.readouterr().out
    file.write_text("[]")
    assert audit.main() == 2
    file.write_text("{}")
    with pytest.raises(ValueError, match="not a list"):
        audit.main()
