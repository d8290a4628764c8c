"""Writing of Hayson: what stands for each kind."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import Struct

from holdall.haystack.codecs.json_writing import JsonWriting, StandingFor, time_text
from holdall.haystack.codecs.scalars import write_moment
from holdall.haystack.kinds import Coord, Marker, NAType, Number, Ref, Remove, Symbol, Uri, XStr

if TYPE_CHECKING:
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
