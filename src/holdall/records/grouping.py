"""What is computed over many rows: distinct values, and groups."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, Overflow
from fractions import Fraction
from typing import TYPE_CHECKING, Any, final

from holdall.core.errors import InvalidQuery, InvalidValue
from holdall.records.encoding import to_plain
from holdall.records.paths import ABSENT, parse_path
from holdall.records.stored import reader
from holdall.records.values import NUMBER, is_nan, kind_of, place, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.records.paths import Path
    from holdall.records.stored import Stored

_KINDS = ("count", "sum", "min", "max", "mean")
_DIGITS = 10_000
_MEAN_DIGITS = 28
# Every sum in it is exact, or an error.
_EXACT = Context(prec=_DIGITS, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, Overflow])


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
        """Take in a row.

        Raises:
            InvalidValue: A sum or mean is of numbers that have none.
        """
        values = [get(row) for _, get in self._by]
        key = tuple(map(_key, values))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = (values, [_Total() for _ in self._aggregates])
        for (_, kind, field, get), total in zip(self._aggregates, group[1], strict=True):
            try:
                total.add(kind, row if get is None else get(row))
            except ArithmeticError as error:
                raise _unanswered(kind, field) from error

    def rows(self) -> list[dict[str, Any]]:
        """The groups, in the order of their values.

        Raises:
            InvalidValue: A sum or mean is of numbers that have none.
        """
        answer = []
        for values, totals in sorted(self._groups.values(), key=_group_place):
            row: dict[str, Any] = {
                name: value
                for (name, _), value in zip(self._by, values, strict=True)
                if value is not ABSENT
            }
            for (name, kind, field, _), total in zip(self._aggregates, totals, strict=True):
                try:
                    row[name] = total.answer(kind)
                except ArithmeticError as error:
                    raise _unanswered(kind, field) from error
            answer.append(row)
        return answer


def _group_place(group: tuple[list[Any], list[_Total]]) -> list[Any]:
    return [
        (1,) if value is ABSENT else (0, place(value), str(to_plain(value))) for value in group[0]
    ]


def _unanswered(kind: str, field: Any) -> InvalidValue:
    return InvalidValue(
        f"the {kind} of {field!r} cannot be told: no float holds it, or it has more than "
        f"{_DIGITS} digits"
    )


def _aggregate(name: str, what: Any) -> tuple[str, Any, Any]:
    kind, field = (what, None) if isinstance(what, str) else (*what, None, None)[:2]
    if kind not in _KINDS or (field is None and kind != "count"):
        raise InvalidQuery(
            f"{name}={what!r}: write 'count', or one of {', '.join(_KINDS)} with a field, "
            f"such as {name}=('sum', 'price')"
        )
    return kind, field, None if field is None else reader(parse_path(field))


class _Total:
    """What is known of one aggregate of one group."""

    __slots__ = ("best", "is_decimal", "number", "rest", "whole")

    def __init__(self) -> None:
        self.number = 0
        self.whole = 0
        self.rest: Decimal | None = None
        self.is_decimal = False
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
            if isinstance(value, int):
                self.whole += value
                return
            self.is_decimal = self.is_decimal or isinstance(value, Decimal)
            # A float and a Decimal have no sum of their own.
            more = Decimal(value)
            self.rest = more if self.rest is None else _EXACT.add(self.rest, more)

    def answer(self, kind: str) -> Any:
        if kind == "count":
            return self.number
        if kind == "sum":
            return self._sum()
        if kind == "mean":
            return self._mean() if self.number else None
        return None if self.best is ABSENT else self.best

    def _sum(self) -> int | float | Decimal:
        if self.rest is None:
            return self.whole
        total = self._total(self.rest)
        return total if self.is_decimal else _float(total, 1)

    def _mean(self) -> float | Decimal:
        if self.rest is None:
            return self.whole / self.number
        total = self._total(self.rest)
        if not self.is_decimal:
            return _float(total, self.number)
        digits = max(_MEAN_DIGITS, len(total.as_tuple().digits))
        return Context(digits, Emin=MIN_EMIN, Emax=MAX_EMAX).divide(total, self.number)

    def _total(self, rest: Decimal) -> Decimal:
        # A nought would bring digits with it.
        return _EXACT.add(rest, self.whole) if self.whole else rest


def _float(total: Decimal, number: int) -> float:
    return float(Fraction(total) / number if total.is_finite() else total)
