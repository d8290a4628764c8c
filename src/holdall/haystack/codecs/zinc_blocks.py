"""Zinc written column by column: a block of rows at a time, each kind by functions that are mapped.

Where a column holds something that these do not write, `None` is answered or a `ValueError` raised,
and the block is written value by value, which comes to the same and names what cannot be written.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import islice, repeat
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdall.haystack.codecs.columns_writing import (
    Cells,
    full_columns,
    joined,
    moment_texts,
    units,
)
from holdall.haystack.codecs.scalars import ESCAPED, write_ref, write_str
from holdall.haystack.codecs.zinc_writing import write_row, write_value
from holdall.haystack.kinds import Marker, Number, Ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from holdall.haystack.kinds import Kind

_BLOCK: Final = 2048


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


class _Columns:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._writers: dict[type, Callable[[Sequence[Any]], Cells]] = {
            Marker: lambda values: ("M", [repeat("", len(values))], ""),
            bool: lambda values: ("", [["T" if value else "F" for value in values]], ""),
            Ref: _refs,
            str: _strs,
            Number: _numbers,
            date: lambda values: ("", [map(date.isoformat, values)], ""),
            datetime: _moments,
        }

    def write(self, rows: Sequence[Mapping[str, Kind]]) -> bytes | None:
        """Write rows; None where they had better be written value by value."""
        try:
            columns = self._columns(rows)
            if columns is None:
                return None
            return joined(columns, len(rows), last="\n").encode()
        except (TypeError, ValueError, OverflowError):
            return None

    def _columns(self, rows: Sequence[Mapping[str, Kind]]) -> list[Cells] | None:
        names = self._names
        if not names:
            return None
        found = full_columns(rows, names)
        full = found is not None
        if found is None:
            found = [[row.get(name) for row in rows] for name in names]
        cells = 0
        columns: list[Cells] = []
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

    def _cells(self, values: Sequence[Any], kinds: set[type]) -> Cells:
        writer = self._writers.get(next(iter(kinds))) if len(kinds) == 1 else None
        return _one_by_one(values) if writer is None else writer(values)


def _one_by_one(values: Sequence[Any]) -> Cells:
    return "", [list(map(write_value, values))], ""


def _refs(values: Sequence[Ref]) -> Cells:
    if {ref.dis for ref in values} == {None}:
        return "@", [[ref.val for ref in values]], ""
    return "", [list(map(write_ref, values))], ""


def _strs(values: Sequence[str]) -> Cells:
    if ESCAPED.search("".join(values)) is None:
        return '"', [values], '"'
    return "", [list(map(write_str, values))], ""


def _numbers(values: Sequence[Number]) -> Cells:
    plain = [number.val for number in values]
    text = msgspec.json.encode(plain).decode()
    # JSON has the same digits, but where an exponent begins, and no infinities.
    if "e" in text or "0.0000" in text:
        if not isfinite(sum(plain)):  # or there are so many of them
            return _one_by_one(values)
        texts = list(map(repr, plain))
    elif "n" in text:
        return _one_by_one(values)
    else:
        texts = text[1:-1].split(",")
    found = units(values)
    return ("", [texts], found[0]) if len(found) == 1 else ("", [texts, found], "")


def _moments(values: Sequence[datetime]) -> Cells:
    found = moment_texts(values, only_utc_is_z=True)
    if found is None:
        return _one_by_one(values)
    texts, name = found
    return "", [texts], f" {name}"
