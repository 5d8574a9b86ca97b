"""What is kept of a store: it saves time, and never stands in the way."""

import concurrent.futures
import contextlib
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from imagekit.runs import history, index
from imagekit.runs.index import Counts, Index
from imagekit.runs.store import Store
from tests.runs.conftest import build, record


@pytest.fixture
def file(store, cache):
    """The index's file, after the store was read."""
    history.read(store)
    (found,) = cache.rglob("*.sqlite")
    return found


@contextlib.contextmanager
def opened(file):
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        yield database


def said(store):
    """All that a history says: entries, builds and numbers."""
    found = history.read(store)
    builds = [found.build(entry) for entry in found.entries]
    return found.entries, builds, found.counts(found.entries)


def change(file, *commands):
    with opened(file) as database:
        for command in commands:
            database.execute(command)


def garble(file, first=0):
    data = bytearray(file.read_bytes())
    data[first:] = b"garbage." * (len(data[first:]) // 8)
    file.write_bytes(data)


ROW = "REPLACE INTO runs SELECT name, mark, {} FROM runs"
DAMAGES = {
    "removed": lambda file: file.unlink(),
    "no database": garble,
    "garbage behind the first page": lambda file: garble(file, 4096),
    "cut": lambda file: os.truncate(file, 5000),
    "empty": lambda file: os.truncate(file, 0),
    "no table": lambda file: change(file, "DROP TABLE builds"),
    "no builds": lambda file: change(file, "DELETE FROM builds"),
    "odd builds": lambda file: change(file, "UPDATE builds SET inventory = 7"),
    "odd entries": lambda file: change(file, ROW.format("'{'"), ROW.format("1")),
    "of another version": lambda file: change(
        file,
        "UPDATE runs SET entry = CAST(replace(CAST(entry AS TEXT), 'succeeded', 'failed') AS BLOB)",
        f"PRAGMA user_version = {index.VERSION + 1}",
    ),
    "of another form": lambda file: change(
        file,
        "DROP TABLE runs",
        "CREATE TABLE runs (other)",
        "INSERT INTO runs VALUES (1)",
        f"PRAGMA user_version = {index.VERSION + 1}",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_begins_again(damage, store, file):
    before = said(store)
    DAMAGES[damage](file)
    assert said(store) == before
    assert said(store) == before
    # What was read is kept again, in the file.
    with opened(file) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (index.VERSION,)
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (10,)


def test_damage_that_shows_only_when_it_is_written(store, file):
    before = said(store)
    found = Index(store.address)
    garble(file)
    found.keep_counted({"a:b": Counts(1, 2, 3)})
    assert found.counted() == {"a:b": Counts(1, 2, 3)}
    assert said(store) == before


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_locked_index_is_done_without(lock, store, file, monkeypatch):
    monkeypatch.setattr(index, "TIMEOUT", 0.01)
    before = said(store)
    name = record(store, 1000, result=build(z="1"))
    with opened(file) as database:
        database.execute(f"BEGIN {lock}")
        found = history.read(store)
        for _ in range(2):
            entries, builds, counts = said(store)
            assert entries[:-1] == before[0]
            assert builds[-1].images.keys() == {"z"}
            assert counts == before[2]
        # What could not be kept in the file is kept in memory.
        (store.folder / f"{name}.json").rename(store.folder / "away")
        assert found.build(found.entries[-1]).images.keys() == {"z"}
        (store.folder / "away").rename(store.folder / f"{name}.json")
    assert entries[-1].run == name
    assert said(store) == (entries, builds, counts)


def test_a_read_only_index_is_read(store, file, monkeypatch):
    record(store, 1000, result=build(z="1"))
    record(store, 1001, result=build(y="1"))
    expected = said(store)
    change(file, "DELETE FROM runs WHERE mark IN (SELECT mark FROM runs LIMIT 3)")
    change(file, "DELETE FROM builds", "DELETE FROM changes")
    connect = sqlite3.connect

    def reading(path, **options):
        name = path if path == ":memory:" else f"file:{path}?mode=ro"
        return connect(name, uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", reading)
    before = file.read_bytes()
    assert said(store) == expected
    assert file.read_bytes() == before
    assert Index(store.address).known()


@pytest.mark.parametrize("hindrance", ["folder", "home"])
def test_without_a_place_for_it_it_lives_in_memory(hindrance, store, cache, monkeypatch):
    expected = said(store)
    if hindrance == "folder":
        cache.rename(cache.with_name("moved"))
        cache.write_text("a file where the folder would be")
    else:
        monkeypatch.delenv("XDG_CACHE_HOME")

        def none():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(pathlib.Path, "home", none)
    assert said(store) == expected
    assert Index(store.address).known() == {}


def test_what_is_gone_from_the_store_is_forgotten(store, file):
    gone = sorted(store.folder.glob("*.json"))[0]
    gone.unlink()
    history.read(store)
    with opened(file) as database:
        names = {name for (name,) in database.execute("SELECT name FROM runs")}
    assert len(names) == 9
    assert gone.stem not in names


def test_who_begins_at_the_same_time_as_another_drops_nothing(store, file, monkeypatch):
    version, seen = index._version, iter([0])
    monkeypatch.setattr(index, "_version", lambda database: next(seen, version(database)))
    assert len(Index(store.address).known()) == 10


READER = """
import sys
from imagekit.runs import history
from imagekit.runs.store import Store
print("ready", flush=True)
sys.stdin.readline()
found = history.read(Store(sys.argv[1]))
print(len(found.entries), found.index.database.execute("PRAGMA database_list").fetchone()[2] != "")
"""


@pytest.mark.edge
def test_many_processes_at_once(tmp_path):
    store = Store(tmp_path / "runs")
    for number in range(600):
        record(store, number, result=build(a=str(number)))
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, store.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for reader in readers:
        assert reader.stdout.readline() == "ready\n"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda reader: reader.communicate("go\n", timeout=300)[0], readers))
    # Each has read everything, and none had to do without the file.
    assert found == ["600 True\n"] * 4
    kept = Index(store.address)
    known = kept.known()
    assert len(known) == 600
    assert all(kept.build(entry.build) for _, entry in known.values())
