"""Records in columns, compressed: a few thousand in a block, whoever wrote it.

A block is a head, a directory and columns. The head says how long the other two are, how many rows
there are, and a check sum of all that follows. The directory is JSON: the shapes of the rows, which
are the names of their fields in order, and of each column the name, its packed and its plain size,
and whether there are markers in it.
A column is a list in JSON, compressed by zlib:

    .id .etag .created .updated .shape    of every row; the moments in microseconds since 1970
    .metadata                             objects, or null where there is none
    .rest                                 all fields of a row whose shape is 0, else null
    =name                                 a field, null in a row whose shape does not have it

Values stand there as `holdall.records.encoding` writes them. Nothing in a block is run, no column
unpacks to more than four MiB, and a column is only unpacked when it is asked for.
"""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta
from operator import lt
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta, Struct

from holdall.core.errors import Corrupt
from holdall.records.encoding import from_plain
from holdall.records.paths import ABSENT, ID, METADATA, descend, field_path, is_special
from holdall.records.stored import Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdall.records.paths import Path

MAX_BODY_BYTES = 1024 * 1024
"""A larger record is in no block: who searches reads its object."""

HEAD = struct.Struct(">IIII")
"""The lengths of directory and columns, how many rows, and the check sum of what follows."""

MOST_SHAPES, MOST_COLUMNS = 16, 64
"""How many shapes of rows and columns of fields a block has."""

_MAX_ROWS = 65_536
_MAX_COLUMN_BYTES = 4 * 1024 * 1024
_MAX_DIRECTORY_BYTES = 1024 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_texts = msgspec.json.Decoder(list[str]).decode
_numbers = msgspec.json.Decoder(list[int]).decode
_objects = msgspec.json.Decoder(list[dict[str, Any] | None]).decode
_values = msgspec.json.Decoder(list[Any]).decode


class Row(NamedTuple):
    """A record as a block takes it.

    Args:
        id: Its id.
        etag: Of the object that it was read from.
        created: When it was created, in microseconds since 1970 UTC.
        updated: When it was last written.
        fields: Its fields, as JSON has them.
        metadata: The user's metadata, as JSON has it.
        size: About how many bytes it takes as JSON.
    """

    id: str
    etag: str
    created: int
    updated: int
    fields: dict[str, Any]
    metadata: dict[str, Any]
    size: int


class Column(Struct, frozen=True, array_like=True):
    """What the directory says of a column.

    Args:
        name: Its name.
        packed: How many bytes it has.
        raw: How many it unpacks to.
        marked: Whether there are markers in it.
    """

    name: str
    packed: Annotated[int, Meta(ge=0)]
    raw: Annotated[int, Meta(ge=0, le=_MAX_COLUMN_BYTES)]
    marked: bool


class Directory(Struct, frozen=True):
    """What is in a block.

    Args:
        shapes: The names of the fields of the rows of each shape, from 1 on.
        columns: The columns, in their order.
    """

    shapes: Annotated[tuple[tuple[str, ...], ...], Meta(max_length=MOST_SHAPES)]
    columns: Annotated[tuple[Column, ...], Meta(max_length=MOST_COLUMNS + 16)]


_read_directory = msgspec.json.Decoder(Directory).decode

DAMAGED: Final = (
    Corrupt,
    msgspec.MsgspecError,
    zlib.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)
"""What the reading of a block raises that another one wrote."""


class Block:
    """Rows in columns, by id; immutable.

    Args:
        data: The block as it is written.

    Attributes:
        data: The same.
        first: The first id.
        last: The last one.
        rows: How many there are.
        raw: How many bytes its columns unpack to.
        shapes: The names of the fields of the rows of each shape, from 1 on.
        marked: The columns that have markers.

    Raises:
        Corrupt: It is damaged; the other errors of `DAMAGED` say the same.
    """

    __slots__ = ("_columns", "data", "first", "last", "marked", "raw", "rows", "shapes")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.rows: int
        directory_bytes, column_bytes, self.rows, check = HEAD.unpack_from(data)
        start = HEAD.size + directory_bytes
        view = memoryview(data)
        if (
            len(data) != start + column_bytes
            or directory_bytes > _MAX_DIRECTORY_BYTES
            or not 0 < self.rows <= _MAX_ROWS
            or zlib.crc32(view[HEAD.size :]) != check
        ):
            raise Corrupt("a block is damaged")
        directory = _read_directory(view[HEAD.size : start])
        self.shapes = directory.shapes
        self.marked = frozenset(column.name for column in directory.columns if column.marked)
        self.raw = sum(column.raw for column in directory.columns)
        self._columns: dict[str, tuple[int, int, int]] = {}
        for column in directory.columns:
            self._columns[column.name] = (start, start + column.packed, column.raw)
            start += column.packed
        ids = Reading(self).ids
        if not all(map(lt, ids, ids[1:])):
            raise Corrupt("the rows of a block are not in order")
        self.first, self.last = ids[0], ids[-1]

    def column(self, name: str) -> bytes:
        """Unpack a column.

        Raises:
            KeyError: There is none of this name.
        """
        begin, end, raw_bytes = self._columns[name]
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(memoryview(self.data)[begin:end], raw_bytes + 1)
        if len(raw) != raw_bytes or not unpacking.eof:
            raise Corrupt("a column is damaged")
        return raw


