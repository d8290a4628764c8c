"""Samples in chunks: up to 512 of one history in a row of a table, to the bit.

Doubles of one unit lie in a chunk as bytes, and anything else as Hayson. What a chunk answers for
is the time from its first moment to that of the chunk after it, so that chunks never overlap.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any, Final

from holdall.core.errors import Corrupt
from holdall.haystack.stores.bodies import UNREADABLE, read_kinds, write_kinds
from holdall.haystack.stores.histories import Samples

_SWAPPED: Final = sys.byteorder != "little"


def row_of(samples: Samples) -> tuple[int, int, int, bytes, str | None, bytes | None, str | None]:
    """A chunk as a row: first, last, count, ts, unit, vals, kinds."""
    ts, vals, unit = samples.ts, samples.vals, samples.unit
    if isinstance(vals, array) and (unit is None or unit.isprintable()):
        return ts[0], ts[-1], len(ts), _bytes(ts), unit, _bytes(vals), None
    # Also where a unit has half a surrogate pair, which SQLite cannot hold.
    return ts[0], ts[-1], len(ts), _bytes(ts), None, None, write_kinds(samples.kinds())


def samples_of(ts: bytes, unit: str | None, vals: bytes | None, kinds: bytes | None) -> Samples:
    """The chunk of a row.

    Raises:
        Corrupt: It is not as it was written.
    """
    moments, doubles = array("q"), array("d")
    try:
        _read(moments, ts)
        if vals is None:
            samples = Samples(moments, read_kinds(kinds or b""))
        else:
            _read(doubles, vals)
            samples = Samples(moments, doubles, unit)
    except UNREADABLE as error:
        raise Corrupt(f"samples are not as they were written: {error}") from error
    if len(samples.vals) != len(moments):
        raise Corrupt(f"there are {len(moments)} moments and {len(samples.vals)} values in a chunk")
    return samples


def _bytes(values: array[Any]) -> bytes:
    if _SWAPPED:
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _read(values: array[Any], text: bytes) -> None:
    values.frombytes(text)
    if _SWAPPED:
        values.byteswap()
