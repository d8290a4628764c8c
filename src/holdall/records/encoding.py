"""Values as plain JSON, which every backend writes, and back.

What JSON has no kind for, or what a database would change, stands in a marker: an object whose
first name begins with `$`.

    {"$instant": "2024-01-01T00:00:00.000000Z", "offset": 3600, "zone": "Europe/Berlin"}
    {"$datetime": "2024-01-01T00:00:00.000000"}     {"$date": "2024-01-01"}
    {"$time": "09:30:00.000000"}                    {"$decimal": "1.50"}
    {"$bytes": "aGVsbG8="}                          {"$float": "nan"}
    {"$int": "9007199254740993"}                    {"$dict": {"$name": 1}}
    {"$text": "AGE="}
    {"$uuid": "123e4567-e89b-12d3-a456-426614174000"}

`$int` holds what is beyond 2^53, and `$float` NaN, infinities, -0.0, and whole numbers beyond 2^53,
since a database may hand those back as integers. `$text` holds text with a NUL or a lone surrogate,
and `$dict` a dict with a name that begins with `$`. Where `fold` of a datetime without a zone, or
of a time, is 1, it stands beside the text.

Markers whose text a database compares as we do are not *odd*: `$instant`, which is in UTC with
six digits, `$datetime`, `$date`, `$time`, `$uuid`, and `$bytes` for equality. A row with any other
one is odd, and its values are compared in Python.
"""

from __future__ import annotations

import base64
import binascii
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from holdall.core.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXACT = 2**53
"""The largest whole number that every reader of JSON keeps as it is."""

_EXACT_FLOAT = float(EXACT)
_LONG_BITS = 10_000
_PLAIN = frozenset({bool, type(None)})
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def dump(fields: dict[str, Any], fractions: list[float] | None = None) -> tuple[bytes, bool]:
    """Answer named values as JSON, and whether they are odd; the names stand as they are.

    Args:
        fields: The values by name.
        fractions: Takes the floats among them that are no whole numbers.
    """
    found: list[float] = []
    if _is_plain(fields.values(), found):
        body = _unmarked(fields)
        if body is not None:
            if fractions is not None:
                fractions += found
            return body, False
    odd: list[bool] = []
    plain = {name: _plain(value, odd) for name, value in fields.items()}
    if fractions is not None:
        _collect_fractions(fields.values(), fractions)
    return _encode(plain), bool(odd) or any(name.startswith("$") for name in fields)


def plain_json(values: Iterable[Any], whole: Any) -> bytes | None:
    """Answer something as JSON when some values in it need no marker; None when one may.

    Args:
        values: What in it is a record's.
        whole: What to write.
    """
    return _unmarked(whole) if _is_plain(values, []) else None


def _unmarked(whole: Any) -> bytes | None:
    try:
        body = _encode(whole)
    except UnicodeEncodeError:  # a lone surrogate
        return None
    # Else it may be a name like those of markers, or a NUL. With bytes, `find` is faster than
    # `in`, which first takes them for a number.
    return body if body.find(b'"$') < 0 and body.find(b"\\u0000") < 0 else None


def _is_plain(values: Iterable[Any], fractions: list[float]) -> bool:
    """Whether JSON holds some values as they stand, but for what a text may hold."""
    for value in values:
        kind = type(value)
        if kind is str:
            continue
        if kind is int:
            if not -EXACT <= value <= EXACT:
                return False
        elif kind is float:
            # As in `_plain`; NaN is in no range.
            if not -_EXACT_FLOAT < value < _EXACT_FLOAT:
                return False
            if not value.is_integer():
                fractions.append(value)
            elif not value and math.copysign(1, value) < 0:
                return False
        elif kind is list:
            if not _is_plain(value, fractions):
                return False
        elif kind is dict:
            if not _is_plain(value.values(), fractions):
                return False
        elif kind is not bool and value is not None:
            return False
    return True


def _collect_fractions(values: Iterable[Any], fractions: list[float]) -> None:
    for value in values:
        kind = type(value)
        if kind is float:
            if math.isfinite(value) and not value.is_integer():
                fractions.append(value)
        elif kind is list:
            _collect_fractions(value, fractions)
        elif kind is dict:
            _collect_fractions(value.values(), fractions)


def load(body: bytes | str) -> dict[str, Any]:
    """Read what `dump` wrote.

    Raises:
        Corrupt: It is no JSON object, or a marker in it is none of ours.
    """
    try:
        value = _decode(body)
        if type(value) is not dict:
            raise Corrupt("this is JSON, and no object")
        marked = '"$' in body if isinstance(body, str) else body.find(b'"$') >= 0
        return {name: from_plain(item) for name, item in value.items()} if marked else value
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Corrupt(f"this is no JSON: {error}") from error


def to_plain(value: Any, odd: list[bool] | None = None) -> Any:
    """Answer a value as JSON has it.

    Args:
        value: A value that a record holds.
        odd: Filled when there is something odd in it.
    """
    return _plain(value, [] if odd is None else odd)


