"""Single values as Zinc writes them: `-5.4e-45kW`, `@p1 "Plant 1"`, `2024-01-31T12:00:00Z UTC`.

Every text format of the standard but JSON uses these, and filters do; JSON uses its dates, times
and numbers. What reads raises `ValueError` with a message that can be shown; the caller knows the
place and adds it.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from holdall.haystack.codecs.scalars_writing import (
    ESCAPED,
    MAX_DIGITS,
    write_coord,
    write_moment,
    write_number,
    write_ref,
    write_scalar,
    write_str,
    write_time,
    write_uri,
)
from holdall.haystack.kinds import (
    MARKER,
    NA,
    REMOVE,
    Coord,
    Kind,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
)
from holdall.haystack.zones import named, zone, zone_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ESCAPED",
    "MAX_DIGITS",
    "Misread",
    "read_date",
    "read_moment",
    "read_number",
    "read_offset",
    "read_scalar",
    "read_time",
    "scalar_at",
    "shown",
    "unescape",
    "write_coord",
    "write_moment",
    "write_number",
    "write_ref",
    "write_scalar",
    "write_str",
    "write_time",
    "write_uri",
]

_DIGITS = "[0-9]+(?:_+[0-9]+)*"  # an underscore before anything but a digit begins a unit
_UNIT = r"[a-zA-Z%_/$\u0080-\U0010ffff]+"
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = "(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}"
_ZONE = r"[A-Z][A-Za-z0-9_+\-/]{0,99}"
_ID = r"[a-zA-Z0-9_:\-.~]+"
# Control characters stand for mistakes; a tab is what people do write.
# A `\'` is no escape of the standard, but of some who write.
_STR = r'"(?:[^"\\\x00-\x08\x0a-\x1f]++|\\(?:[bfnrt"\\$\x27`]|u[0-9a-fA-F]{4}))*+"'
_URI = r"`(?:[^`\\\x00-\x08\x0a-\x1f]++|\\(?:[:/?#\[\]@`\\&=;bfnrt\"$]|u[0-9a-fA-F]{4}))*+`"
_NUMBER = rf"(-?{_DIGITS})((?:\.{_DIGITS})?(?:[eE][+-]?{_DIGITS})?)({_UNIT})?"
_MOMENT = rf"({_DATE}T{_TIME})(?:\.([0-9]+))?(Z|[+-][0-9]{{2}}:[0-9]{{2}})(?:\ ({_ZONE}))?"
_TIME_OF_DAY = r"((?:[01]?[0-9]|2[0-3]):[0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
_DEGREES = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"

_NUMBERS = re.compile(_NUMBER)
_MOMENTS = re.compile(_MOMENT)
_DATES = re.compile(_DATE)
_TIMES = re.compile(_TIME_OF_DAY)
# What comes first wins. What begins with a digit ends where no date, time or number goes on.
_SCALARS = re.compile(
    rf"""(?P<str>{_STR})
    |(?P<ref>@({_ID})(?:\ +({_STR}))?)
    |(?P<moment>(?>{_MOMENT}))(?![0-9:.])
    |(?P<date>{_DATE})(?![0-9:.\-T])
    |(?P<time>(?>{_TIME_OF_DAY}))(?![0-9:.\-])
    |(?P<number>(?>{_NUMBER}))(?![0-9:.\-+])
    |(?P<symbol>\^{_ID})
    |(?P<uri>{_URI})
    |(?P<xstr>([A-Z][a-zA-Z0-9_]*)\(\ *({_STR})\ *\))
    |(?P<coord>C\(\ *({_DEGREES})\ *,\ *({_DEGREES})\ *\))
    |(?P<bin>Bin\(([^()"\x00-\x1f]+)\))
    |(?P<inf>-?INF(?:{_UNIT})?+)(?![0-9(])
    |(?P<word>[A-Z][a-zA-Z0-9_]*+)(?!\()""",
    re.VERBOSE,
)
_TOKEN = re.compile(r"""[^\s,\[\]{}<>"`]{1,40}|\S?""")

_WORDS: Final[dict[str, Any]] = {
    "M": MARKER, "N": None, "T": True, "F": False, "NA": NA, "R": REMOVE,
    "NaN": Number(float("nan")), "INF": Number(float("inf")),
}  # fmt: skip
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_KEPT_IN_URIS: Final = frozenset(":/?#[]@\\&=;")

_PAIRS = r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
_ESCAPE = re.compile(rf"{_PAIRS}|\\u([0-9a-fA-F]{{4}})|\\(.)")


class Misread(ValueError):
    """A text that begins no value; `at` is where that shows."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def scalar_at(text: str, at: int) -> tuple[Kind, int]:
    """Read the value that begins at a place, and answer it with the place where it ends.

    Raises:
        Misread: None begins there.
    """
    found = _SCALARS.match(text, at)
    if found is None:
        raise _misread(text, at)
    kind = found.lastgroup
    if kind == "word":
        word = found.group()
        if word not in _WORDS:
            raise Misread(f"{word!r} is no value", at)
        return _WORDS[word], found.end()
    try:
        return _READERS[str(kind)](found.group()), found.end()
    except ValueError as error:
        raise Misread(str(error), at) from error


def read_scalar(text: str) -> Kind:
    """Read a text that is one value, of any kind but list, dict and grid; None is `N`.

    Raises:
        Misread: It is none.
    """
    value, end = scalar_at(text, 0)
    if end != len(text):
        raise Misread(f"expected the end of the value, not {shown(text, end)}", end)
    return value


def shown(text: str, at: int) -> str:
    """What stands at a place, for a message."""
    if at >= len(text):
        return "the end"
    found = _TOKEN.match(text, at)
    return repr((found.group() if found else "") or text[at])


def _misread(text: str, at: int) -> Misread:
    first = text[at : at + 1]
    if first in ('"', "`"):
        # Where does it stop being a text? Everything before that is read again with a quote.
        body = (_STR if first == '"' else _URI)[:-1]
        found = re.compile(body).match(text, at)
        end = at if found is None else found.end()
        what = "a Str" if first == '"' else "a Uri"
        if text[end : end + 1] == "\\":
            return Misread(f"{text[end : end + 2]!r} is no escape in {what}", end)
        return Misread(f"expected the {first} at the end of {what}, not {_char(text, end)}", end)
    return Misread(f"expected a value, not {shown(text, at)}", at)


def _char(text: str, at: int) -> str:
    return repr(text[at]) if at < len(text) else "the end"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")


def read_number(text: str) -> Number:
    """Read `-12.5kW`, `10_000`, `5.4e-45`, `INF`, `NaN`.

    An int stays one where there is neither fraction nor exponent.

    Raises:
        ValueError: It is no number, or one beyond what can be kept.
    """
    found = _NUMBERS.fullmatch(text)
    if found is None:
        if text.startswith(("INF", "-INF")):
            return _read_infinity(text)
        if text == "NaN":
            return Number(float("nan"))
        raise ValueError(f"{_short(text)} is no number")
    whole, rest, unit = found.groups()
    if "_" in whole or "_" in rest:
        whole, rest = whole.replace("_", ""), rest.replace("_", "")
    if not rest:
        if len(whole) > MAX_DIGITS:
            raise ValueError(f"a whole number of more than {MAX_DIGITS} digits is not read")
        return Number(int(whole), unit)
    value = float(whole + rest)
    if not isfinite(value):
        raise ValueError(f"{_short(text)} is larger than a float can be")
    return Number(value, unit)


def _read_infinity(text: str) -> Number:
    digits, _, unit = text.partition("INF")
    if unit and re.fullmatch(_UNIT, unit) is None:
        raise ValueError(f"{_short(text)} is no number")
    return Number(float(digits + "inf"), unit or None)


def read_date(text: str) -> date:
    """Read `2024-01-31`.

    Raises:
        ValueError: It is no date.
    """
    if _DATES.fullmatch(text) is not None:
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is no date: {error}") from error
    raise ValueError(f"{_short(text)} is no date such as 2024-01-31")


def read_time(text: str) -> time:
    """Read `08:12:05.123`; seconds may be missing, as some write them.

    Raises:
        ValueError: It is no time of day, or finer than a microsecond.
    """
    found = _TIMES.fullmatch(text)
    if found is None:
        raise ValueError(f"{_short(text)} is no time of day such as 08:12:05")
    minute, second, fraction = found.groups()
    whole = f"{minute:0>5}:{second or '00'}"
    try:
        made = time.fromisoformat(whole)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time of day: {error}") from error
    return made if fraction is None else made.replace(microsecond=_micros(fraction))


def read_moment(text: str) -> datetime:
    """Read `2024-01-31T12:00:00-05:00 New_York`.

    A moment without the name of a zone is one in UTC, or in `GMT±n` at an offset of whole hours;
    at any other offset it is turned to UTC.

    Raises:
        ValueError: It is no moment, finer than a microsecond, or its zone has another offset then.
    """
    found = _MOMENTS.fullmatch(text)
    if found is None:
        raise ValueError(f"{_short(text)} is no moment such as 2024-01-31T12:00:00-05:00 New_York")
    wall, fraction, offset, name = found.groups()
    try:
        made = datetime.fromisoformat(wall)
    except ValueError as error:
        raise ValueError(f"{_short(text)} is no moment: {error}") from error
    if fraction is not None:
        made = made.replace(microsecond=_micros(fraction))
    return place(made, offset, name)


def place(made: datetime, offset: str, name: str | None) -> datetime:
    """Put a wall clock time in its zone, at its offset (`Z`, `-05:00`).

    Raises:
        ValueError: There is no such zone, or it has another offset then.
    """
    delta = read_offset(offset)
    if name is None:
        return _placed_by_offset(made, delta)
    at = zone(name)
    for fold in (0, 1):
        placed = made.replace(tzinfo=at, fold=fold)
        if placed.utcoffset() == delta:
            return placed
    true = made.replace(tzinfo=at).isoformat()[len(made.isoformat()) :]
    raise ValueError(f"{name} is at {true} on {made.isoformat()}, not at {offset}")


def _placed_by_offset(made: datetime, delta: timedelta) -> datetime:
    if not delta:
        return made.replace(tzinfo=zone("UTC"))
    fixed = made.replace(tzinfo=timezone(delta))
    try:
        moment = named(fixed)
        if isinstance(moment.tzinfo, ZoneInfo):
            return moment
        return made.replace(tzinfo=zone(zone_name(moment)))
    except OverflowError as error:
        raise ValueError(f"{fixed.isoformat()} lies beyond the years 1 to 9999 in UTC") from error


def read_offset(text: str) -> timedelta:
    """Read `Z` or `-05:00`, which has this form already.

    Raises:
        ValueError: It is a day or more.
    """
    if text == "Z":
        return timedelta()
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f"{text!r} is no offset from UTC")
    delta = timedelta(hours=hours, minutes=minutes)
    return -delta if text[0] == "-" else delta


def _micros(fraction: str) -> int:
    if fraction[6:].strip("0"):
        raise ValueError(f"fractions of a second end at microseconds, and .{fraction} does not")
    return int(fraction[:6].ljust(6, "0"))


def unescape(body: str) -> str:
    """Read what stands between the quotes of a Str, escapes and all.

    Raises:
        ValueError: A `\\ud83d` has no second half.
    """
    return body if "\\" not in body else _ESCAPE.sub(_unescaped, body)


def _unescaped(found: re.Match[str]) -> str:
    high, low, single, letter = found.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if single is None:
        return _ESCAPES.get(letter, letter)
    code = int(single, 16)
    if 0xD800 <= code <= 0xDFFF:
        raise ValueError(rf"\u{single} is half of a character: the other half is missing")
    return chr(code)


def _unescaped_in_uri(found: re.Match[str]) -> str:
    return found.group() if found.group(4) in _KEPT_IN_URIS else _unescaped(found)


def _read_str(text: str) -> str:
    return unescape(text[1:-1])


def _read_ref(text: str) -> Ref:
    id_, quote, rest = text[1:].partition('"')
    return Ref(id_.rstrip(" "), unescape(rest[:-1]) if quote else None)


def _read_uri(text: str) -> Uri:
    body = text[1:-1]
    return Uri(body if "\\" not in body else _ESCAPE.sub(_unescaped_in_uri, body))


def _read_xstr(text: str) -> XStr:
    kind, _, rest = text.partition("(")
    return XStr(kind, _read_str(rest[:-1].strip(" ")))


def _read_coord(text: str) -> Coord:
    lat, _, lng = text[2:-1].partition(",")
    return Coord(float(lat), float(lng))


def _read_bin(text: str) -> XStr:
    return XStr("Bin", text[4:-1])


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "str": _read_str,
    "ref": _read_ref,
    "moment": read_moment,
    "date": read_date,
    "time": read_time,
    "number": read_number,
    "symbol": lambda text: Symbol(text[1:]),
    "uri": _read_uri,
    "xstr": _read_xstr,
    "coord": _read_coord,
    "bin": _read_bin,
    "inf": _read_infinity,
}
