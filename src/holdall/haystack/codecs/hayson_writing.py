"""Writing of Hayson: what stands for each kind."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from msgspec import Struct

from holdall.haystack.codecs.columns_writing import Cells, full_columns, joined, moment_texts, units
from holdall.haystack.codecs.json_writing import JsonWriting, StandingFor, time_text
from holdall.haystack.codecs.scalars import ESCAPED, write_moment
from holdall.haystack.kinds import Coord, Marker, NAType, Number, Ref, Remove, Symbol, Uri, XStr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdall.haystack.grid import Col, Grid

_MARKER: Final = {"_kind": "marker"}
_NA: Final = {"_kind": "na"}
_REMOVE: Final = {"_kind": "remove"}


class _Moment(Struct, gc=False, tag_field="_kind", tag="dateTime"):
    val: datetime
    tz: str


def _number(number: Number) -> Any:
    value = number.val
    if value - value == 0:  # neither infinite nor not a number
        return value if number.unit is None else number
    return _special(value, number.unit)


def _float(value: float) -> Any:
    return value if value - value == 0 else _special(value, None)


def _special(value: float, unit: str | None) -> dict[str, str]:
    text = "INF" if value > 0 else "-INF" if value < 0 else "NaN"
    made = {"_kind": "number", "val": text}
    return made if unit is None else {**made, "unit": unit}


# The columns of rows that are alike, as the parts of a text.


def _refs(values: Sequence[Ref]) -> Cells | None:
    if {ref.dis for ref in values} != {None}:
        return None
    return '{"_kind":"ref","val":"', [[ref.val for ref in values]], '"}'


def _strs(values: Sequence[str]) -> Cells | None:
    return None if ESCAPED.search("".join(values)) else ('"', [values], '"')


def _numbers(values: Sequence[Number]) -> Cells | None:
    text = msgspec.json.encode([number.val for number in values]).decode()
    found = units(values)
    if "n" in text or len(found) > 1:  # a null is what is not finite
        return None
    texts = text[1:-1].split(",")
    if not found[0]:
        return "", [texts], ""
    return '{"_kind":"number","val":', [texts], f',"unit":"{found[0]}"}}'


def _moments(values: Sequence[datetime]) -> Cells | None:
    found = moment_texts(values, only_utc_is_z=False)
    if found is None:
        return None
    texts, name = found
    return '{"_kind":"dateTime","val":"', [texts], f'","tz":"{name}"}}'


_ALIKE: Final[dict[type, Callable[[Sequence[Any]], Cells | None]]] = {
    Marker: lambda values: ('{"_kind":"marker"', [repeat("", len(values))], "}"),
    bool: lambda values: ("", [["true" if value else "false" for value in values]], ""),
    Ref: _refs,
    str: _strs,
    Number: _numbers,
    datetime: _moments,
}


class HaysonWriting(JsonWriting):
    """The writing of one text of Hayson."""

    opening = b'{"_kind":"grid",'
    table: ClassVar[StandingFor] = {
        **dict.fromkeys((str, bool, int, Ref, Symbol, Uri, Coord, XStr)),
        Marker: lambda _: _MARKER,
        NAType: lambda _: _NA,
        Remove: lambda _: _REMOVE,
        Number: _number,
        float: _float,
        date: lambda value: {"_kind": "date", "val": value.isoformat()},
        time: lambda value: {"_kind": "time", "val": time_text(value)},
    }

    def alike(self, rows: Sequence[Mapping[str, Any]]) -> bytes | None:
        names = list(rows[0])
        columns = full_columns(rows, names) if names else None
        if columns is None:
            return None
        written: list[Cells] = []
        for name, values in zip(names, columns, strict=True):
            kind = type(values[0])
            write = _ALIKE.get(kind)
            if write is None or set(map(type, values)) != {kind}:
                return None
            cells = write(values)
            if cells is None:
                return None
            before, texts, after = cells
            written.append((f'"{name}":{before}', texts, after))
        return joined(written, len(rows), first="{", last="},")[:-1].encode()

    def moment(self, moment: datetime) -> Any:
        name = self.zone_of(moment)
        if name is not None:
            return _Moment(moment, name)
        val, _, name = write_moment(moment).partition(" ")
        return {"_kind": "dateTime", "val": val, "tz": name}

    def grid(self, grid: Grid) -> dict[str, Any]:
        return {"_kind": "grid", **super().grid(grid)}

    def col(self, col: Col) -> dict[str, Any]:
        return {"name": col.name, "meta": self.tags(col.meta)} if col.meta else {"name": col.name}
