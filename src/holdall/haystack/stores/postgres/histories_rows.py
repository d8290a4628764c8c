"""Samples as rows of `history`: as a binary COPY takes them, and out of what a query answers."""

from __future__ import annotations

import struct
import sys
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import Corrupt, InvalidValue
from holdall.haystack.kinds import NA, Number
from holdall.haystack.stores.bodies import UNREADABLE, read_kinds, write_kinds
from holdall.haystack.stores.histories import Bounds, Samples, columns, is_double, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdall.haystack.kinds import Kind

DOUBLES: Final = "point_id, ts, val, unit"
"""The columns that doubles take."""
ALL: Final = f"{DOUBLES}, flag, str, other"
"""The columns that other kinds take."""

# A code tells what the row of a sample holds that is no plain double.
CODE: Final = """CASE
    WHEN val IS NOT NULL THEN 'n' || coalesce(unit, '')
    WHEN flag IS NOT NULL THEN CASE WHEN flag THEN 't' ELSE 'f' END
    WHEN str IS NOT NULL THEN 's' || str
    WHEN other IS NOT NULL THEN 'o' || other::text
    ELSE '' END"""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# PostgreSQL counts microseconds from the year 2000.
_OFFSET: Final = 946_684_800_000_000
FIRST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
"""The first moment of the year 1: the years 1 to 9999 are what is kept."""
LAST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
"""The last moment of the year 9999."""

_SWAPPED: Final = sys.byteorder == "little"
_BLOCK: Final = 10_000
_FEW: Final = 16
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
_NULL: Final = struct.pack("!i", -1)
_EIGHT: Final = struct.pack("!i", 8)
_ONE_ROW: Final = struct.Struct("!iqid")


def moment_text(moment: int) -> str:
    """A moment as a statement takes it, exact; those beyond all years that are kept likewise."""
    if moment < FIRST:
        return "0001-01-01 00:00:00+00"
    if moment > LAST:
        return "10000-01-01 00:00:00+00"
    return (_EPOCH + timedelta(microseconds=moment)).isoformat()


