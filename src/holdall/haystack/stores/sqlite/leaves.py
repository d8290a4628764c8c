"""Comparisons of one tag as conditions of SQL on the tables of keys."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from holdall.haystack.filter import AnyUnit
from holdall.haystack.kinds import Coord, NAType, Number, Ref, Remove, Symbol, Uri, XStr, is_nan
from holdall.haystack.stores.keys import (
    LONGEST,
    held_number,
    key_of,
    ordered_key,
    unit_names,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT, NARROW, WIDE = range(3)
"""How few entities a comparison is likely to mean: one value, a span of them, or any."""

_SIGNS: Final = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_MOST: Final = 500
"""Of how many values one is asked for at most, unless they are Refs."""


class Leaf(Struct, frozen=True):
    """Rows of a table: those of a tag, `t=?`, that meet a condition.

    Args:
        table: Which table; it has the columns `t` and `n`.
        where: The condition, to follow `t=?`; it may be empty.
        params: Its parameters.
        rank: How few they are likely to be.
        pointed: Whether the rows of one entity among them are found without going through all.
        whole: Whether it is met by all that are meant and no others; otherwise also by others.
    """

    table: str
    where: str
    params: tuple[Any, ...]
    rank: int
    pointed: bool = True
    whole: bool = True


PRESENT: Final = Leaf("hs_has", "", (), WIDE)
NEVER: Final = Leaf("hs_has", " AND 0", (), EXACT)
NUMBERS: Final = "hs_numbers"

_KEYED: Final = (str, bool, date, time, Uri, Symbol, Coord, XStr, NAType, Remove)


def equal(value: Any) -> Leaf | None:
    """A tag, or an item in it, equals a value; None where SQL cannot say."""
    if type(value) is Ref:
        return Leaf("hs_refs", " AND target=?", (value.val,), EXACT)
    if type(value) in (Number, AnyUnit, int, float):
        val = value if type(value) in (int, float) else value.val
        if is_nan(val):  # it equals nothing
            return NEVER
        held = held_number(val)
        if held is None:
            return None
        units, names = _of_unit(value)
        return Leaf(NUMBERS, f" AND val=?{units}", (held, *names), EXACT)
    if not isinstance(value, _KEYED):
        return None
    if isinstance(value, (datetime, time)) and _has_no_key(value):
        return NEVER
    key = key_of(value)
    if key is None:
        return None
    return Leaf("hs_values", " AND val=?", (key,), EXACT, whole=not _is_cut(key))


def one_of(wanted: Sequence[Any]) -> Leaf | None:
    """A tag, or an item in it, equals one of several values; None where SQL cannot say at once."""
    if wanted and all(type(value) is Ref for value in wanted):
        ids = msgspec.json.encode([value.val for value in wanted]).decode()
        return Leaf("hs_refs", " AND target IN (SELECT value FROM json_each(?))", (ids,), EXACT)
    keys = [key_of(value) if isinstance(value, _KEYED) else None for value in wanted]
    if not 1 < len(keys) <= _MOST or None in keys:
        return None
    marks = ",".join("?" * len(keys))
    whole = not any(key is not None and _is_cut(key) for key in keys)
    return Leaf("hs_values", f" AND val IN ({marks})", tuple(keys), EXACT, whole=whole)


def ordered(op: str, value: Any) -> Leaf | None:
    """A tag, or an item in it, stands before or after a value; None where SQL cannot say."""
    if type(value) in (Number, AnyUnit, int, float):
        val = value if type(value) in (int, float) else value.val
        if is_nan(val):
            return NEVER
        held = held_number(val)
        if held is None:
            return None
        units, names = _of_unit(value)
        where = f" AND val{_SIGNS[op]}?{units}"
        return Leaf(NUMBERS, where, (held, *names), NARROW, pointed=False)
    key = ordered_key(value)
    if key is None or _is_cut(key):
        return None
    kind = key[:1]
    other = kind if op in ("lt", "le") else bytes([kind[0] + 1])
    where = f" AND val{_SIGNS[op]}? AND val{'>=' if other == kind else '<'}?"
    return Leaf("hs_values", where, (key, other), NARROW, pointed=False)


def between(low: Any, high: Any) -> Leaf | None:
    """A tag, or an item in it, stands from one value to another; None where SQL cannot say."""
    above, below = ordered("ge", low), ordered("le", high)
    if above is None or below is None:
        return None
    if NEVER in (above, below) or above.table != below.table:
        return NEVER
    return Leaf(
        above.table,
        above.where + below.where,
        (*above.params, *below.params),
        NARROW,
        pointed=False,
    )


def _of_unit(value: Any) -> tuple[str, tuple[bytes, ...]]:
    if type(value) is AnyUnit:
        return "", ()
    names = unit_names(value.unit if type(value) is Number else None)
    return f" AND unit IN ({','.join('?' * len(names))})", names


def _has_no_key(value: datetime | time) -> bool:
    if isinstance(value, datetime):
        return value.utcoffset() is None
    return value.tzinfo is not None


def _is_cut(key: bytes) -> bool:
    return len(key) > LONGEST
