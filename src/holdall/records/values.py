"""The kinds of values: what a record may hold, what equals what, and what comes before what.

Two values of different kinds are never equal, and neither comes before the other. `int`, `float`
and `Decimal` are one kind, numbers; `bool` is not a number. A moment in time (an aware `datetime`)
and a date with a time of day (a naive one) are two kinds.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable

Value: TypeAlias = (
    bool
    | int
    | float
    | Decimal
    | str
    | bytes
    | date
    | datetime
    | time
    | UUID
    | list["Value"]
    | dict[str, "Value"]
    | None
)

MAX_DEPTH = 100
"""How deep lists and dicts may lie in one another."""

# In the order in which they are sorted.
NULL: Final = 0
BOOL: Final = 1
NUMBER: Final = 2
TEXT: Final = 3
BYTES: Final = 4
DATE: Final = 5
DATETIME: Final = 6
INSTANT: Final = 7
TIME: Final = 8
IDENTIFIER: Final = 9
LIST: Final = 10
DICT: Final = 11

NAMES: Final = {
    NULL: "null",
    BOOL: "a bool",
    NUMBER: "a number",
    TEXT: "text",
    BYTES: "bytes",
    DATE: "a date",
    DATETIME: "a datetime without a zone",
    INSTANT: "a datetime with a zone",
    TIME: "a time",
    IDENTIFIER: "a UUID",
    LIST: "a list",
    DICT: "a dict",
}

_KINDS: dict[type, int] = {
    type(None): NULL,
    bool: BOOL,
    int: NUMBER,
    float: NUMBER,
    Decimal: NUMBER,
    str: TEXT,
    bytes: BYTES,
    date: DATE,
    time: TIME,
    UUID: IDENTIFIER,
    list: LIST,
    dict: DICT,
}
SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes, date, UUID})
"""Types whose values never change, and that are adopted as they are."""


def kind_of(value: Any) -> int:
    """The kind of a value that a record holds."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    return DATETIME if value.tzinfo is None else INSTANT


def ordered(kind: int) -> bool:
    """Whether values of a kind come before one another."""
    return NULL < kind < LIST


def is_nan(value: Any) -> bool:
    """Whether a value is a number that equals nothing."""
    return bool(value != value)  # noqa: PLR0124  # the only one that differs from itself


def equal(one: Any, other: Any) -> bool:
    """Whether two values are equal; lists and dicts are, when all that they hold is.

    NaN equals nothing, `1` equals `1.0`, and nothing equals a value of another kind.
    """
    kind = kind_of(one)
    if kind != kind_of(other):
        return False
    if kind == LIST:
        return len(one) == len(other) and all(map(equal, one, other))
    if kind == DICT:
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    return bool(plain(one) == plain(other))


def plain(value: Any) -> Any:
    """A value as Python itself compares it rightly.

    Moments are in UTC: of two zones, Python takes no two for equal that the clocks show twice.
    """
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def place(value: Any) -> tuple[int, int, Any]:
    """Where a value stands among all others, for sorting.

    Kinds follow one another as they stand in this module, null first. NaN stands before every
    other number. All lists stand at one place, and so do all dicts.
    """
    kind = kind_of(value)
    if kind == NUMBER:
        return (kind, 0, 0) if is_nan(value) else (kind, 1, value)
    return (kind, 1, plain(value) if ordered(kind) else 0)


def adopt(value: Any, path: str) -> Any:
    """Answer a copy of a value, as a record holds it; values that never change are not copied.

    A subclass becomes its plain type, and a tuple a list. A zone that has neither a name nor a
    fixed offset becomes the offset that it has then, and an hour that the clocks leap over becomes
    the one that they show.

    Args:
        value: What somebody gave.
        path: Where it stands, for the error.

    Raises:
        TypeError: It is of no kind that every backend keeps.
        ValueError: No backend could keep it as it is; says why.
    """
    return value if type(value) in SCALARS else _adopt(value, path, 0)