_ReadColumn: TypeAlias = "Callable[[str, Callable[[bytes], list[Any]]], list[Any]]"

_MOMENTS: Final[dict[Path, str]] = {
    (METADATA, "created_at"): ".created",
    (METADATA, "updated_at"): ".updated",
}


class Reading:
    """The columns of a block, each unpacked when it is first asked for.

    Rows that come from it share nothing with rows of another reading.

    Args:
        block: The block.
    """

    __slots__ = ("_block", "_made", "_values")

    def __init__(self, block: Block) -> None:
        self._block = block
        self._made: dict[str, list[Any]] = {}
        self._values: dict[str, list[Any]] = {}

    @property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return self._column(".id", _texts)

    @property
    def etags(self) -> list[str]:
        """The etags under which the rows were read."""
        return self._column(".etag", _texts)

    def values(self, path: Path) -> list[Any] | None:
        """What a path leads to in all rows; None where each must be looked up by a `reader`."""
        if is_special(path):
            return None
        name, *more = field_path(path)
        return None if more else self._field(name)

    def reader(self, path: Path) -> Callable[[int], Any]:
        """Answer what reads a path in the row at a number, as `stored.reader` does in a row."""
        values = self.values(path)
        if values is not None:
            return values.__getitem__
        if not is_special(path):
            name, *more = field_path(path)
            values, deeper = self._field(name), tuple(more)
            return lambda at: descend(values[at], deeper)
        if path in {(ID,), (METADATA, ID)}:
            return self.ids.__getitem__
        if path in _MOMENTS:
            moments = self._column(_MOMENTS[path], _numbers)
            return lambda at: _moment(moments[at])
        metadata, inner = self._open(".metadata", _objects), path[1:]
        return lambda at: descend(metadata[at] or {}, inner)

    def rows(self, positions: Iterable[int]) -> list[Stored]:
        """The rows at these numbers."""
        ids, etags = self.ids, self.etags
        created, updated = self._column(".created", _numbers), self._column(".updated", _numbers)
        metadata = self._open(".metadata", _objects)
        fields = self._fields(self._open)
        return [
            Stored(
                ids[at],
                fields(at),
                metadata[at] or {},
                _moment(created[at]),
                _moment(updated[at]),
                etags[at],
            )
            for at in positions
        ]

    def plain(self, positions: Iterable[int]) -> Iterator[Row]:
        """The rows at these numbers, as `pack` takes them."""
        ids, etags = self.ids, self.etags
        created, updated = self._column(".created", _numbers), self._column(".updated", _numbers)
        metadata = self._column(".metadata", _objects)
        fields = self._fields(self._column)
        size = self._block.raw // self._block.rows
        for at in positions:
            yield Row(
                ids[at], etags[at], created[at], updated[at], fields(at), metadata[at] or {}, size
            )

    @property
    def _shapes(self) -> list[int]:
        shapes = self._column(".shape", _numbers)
        if not 0 <= min(shapes) <= max(shapes) <= len(self._block.shapes):
            raise Corrupt("a row of a block has no shape")
        return shapes

    def _fields(self, column: _ReadColumn) -> Callable[[int], dict[str, Any]]:
        """Answer what makes the fields of the row at a number."""
        shapes = self._shapes
        rest = column(".rest", _objects)
        columns = [
            [(name, column(f"={name}", _values)) for name in shape] for shape in self._block.shapes
        ]

        def fields(at: int) -> dict[str, Any]:
            shape = shapes[at]
            if shape:
                return {name: values[at] for name, values in columns[shape - 1]}
            return rest[at] or {}

        return fields

    def _field(self, name: str) -> list[Any]:
        """The values of a field; `ABSENT` where a row has none."""
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._made_of(name)
        return found

    def _made_of(self, name: str) -> list[Any]:
        shapes = self._shapes
        having = {number for number, shape in enumerate(self._block.shapes, 1) if name in shape}
        column = self._open(f"={name}", _values) if having else []
        if having.issuperset(shapes):
            return column
        rest = self._open(".rest", _objects) if 0 in shapes else []
        return [
            column[at]
            if shape in having
            else (rest[at] or {}).get(name, ABSENT)
            if shape == 0
            else ABSENT
            for at, shape in enumerate(shapes)
        ]

    def _open(self, name: str, read: Callable[[bytes], list[Any]]) -> list[Any]:
        """A column with the values that its markers stand for."""
        found = self._values.get(f".{name}")
        if found is None:
            found = self._column(name, read)
            if name in self._block.marked:
                opened = _each_of if read is _objects else from_plain
                found = [opened(one) for one in found]
            self._values[f".{name}"] = found
        return found

    def _column(self, name: str, read: Callable[[bytes], list[Any]]) -> list[Any]:
        found = self._made.get(name)
        if found is None:
            found = read(self._block.column(name))
            if len(found) != self._block.rows:
                raise Corrupt("a column is damaged")
            self._made[name] = found
        return found


def _each_of(named: dict[str, Any] | None) -> dict[str, Any] | None:
    """Named values as they are meant; the names stand as they are."""
    return named and {name: from_plain(value) for name, value in named.items()}


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds_of(moment: datetime) -> int:
    """A moment as a `Row` has it."""
    return (moment - _EPOCH) // _MICROSECOND
