"""The table of a database in a file: how it is made and checked, and what it has indexes for."""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

import base64
import re
import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, final

from msgspec import Struct, field

from holdall.core.errors import InvalidConfig, Unsupported
from holdall.records.backends.sqlite.connections import use_log
from holdall.records.backends.sqlite.leaves import LIKE, REGEX
from holdall.records.backends.sqlite.orders import BYTES
from holdall.records.backends.sqlite.places import RARE_KINDS, ROW, ColumnPlace, JsonPlace, place_of
from holdall.records.predicate import Like, like_expression

if TYPE_CHECKING:
    from holdall.records.backends.sqlite.connections import Connection
    from holdall.records.backends.sqlite.settings import SqliteRecordSettings
    from holdall.records.paths import Path

_OLDEST = (3, 38, 0)
_CACHE_KIBIBYTES = 16 * 1024
_COLUMNS = {
    "id": "TEXT",
    "data": "TEXT",
    "metadata": "TEXT",
    "created": "INTEGER",
    "updated": "INTEGER",
    "version": "TEXT",
    "odd": "INTEGER",
}
COLUMNS: Final = tuple(_COLUMNS)
"""The names of the columns: fields and metadata are JSON, moments microseconds since 1970, and
`odd` is 1 for rows whose values SQLite would not compare as we do."""


