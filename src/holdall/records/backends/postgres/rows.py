"""Rows of the table: what of a record stands in which column."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.records.backends.postgres.pieces import ODD, PLAIN, STRUCTURE
from holdall.records.encoding import dump, load
from holdall.records.stored import Stored, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

READ: Final = (
    "id, fields::text AS fields, metadata::text AS metadata, created AT TIME ZONE 'UTC' AS made, "
    "updated AT TIME ZONE 'UTC' AS changed, version, odd"
)
"""What `stored` reads, in its order."""

ODD_AT: Final = 6
"""Where the degree of a row stands in that."""

WRITTEN: Final = "id, fields, metadata, created, updated, version, odd"
"""The columns that are written."""

_BLOCK_BYTES = 262_144
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = struct.pack(">h", -1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_HEAD = struct.Struct(">hi").pack
_SIZE = struct.Struct(">i").pack
_MOMENT = struct.Struct(">iq").pack
_DEGREES = tuple(struct.pack(">ih", 2, degree) for degree in (PLAIN, ODD, STRUCTURE))


class Entry(Struct, frozen=True, gc=False):
    """A row to write.

    Args:
        write: The record.
        created: When it was created.
        version: Its new version.
    """

    write: Write
    created: datetime
    version: str


def encoded(write: Write) -> tuple[bytes, bytes, int]:
    """The fields and the metadata of a record as JSON, and of which degree the row is."""
    fields, odd = dump(write.fields)
    if write.metadata:
        metadata, odd_too = dump(write.metadata)
        odd = odd or odd_too
    else:
        metadata = b"{}"
    if not odd:
        return fields, metadata, PLAIN
    # Text that looks like it only makes the row slower to find.
    return fields, metadata, STRUCTURE if b'"$dict"' in fields + metadata else ODD


def stored(row: tuple[Any, ...]) -> Stored:
    """The record of a row, of the columns `READ`.

    Raises:
        Corrupt: Somebody wrote in it what is no record.
    """
    id_, fields, metadata, created, updated, version, _ = row
    try:
        return Stored(
            id_,
            load(fields),
            load(metadata) if metadata != "{}" else {},
            created.replace(tzinfo=UTC),
            updated.replace(tzinfo=UTC),
            version,
        )
    except Corrupt as error:
        raise Corrupt(f"the record {id_!r} cannot be read: {error}", reference=id_) from error


def blocks(entries: Iterable[Entry], now: datetime, most: float) -> Iterator[bytes]:
    """The rows of entries that were just created, as `COPY` reads them in its binary form.

    Args:
        entries: The rows; what is left of an iterator goes into the next `COPY`.
        now: When they are written.
        most: It ends with the row that makes it larger than so many bytes.
    """
    moment = _MOMENT(8, (now - _EPOCH) // timedelta(microseconds=1))
    # Between the fields and the version, in a row without metadata.
    beside = _SIZE(2) + b"{}" + moment + moment + _SIZE(16)
    pieces = [_SIGNATURE]
    waiting = 0
    for entry in entries:
        write = entry.write
        fields, metadata, degree = encoded(write)
        id_ = write.id.encode()
        size = len(fields)
        between = beside
        if write.metadata:
            between = _SIZE(len(metadata)) + metadata + beside[6:]
        pieces += (
            _HEAD(7, len(id_)),
            id_,
            _SIZE(size),
            fields,
            between,
            entry.version.encode(),
            _DEGREES[degree],
        )
        waiting += size + len(between) + 60
        if waiting > _BLOCK_BYTES or waiting > most:
            yield b"".join(pieces)
            pieces = []
            most -= waiting
            if most < 0:
                break
            waiting = 0
    pieces.append(_END)
    yield b"".join(pieces)


def columns(entries: Sequence[Entry]) -> list[list[Any]]:
    """The columns of rows to write, for `unnest`: `WRITTEN` without the time of the update."""
    lists: list[list[Any]] = [[] for _ in range(6)]
    ids, fields, metadata, created, versions, degrees = lists
    for entry in entries:
        own, beside, degree = encoded(entry.write)
        ids.append(entry.write.id)
        fields.append(own.decode())
        metadata.append(beside.decode())
        created.append(entry.created)
        versions.append(entry.version)
        degrees.append(degree)
    return lists
