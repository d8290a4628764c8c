"""Reading of Hayson: what each value of the parser means."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import repeat
from operator import itemgetter, setitem
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from holdall.haystack.adopting import adopt
from holdall.haystack.codecs.contract import NO_LIMITS, Limits
from holdall.haystack.codecs.json_reading import JsonReading
from holdall.haystack.codecs.json_text import UNREADABLE, Fault, Way
from holdall.haystack.codecs.scalars import read_date, read_moment, read_time
from holdall.haystack.codecs.zinc_alike import moments
from holdall.haystack.grid import NO_TAGS, Col
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
from holdall.haystack.zones import zone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet


# The parser makes these from objects with a `_kind`, and the kinds that are Structs besides.
class _Marker(Struct, gc=False, tag_field="_kind", tag="marker"):
    pass


class _NA(Struct, gc=False, tag_field="_kind", tag="na"):
    pass


class _Remove(Struct, gc=False, tag_field="_kind", tag="remove"):
    pass


class _Date(Struct, gc=False, tag_field="_kind", tag="date"):
    val: str


class _Time(Struct, gc=False, tag_field="_kind", tag="time"):
    val: str


class _Moment(Struct, gc=False, tag_field="_kind", tag="dateTime"):
    val: str
    tz: str | None = None


_Cell = (
    Ref | Number | Symbol | Uri | Coord | XStr | _Marker | _NA | _Remove | _Date | _Time | _Moment
    | str | int | float | bool | list[Any] | None
)  # fmt: skip
_decode_row: Final = msgspec.json.Decoder(dict[str, _Cell]).decode
_FINISHED: Final[dict[type, Callable[[Any], Any]]] = {
    _NA: lambda _: NA,
    _Remove: lambda _: REMOVE,
    _Date: lambda made: read_date(made.val),
    _Time: lambda made: read_time(made.val),
}
_READY: Final = frozenset({Ref, Number, Symbol, Uri, Coord, XStr, str, bool})

_PLAIN_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+\-][0-9]{2}:[0-9]{2})"
)
_SPECIAL: Final = {"INF": float("inf"), "-INF": float("-inf"), "NaN": float("nan")}
_OF_JSON3 = re.compile(
    r"[mz\-]:|n:-?(?:[0-9].*|INF|NaN)|[ry]:\S.*|[su]:.*|[dht]:[0-9].*|c:-?[0-9].*|x:[A-Z]\w*:.*",
    re.DOTALL,
)


def read_hayson_moment(text: str, name: str | None) -> datetime:
    """Read a date and time in a zone; see `scalars.read_moment` where there is none.

    Raises:
        ValueError: It is none, or the zone has another offset then.
    """
    if name is not None and _PLAIN_MOMENT.fullmatch(text) is not None:
        try:
            given = datetime.fromisoformat(text)
            made = given.astimezone(zone(name))
        except OverflowError:  # near the years 1 and 9999
            return read_moment(f"{text} {name}")
        if made.time() == given.time() and made.day == given.day:
            return made
    return read_moment(text if name is None else f"{text} {name}")


def _text(raw: Mapping[str, Any], key: str, what: str) -> str:
    text = raw.get(key)
    if not isinstance(text, str):
        raise Fault(f"expected {key!r} of a {what}, a string", key)
    return text


def _optional(raw: Mapping[str, Any], key: str, what: str) -> str | None:
    return None if raw.get(key) is None else _text(raw, key, what)


def _number(raw: Mapping[str, Any]) -> Number:
    val = raw.get("val")
    if isinstance(val, str):
        val = _SPECIAL.get(val)
    if type(val) is not int and type(val) is not float:
        raise Fault("expected 'val' of a number: a number, 'INF', '-INF' or 'NaN'", "val")
    return Number(val, _optional(raw, "unit", "number"))


def _coord(raw: Mapping[str, Any]) -> Coord:
    degrees = []
    for key in ("lat", "lng"):
        degree = raw.get(key)
        if type(degree) is not float and type(degree) is not int:
            raise Fault(f"expected {key!r} of a coord, a number", key)
        degrees.append(float(degree))
    return Coord(*degrees)


def _bool(raw: Mapping[str, Any]) -> bool:
    val = raw.get("val")
    if not isinstance(val, bool):
        raise Fault("expected 'val' of a bool, true or false", "val")
    return val


_SINGLE: Final[dict[str, Callable[[Mapping[str, Any]], Any]]] = {
    "marker": lambda _: MARKER,
    "na": lambda _: NA,
    "remove": lambda _: REMOVE,
    "bool": _bool,
    "number": _number,
    "str": lambda raw: _text(raw, "val", "str"),
    "uri": lambda raw: Uri(_text(raw, "val", "uri")),
    "ref": lambda raw: Ref(_text(raw, "val", "ref"), _optional(raw, "dis", "ref")),
    "symbol": lambda raw: Symbol(_text(raw, "val", "symbol")),
    "date": lambda raw: read_date(_text(raw, "val", "date")),
    "time": lambda raw: read_time(_text(raw, "val", "time")),
    "datetime": lambda raw: read_hayson_moment(
        _text(raw, "val", "dateTime"), _optional(raw, "tz", "dateTime")
    ),
    "coord": _coord,
    "xstr": lambda raw: XStr(_text(raw, "type", "xstr"), _text(raw, "val", "xstr")),
}
_OLD_NAMES: Final = {"num": "number"}


def _kind_name(kind: Any) -> str:
    if not isinstance(kind, str):
        raise Fault("expected the name of a kind, a string", "_kind")
    lower = kind.lower()
    return _OLD_NAMES.get(lower, lower)


def _finished(rows: Sequence[dict[str, Any]]) -> bool:
    """Turn what the parser made into kinds, where all rows are alike; False where nothing is done.

    Raises:
        ValueError: A value is none of its kind.
    """
    names = rows[0].keys()
    if not names or set(map(len, rows)) != {len(names)}:
        return False
    columns = []
    for name in names:
        try:
            values = list(map(itemgetter(name), rows))
        except KeyError:
            return False
        kinds = set(map(type, values))
        if not kinds <= _READY:
            made = _column(values, kinds)
            if made is None:
                return False
            columns.append((name, made))
    for name, made in columns:
        deque(map(setitem, rows, repeat(name), made), maxlen=0)
    return True


def _column(values: Sequence[Any], kinds: set[type]) -> Iterable[Any] | None:
    """Values of one kind, made from what the parser makes; None for others."""
    if len(kinds) > 1:
        return list(map(Number, values)) if kinds == {int, float} else None
    (kind,) = kinds
    if kind is _Marker:
        return repeat(MARKER)
    if kind is int or kind is float:
        return list(map(Number, values))
    if kind is not _Moment:
        read = _FINISHED.get(kind)
        return None if read is None else list(map(read, values))
    name = values[0].tz
    if name is None or [moment.tz for moment in values].count(name) != len(values):
        return None
    return moments([moment.val for moment in values], f" {name}")


class HaysonReading(JsonReading):
    """The reading of one text of Hayson.

    Args:
        limits: What the text may hold.
        strict: Whether what has no name of a tag is refused; the standard wants it skipped.
    """

    def __init__(self, limits: Limits = NO_LIMITS, *, strict: bool = False) -> None:
        super().__init__(limits)
        self._strict = strict

    def is_grid(self, kind: Any, has_rows: bool) -> bool:
        if kind is None:
            self.untold = True
            return has_rows
        name = _kind_name(kind)
        if name not in ("grid", "dict"):
            raise Fault(f"expected a grid or a dict, not a {kind[:60]!r}")
        return name == "grid"

    def value(self, raw: Any, depth: int = 0) -> Kind:
        """Read a value.

        Args:
            raw: As a parser of JSON gives it; a kind is answered as it is.
            depth: In how many lists, dicts and grids it lies.

        Raises:
            Fault: It is not of Hayson.
            TypeError: It is neither of JSON nor a kind.
        """
        kind = type(raw)
        if kind is str or kind is bool or raw is None:
            return raw  # type: ignore[no-any-return]
        if kind is int or kind is float:
            return Number(raw)
        if isinstance(raw, Mapping):
            return self._object(raw, depth)
        if isinstance(raw, (list, tuple)):
            self._check_depth(depth)
            made = []
            for at, item in enumerate(raw):
                with Way(at):
                    made.append(self.value(item, depth + 1))
            return made
        return adopt(raw)  # type: ignore[no-any-return]

    def _object(self, raw: Mapping[str, Any], depth: int) -> Kind:
        if "_kind" not in raw:
            self._check_depth(depth)
            return self.tags(raw, depth + 1)
        kind = _kind_name(raw["_kind"])
        if kind in _SINGLE:
            try:
                return _SINGLE[kind](raw)  # type: ignore[no-any-return]
            except ValueError as error:
                raise Fault(str(error), "val") from error
        if kind not in ("dict", "grid"):
            raise Fault(f"{raw['_kind'][:60]!r} is no kind", "_kind")
        self._check_depth(depth)
        return self.tags(raw, depth + 1) if kind == "dict" else self.grid(raw, depth + 1)

    def _check_depth(self, depth: int) -> None:
        if depth >= self.depth:
            raise Fault(f"lists, dicts and grids lie more than {self.depth} deep")

    def tags(self, raw: Any, depth: int) -> dict[str, Kind]:
        if not isinstance(raw, Mapping):
            raise Fault("expected a dict, an object")
        tags: dict[str, Kind] = {}
        for name, value in raw.items():
            if isinstance(name, str) and is_name(name):
                with Way(name):
                    tags[name] = self.value(value, depth)
            elif name == "_kind":
                if _kind_name(value) != "dict":
                    raise Fault(f"expected a dict, not a {value[:60]!r}", "_kind")
            elif self._strict:
                raise Fault(f"{name!r} is no name of a tag")
        return tags

    def col(self, raw: dict[str, Any], name: str, depth: int) -> Col:
        meta = raw.get("meta")
        if not meta:
            return Col(name)
        with Way("meta"):
            return Col(name, self.tags(meta, depth) or NO_TAGS)

    def misnamed(self, row: dict[str, Any], name: str) -> None:
        if name == "_kind" and _kind_name(row[name]) != "dict":
            raise Fault(f"expected a row, not a {row[name][:60]!r}", name)
        del row[name]

    def alike(self, raws: Sequence[Raw], names: AbstractSet[str]) -> list[dict[str, Any]] | None:
        if self.untold:
            return None
        try:
            rows = list(map(_decode_row, raws))
            if _finished(rows):
                return rows if rows[0].keys() <= names else None
            for row in rows:
                self._finish(row)
        except (*UNREADABLE, ValueError, Fault):
            return None  # and `row` finds out where that is
        return rows if all(row.keys() <= names for row in rows) else None

    def row(self, raw: Raw) -> dict[str, Any]:
        try:
            row: dict[str, Any] = _decode_row(raw)
        except UNREADABLE:  # or some value is one of those that the parser does not make
            made = self.tags(msgspec.json.decode(raw), 0)
            row = {name: value for name, value in made.items() if value is not None}
        else:
            self._finish(row)
        if self.untold:
            self._look_for_version_3(row)
        return row

    def _finish(self, row: dict[str, Any]) -> None:
        # What the parser made is turned into the kinds that stand for it.
        gone: list[str] = []
        name = ""
        try:
            for name, value in row.items():
                kind = type(value)
                if kind in _READY:
                    continue
                if kind is _Marker:
                    row[name] = MARKER
                elif kind is _Moment:
                    row[name] = read_hayson_moment(value.val, value.tz)
                elif value is None:
                    gone.append(name)
                else:
                    read = _FINISHED.get(kind)
                    row[name] = self.value(value) if read is None else read(value)
        except ValueError as error:
            raise Fault(str(error), "val", name) from error
        except Fault as fault:
            raise fault.within(name) from fault
        for name in gone:
            del row[name]

    def _look_for_version_3(self, row: dict[str, Any]) -> None:
        # There every value is a string or lies in one; no number, and no object of a kind.
        if any(type(value) not in (str, bool, list, dict) for value in row.values()):
            self.untold = False
            return
        for name, value in row.items():
            if type(value) is str and _OF_JSON3.fullmatch(value) is not None:
                raise Fault(
                    "this looks like JSON of version 3: read it with JSON3; a text of version 4 "
                    'that has such strings says "_kind":"grid"',
                    name,
                )
