"""Conditions as SQL, and how they are joined.

Rows are of three degrees, in the column `odd`: 0 is what PostgreSQL compares as we do, 1 has odd
values in it, and in 2 dicts are written so that paths lead elsewhere. A condition says up to which
degree its SQL is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.records import values
from holdall.records.backends.postgres.terms import rank

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN: Final = 0
ODD: Final = 1
STRUCTURE: Final = 2

NESTED = frozenset({values.LIST, values.DICT})


class Condition(Struct, frozen=True):
    """A condition as SQL.

    Args:
        sql: Of a boolean, or NULL for false.
        reach: The highest degree of rows of which it is right.
    """

    sql: str
    reach: int


def joined(parts: list[Condition], word: str, none: str) -> Condition:
    """Conditions joined by a word; `none` when there are none."""
    if not parts:
        return Condition(none, STRUCTURE)
    sql = f" {word} ".join(part.sql for part in parts)
    return Condition(f"({sql})", min(part.reach for part in parts))


def opposite(one: Condition) -> Condition:
    """The opposite, also of NULL."""
    return Condition(f"({one.sql} IS NOT TRUE)", one.reach)


def any_item(value: str, test: Callable[[str], str]) -> str:
    """A test of a value, or of the items of a list."""
    return f"({test(value)} OR {some_item(value, test)})"


def some_item(value: str, test: Callable[[str], str]) -> str:
    """A test of the items of a list."""
    items = f"jsonb_array_elements(CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} END)"
    exists = f"EXISTS (SELECT FROM {items} AS item(value) WHERE {test('item.value')})"
    return f"({rank(value)} = {values.LIST} AND {exists})"