def from_plain(value: Any) -> Any:
    """Answer the value that `to_plain` was given.

    Raises:
        Corrupt: A marker is none of ours, or holds what it cannot hold.
    """
    if type(value) is list:
        return [from_plain(item) for item in value]
    if type(value) is not dict:
        return value
    for first in value:
        if first.startswith("$"):
            return _unmark(first, value)
        break
    return {name: from_plain(item) for name, item in value.items()}


def instant_text(value: datetime) -> str:
    """A moment as `$instant` holds it; the order of the texts is that of the moments."""
    return f"{value.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def _plain(value: Any, odd: list[bool]) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() and "\0" not in value else _plain_text(value, odd)
    if kind in _PLAIN:
        return value
    if kind is int:
        if -EXACT <= value <= EXACT:
            return value
        odd.append(True)
        return {"$int": str(value) if value.bit_length() < _LONG_BITS else hex(value)}
    if kind is float:
        # Not -0.0, NaN, infinities, nor a whole number that could come back as an integer.
        if -EXACT < value < EXACT and (value or str(value) == "0.0"):
            return value
        odd.append(True)
        return {"$float": str(value)}
    if kind is list:
        return [_plain(item, odd) for item in value]
    if kind is dict:
        return _plain_dict(value, odd)
    return _MARK[kind](value, odd)


def _plain_dict(value: dict[str, Any], odd: list[bool]) -> dict[str, Any]:
    plain = {name: _plain(item, odd) for name, item in value.items()}
    for name in plain:
        if name.startswith("$"):
            odd.append(True)
            return {"$dict": plain}
    return plain


def _plain_text(value: str, odd: list[bool]) -> Any:
    if "\0" not in value:
        try:
            value.encode()
        except UnicodeEncodeError:
            pass
        else:
            return value
    odd.append(True)
    return {"$text": base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()}


def _mark_datetime(value: datetime, _odd: list[bool]) -> Any:
    zone = value.tzinfo
    if zone is None:
        plain: dict[str, Any] = {"$datetime": value.isoformat(timespec="microseconds")}
        return plain | {"fold": 1} if value.fold else plain
    plain = {"$instant": instant_text(value)}
    if zone is UTC:
        return plain
    offset = value.utcoffset()
    assert offset is not None
    plain["offset"] = offset.total_seconds()
    if isinstance(zone, ZoneInfo) and zone.key:
        plain["zone"] = zone.key
    return plain


def _mark_time(value: time, _odd: list[bool]) -> Any:
    plain: dict[str, Any] = {"$time": value.isoformat(timespec="microseconds")}
    return plain | {"fold": 1} if value.fold else plain


def _mark_decimal(value: Decimal, odd: list[bool]) -> Any:
    odd.append(True)
    return {"$decimal": str(value)}


_MARK: dict[type, Callable[[Any, list[bool]], Any]] = {
    datetime: _mark_datetime,
    date: lambda value, _odd: {"$date": value.isoformat()},
    time: _mark_time,
    UUID: lambda value, _odd: {"$uuid": str(value)},
    bytes: lambda value, _odd: {"$bytes": base64.b64encode(value).decode()},
    Decimal: _mark_decimal,
}


def _unmark(mark: str, value: dict[str, Any]) -> Any:
    read = _UNMARK.get(mark)
    if read is None:
        raise Corrupt(f"{mark!r} is no kind of value that is known here")
    try:
        return read(value[mark], value)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Corrupt(f"{mark!r} cannot hold {str(value[mark])[:80]!r}") from error


def _instant(text: str, marker: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(text)
    if "offset" not in marker:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    moment = moment.astimezone(timezone(timedelta(seconds=marker["offset"])))
    if "zone" not in marker:
        return moment
    try:
        zoned = moment.astimezone(ZoneInfo(marker["zone"]))
    except (OSError, ValueError, LookupError):  # this machine does not know the zone
        return moment
    return zoned


def _naive(text: str, marker: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return moment.replace(fold=1) if marker.get("fold") else moment


def _time(text: str, marker: dict[str, Any]) -> time:
    found = time.fromisoformat(text)
    return found.replace(fold=1) if marker.get("fold") else found


def _bytes(text: str, _marker: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


_UNMARK: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "$instant": _instant,
    "$datetime": _naive,
    "$date": lambda text, _marker: date.fromisoformat(text),
    "$time": _time,
    "$uuid": lambda text, _marker: UUID(text),
    "$bytes": _bytes,
    "$decimal": lambda text, _marker: Decimal(text),
    "$int": lambda text, _marker: int(text, 0),
    "$float": lambda text, _marker: float(text),
    "$text": lambda text, marker: _bytes(text, marker).decode("utf-8", "surrogatepass"),
    "$dict": lambda plain, _marker: {name: from_plain(item) for name, item in plain.items()},
}