@final
class Table:
    """The table of one store.

    Args:
        settings: Its file and name.

    Attributes:
        name: The table as a name of SQL.
        source: The table, for FROM, under the name that places have for it.
    """

    def __init__(self, settings: SqliteRecordSettings) -> None:
        self._settings = settings
        self._name = settings.table
        self._known = False
        self.name = f'"{settings.table}"'
        self.source = f"{self.name} AS {ROW}"

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make a new connection ready, and the table where there is none.

        Raises:
            InvalidConfig: Something else of this name is there; it was not changed.
        """
        connection.create_function(LIKE, 3, _is_like, deterministic=True)
        connection.create_function(REGEX, 2, _finds, deterministic=True)
        connection.create_function(BYTES, 1, _bytes_of, deterministic=True)
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIBIBYTES}")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA synchronous={'FULL' if self._settings.durable else 'NORMAL'}")
        if self._known:
            return
        if sqlite3.sqlite_version_info < _OLDEST:
            raise Unsupported(
                f"SQLite {sqlite3.sqlite_version} is too old: "
                f"{'.'.join(map(str, _OLDEST))} or later is needed"
            )
        there = self._check(connection)
        use_log(connection, self._settings.timeout)
        if not there:
            self._make(connection)
            self._check(connection)
        self._known = True

    def _check(self, connection: sqlite3.Connection) -> bool:
        """Answer whether the table is there."""
        address = self._settings.address
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        if encoding != "UTF-8":
            raise InvalidConfig(
                f"{address}: the file holds text as {encoding}, which sorts in another order: "
                "take another file"
            )
        asked = "SELECT type FROM sqlite_schema WHERE name=? COLLATE NOCASE"
        kind = connection.execute(asked, (self._name,)).fetchone()
        if kind is None:
            return False
        held = connection.execute(f"PRAGMA table_info({self.name})").fetchall()
        columns = {name: declared.upper() for _, name, declared, *_ in held}
        keys = [name for _, name, _, _, _, key in held if key]
        if kind != ("table",) or columns != _COLUMNS or keys != ["id"]:
            raise InvalidConfig(
                f"{address}: the file has a {kind[0]} {self._name!r} with other columns "
                f"({', '.join(columns)}): name another table"
            )
        return True

    def _make(self, connection: sqlite3.Connection) -> None:
        columns = ",".join(f"{name} {kind} NOT NULL" for name, kind in _COLUMNS.items())
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {self.name} ({columns},PRIMARY KEY (id))")
        connection.execute(
            f'CREATE INDEX IF NOT EXISTS "{self._name}_odd" ON {self.name} (id) WHERE odd=1'
        )
        connection.execute("COMMIT")

    def index(self, connection: Connection, path: Path) -> None:
        """Index what a path leads to; again does nothing.

        Where SQLite does not follow a path as we do, no index would be used, and none is made.
        """
        connection.known = None
        where = place_of(path)
        if where is None:
            return
        if isinstance(where, ColumnPlace):
            if where.moment:
                connection.execute(
                    f'CREATE INDEX IF NOT EXISTS "{self.index_name(where)}" '
                    f"ON {self.name} ({where.column},id)"
                )
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            f'CREATE INDEX IF NOT EXISTS "{self.rare_index_name(where)}" '
            f"ON {self.name} ({where.bare_kind}) WHERE {where.bare_kind} IN {RARE_KINDS}"
        )
        connection.execute(
            f'CREATE INDEX IF NOT EXISTS "{self.index_name(where)}" '
            f"ON {self.name} ({where.bare_value},id)"
        )
        connection.execute("COMMIT")

    def facts(self, connection: Connection, *, lasting: bool) -> IndexFacts:
        """Answer what is known of the rows, within a transaction.

        Args:
            connection: It keeps what was found out for the next who asks, until the file changes.
            lasting: Whether the transaction has changed nothing, which could be undone.
        """
        # The first number changes with what others write, the second with what this one does.
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        mark = (version, connection.total_changes)
        known: _Known | None = connection.known if lasting else None
        if known is None or known.mark != mark:
            asked = "SELECT name FROM sqlite_schema WHERE type='index'"
            names = frozenset(name for (name,) in connection.execute(asked))
            asked = f"SELECT EXISTS(SELECT 1 FROM {self.source} WHERE {ROW}.odd=1)"
            (odd,) = connection.execute(asked).fetchone()
            known = _Known(mark, names, bool(odd))
            connection.known = known if lasting else None
        return IndexFacts(self, connection, known)

    def index_name(self, where: JsonPlace | ColumnPlace) -> str:
        """What an index of a place is called."""
        if isinstance(where, ColumnPlace):
            return f"{self._name}_{where.column}"
        return f"{self._name}_at_{where.name}"

    def rare_index_name(self, where: JsonPlace) -> str:
        """What the index is called that holds only rare kinds."""
        return f"{self._name}_rare_{where.name}"


class _Known(Struct):
    """What is known of the rows of one state of the file.

    Args:
        mark: Which state.
        names: The indexes that there are.
        odd: Whether there are odd rows.
        kinds: By place, which rare kinds it has; None when it is not indexed.
    """

    mark: tuple[int, int]
    names: frozenset[str]
    odd: bool
    kinds: dict[JsonPlace, frozenset[str] | None] = field(default_factory=dict)


@final
class IndexFacts:
    """What is known of the rows.

    Args:
        table: The table.
        connection: Within a transaction.
        known: What was found out before.
    """

    def __init__(self, table: Table, connection: Connection, known: _Known) -> None:
        self._table = table
        self._connection = connection
        self._known = known
        self.odd = known.odd

    def __call__(self, where: JsonPlace) -> frozenset[str] | None:
        """Which rare kinds an indexed place has now; None when it is not indexed."""
        kinds = self._known.kinds
        try:
            return kinds[where]
        except KeyError:
            return kinds.setdefault(where, self._kinds(where))

    def _kinds(self, where: JsonPlace) -> frozenset[str] | None:
        table = self._table
        if not {table.index_name(where), table.rare_index_name(where)} <= self._known.names:
            return None
        asked = ",".join(
            f"EXISTS(SELECT 1 FROM {table.source} WHERE {where.rare} AND {where.kind}='{kind}')"
            for kind in _RARE
        )
        (present,) = self._connection.execute(f"SELECT {asked}").fetchall()
        return frozenset(kind for kind, there in zip(_RARE, present, strict=True) if there)

    def index_of(self, where: JsonPlace | ColumnPlace) -> str | None:
        """The name of its index; None when there is none."""
        name = self._table.index_name(where)
        return name if name in self._known.names else None


_RARE = ("array", "object", "true", "false")


@lru_cache(256)
def _like_form(pattern: str, ignore_case: int) -> re.Pattern[str]:
    return like_expression(Like((), pattern, bool(ignore_case)))


def _is_like(pattern: str, ignore_case: int, text: Any) -> bool:
    # SQLite may ask before it looks at the type.
    return type(text) is str and _like_form(pattern, ignore_case).fullmatch(text) is not None


@lru_cache(256)
def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _finds(pattern: str, text: Any) -> bool:
    return type(text) is str and _form(pattern).search(text) is not None


def _bytes_of(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
