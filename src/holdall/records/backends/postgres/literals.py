"""Values that are compared with, as SQL compares them with what rows hold.

The numbers of a row that is not odd are floats, or whole numbers that a float holds exactly. As
JSON they are written with the fewest digits that lead to that float again, so that decimals
stand in the order of the floats they stand for, and equal ones are equal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from holdall.records import values
from holdall.records.backends.postgres.terms import MARKS, Declined, sendable
from holdall.records.encoding import instant_text, to_plain
from holdall.records.values import is_nan, kind_of

if TYPE_CHECKING:
    from holdall.records.predicate import Ordering

_FAR = Decimal(10) ** 400
_WITHOUT_EQUAL = {"lt": "<", "le": "<", "gt": ">=", "ge": ">="}
_WITH_EQUAL = {"lt": "<=", "le": "<=", "gt": ">", "ge": ">"}
SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}

Scalar: TypeAlias = Any
"""A value that is neither a list nor a dict."""


def comparable_text(value: Scalar) -> str:
    """The text that a value stands for where `terms.text` is compared; it is no number.

    Raises:
        Declined: PostgreSQL holds no such text.
    """
    kind = kind_of(value)
    if kind == values.TEXT:
        return sendable(value)
    if kind == values.BOOL:
        return "true" if value else "false"
    if kind == values.BYTES:
        return bytes(value).hex()
    if kind == values.INSTANT:
        return instant_text(value)
    written: str = to_plain(value)[MARKS[kind]]
    return written


def exact_number(value: Scalar) -> Decimal | None:
    """A number as a row would write it; None when no row that is not odd holds it."""
    if is_nan(value):
        return None
    nearest = _nearest(value)
    return None if nearest is None or nearest[1] else nearest[0]


def bound(op: Ordering, value: Scalar) -> tuple[str, Decimal] | None:
    """What to compare a row's number with, and how; None when nothing is before or after it."""
    if is_nan(value):
        return None
    nearest = _nearest(value)
    if nearest is None:
        return SIGNS[op], _FAR if value > 0 else -_FAR
    written, side = nearest
    if side == 0:
        return SIGNS[op], written
    # No float lies between the value and the one next to it.
    return (_WITHOUT_EQUAL if side > 0 else _WITH_EQUAL)[op], written


def _nearest(value: Scalar) -> tuple[Decimal, int] | None:
    """The float next to a number, as rows write it, and on which side of it that stands.

    None when the number lies beyond all floats.
    """
    try:
        near = float(value)
    except OverflowError:
        return None
    if near in {float("inf"), float("-inf")}:
        return None
    side = (near > value) - (near < value)
    return Decimal(repr(near)), side


def json_of(value: Any) -> str:
    """A value as JSON, which equals what rows hold where that value is.

    Raises:
        Declined: Equal values may be written in another way.
    """
    kind = kind_of(value)
    if kind == values.NUMBER:
        written = exact_number(value)
        if written is None:
            raise Declined("no number of a row")
        return str(written)
    odd: list[bool] = []
    plain = to_plain(value, odd)
    if odd or _several_forms(value):
        raise Declined("values that are written in several ways")
    return msgspec.json.encode(plain).decode()


def _several_forms(value: Any) -> bool:
    """Whether there is a moment or a datetime in a value: equal ones may differ in their zone."""
    if type(value) is list:
        return any(map(_several_forms, value))
    if type(value) is dict:
        return any(map(_several_forms, value.values()))
    return kind_of(value) in {values.INSTANT, values.DATETIME}
