"""The kinds of Project Haystack 4, as values of Python.

    Marker, NA, Remove    the singletons `MARKER`, `NA`, `REMOVE`
    Bool, Str             `bool`, `str`
    Number                `Number`; a plain `int` or `float` is taken for one without unit
    Uri, Ref, Symbol      `Uri`, `Ref`, `Symbol`
    Coord, XStr           `Coord`, `XStr`
    Date, Time            `date`, `time` without a zone
    DateTime              `datetime` with a zone, which is a `ZoneInfo` or a fixed offset
    List, Dict            `list`, `dict` with tag names for keys
    Grid                  `holdall.haystack.grid.Grid`

They follow the standard's chapter Kinds. What is made here never changes, and can be hashed.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from holdall.haystack.units import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, time

Kind: TypeAlias = (
    "Marker | NAType | Remove | bool | Number | int | float | str | Uri | Ref | Symbol | date | "
    "time | datetime | Coord | XStr | list[Kind] | Mapping[str, Kind] | GridKind | None"
)

MAX_DEPTH: Final = 100
"""How deep lists, dicts and grids may lie in one another."""

_NAME = re.compile(r"[a-z][a-zA-Z0-9_]*")
_TYPE = re.compile(r"[A-Z][a-zA-Z0-9_]*")
_ID = re.compile(r"[a-zA-Z0-9_:\-.~]+")
_UNIT = re.compile(r"[a-zA-Z%_/$\u0080-\U0010ffff]+")


class GridKind:
    """What the other kinds know of a grid; the class is `holdall.haystack.grid.Grid`."""

    __slots__ = ()

    def same_as(self, other: Any) -> bool:
        """Whether another grid is the same in all that can be written."""
        raise NotImplementedError


class _Singleton:
    """One thing that is only ever itself."""

    __slots__ = ()
    _name: str
    _only: Any = None

    def __new__(cls) -> Any:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return self._name

    def __reduce__(self) -> Any:
        return type(self), ()


class Marker(_Singleton):
    """The type of `MARKER`: the tag is a label."""

    __slots__ = ()
    _name = "MARKER"


class NAType(_Singleton):
    """The type of `NA`: there should be a value here, and there is none."""

    __slots__ = ()
    _name = "NA"


class Remove(_Singleton):
    """The type of `REMOVE`: the tag or sample shall go."""

    __slots__ = ()
    _name = "REMOVE"


MARKER: Final[Marker] = Marker()
NA: Final[NAType] = NAType()
REMOVE: Final[Remove] = Remove()


@lru_cache(maxsize=4096)
def _checked_unit(unit: str) -> str:
    if _UNIT.fullmatch(unit) is None:
        raise ValueError(
            f"{unit!r} is no unit: a unit is letters, '%', '_', '/', '$' and letters beyond ASCII"
        )
    return unit


class Number(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="_kind", tag="number"):
    """A number, with a unit or without.

    Two are equal when their values and their units are; `kW` and `kilowatt` are one unit, and
    nothing is converted (chapter Filters: `1min` is not `60sec`). They order where they have the
    same unit.

    Args:
        val: The value, kept as it is: an `int` stays exact.
        unit: As in `holdall.haystack.units`, or one of your own; None and `""` are none. Not a
            number has no unit.

    Raises:
        TypeError: The value is no int or float, or the unit no text.
        ValueError: The unit holds what units cannot hold, or belongs to what is no number.
    """

    val: float | int
    unit: str | None = None

    def __post_init__(self) -> None:
        kind = type(self.val)
        if kind is not float and kind is not int:
            raise TypeError(f"{self.val!r} is no int or float")
        unit = self.unit
        if unit is not None:
            if not unit:
                force_setattr(self, "unit", None)
            elif self.val != self.val:  # only NaN differs from itself
                raise ValueError(f"not a number has no unit, and this one has {unit!r}")
            else:
                _checked_unit(unit)

    def __eq__(self, other: object) -> bool:
        if type(other) is not Number:
            return NotImplemented
        return self.val == other.val and (
            self.unit == other.unit or canonical(self.unit) == canonical(other.unit)
        )

    def __hash__(self) -> int:
        return hash((self.val, canonical(self.unit)))

    def __lt__(self, other: Number) -> bool:
        return self._orders(other) and self.val < other.val

    def __le__(self, other: Number) -> bool:
        return self._orders(other) and self.val <= other.val

    def __gt__(self, other: Number) -> bool:
        return self._orders(other) and self.val > other.val

    def __ge__(self, other: Number) -> bool:
        return self._orders(other) and self.val >= other.val

    def _orders(self, other: object) -> bool:
        if type(other) is not Number:
            raise TypeError(f"{self!r} does not order with {other!r}: only numbers do")
        if canonical(self.unit) != canonical(other.unit):
            raise TypeError(f"{self!r} does not order with {other!r}: they have two units")
        return True

    def __float__(self) -> float:
        return float(self.val)

    def __repr__(self) -> str:
        return (
            f"Number({self.val!r})" if self.unit is None else f"Number({self.val!r}, {self.unit!r})"
        )


class Ref(Struct, frozen=True, gc=False, omit_defaults=True, tag_field="_kind", tag="ref"):
    """The id of an entity.

    Two are equal when their ids are, whatever they display.

    Args:
        val: ASCII letters, digits and `_:-.~`, without `@`.
        dis: What to show people; None when nothing is known.

    Raises:
        ValueError: The id is empty or holds something else.
    """

    val: str
    dis: str | None = None

    def __post_init__(self) -> None:
        if _ID.fullmatch(self.val) is None:
            raise ValueError(_no_id("Ref", self.val))
        if self.dis is not None:
            _checked_text(self.dis, "what a Ref displays")

    def __eq__(self, other: object) -> bool:
        return self.val == other.val if type(other) is Ref else NotImplemented

    def __hash__(self) -> int:
        return hash(self.val)

    def __str__(self) -> str:
        return "@" + self.val

    def __repr__(self) -> str:
        return f"Ref({self.val!r})" if self.dis is None else f"Ref({self.val!r}, {self.dis!r})"


class Symbol(Struct, frozen=True, gc=False, tag_field="_kind", tag="symbol"):
    """The name of a definition, without `^`: `Symbol("elec-meter")`.

    Raises:
        ValueError: It is empty, or holds other than ASCII letters, digits and `_:-.~`.
    """

    val: str

    def __post_init__(self) -> None:
        if _ID.fullmatch(self.val) is None:
            raise ValueError(_no_id("Symbol", self.val))

    def __str__(self) -> str:
        return "^" + self.val

    def __repr__(self) -> str:
        return f"Symbol({self.val!r})"


def _no_id(kind: str, text: str) -> str:
    return (
        f"{kind}({text!r}): this takes one or more ASCII letters, digits, '_', ':', '-', '.', '~'"
    )


class Uri(Struct, frozen=True, gc=False, tag_field="_kind", tag="uri"):
    """An address on the web or in a system; kept as it is written."""

    val: str

    def __post_init__(self) -> None:
        _checked_text(self.val, "a Uri")

    def __str__(self) -> str:
        return self.val

    def __repr__(self) -> str:
        return f"Uri({self.val!r})"


class Coord(Struct, frozen=True, gc=False, tag_field="_kind", tag="coord"):
    """A place on the earth.

    Args:
        lat: Latitude in degrees, -90 to 90.
        lng: Longitude in degrees, -180 to 180.

    Raises:
        ValueError: A degree lies outside.
    """

    lat: float
    lng: float

    def __post_init__(self) -> None:
        for degrees in (self.lat, self.lng):
            if type(degrees) is not float and type(degrees) is not int:
                raise TypeError(f"{degrees!r} is no int or float")
        if not -90 <= self.lat <= 90:
            raise ValueError(f"latitude {self.lat!r} lies outside -90 to 90 degrees")
        if not -180 <= self.lng <= 180:
            raise ValueError(f"longitude {self.lng!r} lies outside -180 to 180 degrees")

    def __repr__(self) -> str:
        return f"Coord({self.lat!r}, {self.lng!r})"


class XStr(Struct, frozen=True, gc=False, tag_field="_kind", tag="xstr"):
    """A value of a type that the standard does not know, as text: `XStr("Color", "red")`.

    Raises:
        ValueError: The type is not an upper case ASCII letter and then letters, digits or `_`.
    """

    type: str
    val: str

    def __post_init__(self) -> None:
        if _TYPE.fullmatch(self.type) is None:
            raise ValueError(
                f"{self.type!r} is no type of an XStr: it begins with A-Z, and then come ASCII "
                "letters, digits and '_'"
            )
        _checked_text(self.val, "the value of an XStr")

    def __repr__(self) -> str:
        return f"XStr({self.type!r}, {self.val!r})"


def _checked_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{what} is text, and this is {text!r}")


def is_nan(value: float) -> bool:
    """Whether a value is not a number; an int may be too large for `math.isnan`."""
    return value != value  # noqa: PLR0124


def copies(of: Any, field: str, values: Sequence[Any]) -> list[Any]:
    """Copies of a kind with values that are known to be right: a third of the time of a check."""
    made = list(map(type(of).__copy__, repeat(of, len(values))))
    deque(map(force_setattr, made, repeat(field), values), maxlen=0)
    return made


def is_name(text: str) -> bool:
    """Whether a text names a tag or column: `a`-`z`, then ASCII letters, digits, `_`."""
    return _NAME.fullmatch(text) is not None


def checked_name(text: object) -> str:
    """Answer the name of a tag or column.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(text, str) or not is_name(text):
        raise ValueError(
            f"{text!r} is no name of a tag: it begins with a-z, and then come ASCII letters, "
            "digits and '_'"
        )
    return text
