"""Single values written as Zinc has them; see `scalars`, which offers these functions, too."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.kinds import (
    Coord,
    Kind,
    Marker,
    NAType,
    Number,
    Ref,
    Remove,
    Symbol,
    Uri,
    XStr,
)
from holdall.haystack.zones import named, zone_name

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DIGITS: Final = 4300
"""How many digits a whole number may have; the time to read one grows with their square."""

_PLAIN_WORDS: Final = {True: "T", False: "F"}
_WRITTEN: Final = {
    "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t",
    '"': r"\"", "\\": r"\\", "$": r"\$",
}  # fmt: skip

# Besides what must be escaped, what some readers take for the end of a line.
ESCAPED: Final = re.compile('[\x00-\x1f"\\\\$\x7f-\x9f\u2028\u2029]')
_ESCAPED_IN_URIS = re.compile(r"\\[:/?#\[\]@\\&=;]|[\x00-\x1f`\\\x7f-\x9f\u2028\u2029]")


def write_number(number: Number | float) -> str:
    """Write a number so that the same one is read back; a float has the fewest digits for that.

    Raises:
        ValueError: A whole number has too many digits.
    """
    value, unit = (number.val, number.unit) if isinstance(number, Number) else (number, None)
    if isinstance(value, int):
        if value.bit_length() > 14_282 and abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"a whole number of more than {MAX_DIGITS} digits is not written")
        text = str(value)
    elif isfinite(value):
        text = repr(value)
    elif isnan(value):
        return "NaN"
    else:
        text = "INF" if value > 0 else "-INF"
    return text + unit if unit else text


def write_moment(moment: datetime) -> str:
    """Write `2024-01-31T12:00:00-05:00 New_York`, and UTC as `2024-01-31T17:00:00Z UTC`.

    A moment in a zone without a name is written in UTC.

    Raises:
        ValueError: It has no zone, or lies at an offset of seconds.
    """
    try:
        moment = named(moment)
    except OverflowError as error:
        raise ValueError(f"{moment!r} lies beyond the years 1 to 9999 in UTC") from error
    name = zone_name(moment)
    text = moment.replace(tzinfo=None).isoformat()
    offset = moment.isoformat()[len(text) :]
    if len(offset) != 6:
        raise ValueError(f"{moment!r} lies at an offset of seconds, which has no text form")
    return f"{text}Z UTC" if name == "UTC" else f"{text}{offset} {name}"


def write_time(value: time) -> str:
    """Write `08:12:05.123`."""
    return value.isoformat()


def write_str(text: str) -> str:
    """Write a text in quotes, with escapes for what would end it and for control characters."""
    return f'"{text}"' if ESCAPED.search(text) is None else f'"{ESCAPED.sub(_escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    char = found.group()
    return _WRITTEN.get(char) or f"\\u{ord(char):04x}"


def write_uri(uri: Uri) -> str:
    """Write a Uri in back-ticks; what is escaped in it already stays so."""
    return f"`{_ESCAPED_IN_URIS.sub(_escaped_in_uri, uri.val)}`"


def _escaped_in_uri(found: re.Match[str]) -> str:
    text = found.group()
    if len(text) == 2:
        return text
    return r"\`" if text == "`" else f"\\u{ord(text):04x}"


def write_ref(ref: Ref) -> str:
    """Write a Ref with what it displays."""
    return f"@{ref.val}" if ref.dis is None else f"@{ref.val} {write_str(ref.dis)}"


def write_coord(coord: Coord) -> str:
    """Write `C(37.55,-77.45)`, always without an exponent."""
    return f"C({_degrees(coord.lat)},{_degrees(coord.lng)})"


def _degrees(value: float) -> str:
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "N",
    Marker: lambda _: "M",
    NAType: lambda _: "NA",
    Remove: lambda _: "R",
    bool: _PLAIN_WORDS.__getitem__,
    Number: write_number,
    int: write_number,
    float: write_number,
    str: write_str,
    Uri: write_uri,
    Ref: write_ref,
    Symbol: str,
    date: date.isoformat,
    time: write_time,
    datetime: write_moment,
    Coord: write_coord,
    XStr: lambda value: f"{value.type}({write_str(value.val)})",
}


def write_scalar(value: Kind) -> str:
    """Write a value of any kind but list, dict and grid; None is `N`.

    Raises:
        TypeError: It is of none of these kinds.
        ValueError: It is of one, and cannot be written.
    """
    writer = _WRITERS.get(type(value))
    if writer is None:
        writer = next((write for kind, write in _BY_BASE if isinstance(value, kind)), None)
        if writer is None:
            raise TypeError(f"{type(value).__name__} is no kind of a single value")
    return writer(value)


# A subclass of `datetime`, such as those of libraries for time series; a `date` comes after it.
_BY_BASE: Final = [(kind, _WRITERS[kind]) for kind in (datetime, date, time, str)]
