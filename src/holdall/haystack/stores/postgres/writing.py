"""What a commit writes, as rows: many of them in one stream, few by one statement."""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct as Layout
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct

from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.stores.bodies import note_name, write_body
from holdall.haystack.stores.postgres.keys import Keys, json_of
from holdall.haystack.stores.postgres.reading import NOW
from holdall.records.backends.postgres.steps import Ask, Copy

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from holdall.haystack.stores.entities import Stored, StoredNote
    from holdall.haystack.stores.postgres.database import Place
    from holdall.records.backends.postgres.steps import Steps

T = TypeVar("T")

_FEW: Final = 100
# What one statement moves: it has the time that the setting `timeout` gives it.
_COPIED: Final = 50_000
_UPDATED: Final = 2_000
_BLOCK_BYTES: Final = 262_144

# The binary form of COPY.
_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END: Final = b"\xff\xff"
_size = Layout(">i").pack
_head = Layout(">hi").pack
_long = Layout(">iq").pack
_double = Layout(">id").pack
_array = Layout(">iiIii").pack
_TEXT_OID: Final = 25
_JSONB: Final = b"\x01"


class NewRow(Struct, frozen=True, gc=False):
    """A row of the table of entities.

    Args:
        n: Its number.
        id: The id.
        body: The entity as text.
        tags: The same as JSONB takes it; None where that is the body.
        names: Of its tags, each before a tabulator but the last.
    """

    n: int
    id: str
    body: bytes
    tags: bytes | None
    names: bytes


class Batch(Struct, frozen=True):
    """Rows that are written together, and those that go.

    Args:
        gone: Rows of the tables of values, by table.
        added: Likewise.
        new: New entities.
        changed: Those that were there.
        removed: The numbers of those that go.
    """

    gone: dict[str, list[tuple[Any, ...]]]
    added: dict[str, list[tuple[Any, ...]]]
    new: list[NewRow]
    changed: list[NewRow]
    removed: list[int]

    @classmethod
    def of(
        cls,
        entities: Mapping[str, Stored | None],
        numbers: Mapping[str, int],
        former: Mapping[str, Keys],
    ) -> Batch:
        """What makes of rows what entities are now.

        Args:
            entities: By id; None is gone.
            numbers: Of their rows, also of new ones.
            former: The keys of those that were there.
        """
        hayson = HaysonWriting()
        batch = cls({name: [] for name in _TABLES}, {name: [] for name in _TABLES}, [], [], [])
        for of, now in sorted(entities.items()):
            before = former.get(of)
            if before is None and now is None:
                continue  # added and deleted in one commit
            n = numbers[of]
            keys = Keys.of(None if now is None else now.entity)
            batch._take(n, keys, _NONE if before is None else before)
            if now is None:
                batch.removed.append(n)
                continue
            body = write_body(hayson, now.entity)
            tags = json_of(body)
            row = NewRow(
                n,
                of,
                body.encode(),
                None if tags is body else tags.encode(),
                "\t".join(keys.names).encode(),
            )
            (batch.new if before is None else batch.changed).append(row)
        return batch

    def _take(self, n: int, keys: Keys, former: Keys) -> None:
        for table, mine, before in (
            ("hs_refs", keys.refs, former.refs),
            ("hs_values", keys.values, former.values),
            ("hs_numbers", keys.numbers, former.numbers),
            ("hs_odd", keys.odd, former.odd),
        ):
            if before:
                self.gone[table].extend((*one, n) for one in before - mine)
            self.added[table].extend((*one, n) for one in (mine - before if before else mine))


_NONE: Final = Keys.of(None)


class _Table(Struct, frozen=True):
    """A table of values: the columns between `tag` and `n`, their types, and a row of a copy."""

    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    row: Callable[..., bytes]


def _ref_row(tag: str, target: str, n: int) -> bytes:
    text = target.encode()
    return b"".join((_text(3, tag), _size(len(text)), text, _long(8, n)))


