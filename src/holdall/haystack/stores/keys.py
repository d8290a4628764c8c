"""Under what the values of entities are found: rows of the tables that filters search.

A value becomes bytes that are equal where the values are, and sort as they do: a letter for its
kind and then what is compared. Of a long text only the beginning is kept, one byte more than a
literal may have that is compared by SQL, so that every answer is the same as for the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from struct import Struct as Layout
from typing import Any, Final

from holdall.haystack.kinds import (
    Coord,
    Marker,
    NAType,
    Number,
    Ref,
    Remove,
    Symbol,
    Uri,
    XStr,
    is_nan,
)
from holdall.haystack.units import canonical, units

LONGEST: Final = 200
"""How many bytes of a key are compared by SQL; of longer ones 201 are kept."""
DEEPEST: Final = 4
"""How many names a tag within dicts may have that is kept."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # moments are taken apart into clock and offset
_MICROSECOND: Final = timedelta(microseconds=1)
_moment = Layout(">Q").pack
_coord = Layout(">dd").pack
_BELOW: Final = -(2**63)
_ABOVE: Final = 2**63


class Rows:
    """Rows of the tables, some of which may come twice.

    Attributes:
        has: Of `hs_has`; the others are named like their tables, too.
    """

    __slots__ = ("has", "numbers", "odd", "refs", "values")

    def __init__(self) -> None:
        self.has: list[tuple[Any, ...]] = []
        self.refs: list[tuple[Any, ...]] = []
        self.values: list[tuple[Any, ...]] = []
        self.numbers: list[tuple[Any, ...]] = []
        self.odd: list[tuple[Any, ...]] = []

    def take(
        self,
        entity: Mapping[str, Any],
        n: int,
        tags: Mapping[str, int],
        prefix: str = "",
        depth: int = 1,
    ) -> None:
        """Add the rows of an entity, or of a dict in it.

        Args:
            entity: The tags.
            n: The number of the entity.
            tags: The numbers of tags; those within a dict are `dict.tag`.
            prefix: What stands before the names: nothing, or the name of the dict and a dot.
            depth: How many names lead to a tag here.
        """
        has, values, refs = self.has, self.values, self.refs
        for name, value in entity.items():
            if value is None:
                continue
            tag = tags[prefix + name]
            has.append((tag, n))
            kind = type(value)
            if kind is Marker:
                continue
            if kind is str:
                values.append((tag, _cut(b"s", value), n))
            elif kind is Ref:
                refs.append((tag, value.val, n))
            elif kind is list:
                for item in value:
                    self._keep(tag, n, item)
            elif kind is dict or (kind is not Number and isinstance(value, Mapping)):
                if depth < DEEPEST:
                    self.take(value, n, tags, f"{prefix}{name}.", depth + 1)
            else:
                self._keep(tag, n, value)

    def _keep(self, tag: int, n: int, value: Any) -> None:
        kind = type(value)
        if kind is Ref:
            self.refs.append((tag, value.val, n))
        elif kind is Number:
            self._number(tag, n, value.val, value.unit)
        elif kind is int or kind is float:
            self._number(tag, n, value, None)
        else:
            key = key_of(value)
            if key is not None:
                self.values.append((tag, key, n))

    def _number(self, tag: int, n: int, val: float, unit: str | None) -> None:
        held = held_number(val)
        if held is not None:
            self.numbers.append((tag, held, unit_bytes(unit), n))
        elif not is_nan(val):  # it equals nothing, and is not kept
            self.odd.append((tag, n))

    def add_new(self, rows: Rows, former: Rows) -> None:
        """Add those rows of an entity that it did not have before."""
        for table in self.__slots__:
            new = set(getattr(rows, table)) - set(getattr(former, table))
            getattr(self, table).extend(new)

    def clear(self) -> None:
        """Begin anew."""
        for table in self.__slots__:
            getattr(self, table).clear()


def held_number(val: float) -> float | None:
    """A number as SQLite holds it exactly; None where it cannot, or it is none."""
    if type(val) is float:
        return None if is_nan(val) else val
    if _BELOW <= val < _ABOVE:
        return val
    try:
        near = float(val)
    except OverflowError:
        return None
    return near if int(near) == val else None


def unit_bytes(unit: str | None) -> bytes:
    """A unit as it is kept; none is no bytes."""
    return b"" if unit is None else unit.encode("utf-8", "surrogatepass")


@lru_cache(256)
def unit_names(unit: str | None) -> tuple[bytes, ...]:
    """All units that are the same one, as they are kept."""
    if unit is None:
        return (b"",)
    meant = canonical(unit)
    same = {
        text
        for known in units()
        for text in (known.name, *known.symbols)
        if canonical(text) == meant
    }
    return tuple(sorted(unit_bytes(text) for text in same | {unit}))


def key_of(value: Any) -> bytes | None:
    """The key of a value that is no Ref and no number; None where it has none."""
    kind = type(value)
    if kind is str:
        return _cut(b"s", value)
    if kind is bool:
        return b"b1" if value else b"b0"
    if isinstance(value, datetime):
        offset = value.utcoffset()
        if offset is None:
            return None
        moment = (value.replace(tzinfo=None) - _EPOCH - offset) // _MICROSECOND
        return b"m" + _moment(moment + _ABOVE)
    if kind is date:
        return b"d" + value.isoformat().encode()  # type: ignore[no-any-return]
    if isinstance(value, time):
        if value.tzinfo is not None:
            return None
        return b"t" + value.replace(fold=0).isoformat("microseconds").encode()
    if kind is Uri:
        return _cut(b"u", value.val)
    if kind is Symbol:
        return _cut(b"y", value.val)
    if kind is Coord:
        return b"c" + _coord(value.lat + 0.0, value.lng + 0.0)  # so that -0.0 is 0.0
    if kind is XStr:
        return _cut(b"x", f"{value.type}\0{value.val}")
    if kind is NAType:
        return b"n"
    if kind is Remove:
        return b"v"
    return None


def ordered_key(value: Any) -> bytes | None:
    """The key of a value that stands in an order with its kind; None where it does not."""
    key = key_of(value)
    return key if key is not None and key[:1] in _ORDERED else None


_ORDERED: Final = frozenset({b"s", b"b", b"m", b"d", b"t"})


def _cut(kind: bytes, text: str) -> bytes:
    if len(text) > LONGEST:
        text = text[: LONGEST + 1]
    return kind + text.encode("utf-8", "surrogatepass")[: LONGEST + 1]
