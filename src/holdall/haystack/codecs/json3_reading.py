"""Reading of JSON version 3: what each value of the parser means."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec

from holdall.haystack.codecs.hayson_reading import read_hayson_moment
from holdall.haystack.codecs.json_reading import JsonReading
from holdall.haystack.codecs.json_text import Fault, Way
from holdall.haystack.codecs.scalars import MAX_DIGITS, read_date, read_number, read_time
from holdall.haystack.grid import Col
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
    is_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from msgspec import Raw

_NUMBER = re.compile(r"(-?[0-9]+)((?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?)(?: (.*))?", re.DOTALL)
_COORD = re.compile(r"(-?[0-9.]+(?:[eE][+\-]?[0-9]+)?),(-?[0-9.]+(?:[eE][+\-]?[0-9]+)?)")


def _number(text: str) -> Number:
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > MAX_DIGITS:
        literal, _, unit = text.partition(" ")
        return Number(read_number(literal).val, unit or None)
    whole, rest, unit = found.groups()
    if not rest:
        return Number(int(whole), unit)
    value = float(whole + rest)
    if not isfinite(value):
        raise ValueError(f"{text[:60]!r} is larger than a float can be")
    return Number(value, unit)


def _ref(text: str) -> Ref:
    id_, space, dis = text.partition(" ")
    return Ref(id_, dis if space else None)


def _moment(text: str) -> datetime:
    moment, _, name = text.partition(" ")
    return read_hayson_moment(moment, name or None)


def _coord(text: str) -> Coord:
    found = _COORD.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is no coord such as 37.545,-77.449")
    return Coord(float(found[1]), float(found[2]))


def _xstr(text: str) -> XStr:
    kind, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"{text[:60]!r} is no value of a type, such as Color:red")
    return XStr(kind, value)


def _alone(kind: Kind) -> Callable[[str], Kind]:
    def read(text: str) -> Kind:
        if text:
            raise ValueError(f"expected the end of the string, not {text[:60]!r}")
        return kind

    return read


_CODES: Final[dict[str, Callable[[str], Any]]] = {
    "m": _alone(MARKER),
    "-": _alone(REMOVE),
    "z": _alone(NA),
    "n": _number,
    "r": _ref,
    "y": Symbol,
    "s": str,
    "d": read_date,
    "h": read_time,
    "t": _moment,
    "u": Uri,
    "c": _coord,
    "x": _xstr,
    "b": lambda text: XStr("Bin", text),
}


class Json3Reading(JsonReading):
    """The reading of one text of JSON version 3."""

    def is_grid(self, kind: Any, has_rows: bool) -> bool:
        if kind is not None:
            raise _version_4()
        return has_rows

    def _value(self, raw: Any, depth: int) -> Kind:
        kind = type(raw)
        if kind is str:
            return _read(raw) if raw[1:2] == ":" else raw
        if kind is int or kind is float:
            return Number(raw)
        if kind is bool or raw is None:
            return raw  # type: ignore[no-any-return]
        if depth >= self.depth:
            raise Fault(f"lists, dicts and grids lie more than {self.depth} deep")
        if isinstance(raw, list):
            made = []
            for at, item in enumerate(raw):
                with Way(at):
                    made.append(self._value(item, depth + 1))
            return made
        if looks_like_a_grid(raw):
            return self.grid(raw, depth + 1)
        return self.tags(raw, depth + 1)

    def tags(self, raw: Any, depth: int) -> dict[str, Kind]:
        if not isinstance(raw, dict):
            raise Fault("expected a dict, an object")
        for name, value in raw.items():
            if not is_name(name):
                self.misnamed(raw, name)
            with Way(name):
                raw[name] = self._value(value, depth)
        return raw

    def col(self, raw: dict[str, Any], name: str, depth: int) -> Col:
        return Col(name, self.tags({key: raw[key] for key in raw if key != "name"}, depth))

    def row(self, raw: Raw) -> dict[str, Any]:
        row = msgspec.json.decode(raw)
        if not isinstance(row, dict):
            raise Fault("expected a row, an object")
        gone: list[str] = []
        name = ""
        try:
            for name, value in row.items():
                if type(value) is str:
                    if value[1:2] == ":":
                        row[name] = _read(value)
                elif value is None:
                    gone.append(name)
                else:
                    row[name] = self._value(value, 0)
        except Fault as fault:
            raise fault.within(name) from fault
        for name in gone:
            del row[name]
        return row

    def misnamed(self, row: dict[str, Any], name: str) -> None:
        if name == "_kind":
            raise _version_4(name)
        raise Fault(f"{name[:60]!r} is no name of a tag", name)


def looks_like_a_grid(raw: dict[str, Any]) -> bool:
    """Whether an object is a grid, and not a dict: it has the parts of one."""
    return (
        isinstance(raw.get("meta"), dict)
        and isinstance(raw.get("cols"), list)
        and isinstance(raw.get("rows"), list)
    )


def _version_4(*way: str) -> Fault:
    return Fault("this is JSON of version 4: read it with HAYSON", *way)


def _read(text: str) -> Kind:
    read = _CODES.get(text[0])
    if read is None:
        raise Fault(f"{text[:2]!r} begins no kind; a Str with a colon there begins with 's:'")
    try:
        return read(text[2:])  # type: ignore[no-any-return]
    except ValueError as error:
        raise Fault(str(error)) from error
