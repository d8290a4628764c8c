"""Zinc written column by column: a block of rows at a time, each kind by functions that are mapped.

Where a column holds something that these do not write, `None` is answered or a `ValueError` raised,
and the block is written value by value, which comes to the same and names what cannot be written.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import chain, islice, repeat
from math import isfinite
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from holdall.haystack.codecs.scalars import ESCAPED, write_moment, write_ref, write_str
from holdall.haystack.codecs.zinc_writing import write_row, write_value
from holdall.haystack.kinds import Marker, Number, Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from holdall.haystack.kinds import Kind

_BLOCK: Final = 2048
_MOST_TEXTS: Final = 100_000
_TZINFO = attrgetter("tzinfo")


def write_rows(names: Sequence[str], rows: Iterable[Mapping[str, Kind]]) -> Iterator[bytes]:
    """Write rows, some at a time.

    Raises:
        CodecError: The format cannot carry a cell, or there is no column for it; says which.
    """
    source = iter(rows)
    columns = _Columns(names)
    first = 0
    while block := list(islice(source, _BLOCK)):
        data = columns.write(block)
        if data is None:
            numbered = enumerate(block, first)
            data = "".join(write_row(row, names, f"row {at}") for at, row in numbered).encode()
        yield data
        first += len(block)


# A column: what stands before each cell, the parts that make it up, and what stands after it.
_Cells: TypeAlias = "tuple[str, list[Iterable[str]], str]"


class _Texts(dict[Any, str]):
    """The texts of dates or times, which come again and again."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        self._write = write

    def __missing__(self, value: Any) -> str:
        if len(self) >= _MOST_TEXTS:
            self.clear()
        text = self[value] = self._write(value)
        return text


class _Columns:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._dates = _Texts(lambda day: f"{day.isoformat()}T")
        self._times = _Texts(lambda time: time.isoformat())
        self._writers: dict[type, Callable[[Sequence[Any]], _Cells]] = {
            Marker: lambda values: ("M", [repeat("", len(values))], ""),
            bool: lambda values: ("", [["T" if value else "F" for value in values]], ""),
            Ref: _refs,
            str: _strs,
            Number: _numbers,
            date: lambda values: ("", [map(date.isoformat, values)], ""),
            datetime: self._moments,
        }

    def write(self, rows: Sequence[Mapping[str, Kind]]) -> bytes | None:
        """Write rows; None where they had better be written value by value."""
        try:
            columns = self._columns(rows)
            if columns is None:
                return None
            # What stands between two cells that change is the same in each row.
            parts: list[Iterable[str]] = []
            between = ""
            for before, cells, after in columns:
                parts += [repeat(between + before, len(rows)), *cells]
                between = f"{after},"
            parts.append(repeat(between.removesuffix(",") + "\n", len(rows)))
            return "".join(chain.from_iterable(zip(*parts, strict=True))).encode()
        except (TypeError, ValueError, OverflowError):
            return None

    def _columns(self, rows: Sequence[Mapping[str, Kind]]) -> list[_Cells] | None:
        names = self._names
        if not names:
            return None
        found = _full(rows, names)
        full = found is not None
        if found is None:
            found = [[row.get(name) for row in rows] for name in names]
        cells = 0
        columns: list[_Cells] = []
        null = "" if len(names) > 1 else "N"
        for values in found:
            kinds = set(map(type, values))
            if type(None) in kinds:
                kinds.discard(type(None))
                filled = [value for value in values if value is not None]
                cells += len(filled)
                before, parts, after = self._cells(filled, kinds)
                texts = map("".join, zip(*parts, strict=True))
                some = [null if v is None else before + next(texts) + after for v in values]
                columns.append(("", [some], ""))
            else:
                cells += len(values)
                columns.append(self._cells(values, kinds))
        # Where there are fewer cells than tags, a tag has no column.
        return columns if full or cells == sum(map(len, rows)) else None

    def _cells(self, values: Sequence[Any], kinds: set[type]) -> _Cells:
        writer = self._writers.get(next(iter(kinds))) if len(kinds) == 1 else None
        return _one_by_one(values) if writer is None else writer(values)

    def _moments(self, values: Sequence[datetime]) -> _Cells:
        zones = set(map(_TZINFO, values))
        if set(map(type, zones)) != {ZoneInfo} or len(zones) > 1:
            return _one_by_one(values)
        offsets = list(map(datetime.utcoffset, values))
        ends = {}
        for offset in set(offsets):
            moment = values[offsets.index(offset)]
            text = write_moment(moment)
            wall = self._dates[moment.date()] + self._times[moment.time()]
            if not text.startswith(wall):  # the zone has no name
                return _one_by_one(values)
            ends[offset] = text.removeprefix(wall)
        days = map(self._dates.__getitem__, map(datetime.date, values))
        times = map(self._times.__getitem__, map(datetime.time, values))
        if len(ends) == 1:
            (end,) = ends.values()
            return "", [days, times], end
        return "", [days, times, map(ends.__getitem__, offsets)], ""


def _one_by_one(values: Sequence[Any]) -> _Cells:
    return "", [list(map(write_value, values))], ""


def _full(rows: Sequence[Mapping[str, Kind]], names: Sequence[str]) -> list[list[Any]] | None:
    # The columns of rows that have a tag for each of them, and no other tags.
    if set(map(len, rows)) != {len(names)}:
        return None
    try:
        return [list(map(itemgetter(name), rows)) for name in names]
    except KeyError:
        return None


def _refs(values: Sequence[Ref]) -> _Cells:
    if {ref.dis for ref in values} == {None}:
        return "@", [[ref.val for ref in values]], ""
    return "", [list(map(write_ref, values))], ""


def _strs(values: Sequence[str]) -> _Cells:
    if ESCAPED.search("".join(values)) is None:
        return '"', [values], '"'
    return "", [list(map(write_str, values))], ""


def _numbers(values: Sequence[Number]) -> _Cells:
    plain = [number.val for number in values]
    if not isfinite(sum(plain)):  # or there are so many of them
        return _one_by_one(values)
    units = [number.unit or "" for number in values]
    if len(set(units)) == 1:
        return "", [map(repr, plain)], units[0]
    return "", [map(repr, plain), units], ""