def _value_row(tag: str, val: bytes, n: int) -> bytes:
    return b"".join((_text(3, tag), _size(len(val)), val, _long(8, n)))


def _number_row(tag: str, val: float, unit: bytes, n: int) -> bytes:
    return b"".join((_text(4, tag), _double(8, val), _size(len(unit)), unit, _long(8, n)))


def _odd_row(tag: str, n: int) -> bytes:
    return _text(2, tag) + _long(8, n)


@lru_cache(4096)
def _text(columns: int, text: str) -> bytes:
    """The beginning of a row of so many columns, the first of which is a text."""
    told = text.encode()
    return _head(columns, len(told)) + told


_TABLES: Final = {
    "hs_refs": _Table(("target",), ("text",), _ref_row),
    "hs_values": _Table(("val",), ("bytea",), _value_row),
    "hs_numbers": _Table(("val", "unit"), ("float8", "bytea"), _number_row),
    "hs_odd": _Table((), (), _odd_row),
}

VALUES: Final = tuple(_TABLES)
"""The tables of values."""


def write_values(place: Place, batch: Batch) -> Steps[None]:
    """Write the tables of values."""
    for name, own in _TABLES.items():
        table = place.table(name)
        columns = ("tag", *own.columns, "n")
        kinds = ("text", *own.kinds, "bigint")
        listed = ", ".join(columns)
        same = " AND ".join(f"held.{column} = gone.{column}" for column in columns)
        gone = batch.gone[name]
        added = sorted(batch.added[name])  # so they come to lie beside one another
        delete = f"DELETE FROM {table} AS held USING {_unnested(kinds)} AS gone({listed}) "
        delete += f"WHERE {same}"
        insert = f"INSERT INTO {table} ({listed}) SELECT * FROM "
        if gone and 0 < len(added) <= _FEW and len(gone) <= _FEW:
            both = f"WITH gone AS ({delete}) {insert}{_unnested(kinds, len(kinds))}"
            yield Ask(both, [*_columns(gone), *_columns(added)])
            continue
        for some in _pieces(gone, _UPDATED):
            yield Ask(delete, _columns(some))
        if 0 < len(added) <= _FEW:
            yield Ask(insert + _unnested(kinds), _columns(added))
            continue
        for some in _pieces(added, _COPIED):
            sql = f"COPY {table} ({listed}) FROM STDIN (FORMAT binary)"
            yield Copy(sql, _blocks(own.row(*one) for one in some))


def _unnested(kinds: Sequence[str], taken: int = 0) -> str:
    """Parameters that are columns of these types, after so many others."""
    given = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(kinds, taken + 1))
    return f"unnest({given})"


def write_entities(place: Place, batch: Batch, number: int) -> Steps[None]:
    """Write the entities themselves."""
    table, removed = place.table("entities"), place.table("hs_removed")
    # As bytes, because psycopg takes long for quotes within lists of texts.
    body = "convert_from(body, 'UTF8')"
    tags = f"coalesce(convert_from(tags, 'UTF8'), {body})::jsonb"
    names = "string_to_array(convert_from(names, 'UTF8'), E'\\t')"
    given = "unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[])"
    new = f"(SELECT n, id, {body} AS body, {tags} AS tags, {names} AS names FROM {given}"
    new += " AS given(n, body, tags, names, id)) AS new"
    if len(batch.new) <= _FEW:
        if batch.new:
            yield Ask(
                f"INSERT INTO {table} (n, id, body, tags, names, version) "
                f"SELECT n, id, body, tags, names, $6::bigint FROM {new}",
                [*_given(batch.new), number],
            )
    else:
        sql = f"COPY {table} (n, id, body, tags, names, version) FROM STDIN (FORMAT binary)"
        for some in _pieces(batch.new, _COPIED):
            version = _long(8, number)
            yield Copy(sql, _blocks(_entity_row(one) + version for one in some))
    if batch.new:
        yield Ask(
            f"DELETE FROM {removed} AS held USING {table} AS new WHERE new.id = held.id "
            "AND new.version = $1::bigint",
            (number,),
        )
    for rows in _pieces(batch.changed, _UPDATED):
        yield Ask(
            f"UPDATE {table} AS held SET body = new.body, tags = new.tags, names = new.names, "
            f"version = $6::bigint FROM {new} WHERE held.n = new.n",
            [*_given(rows), number],
        )
    if batch.removed:
        yield Ask(
            f"WITH gone AS (DELETE FROM {table} WHERE n = ANY($1::bigint[]) RETURNING id) "
            f"INSERT INTO {removed} SELECT id, $2::bigint, {NOW} FROM gone "
            "ON CONFLICT (id) DO UPDATE SET version = excluded.version, at = excluded.at",
            [batch.removed, number],
        )


