"""Ranges of time as text: which moments `his_read` is asked for.

    today, yesterday                       that day
    thisWeek, lastWeek                     Monday to Sunday
    thisMonth, lastMonth, thisYear, lastYear
    2024-06-15                             that day
    2024-06-01,2024-06-30                  from the first day on, and all of the last
    2024-06-01T00:00:00Z,2024-06-02T00:00:00Z    from the first moment on, before the second
    2024-06-01T00:00:00-04:00 New_York     from the moment on
    2024-06-01,                            from the day on

Days are those of the point's zone: from one midnight to the next, so that a day on which the clock
is changed has 23 or 25 hours (chapter Ops, hisRead).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from holdall.core.errors import InvalidQuery
from holdall.haystack.codecs.scalars import read_date, read_moment
from holdall.haystack.stores.histories import END, EVERYTHING, Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)


def micros(moment: datetime) -> int:
    """A moment in microseconds since 1970."""
    return (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND


def moment(at: int, zone: ZoneInfo) -> datetime:
    """The moment that lies so many microseconds after 1970, in a zone."""
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def read_range(text: str | None, zone: ZoneInfo, now: datetime) -> Span:
    """Answer the moments that a text means.

    Args:
        text: As above; None is all of them.
        zone: The zone of the point.
        now: The present moment.

    Raises:
        InvalidQuery: The text is no range.
    """
    if text is None:
        return EVERYTHING
    if not isinstance(text, str):
        raise InvalidQuery(f"{text!r} is no range of time: it takes a text, such as 2024-06-15")
    try:
        return _read(text.strip(), zone, now.astimezone(zone).date())
    except (ValueError, OverflowError) as error:
        raise InvalidQuery(
            f"{text!r} is no range of time: {error}. It takes today, yesterday, thisWeek, "
            "lastWeek, thisMonth, lastMonth, thisYear, lastYear, a date or datetime, or two of "
            "them with a comma between"
        ) from error


def _read(text: str, zone: ZoneInfo, today: date) -> Span:
    named = _NAMED.get(text)
    if named is not None:
        return _days(*named(today), zone)
    first, comma, second = (part.strip() for part in text.partition(","))
    if not comma and "T" not in first:
        day = read_date(first)
        return _days(day, day, zone)
    start = micros(read_moment(first)) if "T" in first else _midnight(read_date(first), zone)
    if not second:
        return Span(start, END)
    if "T" in second:
        end = micros(read_moment(second))
    else:
        end = _midnight(read_date(second) + _DAY, zone)
    if end <= start:
        raise ValueError("it ends before it begins")
    return Span(start, end)


def _days(first: date, last: date, zone: ZoneInfo) -> Span:
    return Span(_midnight(first, zone), _midnight(last + _DAY, zone))


def _midnight(day: date, zone: ZoneInfo) -> int:
    # Where the clock jumps over midnight, the day begins when it comes to be: `fold` 0 counts
    # with the offset before the jump, which is that moment.
    return micros(datetime(day.year, day.month, day.day, tzinfo=zone))


def _week(day: date) -> tuple[date, date]:
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(days=6)


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - _DAY


def _year(day: date) -> tuple[date, date]:
    return date(day.year, 1, 1), date(day.year, 12, 31)


_NAMED: Final[dict[str, Callable[[date], tuple[date, date]]]] = {
    "today": lambda day: (day, day),
    "yesterday": lambda day: (day - _DAY, day - _DAY),
    "thisWeek": _week,
    "lastWeek": lambda day: _week(day - timedelta(days=7)),
    "thisMonth": _month,
    "lastMonth": lambda day: _month(day.replace(day=1) - _DAY),
    "thisYear": _year,
    "lastYear": lambda day: _year(date(day.year - 1, 1, 1)),
}
