"""What was read of a run store, kept on this machine so that it need not be read again.

Everything in it can be read again from the store: it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import sqlite3
from collections.abc import Iterable

import msgspec

from imagekit.inventory import Inventory
from imagekit.runs.entry import Entry

VERSION = 2
"""Another version of this program may keep something else."""

TABLES = """
CREATE TABLE IF NOT EXISTS runs (name TEXT PRIMARY KEY, mark TEXT, entry BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS builds (digest TEXT PRIMARY KEY, inventory BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (pair TEXT PRIMARY KEY, found BLOB) WITHOUT ROWID;
"""


class Index:
    """Runs, what they generated, and how that differs, by the store's address.

    It lies in the user's cache folder (XDG base directory specification). Where that cannot be
    written, or the file is damaged, it begins empty, and lives no longer than this object.
    """

    def __init__(self, address: str) -> None:
        self.path = _folder() / f"{hashlib.sha256(address.encode()).hexdigest()[:24]}.sqlite"
        self.database = self._opened()

    def known(self) -> dict[str, tuple[str, Entry]]:
        """Each run that was read: its files' mark then, and what they said."""
        decoder = msgspec.msgpack.Decoder(Entry)
        rows = self.database.execute("SELECT name, mark, entry FROM runs")
        return {name: (mark, decoder.decode(data)) for name, mark, data in rows}

    def keep(self, found: Iterable[tuple[str, str, Entry, Inventory | None]]) -> None:
        """Remember runs: name, mark, entry, and what was generated."""
        with self.database:
            for name, mark, entry, inventory in found:
                row = (name, mark, msgspec.msgpack.encode(entry))
                self.database.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", row)
                if inventory is not None:
                    data = msgspec.msgpack.encode(inventory)
                    self.database.execute(
                        "INSERT OR IGNORE INTO builds VALUES (?, ?)", (entry.build, data)
                    )

    def forget(self, names: Iterable[str]) -> None:
        """Drop runs that are no longer in the store."""
        with self.database:
            self.database.executemany("DELETE FROM runs WHERE name = ?", ((n,) for n in names))

    def build(self, digest: str) -> Inventory | None:
        """What a run generated, by its hash."""
        sql = "SELECT inventory FROM builds WHERE digest = ?"
        row = self.database.execute(sql, (digest,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=Inventory)

    def counted(self) -> dict[str, tuple[int, int, int]]:
        """Images added, removed and changed between two builds, by `before:after`."""
        rows = self.database.execute("SELECT pair, found FROM changes")
        kind = tuple[int, int, int]
        return {pair: msgspec.msgpack.decode(data, type=kind) for pair, data in rows}

    def keep_counted(self, found: dict[str, tuple[int, int, int]]) -> None:
        """Remember such numbers."""
        rows = [(pair, msgspec.msgpack.encode(numbers)) for pair, numbers in found.items()]
        with self.database:
            self.database.executemany("INSERT OR REPLACE INTO changes VALUES (?, ?)", rows)

    def _opened(self) -> sqlite3.Connection:
        for _ in range(2):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return _database(str(self.path))
            except sqlite3.OperationalError:
                break
            except (sqlite3.DatabaseError, msgspec.DecodeError):
                with contextlib.suppress(OSError):
                    self.path.unlink()
            except OSError:
                break
        return _database(":memory:")


def _database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30)
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        for table in ("runs", "builds", "changes"):
            database.execute(f"DROP TABLE IF EXISTS {table}")
        database.execute(f"PRAGMA user_version = {VERSION}")
    database.executescript(TABLES)
    database.execute("SELECT count(*) FROM runs").fetchone()
    return database


def _folder() -> pathlib.Path:
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "imagekit" / "runs"