def write_notes(
    place: Place, notes: Mapping[str, StoredNote | None], known: Container[str], number: int
) -> Steps[None]:
    """Write notes.

    Args:
        place: Where the tables are.
        notes: By name; None is gone.
        known: The names of those that are there.
        number: The commit.
    """
    table = place.table("hs_notes")
    gone = [note_name(name) for name, note in notes.items() if note is None and name in known]
    if gone:
        yield Ask(f"DELETE FROM {table} WHERE name = ANY($1::bytea[])", [gone])
    given = "unnest($1::bytea[], $2::bytea[]) AS new(name, value)"
    # Where somebody else wrote it meanwhile this fails, and all is done again.
    insert = f"INSERT INTO {table} SELECT name, value, $3::bigint FROM {given}"
    update = f"UPDATE {table} AS held SET value = new.value, version = $3::bigint FROM {given} "
    update += "WHERE held.name = new.name"
    for there, sql in ((False, insert), (True, update)):
        written = [
            (note_name(name), note.value)
            for name, note in notes.items()
            if note is not None and (name in known) is there
        ]
        if written:
            yield Ask(sql, [*_columns(sorted(written)), number])


def _given(rows: Sequence[NewRow]) -> list[Any]:
    return [
        [one.n for one in rows],
        [one.body for one in rows],
        [one.tags for one in rows],
        [one.names for one in rows],
        [one.id for one in rows],
    ]


def _entity_row(row: NewRow) -> bytes:
    """A row as COPY reads it, but for the version, which follows."""
    of = row.id.encode()
    tags = row.body if row.tags is None else row.tags
    return b"".join(
        (
            _BEGIN,
            _long(8, row.n),
            _size(len(of)),
            of,
            _size(len(row.body)),
            row.body,
            _size(len(tags) + 1),
            _JSONB,
            tags,
            _names(row.names),
        )
    )


_BEGIN: Final = Layout(">h").pack(6)


@lru_cache(4096)
def _names(joined: bytes) -> bytes:
    """Names as an array; most entities have those of others."""
    names = joined.split(b"\t") if joined else []
    if not names:
        told = Layout(">iiI").pack(0, 0, _TEXT_OID)
    else:
        told = _array(1, 0, _TEXT_OID, len(names), 1)
        told += b"".join(_size(len(one)) + one for one in names)
    return _size(len(told)) + told


def _blocks(rows: Iterable[bytes]) -> Iterator[bytes]:
    """Rows as blocks of a stream."""
    pieces = [_SIGNATURE]
    waiting = 0
    for row in rows:
        pieces.append(row)
        waiting += len(row)
        if waiting > _BLOCK_BYTES:
            yield b"".join(pieces)
            pieces.clear()
            waiting = 0
    pieces.append(_END)
    yield b"".join(pieces)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [list(column) for column in zip(*rows, strict=True)]


def _pieces(rows: list[T], size: int) -> Iterator[list[T]]:
    for at in range(0, len(rows), size):
        yield rows[at : at + size]
