"""The table: its columns and indexes, and how it is made.

id        text         the id, compared by code points
fields    json         the fields in their order, as `holdall.records.encoding` writes them
metadata  json         the user's metadata, in the same way
created   timestamptz
updated   timestamptz
version   text
odd       smallint     how much of it PostgreSQL compares as we do: see `pieces`
data      jsonb        the fields once more, to search in; made by PostgreSQL itself

`data` has no field `id`: the column has an index of its own, and an entry for each row is what
makes the one of `data` slow to write. Tables that were made before hold it there too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from holdall.core.errors import InvalidConfig, Unsupported
from holdall.records.backends.postgres.steps import Ask, Mark
from holdall.records.backends.postgres.terms import (
    ColumnTerm,
    Params,
    number,
    rank,
    short,
    term,
    text,
)

if TYPE_CHECKING:
    from holdall.records.backends.postgres.settings import PostgresSettings
    from holdall.records.backends.postgres.steps import Steps
    from holdall.records.paths import Path

_COLUMNS: Final = {
    "id": "text",
    "fields": "json",
    "metadata": "json",
    "created": "timestamp with time zone",
    "updated": "timestamp with time zone",
    "version": "text",
    "odd": "smallint",
    "data": "jsonb",
}

_LOOK = """
SELECT current_setting('server_encoding'), current_setting('server_version_num')::int,
    to_regnamespace($1::text) IS NOT NULL,
    ARRAY(
        SELECT ARRAY[attname::text, format_type(atttypid, atttypmod), attgenerated::text]
        FROM pg_attribute
        WHERE attrelid = to_regclass($2::text) AND attnum > 0 AND NOT attisdropped
    ),
    EXISTS (
        SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = to_regclass($2::text) AND indisprimary AND indnkeyatts = 1
            AND attname = 'id' AND attcollation = '"C"'::regcollation
    ),
    EXISTS (
        SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indrelid = to_regclass($2::text) AND relname = $3::text
            AND NOT COALESCE(reloptions::text ~ 'fastupdate|gin_pending_list_limit', FALSE)
            AND current_setting('transaction_read_only') = 'off'
    ) AND EXISTS (SELECT FROM pg_language WHERE lanname = 'plpgsql')
"""

# New rows wait in a list before they are sorted into an index of this kind, and each search looks
# through all of it: 4 MB of it, unless told otherwise, cost ten times the search itself. A list of
# this many KiB makes large batches no slower, since there the list is sorted in anyway.
_PENDING: Final = "gin_pending_list_limit = 512"

# Who may not change the index, or would have to wait for it, uses it as it is.
_TUNE = """
BEGIN
    SET LOCAL lock_timeout = '100ms';
    ALTER INDEX {index} SET ({option});
EXCEPTION WHEN lock_not_available OR insufficient_privilege OR undefined_object THEN NULL;
END
"""


class Table:
    """Where the table is, as statements name it.

    Args:
        settings: They name it.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._schema = settings.schema
        self._name = settings.table
        self.sql = f"{quoted(settings.schema)}.{quoted(settings.table)}"

    def made(self) -> Steps[None]:
        """Look at the table, and make it when there is none.

        Raises:
            InvalidConfig: There is no such schema, or the table is another one's.
            Unsupported: The server is too old, or does not keep UTF-8.
        """
        if (yield from self._is_there()):
            return
        lock = int.from_bytes(_digest(self.sql)[:8], signed=True)
        yield Mark.BEGIN
        # Who makes it at the same time waits here, and then finds it.
        yield Ask("SELECT pg_advisory_xact_lock($1::bigint)", (lock,))
        if not (yield from self._is_there()):
            for statement in self._statements():
                yield Ask(statement)
        yield Mark.END

    def _is_there(self) -> Steps[bool]:
        index = self._index_name("data")
        reply = yield Ask(_LOOK, (quoted(self._schema), self.sql, index))
        encoding, version, schema, columns, keyed, plain = reply.rows[0]
        if version < 120_000:
            raise Unsupported("the server is older than PostgreSQL 12, which is needed")
        if encoding != "UTF8":
            raise Unsupported(f"the database keeps text as {encoding}, and UTF8 is needed")
        if not schema:
            raise InvalidConfig(
                f"there is no schema {self._schema!r}, or this user may not use it: make it "
                "with CREATE SCHEMA, or name another one in the setting 'schema'"
            )
        if not columns:
            return False
        kinds = {name: kind for name, kind, _ in columns}
        generated = {name for name, _, how in columns if how == "s"}
        if kinds != _COLUMNS or generated != {"data"} or not keyed:
            raise InvalidConfig(
                f"{self.sql} is a table of something else, and is left as it is: name another "
                "one in the setting 'table'"
            )
        if plain:  # as tables were made before
            where = f"{quoted(self._schema)}.{quoted(index)}"
            yield Ask(f"DO {_written(_TUNE.format(index=where, option=_PENDING))}")
        return True

    def _statements(self) -> list[str]:
        table = self.sql
        return [
            f"""CREATE TABLE {table} (
                id text COLLATE "C" PRIMARY KEY,
                fields json NOT NULL,
                metadata json NOT NULL,
                created timestamptz NOT NULL,
                updated timestamptz NOT NULL,
                version text NOT NULL,
                odd smallint NOT NULL,
                data jsonb GENERATED ALWAYS AS (fields::jsonb - 'id') STORED
            )""",
            f"""CREATE INDEX {self._index("data")} ON {table}
                USING gin (data jsonb_path_ops) WITH ({_PENDING})""",
            f"CREATE INDEX {self._index('odd')} ON {table} (odd) WHERE odd > 0",
        ]

    def indexed(self, path: Path) -> Steps[None]:
        """Make an index for what a path leads to, unless there is one; see `RecordStore.index`."""
        literals = _Literals()
        found = term(path, literals)
        if isinstance(found, ColumnTerm):
            if found.sql == "id":
                return
            parts = found.sql
        else:
            written = text(found.sql)
            parts = ", ".join([rank(found.sql), number(found.sql), short(written)])
        name = self._index("by", *path)
        yield Ask(f"CREATE INDEX IF NOT EXISTS {name} ON {self.sql} ({parts})")

    def _index(self, *what: str) -> str:
        return quoted(self._index_name(*what))

    def _index_name(self, *what: str) -> str:
        """The name of an index: one of its own for each table and path, whatever their names."""
        own = _digest("\0".join([self._name, *what])).hex()[:12]
        shown = "_".join([self._name[:20], *(name[:20] for name in what if name.isidentifier())])
        return f"{shown[:40].encode()[:48].decode(errors='ignore')}_{own}"


class _Literals(Params):
    """Values written out, as an index needs them."""

    def add(self, value: object, kind: str) -> str:
        return f"{_written(value)}::{kind}"


def _written(value: object) -> str:
    """A value as a statement has it that takes no parameters."""
    from psycopg.sql import Literal

    return Literal(value).as_string(None)


def quoted(name: str) -> str:
    """A name as statements have it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=20).digest()
