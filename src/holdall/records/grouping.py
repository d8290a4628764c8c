"""What is computed over many rows: distinct values, and groups."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import InvalidQuery
from holdall.records.encoding import to_plain
from holdall.records.paths import ABSENT, parse_path
from holdall.records.stored import reader
from holdall.records.values import NUMBER, is_nan, kind_of, place, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.records.paths import Path
    from holdall.records.stored import Stored

_KINDS = ("count", "sum", "min", "max", "mean")


def _key(value: Any) -> Any:
    """What equal values have in common, and no others; lists and dicts by all that they hold."""
    if value is ABSENT:
        return None
    if type(value) is list:
        return ("list", tuple(map(_key, value)))
    if type(value) is dict:
        return ("dict", frozenset((name, _key(item)) for name, item in value.items()))
    return (kind_of(value), "nan" if is_nan(value) else plain(value))


@final
class Seen:
    """The combinations of values that have been seen."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._read = [reader(path) for path in paths]
        self._keys: set[Any] = set()

    def new(self, row: Stored) -> bool:
        """Whether this row is the first of its combination; always, when there are no fields."""
        if not self._read:
            return True
        key = tuple(_key(get(row)) for get in self._read)
        if key in self._keys:
            return False
        self._keys.add(key)
        return True


@final
class Groups:
    """Groups of rows, and what is computed over each.

    Args:
        by: Fields to group by.
        aggregates: By name, what to compute: see `AsyncDatabase.group`.

    Raises:
        InvalidQuery: There is no such aggregate.
    """

    def __init__(self, by: str | Sequence[str], aggregates: Mapping[str, Any]) -> None:
        names = (by,) if isinstance(by, str) else tuple(by)
        self._by = [(name, reader(parse_path(name))) for name in names]
        self._aggregates = [(name, *_aggregate(name, what)) for name, what in aggregates.items()]
        for name in aggregates:
            if name in names:
                raise InvalidQuery(f"{name!r} is grouped by: give what is computed another name")
        self._groups: dict[Any, tuple[list[Any], list[_Total]]] = {}
        if not names:
            self._groups[()] = ([], [_Total() for _ in self._aggregates])

    def add(self, row: Stored) -> None:
        """Take in a row."""
        values = [get(row) for _, get in self._by]
        key = tuple(map(_key, values))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = (values, [_Total() for _ in self._aggregates])
        for (_, kind, get), total in zip(self._aggregates, group[1], strict=True):
            total.add(kind, row if get is None else get(row))

    def rows(self) -> list[dict[str, Any]]:
        """The groups, in the order of their values."""
        answer = []
        for values, totals in sorted(self._groups.values(), key=_group_place):
            row: dict[str, Any] = {
                name: value
                for (name, _), value in zip(self._by, values, strict=True)
                if value is not ABSENT
            }
            for (name, kind, _), total in zip(self._aggregates, totals, strict=True):
                row[name] = total.answer(kind)
            answer.append(row)
        return answer


def _group_place(group: tuple[list[Any], list[_Total]]) -> list[Any]:
    return [
        (1,) if value is ABSENT else (0, place(value), str(to_plain(value))) for value in group[0]
    ]


def _aggregate(name: str, what: Any) -> tuple[str, Any]:
    kind, field = (what, None) if isinstance(what, str) else (*what, None, None)[:2]
    if kind not in _KINDS or (field is None and kind != "count"):
        raise InvalidQuery(
            f"{name}={what!r}: write 'count', or one of {', '.join(_KINDS)} with a field, "
            f"such as {name}=('sum', 'price')"
        )
    return kind, None if field is None else reader(parse_path(field))


class _Total:
    """What is known of one aggregate of one group."""

    __slots__ = ("best", "number", "total")

    def __init__(self) -> None:
        self.number = 0
        self.total: Any = 0
        self.best: Any = ABSENT

    def add(self, kind: str, value: Any) -> None:
        if value is ABSENT or value is None:
            return
        if kind == "count":
            self.number += 1
        elif kind in {"min", "max"}:
            if self.best is ABSENT:
                self.best = value
            else:
                choose = min if kind == "min" else max
                self.best = choose(self.best, value, key=place)
        elif kind_of(value) == NUMBER:
            self.number += 1
            # A float and a Decimal have no sum of their own.
            if isinstance(value, Decimal) and isinstance(self.total, float):
                self.total = Decimal(self.total)
            elif isinstance(value, float) and isinstance(self.total, Decimal):
                value = Decimal(value)
            self.total += value

    def answer(self, kind: str) -> Any:
        if kind == "count":
            return self.number
        if kind == "sum":
            return self.total
        if kind == "mean":
            return self.total / self.number if self.number else None
        return None if self.best is ABSENT else self.best
