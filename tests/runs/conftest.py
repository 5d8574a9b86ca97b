import datetime
import shutil

import msgspec
import pytest

from imagekit.runs import history
from imagekit.runs.record import Record
from imagekit.runs.store import Store
from tests.conftest import FAMILY

EXAMPLE = FAMILY / "notebooks" / "example-runs"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An index of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def store(tmp_path):
    """A store with the example's runs."""
    return Store(shutil.copytree(EXAMPLE, tmp_path / "runs"))


@pytest.fixture
def read():
    """The entries of a store by name."""

    def entries(store):
        return {entry.run: entry for entry in history.read(store).entries}

    return entries


def record(store, number=0, **fields):
    """Put a record into a store."""
    started = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(number)
    name = f"{started:%Y%m%dT%H%M%S.%fZ}-generate-{number:08x}"
    values = {"notebook": "notebooks/generate.ipynb", "outcome": "succeeded"}
    made = Record(run=name, started=started.isoformat(), **(values | fields))
    store.write(f"{name}.json", msgspec.json.encode(made))
    return name


def build(**images):
    """What the generate notebook keeps of images, each with a Python version."""
    found = {name: {"dockerfile": "D", "build_args": {"P": text}} for name, text in images.items()}
    return {
        "config": "c.yaml",
        "inputs": {"c.yaml": "hash"},
        "images": {"total": len(images)},
        "build": {"repository": "r", "images": found},
    }
