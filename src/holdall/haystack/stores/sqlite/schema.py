"""The tables of entities and histories in a file, and how they are made and checked.

hs_meta        one row: epoch, the number of the last commit, what is due
hs_entities    the id and version of each entity, by its number `n`
hs_bodies      its tags as Hayson
hs_names       the numbers `t` of tags; a tag within a dict is `dict.tag`
hs_has         which entities have a tag
hs_refs        the Refs of a tag
hs_values      its other values, as keys (see `keys`) that sort as the values do
hs_numbers     its numbers
hs_odd         the entities with numbers in a tag that SQLite cannot hold
hs_removed     the entities that are gone
hs_notes       notes
hs_series      the numbers `s` of points
hs_chunks      up to 512 samples a row
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from holdall.core.errors import InvalidConfig, Unsupported
from holdall.records.backends.sqlite.connections import use_log

if TYPE_CHECKING:
    from holdall.records.backends.sqlite.settings import SqliteRecordSettings

FORMAT: Final = 1
_OLDEST: Final = (3, 38, 0)
_CACHE_KIBIBYTES: Final = 16 * 1024

_TABLES: Final = {
    "hs_meta": """(only_one INTEGER PRIMARY KEY CHECK (only_one=1), format INTEGER NOT NULL,
        epoch TEXT NOT NULL, number INTEGER NOT NULL, due INTEGER, forgotten INTEGER NOT NULL,
        next INTEGER NOT NULL)""",
    "hs_entities": """(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL)""",
    "hs_bodies": "(n INTEGER PRIMARY KEY, tags TEXT NOT NULL)",
    "hs_names": "(t INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "hs_has": "(t INTEGER, n INTEGER, PRIMARY KEY (t,n)) WITHOUT ROWID",
    "hs_refs": """(t INTEGER, target TEXT, n INTEGER, PRIMARY KEY (t,target,n))
        WITHOUT ROWID""",
    "hs_values": "(t INTEGER, val BLOB, n INTEGER, PRIMARY KEY (t,val,n)) WITHOUT ROWID",
    "hs_numbers": """(t INTEGER, val, unit BLOB, n INTEGER, PRIMARY KEY (t,val,unit,n))
        WITHOUT ROWID""",
    "hs_odd": "(t INTEGER, n INTEGER, PRIMARY KEY (t,n)) WITHOUT ROWID",
    "hs_removed": """(id TEXT PRIMARY KEY, version INTEGER NOT NULL, at INTEGER NOT NULL)
        WITHOUT ROWID""",
    "hs_notes": """(name BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL)
        WITHOUT ROWID""",
    "hs_series": "(s INTEGER PRIMARY KEY, point TEXT NOT NULL UNIQUE)",
    "hs_chunks": """(c INTEGER PRIMARY KEY, s INTEGER NOT NULL, first INTEGER NOT NULL,
        last INTEGER NOT NULL, count INTEGER NOT NULL, ts BLOB NOT NULL, unit TEXT, vals BLOB,
        kinds TEXT)""",
}
_INDEXES: Final = (
    "hs_entities_version ON hs_entities (version,id)",
    "hs_removed_version ON hs_removed (version,id)",
    "hs_removed_at ON hs_removed (at)",
    "hs_chunks_span ON hs_chunks (s,first,last,count)",
)


def make_ready(connection: sqlite3.Connection, settings: SqliteRecordSettings) -> None:
    """Make a new connection ready."""
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA synchronous={'FULL' if settings.durable else 'NORMAL'}")


def make_tables(connection: sqlite3.Connection, settings: SqliteRecordSettings) -> None:
    """Check the tables of a file, and make them where there are none.

    Raises:
        InvalidConfig: The file holds something else under their names, or text in another order.
        Unsupported: A later version wrote it, or SQLite is too old.
    """
    if sqlite3.sqlite_version_info < _OLDEST:
        raise Unsupported(
            f"SQLite {sqlite3.sqlite_version} is too old: "
            f"{'.'.join(map(str, _OLDEST))} or later is needed"
        )
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise InvalidConfig(
            f"{settings.address}: the file holds text as {encoding}, which sorts in another "
            "order: take another file"
        )
    there = _is_there(connection, settings)
    use_log(connection, settings.timeout)
    if not there:
        connection.execute("BEGIN IMMEDIATE")
        if not _is_there(connection, settings):  # nobody else made them meanwhile
            for table, columns in _TABLES.items():
                connection.execute(f"CREATE TABLE {table} {columns}")
            for index in _INDEXES:
                connection.execute(f"CREATE INDEX {index}")
            connection.execute(
                "INSERT INTO hs_meta VALUES (1,?,?,0,NULL,0,1)", (FORMAT, uuid4().hex)
            )
        connection.execute("COMMIT")


def _is_there(connection: sqlite3.Connection, settings: SqliteRecordSettings) -> bool:
    asked = "SELECT name FROM sqlite_schema WHERE type IN ('table','view')"
    held = {name for (name,) in connection.execute(asked)}
    expected = _TABLES.keys()
    if not expected & held:
        return False
    row = None
    if "hs_meta" in held:
        columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(hs_meta)")}
        if "format" in columns:
            row = connection.execute("SELECT format FROM hs_meta").fetchone()
    if row is None or (row[0] == FORMAT and expected - held):
        raise InvalidConfig(
            f"{settings.address}: the file has tables {', '.join(sorted(expected & held))} of "
            "somebody else's: take another file"
        )
    if row[0] != FORMAT:
        raise Unsupported(
            f"{settings.address} is of format {row[0]}, and this version of Holdall knows format "
            f"{FORMAT}: use a later version"
        )
    return True
