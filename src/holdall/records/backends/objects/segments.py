"""Rows of a snapshot as bytes, and back, whoever wrote them.

A segment is a mark and blocks. A block is its length, the length of what it unpacks to, a check
sum, and compressed MessagePack: a list of `[id, etag, modified_ns, body]`. Nothing in it is run,
and no block unpacks to more than two MiB.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from holdall.core.errors import Corrupt
from holdall.records.backends.objects.bodies import Held

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_SEGMENT_BYTES = 16 * 1024 * 1024
"""A larger segment is none of ours."""

MAX_BODY_BYTES = 1024 * 1024
"""A larger record is not in a snapshot: who searches reads its object."""

_MARK = b"holdall rows 1\n\0"
_HEAD = struct.Struct(">III")
_BLOCK_BYTES = 256 * 1024
_MAX_BLOCK_BYTES = 2 * 1024 * 1024
_SEGMENT_BYTES = 7 * 1024 * 1024  # below a part, so that one request reads it
_LEVEL = 1

Row: TypeAlias = tuple[str, str, int, bytes]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Row]).decode


def pack(rows: Sequence[tuple[str, Held]]) -> Iterator[tuple[bytes, int]]:
    """Answer the segments of rows, by id, one after the other: bytes, and how many rows.

    Args:
        rows: Ids and objects. Those with a large body are left out.
    """
    segment, number = bytearray(_MARK), 0
    block: list[Row] = []
    size = 0

    def close() -> None:
        nonlocal block, size, number
        raw = _encode(block)
        packed = zlib.compress(raw, _LEVEL)
        segment.extend(_HEAD.pack(len(packed), len(raw), zlib.crc32(packed)))
        segment.extend(packed)
        number += len(block)
        block, size = [], 0

    for id_, held in rows:
        if len(held.body) > MAX_BODY_BYTES:
            continue
        block.append((id_, held.etag, held.modified_ns, held.body))
        size += len(held.body) + len(held.etag) + len(id_)
        if size >= _BLOCK_BYTES:
            close()
            if len(segment) >= _SEGMENT_BYTES:
                yield bytes(segment), number
                segment, number = bytearray(_MARK), 0
    if block:
        close()
    if number:
        yield bytes(segment), number


def unpack(data: bytes, etags: Mapping[str, str]) -> tuple[list[tuple[str, Held]], bool]:
    """Read a segment: what it holds of the records that there are, and whether it is whole.

    Args:
        data: The segment.
        etags: The etag that each record has now, by id; other rows do not count.
    """
    rows: list[tuple[str, Held]] = []
    try:
        for block in _blocks(data):
            rows += [
                (id_, Held(now, modified_ns, body))  # the text that the listing has, not one more
                for id_, etag, modified_ns, body in _decode(block)
                if (now := etags.get(id_)) == etag and now is not None
            ]
    except (Corrupt, msgspec.MsgspecError, zlib.error, UnicodeDecodeError, RecursionError):
        return rows, False
    return rows, True


def _blocks(data: bytes) -> Iterator[bytes]:
    at = len(_MARK)
    if data[:at] != _MARK:
        raise Corrupt("this is no segment")
    while at < len(data):
        if len(data) - at < _HEAD.size:
            raise Corrupt("the segment is cut off")
        length, raw_length, check = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        packed = data[at : at + length]
        at += length
        if len(packed) != length or raw_length > _MAX_BLOCK_BYTES or zlib.crc32(packed) != check:
            raise Corrupt("a block is damaged")
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(packed, raw_length + 1)
        if len(raw) != raw_length or not unpacking.eof:
            raise Corrupt("a block is damaged")
        yield raw
