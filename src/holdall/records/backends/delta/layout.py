"""How a table holds records: its columns, rows into it, and rows out of it.

A table of ours has the seven columns below. Every other column is a field: a value in it is the
field's, and `null` stands in `data` where it belongs among the others. Values that such a column
cannot hold stand in `data`.

A table that others made has an `id`, and every other column is a field; NULL is a field that the
record does not have.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from holdall.core.errors import Corrupt, Unsupported
from holdall.records.encoding import EXACT, dump, load
from holdall.records.stored import Stored, Write
from holdall.records.values import adopt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ID_COLUMN: Final = '"id"'
"""The id of a table that has texts for ids, in statements."""

Kind: TypeAlias = Literal["text", "bool", "int", "float", "instant", "other"]

_OURS = ("id", "created_at", "updated_at", "version", "data", "metadata", "odd")
_MOST_TYPED = 200
_LONGEST_TEXT = 4096
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_MICROSECOND = timedelta(microseconds=1)


class Column(Struct, frozen=True):
    """A column that holds a field.

    Args:
        name: Its name, and the field's.
        kind: What its values are; `other` for what only Python compares.
    """

    name: str
    kind: Kind

    @property
    def sql(self) -> str:
        """The column, in a statement."""
        return quoted(self.name)


class Layout(Struct, frozen=True):
    """The columns of one version of a table.

    Args:
        columns: The columns that are fields.
        ours: Whether it has our own columns too.
        strange: The columns that we would not have made; where there are some, nothing is written.
        id: The id as text, in SQL.
        made: When the table was made, for the records of a table that is not ours.
    """

    columns: tuple[Column, ...]
    ours: bool
    strange: tuple[str, ...]
    id: str
    made: datetime

    @property
    def selected(self) -> str:
        """What `decoded` reads, for SELECT."""
        own = [self.id]
        if self.ours:
            own += ["epoch_us(created_at)", "epoch_us(updated_at)", "version", "data", "metadata"]
        fields = [f"epoch_us({c.sql})" if c.kind == "instant" else c.sql for c in self.columns]
        return ",".join(f'{text} AS "${at}"' for at, text in enumerate([*own, *fields]))


def quoted(name: str) -> str:
    """A name of SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def own_schema() -> pa.Schema:
    """The columns of a new table."""
    import pyarrow as pa

    moment = pa.timestamp("us", "UTC")
    texts = {"version", "data", "metadata", "id"}
    kinds = {name: pa.string() if name in texts else moment for name in _OURS} | {"odd": pa.bool_()}
    return pa.schema([pa.field(name, kinds[name]) for name in _OURS])


def layout_of(schema: pa.Schema, made: datetime, address: str) -> Layout:
    """How a table of these columns holds records.

    Raises:
        Unsupported: It has no column `id` of texts or whole numbers.
    """
    kinds = {field.name: _kind_of(field.type) for field in schema}
    expected = {
        "id": "text",
        "created_at": "instant",
        "updated_at": "instant",
        "version": "text",
        "data": "text",
        "metadata": "text",
        "odd": "bool",
    }
    ours = all(kinds.get(name) == kind for name, kind in expected.items())
    if kinds.get("id") not in {"text", "int"}:
        held = ", ".join(f"{field.name} {field.type}" for field in schema)
        raise Unsupported(
            f"{address} has no column 'id' of texts or whole numbers, so that its rows are no "
            f"records; it has {held}"
        )
    skipped = _OURS if ours else ("id",)
    columns = tuple(Column(name, kind) for name, kind in kinds.items() if name not in skipped)
    strange = tuple(
        one.name
        for one in columns
        if not ours or one.kind == "other" or schema.field(one.name).type != _arrow_type(one.kind)
    )
    id_ = ID_COLUMN if kinds["id"] == "text" else 'CAST("id" AS VARCHAR)'
    return Layout(columns, ours, strange, id_, made)


def _kind_of(kind: pa.DataType) -> Kind:
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "int"
    if pa.types.is_floating(kind):
        return "float"
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return "instant"
    return "other"


