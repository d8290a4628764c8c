"""Queries: which records, in which order, and which of them.

Query().filter("department", "=", "Engineering").sort("created_at", "DESC").limit(10)
Query().filter((F("age") >= 18) & ~F("tags").contains("left"))
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, Literal, final

from msgspec import Struct
from msgspec.structs import replace

from holdall.core.errors import InvalidQuery
from holdall.records.paths import Path, parse_path
from holdall.records.predicate import (
    ALL,
    And,
    Begins,
    Contains,
    Differs,
    Ends,
    Equals,
    Has,
    In,
    Missing,
    Node,
    Not,
    NotIn,
    between,
    comparison,
    like,
    literal,
    regex,
    text_of,
)
from holdall.records.values import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdall.records.predicate import Ordering

_NO_VALUE: Final = object()


class Sort(Struct, frozen=True):
    """One field to sort by.

    Args:
        path: Where the value stands.
        descending: Whether the last value comes first.
        missing_first: Whether records without the field, or with None in it, come first; else
            last, in either direction.
    """

    path: Path
    descending: bool = False
    missing_first: bool = False


@final
class Query(Struct, frozen=True):
    """What to search for. Each method answers a new query, and changes nothing.

    Records come in the order of `sort`, and equal ones, or all without it, in the order of their
    ids.

    Attributes:
        predicate: The conditions.
        sorts: What to sort by, the most important first.
        maximum: How many records at most; None for all.
        skipped: How many to leave out at the beginning.
        fields: Which fields to answer; None for all.
        unique: Answer only the first record of each combination of these fields.
    """

    predicate: Node = ALL
    sorts: tuple[Sort, ...] = ()
    maximum: int | None = None
    skipped: int = 0
    fields: tuple[Path, ...] | None = None
    unique: tuple[Path, ...] = ()

    def filter(self, field: str | Path | Node, op: str = "", value: Any = _NO_VALUE) -> Query:
        """Keep only what also meets a condition.

        Args:
            field: A field's name or path, or a whole condition (`F("age") >= 18`).
            op: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`, `like`, `ilike`, `regex`,
                `startswith`, `endswith`, `contains`, `between`, `exists`, `missing`, `is null`.
            value: What to compare with; a sequence for `in` and `not in`, two values for
                `between`, and none for the last three.

        Raises:
            InvalidQuery: No such operator, or it cannot take the value.
        """
        if isinstance(field, Node):
            if op:
                raise InvalidQuery(f"a condition stands alone, and {op!r} was given too")
            node = field
        else:
            node = condition(parse_path(field), op, value)
        whole = node if self.predicate == ALL else self.predicate & node
        return replace(self, predicate=whole)

    def sort(
        self,
        field: str | Path,
        direction: str = "asc",
        *,
        missing: Literal["first", "last"] = "last",
    ) -> Query:
        """Sort by a field; a second call sorts what is equal in the first.

        Values of several kinds follow one another as in `holdall.records.values`: bools, numbers
        (NaN first), text by code point, bytes, dates, datetimes, moments, times, UUIDs, lists,
        dicts.

        Args:
            field: Its name or path.
            direction: `asc` or `desc`, in any case.
            missing: Where records go that lack the field or hold None in it.

        Raises:
            InvalidQuery: The direction or the place is none of these.
        """
        way = str(direction).lower()
        if way not in {"asc", "desc"}:
            raise InvalidQuery(f"sort {field!r} by {direction!r}: write 'asc' or 'desc'")
        if missing not in {"first", "last"}:
            raise InvalidQuery(f"sort {field!r}, missing={missing!r}: write 'first' or 'last'")
        added = Sort(parse_path(field), way == "desc", missing == "first")
        return replace(self, sorts=(*self.sorts, added))

    def limit(self, maximum: int) -> Query:
        """Answer at most so many records."""
        return replace(self, maximum=_count(maximum, "limit"))

    def offset(self, skipped: int) -> Query:
        """Leave out so many at the beginning."""
        return replace(self, skipped=_count(skipped, "offset"))

    def select(self, *fields: str | Path) -> Query:
        """Answer only these fields; the id and the metadata are always there."""
        return replace(self, fields=tuple(map(parse_path, fields)))

    def distinct(self, *fields: str | Path) -> Query:
        """Answer only the first record of each combination of values of these fields."""
        if not fields:
            raise InvalidQuery("distinct() names no field")
        return replace(self, unique=tuple(map(parse_path, fields)))


def _count(number: object, what: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise InvalidQuery(f"{what}({number!r}): this takes a whole number from 0 on")
    return number


@final
class F:
    """A field in a condition: `F("age") >= 18`, `F("name").like("A%")`.

    Conditions are joined with `&`, `|` and `~`, each in parentheses.

    Args:
        field: Its name or path.

    Raises:
        InvalidQuery: It names no field; in a method, the value cannot be compared so.
    """

    __slots__ = ("_path",)

    def __init__(self, field: str | Path) -> None:
        self._path = parse_path(field)

    def __eq__(self, value: object) -> Node:  # type: ignore[override]
        return condition(self._path, "=", value)

    def __ne__(self, value: object) -> Node:  # type: ignore[override]
        return condition(self._path, "!=", value)

    def __lt__(self, value: Any) -> Node:
        return condition(self._path, "<", value)

    def __le__(self, value: Any) -> Node:
        return condition(self._path, "<=", value)

    def __gt__(self, value: Any) -> Node:
        return condition(self._path, ">", value)

    def __ge__(self, value: Any) -> Node:
        return condition(self._path, ">=", value)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("a field alone is no condition: write F(…).exists() or compare it")

    def is_in(self, values: Iterable[Any]) -> Node:
        """It is one of these values, or a list that holds one."""
        return condition(self._path, "in", values)

    def not_in(self, values: Iterable[Any]) -> Node:
        """It is there, and none of these values."""
        return condition(self._path, "not in", values)

    def like(self, pattern: str) -> Node:
        """A text of this form: `%` is any text, `_` any character, a backslash takes the next."""
        return condition(self._path, "like", pattern)

    def ilike(self, pattern: str) -> Node:
        """As `like`, and capital or small letters are the same."""
        return condition(self._path, "ilike", pattern)

    def regex(self, pattern: str) -> Node:
        """A text in which this regular expression of Python finds something."""
        return condition(self._path, "regex", pattern)

    def startswith(self, text: str) -> Node:
        """A text that begins with this one."""
        return condition(self._path, "startswith", text)

    def endswith(self, text: str) -> Node:
        """A text that ends with this one."""
        return condition(self._path, "endswith", text)

    def contains(self, value: Any) -> Node:
        """A text that holds this text, or a list that holds this value."""
        return condition(self._path, "contains", value)

    def between(self, low: Any, high: Any) -> Node:
        """From one value to the other, both included."""
        return condition(self._path, "between", (low, high))

    def exists(self) -> Node:
        """Something is there, be it None."""
        return condition(self._path, "exists")

    def missing(self) -> Node:
        """Nothing is there."""
        return condition(self._path, "missing")

    def is_null(self) -> Node:
        """None is there."""
        return condition(self._path, "is null")


def condition(path: Path, op: str, value: Any = _NO_VALUE) -> Node:
    """Answer the condition of an operator; see `Query.filter`.

    Raises:
        InvalidQuery: No such operator, or it cannot take the value.
    """
    name = " ".join(str(op).lower().split())
    name = _SPELLINGS.get(name, name)
    if name in _WITHOUT_VALUE:
        if value is not _NO_VALUE and value is not None and value is not True:
            raise InvalidQuery(f"{op!r} takes no value, and {value!r} was given")
        return _WITHOUT_VALUE[name](path)
    make = _WITH_VALUE.get(name)
    if make is None:
        known = [*_WITH_VALUE, *_WITHOUT_VALUE]
        near = difflib.get_close_matches(str(op), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InvalidQuery(f"{op!r} is no operator; there are {', '.join(known)}.{hint}")
    if value is _NO_VALUE:
        raise InvalidQuery(f"{op!r} takes a value, and none was given")
    return make(path, value)


def _sequence(value: Any, op: str) -> tuple[Any, ...]:
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise InvalidQuery(f"{op!r} takes a sequence of values, and {value!r} is none")
    return tuple(value)


def _members(value: Any, path: Path, op: str) -> tuple[Any, ...]:
    found = [literal(one, path) for one in _sequence(value, op)]
    if isinstance(value, (set, frozenset)):
        # Which has another order in every process, and the token of a page is of one query.
        found.sort(key=lambda one: (place(one), repr(one)))
    return tuple(found)


def _ends(path: Path, value: Any) -> Node:
    pair = _sequence(value, "between")
    if len(pair) != 2:
        raise InvalidQuery(f"'between' takes two values, and {len(pair)} were given")
    return between(path, pair[0], pair[1])


def _ordering(op: Ordering) -> Callable[[Path, Any], Node]:
    return lambda path, value: comparison(path, op, value)


_WITH_VALUE: dict[str, Callable[[Path, Any], Node]] = {
    "=": lambda path, value: Equals(path, literal(value, path)),
    "!=": lambda path, value: Differs(path, literal(value, path)),
    "<": _ordering("lt"),
    "<=": _ordering("le"),
    ">": _ordering("gt"),
    ">=": _ordering("ge"),
    "in": lambda path, value: In(path, _members(value, path, "in")),
    "not in": lambda path, value: NotIn(path, _members(value, path, "not in")),
    "like": like,
    "ilike": lambda path, value: like(path, value, ignore_case=True),
    "regex": regex,
    "startswith": lambda path, value: Begins(path, text_of(value, path, "startswith")),
    "endswith": lambda path, value: Ends(path, text_of(value, path, "endswith")),
    "contains": lambda path, value: Contains(path, literal(value, path)),
    "between": _ends,
}
_WITHOUT_VALUE: dict[str, Callable[[Path], Node]] = {
    "exists": Has,
    "missing": Missing,
    "is null": lambda path: Equals(path, None),
    "is not null": lambda path: And((Has(path), Not(Equals(path, None)))),
}
_SPELLINGS = {
    "==": "=",
    "eq": "=",
    "ne": "!=",
    "<>": "!=",
    "lt": "<",
    "le": "<=",
    "lte": "<=",
    "gt": ">",
    "ge": ">=",
    "gte": ">=",
    "not_in": "not in",
    "is_null": "is null",
    "not exists": "missing",
    "not_exists": "missing",
    "is_not_null": "is not null",
    "starts_with": "startswith",
    "ends_with": "endswith",
}
