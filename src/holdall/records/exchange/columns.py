"""The types of the columns of a table, found in the values, and from values to columns.

    bools, whole numbers, floats, Decimal, text, bytes, dates, datetimes, moments, times
                    Arrow's own types; whole numbers among floats become floats
    UUIDs           text, noted as such in the column
    lists           a list, where all items of all of them are of one of the types above
    anything else   JSON text, noted as such in the column: dicts, columns of several types, what
                    is too large for Arrow's type

A moment is in UTC, or in the zone that all moments of a column are in. None and a missing field are
both null, and come back as a missing field.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from holdall.records.encoding import EXACT, to_plain
from holdall.records.exchange.drivers import arrow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Prepare: TypeAlias = Callable[[Any], Any]

NOTE: Final = b"holdall"
"""The key of what is noted in a column."""

JSON: Final = "json"
IDENTIFIER: Final = "uuid"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)
_DIGITS = 38
_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    Decimal: "decimal",
    str: "text",
    bytes: "bytes",
    date: "date",
    time: "time",
    UUID: IDENTIFIER,
}


class Seen:
    """What was seen of one column."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._zones: set[str] = set()
        self._largest = 0
        self._whole_digits = 0
        self._scale = 0
        self._items: Seen | None = None

    def see(self, value: Any) -> None:
        """Take note of a value."""
        kind = type(value)
        if value is None:
            return
        name = _NAMES.get(kind, JSON)
        if kind is datetime:
            name = self._see_datetime(value)
        elif kind is int:
            self._largest = max(self._largest, abs(value))
        elif kind is Decimal:
            name = self._see_decimal(value)
        elif kind is str and not value.isascii() and _has_surrogate(value):
            name = JSON
        elif kind is list:
            name = "list"
            self._items = self._items or Seen()
            for item in value:
                self._items.see(item)
        self._names.add(name)

    def _see_datetime(self, value: datetime) -> str:
        if value.tzinfo is None:
            return "datetime"
        self._zones.add(value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else "UTC")
        return "instant"

    def _see_decimal(self, value: Decimal) -> str:
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):  # NaN and infinities
            return JSON
        self._scale = max(self._scale, -exponent)
        self._whole_digits = max(self._whole_digits, len(digits) + exponent)
        return "decimal" if self._scale + self._whole_digits <= _DIGITS else JSON

    def column(self) -> tuple[Any, str | None, Prepare]:
        """Answer the type, what is noted of it, and what makes values fit it."""
        pa = arrow()
        names = self._names
        if not names:
            return pa.null(), None, _as_it_is
        if names == {"int", "float"} and self._largest <= EXACT:
            return pa.float64(), None, float
        if len(names) > 1:
            return pa.string(), JSON, json_text
        (name,) = names
        if name == "int" and self._largest < 2**63:
            return pa.int64(), None, _as_it_is
        if name == "decimal":
            digits = max(1, self._scale + self._whole_digits)
            return pa.decimal128(digits, self._scale), None, _as_it_is
        if name == "instant":
            zone = next(iter(self._zones)) if len(self._zones) == 1 else "UTC"
            return pa.timestamp("us", zone), None, _moment
        if name == "datetime":
            return pa.timestamp("us"), None, _local
        if name == IDENTIFIER:
            return pa.string(), IDENTIFIER, str
        if name == "list":
            return self._list()
        plain: dict[str, Callable[[], Any]] = {
            "bool": pa.bool_,
            "float": pa.float64,
            "text": pa.string,
            "bytes": pa.binary,
            "date": pa.date32,
            "time": lambda: pa.time64("us"),
        }
        if name in plain:
            return plain[name](), None, _as_it_is
        return pa.string(), JSON, json_text

    def _list(self) -> tuple[Any, str | None, Prepare]:
        pa = arrow()
        assert self._items is not None
        kind, noted, prepare = self._items.column()
        if noted or pa.types.is_list(kind):
            return pa.string(), JSON, json_text

        def each(value: list[Any]) -> list[Any]:
            return [None if item is None else prepare(item) for item in value]

        return pa.list_(kind), None, each


class Columns:
    """The columns of a table.

    Args:
        names: Their names, in order.
        seen: What was seen of each.
    """

    def __init__(self, names: Sequence[str], seen: Mapping[str, Seen]) -> None:
        pa = arrow()
        self._columns = []
        fields = []
        for name in names:
            kind, noted, prepare = seen[name].column()
            metadata = None if noted is None else {NOTE: noted.encode()}
            fields.append(pa.field(name, kind, metadata=metadata))
            self._columns.append((name, kind, prepare))
        self.schema = pa.schema(fields)
        """Arrow's schema of them."""

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Answer rows as a record batch of Arrow."""
        pa = arrow()
        arrays = []
        for name, kind, prepare in self._columns:
            values = [None if (value := row.get(name)) is None else prepare(value) for row in rows]
            arrays.append(pa.array(values, kind))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def json_text(value: Any) -> str:
    """A value as JSON text, with the markers of `holdall.records.encoding`."""
    return msgspec.json.encode(to_plain(value)).decode()


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: datetime) -> int:
    return (value - _EPOCH) // _MICROSECOND


def _local(value: datetime) -> int:
    return (value - _NAIVE_EPOCH) // _MICROSECOND


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