def typed_fields(writes: Sequence[Write], known: Sequence[Column], least: int) -> list[Column]:
    """The fields of a batch that are to become columns; see the setting `typed_from`."""
    if len(writes) < max(1, least):
        return []
    seen: dict[str, list[Kind]] = {}
    for write in writes:
        for name, value in write.fields.items():
            if value is not None:
                seen.setdefault(name, []).append(_fitting(value))
    taken = {column.name.casefold() for column in known} | set(_OURS)
    new: list[Column] = []
    for name, kinds in seen.items():
        alike = len(kinds) * 2 >= len(writes) and len(set(kinds)) == 1 and kinds[0] != "other"
        room = len(known) + len(new) < _MOST_TYPED
        if alike and room and _NAME.fullmatch(name) and name.casefold() not in taken:
            taken.add(name.casefold())
            new.append(Column(name, kinds[0]))
    return new


def _fitting(value: Any) -> Kind:
    """The kind of column that holds a value as it is."""
    kind = type(value)
    if kind is str:
        # A database compares and keeps these as we do.
        plain = "\0" not in value and (value.isascii() or _is_utf8(value))
        return "text" if plain and len(value) <= _LONGEST_TEXT else "other"
    if kind is bool:
        return "bool"
    if kind is int:
        return "int" if -EXACT <= value <= EXACT else "other"
    if kind is float:
        return "float" if -EXACT < value < EXACT and str(value) != "-0.0" else "other"
    if kind is datetime and value.tzinfo is UTC:
        return "instant"
    return "other"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Row(Struct, frozen=True):
    """A record on its way into the table.

    Args:
        write: What is written.
        created: When the record was created.
        version: Its version.
    """

    write: Write
    created: datetime
    version: str


def encoded(rows: Iterable[Row], columns: Sequence[Column], now: datetime) -> pa.Table:
    """Rows as the table takes them."""
    import pyarrow as pa

    kinds = {column.name: column.kind for column in columns}
    own: dict[str, list[Any]] = {name: [] for name in _OURS}
    fields: dict[str, list[Any]] = {name: [] for name in kinds}
    updated = micros(now)
    for row in rows:
        rest = dict(row.write.fields)
        for name, values in fields.items():
            value = rest.get(name)
            if value is not None and _fitting(value) == kinds[name]:
                values.append(micros(value) if kinds[name] == "instant" else value)
                rest[name] = None
            else:
                values.append(None)
        data, odd = dump(rest)
        metadata, odd_too = dump(row.write.metadata) if row.write.metadata else (b"{}", False)
        cells = (row.write.id, micros(row.created), updated, row.version)
        texts = (data.decode(), metadata.decode(), odd or odd_too)
        for name, cell in zip(_OURS, (*cells, *texts), strict=True):
            own[name].append(cell)
    schema = own_schema()
    for column in columns:
        schema = schema.append(pa.field(column.name, _arrow_type(column.kind)))
    return pa.table(own | fields, schema=schema)


def _arrow_type(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    types = {"text": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    return types.get(kind) or pa.timestamp("us", "UTC")


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def decoded(layout: Layout, cells: Sequence[Any]) -> Stored:
    """A record from a row of what `Layout.selected` selects.

    Raises:
        Corrupt: It is none that this database wrote, or a field holds what no record holds.
    """
    id_ = cells[0]
    try:
        if id_ is None:
            raise Corrupt("it has no id")
        if not layout.ours:
            return _foreign(layout, id_, cells[1:])
        _, created, updated, version, data, metadata = cells[:6]
        fields = load(data)
        for column, cell in zip(layout.columns, cells[6:], strict=True):
            if cell is not None:
                fields[column.name] = _field(column, cell)
        return Stored(
            id_,
            fields,
            {} if metadata == "{}" else load(metadata),
            EPOCH + timedelta(microseconds=created),
            EPOCH + timedelta(microseconds=updated),
            version,
        )
    except (Corrupt, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Corrupt(f"the record {id_!r} cannot be read: {error}", reference=id_) from error


def _field(column: Column, cell: Any) -> Any:
    if column.kind == "instant":
        return EPOCH + timedelta(microseconds=cell)
    return cell if column.kind != "other" else adopt(cell, column.name)


def _foreign(layout: Layout, id_: str, cells: Sequence[Any]) -> Stored:
    fields = {
        column.name: _field(column, cell)
        for column, cell in zip(layout.columns, cells, strict=True)
        if cell is not None
    }
    version = hashlib.blake2b(dump(fields)[0], digest_size=8).hexdigest()
    return Stored(id_, fields, {}, layout.made, layout.made, version)
