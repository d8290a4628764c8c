"""Rows written column by column: what the formats share that do so.

Where all rows have a value for each column, and those of a column are of one kind, functions of C
make all texts of it, and one more puts the rows together. What does not look so is written value
by value, which comes to the same, and names what cannot be written.
"""

from __future__ import annotations

from itertools import chain, repeat
from operator import attrgetter, is_, itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from holdall.haystack.codecs.scalars import write_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from holdall.haystack.kinds import Kind, Number

Cells: TypeAlias = "tuple[str, list[Iterable[str]], str]"
"""A column: what stands before each cell, the parts that make it up, and what stands after it."""

_FIRST_OF_WHOLE_MINUTES: Final = "1973"  # the year; before it some zones were at odd seconds
_TZINFO = attrgetter("tzinfo")


def full_columns(
    rows: Sequence[Mapping[str, Kind]], names: Sequence[str]
) -> list[list[Any]] | None:
    """The columns of rows that have these tags and no others; None where one has not."""
    if set(map(len, rows)) != {len(names)}:
        return None
    try:
        return [list(map(itemgetter(name), rows)) for name in names]
    except KeyError:
        return None


def joined(columns: Iterable[Cells], count: int, *, first: str = "", last: str) -> str:
    """Put the cells of so many rows together, with commas between them.

    Args:
        columns: At least one.
        count: How many cells each of them has.
        first: What a row begins with.
        last: What a row ends with.
    """
    # What stands between two cells that change is the same in each row.
    parts: list[Iterable[str]] = []
    between = first
    for before, cells, after in columns:
        parts += [repeat(between + before, count), *cells]
        between = f"{after},"
    parts.append(repeat(between[:-1] + last, count))
    return "".join(chain.from_iterable(zip(*parts, strict=True)))


def units(numbers: Sequence[Number]) -> list[str]:
    """The unit of all numbers, or the unit of each; `""` is none."""
    found = [number.unit or "" for number in numbers]
    return found[:1] if len(set(found)) == 1 else found


def moment_texts(
    moments: Sequence[datetime], *, only_utc_is_z: bool
) -> tuple[list[str], str] | None:
    """The texts of moments in one zone and its name; None for others.

    Args:
        moments: At least one.
        only_utc_is_z: Whether another zone without an offset has `+00:00` and not `Z`.
    """
    at = moments[0].tzinfo
    if not all(map(is_, map(_TZINFO, moments), repeat(at))):
        return None
    # One without a key is named by its offset, which is of one moment alone.
    if type(at) is not ZoneInfo or not at.key:
        return None
    text = write_moment(moments[0])
    _, _, name = text.partition(" ")
    if not text.startswith(moments[0].replace(tzinfo=None).isoformat()):  # the zone has no name
        return None
    data = msgspec.json.encode(moments)
    if only_utc_is_z and name != "UTC":
        data = data.replace(b'Z"', b'+00:00"')
    texts = data.decode()[2:-2].split('","')
    return None if min(texts) < _FIRST_OF_WHOLE_MINUTES else (texts, name)