def _adopt(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind in SCALARS:
        return value
    if depth > MAX_DEPTH:
        raise ValueError(f"{path[:80]}…: more than {MAX_DEPTH} levels of lists and dicts")
    if kind is list or kind is tuple:
        return [_adopt(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value)]
    if kind is dict:
        return {
            check_name(name, path): _adopt(item, f"{path}.{name}", depth + 1)
            for name, item in value.items()
        }
    for plain, adopted in _ADOPTED:
        if isinstance(value, plain):
            return adopted(value, path, depth)
    raise TypeError(
        f"{path} holds a {kind.__name__}, and a record holds None, bool, int, float, Decimal, str, "
        "bytes, datetime, date, time, UUID, lists and dicts of these"
    )


def check_name(name: Any, path: str) -> str:
    """Answer a name of a field or of an entry of a dict.

    Raises:
        TypeError: It is no text.
        ValueError: It holds NUL or a lone surrogate, which databases refuse.
    """
    if not isinstance(name, str):
        raise TypeError(f"{path}: a name is text, and {name!r} is {type(name).__name__}")
    name = str.__str__(name)  # of a subclass, the plain text
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{path}: the name {name!r} holds a lone surrogate") from error
    if "\0" in name:
        raise ValueError(f"{path}: the name {name!r} holds a NUL")
    return str(name)


def _decimal(value: Decimal, path: str, _depth: int) -> Decimal:
    if value.is_snan():
        raise ValueError(f"{path} holds a signaling NaN, which cannot be compared")
    return Decimal(value)


def _datetime(value: datetime, path: str, _depth: int) -> datetime:
    if getattr(value, "nanosecond", 0):
        raise ValueError(f"{path} holds {value}, which is finer than a microsecond: round it")
    zone = value.tzinfo
    if zone is not None:
        offset = value.utcoffset()
        if offset is None:
            raise ValueError(f"{path} holds {value!r}, whose zone tells no offset")
        try:
            value.replace(tzinfo=None) - offset
        except OverflowError as error:
            raise ValueError(f"{path} holds {value}, which UTC has no year for") from error
        if isinstance(zone, ZoneInfo) and zone.key:
            shown = value.astimezone(UTC).astimezone(zone)
            if shown.replace(tzinfo=None) != value.replace(tzinfo=None):
                return shown  # the clocks leap over this hour
        elif not isinstance(zone, timezone):
            zone = timezone(offset)
            value = value.replace(tzinfo=zone)
    if type(value) is datetime:
        return value
    day = (value.year, value.month, value.day, value.hour, value.minute, value.second)
    return datetime(*day, value.microsecond, zone, fold=value.fold)  # noqa: DTZ001  # or none


def _time(value: time, path: str, _depth: int) -> time:
    if value.tzinfo is not None:
        raise ValueError(
            f"{path} holds a time with a zone, which means nothing without a date: keep a datetime"
        )
    return time(value.hour, value.minute, value.second, value.microsecond, fold=value.fold)


# The more special types first: a datetime is a date.
_ADOPTED: list[tuple[type, Callable[[Any, str, int], Any]]] = [
    (datetime, _datetime),
    (date, lambda value, _path, _depth: date(value.year, value.month, value.day)),
    (time, _time),
    (Decimal, _decimal),
    (int, lambda value, _path, _depth: int(value)),
    (float, lambda value, _path, _depth: float(value)),
    (str, lambda value, _path, _depth: str.__str__(value)),
    (bytes, lambda value, _path, _depth: bytes(value)),
    (bytearray, lambda value, _path, _depth: bytes(value)),
    (UUID, lambda value, _path, _depth: UUID(int=value.int)),
    (list, lambda value, path, depth: _adopt(list(value), path, depth)),
    (dict, lambda value, path, depth: _adopt(dict(value), path, depth)),
]
