"""Putting rows into blocks: which names get a column, and what stands in it."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from holdall.records.backends.objects.blocks import (
    DAMAGED,
    HEAD,
    MOST_COLUMNS,
    MOST_SHAPES,
    Block,
    Column,
    Directory,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdall.records.backends.objects.blocks import Row

_LEVEL = 1
_BLOCK_BYTES = 1024 * 1024
_BLOCK_ROWS = 4096
_LEAST_PART = 32  # a shape that fewer rows than one in so many have is not worth its columns

_encode = msgspec.json.Encoder().encode


def pack(rows: Iterable[Row]) -> Iterator[Block]:
    """Put rows into blocks, a few thousand at a time.

    A row that no block can hold is left out.

    Args:
        rows: By id, each id once.
    """
    some: list[Row] = []
    size = 0
    for row in rows:
        some.append(row)
        size += row.size
        if size >= _BLOCK_BYTES or len(some) == _BLOCK_ROWS:
            yield from _blocks_of(some)
            some, size = [], 0
    if some:
        yield from _blocks_of(some)


def _blocks_of(rows: Sequence[Row]) -> Iterator[Block]:
    try:
        yield Block(_packed(rows))
    except DAMAGED:
        # One of them has what JSON cannot say again, or is too large: the others need not suffer.
        if len(rows) > 1:
            middle = len(rows) // 2
            yield from _blocks_of(rows[:middle])
            yield from _blocks_of(rows[middle:])


def _packed(rows: Sequence[Row]) -> bytes:
    shapes = _shapes_of(rows)
    numbers = {shape: number for number, shape in enumerate(shapes, 1)}
    of_row = [numbers.get(tuple(row.fields), 0) for row in rows]
    columns: dict[str, list[Any]] = {
        ".id": [row.id for row in rows],
        ".etag": [row.etag for row in rows],
        ".created": [row.created for row in rows],
        ".updated": [row.updated for row in rows],
        ".shape": of_row,
        ".metadata": [row.metadata or None for row in rows],
        ".rest": [None if shape else row.fields for row, shape in zip(rows, of_row, strict=True)],
    }
    for name in dict.fromkeys(name for shape in shapes for name in shape):
        columns[f"={name}"] = [
            row.fields.get(name) if shape else None for row, shape in zip(rows, of_row, strict=True)
        ]
    directory: list[Column] = []
    packed: list[bytes] = []
    for name, values in columns.items():
        raw = _encode(values)
        packed.append(zlib.compress(raw, _LEVEL))
        directory.append(Column(name, len(packed[-1]), len(raw), b'"$' in raw))
    head = _encode(Directory(tuple(shapes), tuple(directory)))
    check = zlib.crc32(head)
    for one in packed:
        check = zlib.crc32(one, check)
    whole = HEAD.pack(len(head), sum(map(len, packed)), len(rows), check)
    return b"".join((whole, head, *packed))


def _shapes_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The names, in order, that many of these rows have."""
    shapes: list[tuple[str, ...]] = []
    names: set[str] = set()
    for shape, number in Counter(tuple(row.fields) for row in rows).most_common(MOST_SHAPES):
        if number * _LEAST_PART >= len(rows) and len(names.union(shape)) <= MOST_COLUMNS:
            shapes.append(shape)
            names.update(shape)
    return shapes
