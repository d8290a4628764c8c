"""JSON version 3 (chapter Json): every kind is a string with a code, `"r:a-1 Site 1"`, `"n:5 kW"`.

What the standard leaves open is done so:

    the text        as in `HAYSON`: a grid, a list of its rows, or its only row
    Str             with `s:` where it holds a colon
    numbers         `n:5` is an int, and `n:5.0` a float; a number of JSON itself is read, too
    a nested grid   is an object with `meta`, `cols` and `rows`; a dict that has just these as a
                    dict and two lists cannot be written, nor a column with a tag `name`
    codes           `b:` of Haystack 2 is an XStr of type `Bin`; unknown ones are refused
    version 4       an object with `_kind` is refused, and so is what has no name of a tag
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from holdall.haystack.codecs.json3_reading import Json3Reading, looks_like_a_grid
from holdall.haystack.codecs.json_codec import JsonCodec
from holdall.haystack.codecs.json_writing import JsonWriting, StandingFor, time_text
from holdall.haystack.codecs.scalars import write_moment, write_number
from holdall.haystack.kinds import Coord, Marker, NAType, Number, Ref, Remove, Symbol, Uri, XStr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.haystack.codecs.contract import Limits
    from holdall.haystack.codecs.json_reading import JsonReading
    from holdall.haystack.grid import Col


def _number(number: Number) -> str:
    value = number.val
    if type(value) is float and value - value == 0:  # neither infinite nor not a number
        text = f"n:{value!r}"
    else:
        text = f"n:{write_number(value)}"
    return text if number.unit is None else f"{text} {number.unit}"


class _Writing(JsonWriting):
    table: ClassVar[StandingFor] = {
        bool: None,
        str: lambda text: "s:" + text if ":" in text else text,
        Marker: lambda _: "m:",
        NAType: lambda _: "z:",
        Remove: lambda _: "-:",
        Number: _number,
        int: lambda value: f"n:{write_number(value)}",
        float: lambda value: f"n:{write_number(value)}",
        Ref: lambda ref: f"r:{ref.val}" if ref.dis is None else f"r:{ref.val} {ref.dis}",
        Symbol: lambda symbol: f"y:{symbol.val}",
        Uri: lambda uri: f"u:{uri.val}",
        Coord: lambda coord: f"c:{coord.lat!r},{coord.lng!r}",
        XStr: lambda made: f"x:{made.type}:{made.val}",
        date: lambda value: f"d:{value.isoformat()}",
        time: lambda value: f"h:{time_text(value)}",
    }

    def moment(self, moment: datetime) -> str:
        name = self.zone_of(moment)
        if name is None:
            return f"t:{write_moment(moment)}"
        text = msgspec.json.encode(moment)[1:-1].decode()  # faster than `isoformat`
        if name != "UTC" and text.endswith("Z"):
            text = text[:-1] + "+00:00"
        return f"t:{text} {name}"

    def tags(self, tags: Mapping[str, Any]) -> dict[str, Any]:
        made = super().tags(tags)
        if looks_like_a_grid(made):
            raise ValueError("a dict of a dict 'meta' and lists 'cols', 'rows' reads as a grid")
        return made

    def col(self, col: Col) -> dict[str, Any]:
        if "name" in col.meta:
            raise ValueError(
                f"a tag 'name' of the column {col.name!r} has no place beside its name"
            )
        return {"name": col.name, **self.tags(col.meta)}


class _Json3(JsonCodec):
    name = "json3"
    media_type = "application/vnd.haystack+json;version=3"
    suffix = ".v3.json"

    def _reading(self, limits: Limits) -> JsonReading:
        return Json3Reading(limits)

    def _writing(self) -> JsonWriting:
        return _Writing()


JSON3: Final = _Json3()
"""The codec of JSON version 3."""