def is_text(text: str) -> bool:
    """Whether PostgreSQL can keep a text: it has no NUL and no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or text.isprintable() or _is_utf8(text))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_kept(moment: int) -> bool:
    """Whether a moment is one of those that are kept."""
    return FIRST <= moment <= LAST


def check(point: str, samples: Samples) -> None:
    """Refuse what cannot be kept.

    Raises:
        InvalidValue: The id is no text of PostgreSQL, or a moment lies beyond the years 1 to 9999.
    """
    if not is_text(point):
        raise InvalidValue(f"{point!r} cannot be the id of a point in PostgreSQL")
    if not (is_kept(samples.ts[0]) and is_kept(samples.ts[-1])):
        raise InvalidValue(f"{point}: a sample lies beyond the years 1 to 9999")


def are_doubles(samples: Samples) -> bool:
    """Whether samples fit the columns of doubles."""
    return isinstance(samples.vals, array) and (samples.unit is None or is_text(samples.unit))


def is_same(one: Samples, other: Samples) -> bool:
    """Whether the rows of as many samples are the same, to the bit."""
    if isinstance(one.vals, array) and isinstance(other.vals, array):
        return one.unit == other.unit and one.vals.tobytes() == other.vals.tobytes()
    return all(
        _other_end(value) == _other_end(kind)
        for value, kind in zip(one.kinds(), other.kinds(), strict=True)
    )


def rows(samples: Iterable[tuple[str, Samples]], *, doubles: bool) -> Iterator[bytes]:
    """What a binary COPY takes.

    Args:
        samples: Those of points.
        doubles: Whether it takes the columns of doubles alone.
    """
    yield HEADER
    for point, some in samples:
        start = _field(point.encode())
        if doubles:
            yield from _double_rows(struct.pack("!h", 4) + start, some)
        else:
            yield from _other_rows(struct.pack("!h", 7) + start, some)
    yield TRAILER


def _double_rows(start: bytes, samples: Samples) -> Iterator[bytes]:
    ts, vals, unit = samples.ts, samples.vals, samples.unit
    assert isinstance(vals, array)
    end = _NULL if unit is None else _field(unit.encode())
    if len(ts) <= _FEW:
        yield b"".join(
            [
                start + _ONE_ROW.pack(8, moment - _OFFSET, 8, value) + end
                for moment, value in zip(ts, vals, strict=True)
            ]
        )
        return
    row = start + _EIGHT + bytes(8) + _EIGHT + bytes(8) + end
    width, first = len(row), len(start) + 4
    for at in range(0, len(ts), _BLOCK):
        moments = _swapped([moment - _OFFSET for moment in ts[at : at + _BLOCK]], "q")
        values = _swapped(vals[at : at + _BLOCK], "d")
        # Each of the eight bytes of all rows is put in its place by one slice.
        block = bytearray(row * (len(moments) // 8))
        for byte in range(8):
            block[first + byte :: width] = moments[byte::8]
            block[first + 12 + byte :: width] = values[byte::8]
        yield bytes(block)


def _other_rows(start: bytes, samples: Samples) -> Iterator[bytes]:
    ends: dict[Any, bytes] = {}
    pack = struct.Struct("!iq").pack
    kinds = samples.kinds()
    for at in range(0, len(kinds), _BLOCK):
        parts: list[bytes] = []
        for moment, kind in zip(samples.ts[at : at + _BLOCK], kinds[at : at + _BLOCK], strict=True):
            # One and True are equal, and so are numbers of units that are written in two ways.
            known = (kind, type(kind)) if type(kind) in {bool, str} else None
            end = ends.get(known)
            if end is None:
                end = _other_end(kind)
                if known is not None and len(ends) < _BLOCK:
                    ends[known] = end
            parts.append(start + pack(8, moment - _OFFSET) + end)
        yield b"".join(parts)


def _other_end(kind: Kind) -> bytes:
    """The columns `val`, `unit`, `flag`, `str` and `other` of a kind."""
    if type(kind) is Number and is_double(kind) and is_text(kind.unit or ""):
        unit = _NULL if kind.unit is None else _field(kind.unit.encode())
        return _EIGHT + struct.pack("!d", kind.val) + unit + _NULL * 3
    if type(kind) is bool:
        return _NULL * 2 + _field(bytes([kind])) + _NULL * 2
    if type(kind) is str and is_text(kind):
        return _NULL * 3 + _field(kind.encode()) + _NULL
    if kind is NA:
        return _NULL * 5
    # Hayson as it may stand in any text: half of a surrogate pair is an escape there.
    return _NULL * 4 + _field(write_kinds([kind]).encode()[1:-1])


def _field(text: bytes) -> bytes:
    return struct.pack("!i", len(text)) + text


def _swapped(values: Iterable[Any], code: str) -> bytes:
    made = array(code, values)
    if _SWAPPED:
        made.byteswap()
    return made.tobytes()


def moments_of(text: bytes) -> array[int]:
    """Moments out of `timestamptz_send`, one after another."""
    sent = array("q", text)
    if _SWAPPED:
        sent.byteswap()
    return array("q", [moment + _OFFSET for moment in sent])


def doubles_of(text: bytes) -> array[float]:
    """Doubles out of `float8send`, one after another."""
    sent = array("d", text)
    if _SWAPPED:
        sent.byteswap()
    return sent


def bounds_of(first: bytes | None, last: bytes | None, count: int) -> Bounds | None:
    """What a history reaches over, out of two `timestamptz_send`; None where it has no samples."""
    if first is None or last is None:
        return None
    begun, ended = moments_of(first + last)
    return Bounds(begun, ended, count)


def samples_of(moments: array[int], values: array[float], codes: Sequence[str]) -> Samples:
    """Samples of any kinds.

    Args:
        moments: Theirs.
        values: What stands in `val`, anything where nothing does.
        codes: The `CODE` of each row.

    Raises:
        Corrupt: One is not as it was written.
    """
    known: dict[str, Kind] = {"": NA, "t": True, "f": False}
    kinds: list[Kind] = []
    try:
        for value, code in zip(values, codes, strict=True):
            if code[:1] == "n":
                kinds.append(number_of(value, code[1:] or None))
                continue
            kind = known.get(code)
            if kind is None:
                kind = code[1:] if code[0] == "s" else read_kinds(f"[{code[1:]}]".encode())[0]
                known[code] = kind
            kinds.append(kind)
    except UNREADABLE as error:
        raise Corrupt(f"a sample is not as it was written: {error}") from error
    return columns(moments, kinds)
