"""Under what an entity is found: tokens of its tags and values, and numbers.

    dis                    it has the tag; a tag within a dict is `dict.tag`
    siteRef=@s1            a Ref, or one of a list
    dis=sHQ                a text; other kinds have other letters
    dis=s#…                the same of a text that is long or has other signs: a digest of it
    area%ft_               the unit of a number; `area%` is none
    !n:area                it has numbers that the index does not hold: it is looked at anew

    n:area  m:ts  d:day  t:at    number, moment, date and time of the tag, as a double

A tag has one number of each sort, and only those that a double holds exactly. Tokens hold no
blank and no comma, and are equal where the values are equal, and only there: a digest has 160 bits.
The id of a Ref stands in full, because the server makes tokens of ids that it finds.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from holdall.haystack.kinds import (
    Coord,
    Marker,
    NAType,
    Number,
    Ref,
    Remove,
    Symbol,
    Uri,
    XStr,
    is_nan,
)

DEEPEST: Final = 4
"""How many names a tag within dicts may have that is found."""
NUMBER, MOMENT, DAY, CLOCK = "n", "m", "d", "t"

_PLAIN = re.compile(r"[A-Za-z0-9_:.~-]{0,60}")
_LONGEST_NAME: Final = 80
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # moments are taken apart into clock and offset
_MICROSECOND: Final = timedelta(microseconds=1)
_EXACT: Final = 2**53


class Entry:
    """What is kept of one entity in the index.

    Attributes:
        tokens: Its tokens, each once.
        numbers: Doubles as text, by the sort and the tag: `n:area`.
    """

    __slots__ = ("_many", "numbers", "tokens")

    def __init__(self, entity: Mapping[str, Any]) -> None:
        self.tokens: dict[str, None] = {}
        self.numbers: dict[str, str] = {}
        self._many: set[str] = set()
        self._take(entity, "", 1)
        for field in self._many:
            self.numbers.pop(field, None)
            self.tokens[odd(field)] = None

    def _take(self, entity: Mapping[str, Any], prefix: str, depth: int) -> None:
        for tag, value in entity.items():
            if value is None:
                continue
            name = named(prefix + tag)
            self.tokens[name] = None
            kind = type(value)
            if kind is Marker:
                continue
            if kind is list:
                for item in value:
                    self._keep(name, item)
            elif kind is not Number and isinstance(value, Mapping):
                if depth < DEEPEST:
                    self._take(value, f"{prefix}{tag}.", depth + 1)
            else:
                self._keep(name, value)

    def _keep(self, name: str, value: Any) -> None:
        token = token_of(name, value)
        if token is not None:
            self.tokens[token] = None
            return
        sorted_as = number_of(value)
        if sorted_as is None:
            return
        sort, held = sorted_as
        field = f"{sort}:{name}"
        if sort == NUMBER:
            self.tokens[unit_token(name, value.unit if type(value) is Number else None)] = None
        if held is None or self.numbers.setdefault(field, held) != held:
            self._many.add(field)


@lru_cache(4096)
def named(path: str) -> str:
    """The name of a tag, `dict.tag` within a dict, as tokens have it."""
    return path if len(path) <= _LONGEST_NAME else "#" + _digest(path)


def odd(field: str) -> str:
    """The token of entities with numbers that the index does not hold."""
    return f"!{field}"


def unit_token(name: str, unit: str | None) -> str:
    """The token of a unit."""
    return f"{name}%{'' if unit is None else _short(unit)}"


def token_of(name: str, value: Any) -> str | None:
    """The token of a value; None where it has none: of numbers, moments, dates, times, and more."""
    kind = type(value)
    if kind is str:
        return f"{name}=s{_short(value)}"
    if kind is Ref:
        return f"{name}=@{value.val}"
    if kind is bool:
        return f"{name}=b1" if value else f"{name}=b0"
    if kind is Uri:
        return f"{name}=u{_short(value.val)}"
    if kind is Symbol:
        return f"{name}=y{_short(value.val)}"
    if kind is Coord:  # so that -0.0 is 0.0
        return f"{name}=c{_short(f'{value.lat + 0.0!r}_{value.lng + 0.0!r}')}"
    if kind is XStr:
        return f"{name}=x{_short(f'{value.type}:{value.val}')}"
    if kind is NAType:
        return f"{name}=n"
    if kind is Remove:
        return f"{name}=v"
    return None


def number_of(value: Any) -> tuple[str, str | None] | None:
    """The sort of a value that stands in an order, and a double as text that holds it exactly.

    The text is None where no double does; what is None altogether has no order, or equals nothing.
    """
    kind = type(value)
    if kind is Number:
        value, kind = value.val, type(value.val)
    if kind is int or kind is float:
        return None if is_nan(value) else (NUMBER, held(value))
    if isinstance(value, datetime):
        offset = value.utcoffset()
        if offset is None:
            return None
        moment = (value.replace(tzinfo=None) - _EPOCH - offset) // _MICROSECOND
        return MOMENT, held(moment)
    if kind is date:
        return DAY, held(value.toordinal())
    if isinstance(value, time):
        if value.tzinfo is not None:
            return None
        micros = (value.hour * 60 + value.minute) * 60 + value.second
        return CLOCK, held(micros * 1_000_000 + value.microsecond)
    return None


def held(val: float) -> str | None:
    """A number as a double in text, exact; None where no finite double is."""
    if type(val) is int and not -_EXACT <= val <= _EXACT:
        try:
            near = float(val)
        except OverflowError:
            return None
        if int(near) != val:
            return None
        val = near
    near = float(val)
    if near in (float("inf"), float("-inf")):
        return None
    return repr(near + 0.0)


def _short(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else "#" + _digest(text)


def _digest(text: str) -> str:
    made = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()
    return urlsafe_b64encode(made).rstrip(b"=").decode()
