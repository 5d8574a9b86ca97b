"""What was read of a run store, kept on this machine so that it need not be read again.

Everything in it can be read again from the store: it may be deleted at any time.
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
"""Another version of this program may keep something else."""

PATIENCE = 5.0
"""Seconds to wait for another process that is writing."""

TABLES = {
    "runs": "name TEXT PRIMARY KEY, mark TEXT, entry BLOB",
    "builds": "digest TEXT PRIMARY KEY, inventory BLOB",
    "changes": "pair TEXT PRIMARY KEY, found BLOB",
}

HINDRANCES = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOLFS),
}
"""Errors that say nothing of what the file holds; after any other it is no good."""


class Counts(NamedTuple):
    """How many images came, went and changed, and how much differs outside the images."""

    added: int
    removed: int
    changed: int
    whole: int = 0


class Index:
    """Runs, what they generated, and how that differs, by the store's address.

    It lies in the user's cache folder (XDG base directory specification). A damaged file begins
    again; what cannot be written lives no longer than this object. So nothing here fails.
    """

    def __init__(self, address: str) -> None:
        self.unsaved: dict[str, Inventory] = {}
        self.path = _file(address)
        self.database = self._opened()

    def known(self) -> dict[str, tuple[str, Entry]]:
        """Each run that was read: its files' mark then, and what they said."""
        decoder = msgspec.json.Decoder(Entry)
        return {
            name: (mark, entry)
            for name, mark, data in self._rows("SELECT name, mark, entry FROM runs")
            for entry in _decoded(decoder, data)
        }

    def keep(self, found: Iterable[tuple[str, str, Entry, Inventory | None]]) -> None:
        """Remember runs: name, mark, entry, and what was generated."""
        kept = list(found)
        # Parameters may hold numbers that only JSON has room for.
        rows = [(name, mark, msgspec.json.encode(entry)) for name, mark, entry, _ in kept]
        made = {entry.build: found for _, _, entry, found in kept if entry.build and found}
        builds = [(digest, msgspec.msgpack.encode(found)) for digest, found in made.items()]
        run, build = "REPLACE INTO runs VALUES (?, ?, ?)", "REPLACE INTO builds VALUES (?, ?)"
        if not self._write((run, rows), (build, builds)):
            self.unsaved |= made

    def forget(self, names: Iterable[str]) -> None:
        """Drop runs that are no longer in the store."""
        self._write(("DELETE FROM runs WHERE name = ?", [(name,) for name in names]))

    def build(self, digest: str) -> Inventory | None:
        """What a run generated, by its hash; None where that is not known here."""
        if digest in self.unsaved:
            return self.unsaved[digest]
        rows = self._rows("SELECT inventory FROM builds WHERE digest = ?", digest)
        decoder = msgspec.msgpack.Decoder(Inventory)
        return next((found for (data,) in rows for found in _decoded(decoder, data)), None)

    def counted(self) -> dict[str, Counts]:
        """What differs between two builds, by `before:after`."""
        decoder = msgspec.msgpack.Decoder(Counts)
        rows = self._rows("SELECT pair, found FROM changes")
        return {pair: found for pair, data in rows for found in _decoded(decoder, data)}

    def keep_counted(self, found: dict[str, Counts]) -> None:
        """Remember such numbers."""
        rows = [(pair, msgspec.msgpack.encode(numbers)) for pair, numbers in found.items()]
        self._write(("REPLACE INTO changes VALUES (?, ?)", rows))

    def _rows(self, sql: str, *values: str) -> list[Any]:
        try:
            return self.database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self._begin_again(error)
            return []

    def _write(self, *changes: tuple[str, Sequence[tuple[Any, ...]]]) -> bool:
        """Do all of the changes or none; whether they are done."""
        for _ in range(2):
            try:
                with self.database:
                    for sql, rows in changes:
                        self.database.executemany(sql, rows)
            except sqlite3.Error as error:
                if not self._begin_again(error):
                    return False
            else:
                return True
        return False

    def _begin_again(self, error: sqlite3.Error) -> bool:
        """Put an empty index in place of a damaged one; whether it was the damage that hindered."""
        if _is_hindrance(error):
            return False
        with contextlib.suppress(sqlite3.Error):
            self.database.close()
        self.database = self._opened() if self._removed() else _database(":memory:")
        return True

    def _opened(self) -> sqlite3.Connection:
        for _ in range(2):
            if self.path is None:
                break
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return _database(str(self.path))
            except sqlite3.Error as error:
                if _is_hindrance(error) or not self._removed():
                    break
            except OSError:
                break
        return _database(":memory:")

    def _removed(self) -> bool:
        if self.path is None:
            return False
        try:
            # A journal that is left behind would be played into the new file.
            self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _is_hindrance(error: sqlite3.Error) -> bool:
    # The low byte is the kind; the rest says more of it (sqlite.org/rescode.html).
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in HINDRANCES


def _decoded(decoder: Any, data: Any) -> Iterator[Any]:
    """What was kept, if it can be read; else it is read from the store again."""
    with contextlib.suppress(ValueError, TypeError, RecursionError):
        yield decoder.decode(data)


def _database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=PATIENCE)
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
    # Two processes that begin at once must not each drop what the other has made.
    with database:
        database.execute("BEGIN IMMEDIATE")
        if _version(database) == VERSION:
            return
        for table, columns in TABLES.items():
            database.execute(f"DROP TABLE IF EXISTS {table}")
            database.execute(f"CREATE TABLE {table} ({columns}) WITHOUT ROWID")
        database.execute(f"PRAGMA user_version = {VERSION}")


def _file(address: str) -> pathlib.Path | None:
    """Where a store's index lies; None where the user has no folder for such things."""
    name = f"{hashlib.sha256(os.fsencode(address)).hexdigest()[:24]}.sqlite"
    try:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    except RuntimeError:
        return None
    return pathlib.Path(home) / "imagekit" / "runs" / name
