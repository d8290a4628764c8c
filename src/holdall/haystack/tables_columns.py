"""One column of a grid as one of Arrow, and back.

The notes of a field are its metadata, texts by these names:

    haystack.kind     `marker`, `bool`, `number`, `str`, `uri`, `ref`, `symbol`, `date`, `time`,
                      `dateTime`; `zinc` where each value is a literal of Zinc
    haystack.unit     the unit of all numbers
    haystack.whole    `int`: of these floats the whole ones were ints
    haystack.null     `na`: a null is an NA, and not a missing value
    haystack.dis      what the Refs display, by their ids, as an object of JSON
    haystack.meta     the tags about the column, or in a schema about the grid, as a dict of Zinc
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from holdall.core.errors import CodecError
from holdall.haystack.codecs.zinc import read_value, write_value
from holdall.haystack.kinds import (
    MARKER,
    NA,
    Kind,
    Marker,
    NAType,
    Number,
    Ref,
    Symbol,
    Uri,
    is_nan,
)
from holdall.haystack.zones import named, zone, zone_name
from holdall.records.exchange.drivers import arrow

Notes = dict[str, str]
"""What is noted of a column, without `haystack.`."""

PREFIX: Final = "haystack."
_EXACT: Final = 2**53
_LARGEST: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def to_column(values: Sequence[Kind], *, exact: bool) -> tuple[Any, Notes]:
    """An array of Arrow, and what is to be noted.

    Args:
        values: None where a row has none.
        exact: Whether all must come back the same; see `to_arrow`.

    Raises:
        CodecError: A value has no text form.
    """
    pa = arrow()
    kinds = {type(value) for value in values if value is not None}
    notes: Notes = {}
    if NAType in kinds and len(kinds) <= 2 and not any(value is None for value in values):
        values = [None if value is NA else value for value in values]
        kinds.discard(NAType)
        notes["null"] = "na"
    if not kinds:
        return pa.nulls(len(values)), notes
    try:
        items, kind, noted = _written(values, kinds, exact=exact)
        return pa.array(items, kind), notes | noted
    except UnicodeEncodeError as error:
        raise CodecError("a lone surrogate, which UTF-8 has no form for") from error


_Written = tuple[Sequence[Any], Any, Notes]


def _written(values: Sequence[Any], kinds: set[type], *, exact: bool) -> _Written:
    pa = arrow()
    written: _Written | None = None
    if len(kinds) == 1:
        (one,) = kinds
        if one in _PLAIN:
            name, kind, plain = _PLAIN[one]
            items = [None if value is None else plain(value) for value in values]
            return items, kind(pa), {"kind": name}
        if one is Number:
            written = _write_numbers(values, exact=exact)
        elif one is Ref:
            written = _write_refs(values)
        elif one is datetime:
            written = _write_moments(values, exact=exact)
    if written is not None:
        return written
    literals = [None if value is None else write_value(value) for value in values]
    return literals, pa.string(), {"kind": "zinc"}


def _same(value: Any) -> Any:
    return value


def _val(value: Any) -> Any:
    return value.val


_PLAIN: Final[dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]]] = {
    Marker: ("marker", lambda pa: pa.bool_(), lambda _: True),
    bool: ("bool", lambda pa: pa.bool_(), _same),
    str: ("str", lambda pa: pa.string(), _same),
    Uri: ("uri", lambda pa: pa.string(), _val),
    Symbol: ("symbol", lambda pa: pa.string(), _val),
    date: ("date", lambda pa: pa.date32(), _same),
    time: ("time", lambda pa: pa.time64("us"), _same),
}


def _write_refs(values: Sequence[Any]) -> _Written | None:
    shown: dict[str, str | None] = {}
    for value in values:
        if value is not None and shown.setdefault(value.val, value.dis) != value.dis:
            return None  # one id with two names
    names = {id_: dis for id_, dis in shown.items() if dis is not None}
    notes = {"kind": "ref"}
    if names:
        notes["dis"] = msgspec.json.encode(names).decode()
    return [value and value.val for value in values], arrow().string(), notes


def _write_numbers(values: Sequence[Any], *, exact: bool) -> _Written | None:
    vals = [value.val for value in values if value is not None]
    # Not a number has no unit.
    units = {value.unit for value in values if value is not None and value.val == value.val}
    if len(units) > 1:
        return None
    unit = units.pop() if units else None
    notes = {"kind": "number"} if unit is None else {"kind": "number", "unit": unit}
    ints = [val for val in vals if type(val) is int]
    if len(ints) == len(vals):
        if not -_LARGEST <= min(ints) <= max(ints) < _LARGEST:
            return None
        return [value and value.val for value in values], arrow().int64(), notes
    if ints:
        if max(map(abs, ints)) > _EXACT:
            return None
        if not any(val.is_integer() for val in vals if type(val) is float):
            notes["whole"] = "int"
        elif exact:
            return None
    return [None if value is None else float(value) for value in values], arrow().float64(), notes


def _write_moments(values: Sequence[Any], *, exact: bool) -> _Written | None:
    keys = {_key(value) for value in values if value is not None}
    if len(keys) > 1:
        return None
    (key,) = keys
    of = ZoneInfo(key)
    instants: list[int | None] = []
    for value in values:
        if value is None:
            instants.append(None)
            continue
        try:
            utc = value.astimezone(UTC)
        except OverflowError:
            return None
        if exact and utc.astimezone(of).replace(tzinfo=None) != value.replace(tzinfo=None):
            return None  # an hour that clocks left out
        instants.append((utc - _EPOCH) // _MICROSECOND)
    return instants, arrow().timestamp("us", key), {"kind": "dateTime"}


def _key(moment: datetime) -> str:
    of = moment.tzinfo
    moment = named(moment)
    if isinstance(of, ZoneInfo) and of.key and moment.tzinfo is of:
        return of.key
    return zone(zone_name(moment)).key


def from_column(array: Any, notes: Mapping[str, str]) -> list[Any]:
    """The values of an array of Arrow: kinds, or what `Grid` takes for them.

    Notes that do not fit the type of the array are passed over.

    Args:
        array: An array, of one chunk or several.
        notes: What is noted of it.

    Raises:
        CodecError: A literal is none.
        TypeError: The type of the array means no kind.
        ValueError: A value cannot be one.
    """
    types = arrow().types
    kind = array.type
    if types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    values: list[Any]
    if types.is_timestamp(kind):
        values = _read_moments(array, kind)
    elif types.is_integer(kind):
        values = _read_numbers(array.to_pylist(), notes)
    elif types.is_floating(kind):
        values = _read_numbers(array.cast(arrow().float64()).to_pylist(), notes)
    elif types.is_boolean(kind):
        values = array.to_pylist()
        if notes.get("kind") == "marker":
            values = [MARKER if value else None for value in values]
    elif types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        read = _TEXTS.get(notes.get("kind", "str"))
        values = array.to_pylist() if read is None else read(array.to_pylist(), notes)
    elif types.is_time(kind):
        values = _read_times(array, kind)
    elif types.is_date(kind) or types.is_null(kind) or types.is_nested(kind):
        values = array.to_pylist()
    else:
        raise TypeError(f"the type {kind} means no kind: cast the column before")
    if notes.get("null") == "na":
        values = [NA if value is None else value for value in values]
    return values


def _read_numbers(values: list[Any], notes: Mapping[str, str]) -> list[Any]:
    unit = notes.get("unit")
    if notes.get("whole") == "int":
        values = [
            int(value) if isinstance(value, float) and value.is_integer() else value
            for value in values
        ]
    # Not a number has no unit.
    return [
        None if value is None else Number(value, None if is_nan(value) else unit)
        for value in values
    ]


def _read_moments(array: Any, kind: Any) -> list[datetime | None]:
    if kind.tz is None:
        raise ValueError("a timestamp without a zone: say which, as in `dt.tz_localize`")
    of = _zone(kind.tz)
    counts = _microseconds(array, kind)
    return [
        None if count is None else (_EPOCH + count * _MICROSECOND).astimezone(of)
        for count in counts
    ]


def _read_times(array: Any, kind: Any) -> list[time | None]:
    counts = _microseconds(array, kind)
    return [None if count is None else (_EPOCH + count * _MICROSECOND).time() for count in counts]


def _microseconds(array: Any, kind: Any) -> list[int | None]:
    pa = arrow()
    per_second = _PER_SECOND[kind.unit]
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    counts = array.cast(width).to_pylist()
    if per_second <= 10**6:
        factor = 10**6 // per_second
        return [None if count is None else count * factor for count in counts]
    if any(count is not None and count % 1000 for count in counts):
        raise ValueError("a value is finer than a microsecond: round the column")
    return [None if count is None else count // 1000 for count in counts]


def _zone(name: str) -> Any:
    found = _OFFSET.fullmatch(name)
    if found is None:
        try:
            return ZoneInfo(name)
        except (KeyError, OSError, ValueError):
            return zone(name)
    sign, hours, minutes = found.groups()
    delta = timedelta(hours=int(hours), minutes=int(minutes))
    fixed = timezone(-delta if sign == "-" else delta)
    return zone(zone_name(named(datetime(2000, 1, 1, tzinfo=fixed))))


def _read_refs(values: list[Any], notes: Mapping[str, str]) -> list[Any]:
    shown = msgspec.json.decode(notes.get("dis", "{}"), type=dict[str, str])
    return [None if value is None else Ref(value, shown.get(value)) for value in values]


_TEXTS: Final[dict[str, Callable[[list[Any], Mapping[str, str]], list[Any]]]] = {
    "uri": lambda values, _: [None if value is None else Uri(value) for value in values],
    "symbol": lambda values, _: [None if value is None else Symbol(value) for value in values],
    "ref": _read_refs,
    "zinc": lambda values, _: [None if value is None else read_value(value) for value in values],
}
