"""The index: a local cache of what was read from a run store.

It can be deleted at any time; everything in it can be read from the store again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from imagekit.compare.inventory import Inventory
from imagekit.runs.entry import Entry

VERSION = 3
"""The version of the index format; an index with another version is replaced."""

TIMEOUT = 5.0
"""How long to wait for a lock of another process, in seconds."""

TABLES = {
    "runs": "name TEXT PRIMARY KEY, mark TEXT, entry BLOB",
    "builds": "digest TEXT PRIMARY KEY, inventory BLOB",
    "changes": "pair TEXT PRIMARY KEY, found BLOB",
}
"""The tables of the index, with their columns."""

ACCESS_ERRORS = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOLFS),
}
"""Errors of access to the file; any other error means that the file is damaged."""


class Counts(NamedTuple):
    """The number of changes between two builds."""

    added: int
    """The number of added images."""
    removed: int
    """The number of removed images."""
    changed: int
    """The number of changed images."""
    whole: int = 0
    """The number of changes of the build itself, such as its repository."""


class Index:
    """The entries, inventories and change counts of the store at an address.

    The file is in the user's cache folder (XDG base directory specification). A damaged file is
    replaced, and without write access the index is kept in memory, so no method raises.
    """

    def __init__(self, address: str) -> None:
        self.unsaved: dict[str, Inventory] = {}
        self.path = _index_path(address)
        self.database = self._open()

    def known(self) -> dict[str, tuple[str, Entry]]:
        """The indexed runs by name: the mark of their files when they were read, and the entry."""
        decoder = msgspec.json.Decoder(Entry)
        return {
            name: (mark, entry)
            for name, mark, data in self._rows("SELECT name, mark, entry FROM runs")
            for entry in _decoded(decoder, data)
        }

    def keep(self, runs: Iterable[tuple[str, str, Entry, Inventory | None]]) -> None:
        """Store runs: name, mark, entry and inventory."""
        kept = list(runs)
        # Parameters may have integers that only JSON can represent.
        rows = [(name, mark, msgspec.json.encode(entry)) for name, mark, entry, _ in kept]
        inventories = {e.build: build for _, _, e, build in kept if e.build and build}
        builds = [(digest, msgspec.msgpack.encode(build)) for digest, build in inventories.items()]
        into_runs = "REPLACE INTO runs VALUES (?, ?, ?)"
        into_builds = "REPLACE INTO builds VALUES (?, ?)"
        if not self._write((into_runs, rows), (into_builds, builds)):
            self.unsaved |= inventories

    def forget(self, names: Iterable[str]) -> None:
        """Delete runs that are no longer in the store."""
        self._write(("DELETE FROM runs WHERE name = ?", [(name,) for name in names]))

    def build(self, digest: str) -> Inventory | None:
        """The inventory with a hash; None if it is not in the index."""
        if digest in self.unsaved:
            return self.unsaved[digest]
        rows = self._rows("SELECT inventory FROM builds WHERE digest = ?", digest)
        decoder = msgspec.msgpack.Decoder(Inventory)
        return next((value for (data,) in rows for value in _decoded(decoder, data)), None)

    def counted(self) -> dict[str, Counts]:
        """The change counts of pairs of builds, by `before:after`."""
        decoder = msgspec.msgpack.Decoder(Counts)
        rows = self._rows("SELECT pair, found FROM changes")
        return {pair: counts for pair, data in rows for counts in _decoded(decoder, data)}

    def keep_counted(self, counts: dict[str, Counts]) -> None:
        """Store change counts of pairs of builds."""
        rows = [(pair, msgspec.msgpack.encode(numbers)) for pair, numbers in counts.items()]
        self._write(("REPLACE INTO changes VALUES (?, ?)", rows))

    def _rows(self, sql: str, *values: str) -> list[Any]:
        try:
            return self.database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self._replace_damaged(error)
            return []

    def _write(self, *changes: tuple[str, Sequence[tuple[Any, ...]]]) -> bool:
        """Execute all of the changes or none; return whether they were executed."""
        for _ in range(2):
            try:
                with self.database:
                    for sql, rows in changes:
                        self.database.executemany(sql, rows)
            except sqlite3.Error as error:
                if not self._replace_damaged(error):
                    return False
            else:
                return True
        return False

    def _replace_damaged(self, error: sqlite3.Error) -> bool:
        """Replace a damaged index with an empty one; return False for an access error."""
        if _is_access_error(error):
            return False
        with contextlib.suppress(sqlite3.Error):
            self.database.close()
        self.database = self._open() if self._delete() else _database(":memory:")
        return True

    def _open(self) -> sqlite3.Connection:
        for _ in range(2):
            if self.path is None:
                break
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return _database(str(self.path))
            except sqlite3.Error as error:
                if _is_access_error(error) or not self._delete():
                    break
            except OSError:
                break
        return _database(":memory:")

    def _delete(self) -> bool:
        if self.path is None:
            return False
        try:
            # SQLite would replay an old journal into the new file.
            self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _is_access_error(error: sqlite3.Error) -> bool:
    # The low byte is the primary result code (sqlite.org/rescode.html).
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in ACCESS_ERRORS


def _decoded(decoder: Any, data: Any) -> Iterator[Any]:
    """The decoded value, or nothing if it is damaged; then it is read from the store again."""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        yield decoder.decode(data)


def _database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=TIMEOUT)
    try:
        if _version(database) != VERSION:
            _make_tables(database)
    except BaseException:
        database.close()
        raise
    return database


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _make_tables(database: sqlite3.Connection) -> None:
    # Of two processes that start at once, one must not drop the tables of the other.
    with database:
        database.execute("BEGIN IMMEDIATE")
        if _version(database) == VERSION:
            return
        for table, columns in TABLES.items():
            database.execute(f"DROP TABLE IF EXISTS {table}")
            database.execute(f"CREATE TABLE {table} ({columns}) WITHOUT ROWID")
        database.execute(f"PRAGMA user_version = {VERSION}")


def _index_path(address: str) -> pathlib.Path | None:
    """The path of a store's index; None if the user has no home folder."""
    name = f"{hashlib.sha256(os.fsencode(address)).hexdigest()[:24]}.sqlite"
    try:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    except RuntimeError:
        return None
    return pathlib.Path(home) / "imagekit" / "runs" / name
