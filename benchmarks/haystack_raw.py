"""The same rows and samples by hand: what a backend's driver takes without us."""

from __future__ import annotations

import json
import sqlite3
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any, Protocol

from haystack_plant import batches
from msgspec.json import encode

from holdall.haystack.codecs.hayson_writing import HaysonWriting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_EPOCH_2000 = 946_684_800_000_000
_PAGE = 1000


class ByHand(Protocol):
    """One backend."""

    def load(self, entities: list[dict[str, Any]]) -> None:
        """Keep entities as JSON, by id."""

    def fetch(self, ids: list[str]) -> list[Any]:
        """Read entities by id, as Python has their JSON."""

    def write(self, points: int, count: int) -> None:
        """Keep as many samples of each of some points, in new tables."""

    def read(self, point: str) -> int:
        """Read all samples of a point; answer how many there are."""

    def close(self) -> None:
        """Let go of it."""


def bodies(entities: list[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    """Ids, and entities as Hayson."""
    writing = HaysonWriting()
    for one in entities:
        yield one["id"].val, encode(writing.row(one)).decode()


class RawSqlite:
    """SQLite, as durable as ours."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._written = 0

    def load(self, entities: list[dict[str, Any]]) -> None:
        """See `ByHand.load`."""
        self._connection.execute("CREATE TABLE raw (id TEXT PRIMARY KEY, tags TEXT) WITHOUT ROWID")
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO raw VALUES (?,?)", bodies(entities))
        self._connection.execute("COMMIT")

    def fetch(self, ids: list[str]) -> list[Any]:
        """See `ByHand.fetch`."""
        asked = "SELECT tags FROM json_each(?) AS w CROSS JOIN raw ON raw.id=w.value"
        rows = self._connection.execute(asked, (json.dumps(ids),))
        return [json.loads(tags) for (tags,) in rows]

    def write(self, points: int, count: int) -> None:
        """See `ByHand.write`."""
        self._written += 1
        self._table = f"raw_{self._written}"
        self._connection.execute(
            f"CREATE TABLE {self._table} (point TEXT, ts INT, val REAL, PRIMARY KEY (point, ts))"
            " WITHOUT ROWID"
        )
        for point, samples in batches(points, count):
            self._connection.execute("BEGIN")
            rows = ((point, ts, val) for ts, val in zip(samples.ts, samples.vals, strict=True))
            asked = f"INSERT OR REPLACE INTO {self._table} VALUES (?,?,?)"
            self._connection.executemany(asked, rows)
            self._connection.execute("COMMIT")

    def read(self, point: str) -> int:
        """See `ByHand.read`."""
        asked = f"SELECT ts,val FROM {self._table} WHERE point=? ORDER BY ts"
        return len(self._connection.execute(asked, (point,)).fetchall())

    def close(self) -> None:
        """See `ByHand.close`."""
        self._connection.close()


class RawPostgres:
    """psycopg, and COPY in its binary form."""

    def __init__(self, dsn: str) -> None:
        import psycopg

        self._connection = psycopg.connect(dsn, autocommit=True)

    def load(self, entities: list[dict[str, Any]]) -> None:
        """See `ByHand.load`."""
        self._connection.execute('CREATE TABLE raw (id text COLLATE "C" PRIMARY KEY, tags jsonb)')
        with (
            self._connection.cursor() as cursor,
            cursor.copy("COPY raw FROM STDIN") as copy,
        ):
            for row in bodies(entities):
                copy.write_row(row)
        self._connection.execute("ANALYZE raw")

    def fetch(self, ids: list[str]) -> list[Any]:
        """See `ByHand.fetch`."""
        asked = "SELECT tags FROM raw WHERE id = ANY(%s) ORDER BY id"
        return [tags for (tags,) in self._connection.execute(asked, (ids,))]

    def write(self, points: int, count: int) -> None:
        """See `ByHand.write`."""
        self._connection.execute("DROP TABLE IF EXISTS raw_history")
        self._connection.execute(
            "CREATE TABLE raw_history (point text, ts timestamptz, val float8,"
            " PRIMARY KEY (point, ts))"
        )
        for point, samples in batches(points, count):
            name = point.encode()
            head = pack(f">hi{len(name)}s", 3, len(name), name)
            rows = [
                head + pack(">iqid", 8, ts - _EPOCH_2000, 8, val)
                for ts, val in zip(samples.ts, samples.vals, strict=True)
            ]
            with (
                self._connection.cursor() as cursor,
                cursor.copy("COPY raw_history FROM STDIN (FORMAT BINARY)") as copy,
            ):
                copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
                copy.write(b"".join(rows))
                copy.write(b"\xff\xff")

    def read(self, point: str) -> int:
        """See `ByHand.read`."""
        asked = (
            f"COPY (SELECT ts,val FROM raw_history WHERE point='{point}' ORDER BY ts)"
            " TO STDOUT (FORMAT BINARY)"
        )
        with self._connection.cursor() as cursor, cursor.copy(asked) as copy:
            data = b"".join(map(bytes, copy))
        rows = [unpack_from(">iqid", data, at) for at in range(21, len(data) - 2, 26)]
        return len(rows)

    def close(self) -> None:
        """See `ByHand.close`."""
        self._connection.close()


class RawRedis:
    """redis-py, pipelined, with time series."""

    def __init__(self, url: str) -> None:
        import redis

        self._client: Any = redis.Redis.from_url(url)
        self._written = 0

    def load(self, entities: list[dict[str, Any]]) -> None:
        """See `ByHand.load`."""
        pairs = list(bodies(entities))
        for at in range(0, len(pairs), _PAGE):
            self._client.mset({f"raw:{of}": text for of, text in pairs[at : at + _PAGE]})

    def fetch(self, ids: list[str]) -> list[Any]:
        """See `ByHand.fetch`."""
        found: list[Any] = []
        for at in range(0, len(ids), _PAGE):
            texts: Any = self._client.mget([f"raw:{of}" for of in ids[at : at + _PAGE]])
            found += [json.loads(text) for text in texts]
        return found

    def write(self, points: int, count: int) -> None:
        """See `ByHand.write`."""
        self._written += 1
        for point, samples in batches(points, count):
            key = f"raw_{self._written}:{point}"
            pipe = self._client.pipeline(transaction=False)
            for at in range(0, count, _PAGE):
                some = zip(samples.ts[at : at + _PAGE], samples.vals[at : at + _PAGE], strict=True)
                command: list[Any] = ["TS.MADD"]
                for ts, val in some:
                    command += (key, ts // 1000, val)
                pipe.execute_command(*command)
            self._client.execute_command("TS.CREATE", key, "DUPLICATE_POLICY", "LAST")
            pipe.execute()

    def read(self, point: str) -> int:
        """See `ByHand.read`."""
        found: Any = self._client.execute_command(
            "TS.RANGE", f"raw_{self._written}:{point}", "-", "+"
        )
        return len(found)

    def close(self) -> None:
        """See `ByHand.close`."""
        self._client.close()
