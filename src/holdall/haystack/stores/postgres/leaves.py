"""Comparisons of one tag as conditions of SQL on the tables of values."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.haystack.filter import AnyUnit
from holdall.haystack.kinds import Coord, NAType, Number, Ref, Remove, Symbol, Uri, XStr, is_nan
from holdall.haystack.stores.keys import LONGEST, key_of, ordered_key, unit_names
from holdall.haystack.stores.postgres.keys import held_number

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBERS: Final = "hs_numbers"
_REFS: Final = "hs_refs"
_VALUES: Final = "hs_values"
_SIGNS: Final = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_KEYED: Final = (str, bool, date, time, Uri, Symbol, Coord, XStr, NAType, Remove)


class Params:
    """The parameters of a statement."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._known: dict[tuple[str, str], str] = {}

    def add(self, value: object, kind: str) -> str:
        """Take a value of a type of SQL; answer what stands for it."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def once(self, value: str, kind: str) -> str:
        """As `add`, the same for the same value."""
        key = (value, kind)
        if key not in self._known:
            self._known[key] = self.add(value, kind)
        return self._known[key]


class Leaf(Struct, frozen=True):
    """Rows of a table: those of a tag that meet a condition.

    Args:
        table: Which table; it has the columns `tag` and `n`. None for the names of tags.
        where: The condition, which begins with AND; it may be empty.
        whole: Whether it is met by all that are meant and no others; otherwise also by others.
        never: Whether nothing meets it.
    """

    table: str | None
    where: str = ""
    whole: bool = True
    never: bool = False


PRESENT: Final = Leaf(None)
_NEVER: Final = Leaf(None, never=True)


def equal(value: Any, params: Params) -> Leaf | None:
    """A tag, or an item in it, equals a value; None where SQL cannot say."""
    if type(value) is Ref:
        return Leaf(_REFS, f" AND target = {params.add(value.val, 'text')}")
    if type(value) in (Number, AnyUnit, int, float):
        val = _val(value)
        if is_nan(val):  # it equals nothing
            return _NEVER
        held = held_number(val)
        if held is None:
            return None
        return Leaf(NUMBERS, f" AND val = {params.add(held, 'float8')}{_of_unit(value, params)}")
    if not isinstance(value, _KEYED):
        return None
    if isinstance(value, (datetime, time)) and _has_no_key(value):
        return _NEVER
    key = key_of(value)
    if key is None:
        return None
    return Leaf(_VALUES, f" AND val = {params.add(key, 'bytea')}", whole=not _is_cut(key))


def weight(wanted: Sequence[Any]) -> int:
    """How many conditions `one_of` makes of values."""
    return sum(not _is_listed(value) for value in wanted)


def one_of(wanted: Sequence[Any], params: Params) -> list[Leaf | None]:
    """A tag, or an item in it, equals one of several values: leaves of which one is met."""
    ids = [value.val for value in wanted if type(value) is Ref]
    keys = [key for value in wanted if type(value) is not Ref and (key := _listed_key(value))]
    found: list[Leaf | None] = [equal(value, params) for value in wanted if not _is_listed(value)]
    if ids:
        found.append(Leaf(_REFS, f" AND target = ANY({params.add(ids, 'text[]')})"))
    if keys:
        whole = not any(map(_is_cut, keys))
        where = f" AND val = ANY({params.add(keys, 'bytea[]')})"
        found.append(Leaf(_VALUES, where, whole=whole))
    return found


def _is_listed(value: Any) -> bool:
    return type(value) is Ref or _listed_key(value) is not None


def _listed_key(value: Any) -> bytes | None:
    return key_of(value) if isinstance(value, _KEYED) else None


def ordered(op: str, value: Any, params: Params) -> Leaf | None:
    """A tag, or an item in it, stands before or after a value; None where SQL cannot say."""
    if type(value) in (Number, AnyUnit, int, float):
        val = _val(value)
        if is_nan(val):
            return _NEVER
        held = held_number(val)
        if held is None:
            return None
        where = f" AND val {_SIGNS[op]} {params.add(held, 'float8')}{_of_unit(value, params)}"
        return Leaf(NUMBERS, where)
    key = ordered_key(value)
    if key is None or _is_cut(key):
        return None
    kind = key[:1]
    other = kind if op in ("lt", "le") else bytes([kind[0] + 1])
    where = (
        f" AND val {_SIGNS[op]} {params.add(key, 'bytea')}"
        f" AND val {'>=' if other == kind else '<'} {params.add(other, 'bytea')}"
    )
    return Leaf(_VALUES, where)


def between(low: Any, high: Any, params: Params) -> Leaf | None:
    """A tag, or an item in it, stands from one value to another; None where SQL cannot say."""
    above, below = ordered("ge", low, params), ordered("le", high, params)
    if above is None or below is None:
        return None
    if above.never or below.never or above.table != below.table:
        return _NEVER
    return Leaf(above.table, above.where + below.where)


def _val(value: Any) -> float:
    return value if type(value) in (int, float) else value.val  # type: ignore[no-any-return]


def _of_unit(value: Any, params: Params) -> str:
    if type(value) is AnyUnit:
        return ""
    names = unit_names(value.unit if type(value) is Number else None)
    return f" AND unit = ANY({params.add(list(names), 'bytea[]')})"


def _has_no_key(value: datetime | time) -> bool:
    if isinstance(value, datetime):
        return value.utcoffset() is None
    return value.tzinfo is not None


def _is_cut(key: bytes) -> bool:
    return len(key) > LONGEST
