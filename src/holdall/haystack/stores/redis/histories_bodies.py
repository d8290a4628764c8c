"""Samples as the bytes that lie in the server, to the bit.

A chunk is a line that says what follows, and what follows:

    n                 doubles without a unit
    u<unit>           doubles of a unit
    k                 blocks of values of any kind

A double lies there as the value and its moment, eight bytes each. A block is the count of its
values and the length of their text (four bytes each), the text, which is a list in Hayson, and
their moments. So more can be put behind either, and the last eight bytes are always the last
moment. All numbers begin with their lowest byte.

A mark is a moment as eight bytes that sort as moments do.
"""

from __future__ import annotations

import sys
from array import array
from struct import Struct, error
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import Corrupt
from holdall.haystack.stores.bodies import UNREADABLE, read_kinds, write_kinds
from holdall.haystack.stores.chunks import joined
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdall.haystack.kinds import Kind

KINDS: Final = b"k\n"
"""What a chunk of blocks begins with."""

_SWAPPED: Final = sys.byteorder != "little"
_MARK: Final = Struct(">Q")
_BLOCK: Final = Struct("<II")
_SIGN: Final = 2**63


def mark(moment: int) -> bytes:
    """The mark of a moment."""
    return _MARK.pack(moment + _SIGN)


def moment_of(text: bytes) -> int:
    """The moment of a mark."""
    (number,) = _MARK.unpack(text)
    assert isinstance(number, int)
    return number - _SIGN


def marks_of(text: bytes) -> list[int]:
    """The moments of marks, one after another."""
    return [number - _SIGN for (number,) in _MARK.iter_unpack(text)]


def unit_line(unit: str | None) -> bytes:
    """What a chunk of doubles begins with, without the end of the line."""
    return b"n" if unit is None else b"u" + unit.encode("utf-8", "surrogatepass")


def unit_of(line: bytes) -> str | None:
    """The unit that such a line names."""
    return None if line[:1] == b"n" else line[1:].decode("utf-8", "surrogatepass")


def body(samples: Samples) -> tuple[bytes, bytes]:
    """The first line of a chunk, with its end, and the rest."""
    if isinstance(samples.vals, array):
        return unit_line(samples.unit) + b"\n", _pairs(samples.vals, samples.ts)
    return KINDS, block(samples)


def block(samples: Samples) -> bytes:
    """Samples as a block of kinds."""
    text = _text(samples.kinds())
    return _BLOCK.pack(len(samples), len(text)) + text + _bytes(samples.ts)


def samples_of(chunk: bytes) -> Samples:
    """The samples of a chunk.

    Raises:
        Corrupt: It is not as it was written.
    """
    try:
        end = chunk.index(b"\n") + 1
        if chunk[:end] == KINDS:
            return _blocks(chunk, end)
        values, moments = _columns(memoryview(chunk)[end:])
        doubles = array("d")
        doubles.frombytes(values.tobytes())
        return Samples(moments, doubles, unit_of(chunk[: end - 1]))
    except (*UNREADABLE, error) as fault:
        raise Corrupt(f"samples are not as they were written: {fault}") from fault


def _blocks(chunk: bytes, at: int) -> Samples:
    moments: array[int] = array("q")
    values: list[Kind] = []
    while at < len(chunk):
        count, length = _BLOCK.unpack_from(chunk, at)
        text = at + _BLOCK.size
        at = text + length + 8 * count
        values += read_kinds(chunk[text : text + length])
        some = array("q")
        some.frombytes(chunk[text + length : at])
        if _SWAPPED:
            some.byteswap()
        moments += some
    if len(moments) != len(values):
        raise ValueError(f"{len(moments)} moments and {len(values)} values in a chunk")
    return joined([Samples(moments, values)])


def numbers(values: Iterable[float]) -> bytes:
    """Doubles as bytes."""
    return _bytes(array("d", values))


def interleaved(moments: Sequence[float], values: array[float]) -> bytes:
    """Moments in milliseconds and values, as pairs of doubles."""
    pairs = array("d", bytes(16 * len(values)))
    pairs[0::2] = array("d", moments)
    pairs[1::2] = values
    return _bytes(pairs)


def uninterleaved(text: bytes) -> tuple[array[float], array[float]]:
    """Such moments and values again."""
    pairs = array("d")
    pairs.frombytes(text)
    if _SWAPPED:
        pairs.byteswap()
    return pairs[0::2], pairs[1::2]


def _pairs(values: array[float], moments: array[int]) -> bytes:
    pairs = array("q", bytes(16 * len(moments)))
    bits = array("q")
    bits.frombytes(values.tobytes())
    pairs[0::2] = bits
    pairs[1::2] = moments
    return _bytes(pairs)


def _columns(text: memoryview) -> tuple[array[int], array[int]]:
    pairs = array("q")
    pairs.frombytes(text)
    if _SWAPPED:
        pairs.byteswap()
    if len(pairs) % 2:
        raise ValueError("a value without a moment in a chunk")
    return pairs[0::2], pairs[1::2]


def _bytes(values: array[Any]) -> bytes:
    if _SWAPPED:
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _text(values: Sequence[Kind]) -> bytes:
    return write_kinds(values).encode()
