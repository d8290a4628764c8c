"""How a table holds records: its columns, rows into it, and rows out of it.

A table of ours has the seven columns below. Every other column is a field: a value in it is the
field's, and `null` stands in `data` where it belongs among the others. Values that such a column
cannot hold stand in `data`.

A table that others made has an `id`, and every other column is a field; NULL is a field that the
record does not have.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from holdall.core.errors import Corrupt, Unsupported
from holdall.records.encoding import dump, load
from holdall.records.stored import Stored
from holdall.records.values import adopt

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ID_COLUMN: Final = '"id"'
"""The id of a table that has texts for ids, in statements."""

Kind: TypeAlias = Literal["text", "bool", "int", "float", "instant", "other"]

OURS = ("id", "created_at", "updated_at", "version", "data", "metadata", "odd")
_MICROSECOND = timedelta(microseconds=1)


class Column(Struct, frozen=True):
    """A column that holds a field.

    Args:
        name: Its name, and the field's.
        kind: What its values are; `other` for what only Python compares.
        full: Whether every row is known to have a value in it.
    """

    name: str
    kind: Kind
    full: bool = False

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
    kinds = {name: pa.string() if name in texts else moment for name in OURS} | {"odd": pa.bool_()}
    return pa.schema([pa.field(name, kinds[name]) for name in OURS])


def layout_of(
    schema: pa.Schema, made: datetime, address: str, full: Collection[str] = ()
) -> Layout:
    """How a table of these columns holds records.

    Args:
        schema: The columns.
        made: When the table was made.
        address: The table, for messages.
        full: The columns that hold a value in every row.

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
    skipped = OURS if ours else ("id",)
    columns = tuple(
        Column(name, kind, name in full) for name, kind in kinds.items() if name not in skipped
    )
    strange = tuple(
        one.name
        for one in columns
        if not ours or one.kind == "other" or schema.field(one.name).type != arrow_type(one.kind)
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


def arrow_type(kind: Kind) -> pa.DataType:
    """What Arrow calls the values of a column of ours."""
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
