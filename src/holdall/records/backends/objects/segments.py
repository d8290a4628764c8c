"""Blocks of a snapshot as bytes, and back, whoever wrote them.

A segment is a mark and blocks, each after its length. A segment that is cut off or holds something
else answers the blocks before that.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from holdall.records.backends.objects.blocks import DAMAGED, Block

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_SEGMENT_BYTES = 16 * 1024 * 1024
"""A larger segment is none of ours."""

_MARK = b"holdall rows 2\n\0"
_LENGTH = struct.Struct(">I")
_SEGMENT_BYTES = 7 * 1024 * 1024  # below a part, so that one request reads it


def join(blocks: Iterable[Block]) -> Iterator[tuple[bytes, int]]:
    """Answer segments of blocks, one after the other: bytes, and how many rows."""
    segment, rows = bytearray(_MARK), 0
    for block in blocks:
        segment += _LENGTH.pack(len(block.data))
        segment += block.data
        rows += block.rows
        if len(segment) >= _SEGMENT_BYTES:
            yield bytes(segment), rows
            segment, rows = bytearray(_MARK), 0
    if rows:
        yield bytes(segment), rows


def split(data: bytes) -> tuple[list[Block], bool]:
    """Answer the blocks of a segment, and whether it is whole."""
    blocks: list[Block] = []
    at = len(_MARK)
    if data[:at] != _MARK:
        return blocks, False
    try:
        while at < len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            blocks.append(Block(data[at : at + length]))
            at += length
    except (struct.error, *DAMAGED):
        return blocks, False
    return blocks, True
