"""The tree of conditions: what a query asks of a row, and what that means in Python.

`matches` is the meaning. Whoever compiles a tree into something else agrees with it on every row,
or declines, so that the rows are filtered here.

    absent            never equals and never orders; only `missing` and `not` find it
    None              is a value: it equals None
    another kind      never equals and never orders (see `holdall.records.values`)
    NaN               equals nothing, not even itself
    a list            matches when any item of it does; it also equals an equal list
    `ne`, `not in`    present, and not equal, to nothing in the list
    `not`             the plain opposite, also for what is absent
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from msgspec import Struct

from holdall.core.errors import InvalidQuery
from holdall.records import values
from holdall.records.paths import ABSENT, Path, show_path
from holdall.records.values import adopt, equal, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

Row = TypeVar("Row")
Test: TypeAlias = "Callable[[Any], bool]"
"""Says whether one value, which is no list, is meant."""

Ordering: TypeAlias = Literal["lt", "le", "gt", "ge"]


class Node(Struct, frozen=True):
    """A condition; `&`, `|` and `~` join them."""

    def __and__(self, other: Node) -> And:
        return And((*_parts(And, self), *_parts(And, other)))

    def __or__(self, other: Node) -> Or:
        return Or((*_parts(Or, self), *_parts(Or, other)))

    def __invert__(self) -> Node:
        return self.node if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise TypeError("join conditions with & | ~ and parentheses, not with and, or, not")


class And(Node, frozen=True):
    """All of them; true of every row when there are none."""

    nodes: tuple[Node, ...] = ()


class Or(Node, frozen=True):
    """Any of them; true of no row when there are none."""

    nodes: tuple[Node, ...] = ()


class Not(Node, frozen=True):
    """The opposite."""

    node: Node


class Has(Node, frozen=True):
    """Something is there, be it None."""

    path: Path


class Missing(Node, frozen=True):
    """Nothing is there."""

    path: Path


class Equals(Node, frozen=True):
    """It is this value, or a list that holds it."""

    path: Path
    value: Any


class Differs(Node, frozen=True):
    """It is there, and is not this value nor a list that holds it."""

    path: Path
    value: Any


class Compares(Node, frozen=True):
    """It stands before or after this value."""

    path: Path
    op: Ordering
    value: Any


class Between(Node, frozen=True):
    """It stands from one value to another, both included."""

    path: Path
    low: Any
    high: Any


class In(Node, frozen=True):
    """It is one of these values."""

    path: Path
    values: tuple[Any, ...]


class NotIn(Node, frozen=True):
    """It is there, and is none of these values."""

    path: Path
    values: tuple[Any, ...]


class Contains(Node, frozen=True):
    """A text that holds this text, or a list that holds this value."""

    path: Path
    value: Any


class Begins(Node, frozen=True):
    """A text that begins with this one."""

    path: Path
    text: str


class Ends(Node, frozen=True):
    """A text that ends with this one."""

    path: Path
    text: str


class Like(Node, frozen=True):
    """A text of this form: `%` is any text, `_` any character, `\\` takes the next one as it is."""

    path: Path
    pattern: str
    ignore_case: bool = False


class Regex(Node, frozen=True):
    """A text in which this regular expression of Python finds something."""

    path: Path
    pattern: str


ALL: Final = And()


def _parts(kind: type[And | Or], node: Node) -> tuple[Node, ...]:
    return node.nodes if isinstance(node, (And, Or)) and type(node) is kind else (node,)


def literal(value: Any, path: Path) -> Any:
    """Answer a value that is compared with, as rows hold it.

    Raises:
        InvalidQuery: A record can hold no such value.
    """
    try:
        return adopt(value, show_path(path))
    except (TypeError, ValueError) as error:
        raise InvalidQuery(f"the value compared with: {error}") from error


def comparison(path: Path, op: Ordering, value: Any) -> Compares:
    """A `Compares` of a checked value.

    Raises:
        InvalidQuery: Such values have no order.
    """
    return Compares(path, op, _orderable(value, path, op))


def between(path: Path, low: Any, high: Any) -> Between:
    """A `Between` of checked values.

    Raises:
        InvalidQuery: Such values have no order, or are of two kinds.
    """
    low, high = _orderable(low, path, "between"), _orderable(high, path, "between")
    if kind_of(low) != kind_of(high):
        raise InvalidQuery(
            f"{show_path(path)} between {low!r} and {high!r}: one is "
            f"{values.NAMES[kind_of(low)]} and the other {values.NAMES[kind_of(high)]}"
        )
    return Between(path, low, high)


def _orderable(value: Any, path: Path, op: str) -> Any:
    value = literal(value, path)
    if not values.ordered(kind_of(value)):
        raise InvalidQuery(
            f"{show_path(path)} {op} {value!r}: {values.NAMES[kind_of(value)]} has no order"
        )
    return value


def like(path: Path, pattern: Any, *, ignore_case: bool = False) -> Like:
    """A `Like` of a checked pattern.

    Raises:
        InvalidQuery: The pattern is no text, or ends with a lone backslash.
    """
    node = Like(path, _text(pattern, path, "like"), ignore_case)
    like_expression(node)
    return node


def regex(path: Path, pattern: Any) -> Regex:
    """A `Regex` of a checked pattern.

    Raises:
        InvalidQuery: It is no regular expression; says where.
    """
    text = _text(pattern, path, "regex")
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise InvalidQuery(f"{show_path(path)} regex {text!r}: {error}") from error
    return Regex(path, text)


def text_of(value: Any, path: Path, op: str) -> str:
    """Answer a text that is searched for.

    Raises:
        InvalidQuery: It is none.
    """
    return _text(value, path, op)


def _text(value: Any, path: Path, op: str) -> str:
    if not isinstance(value, str):
        raise InvalidQuery(f"{show_path(path)} {op} {value!r}: this takes text")
    return value


def like_expression(node: Like) -> re.Pattern[str]:
    """The regular expression that matches what a `Like` means, from the first to the last letter.

    Raises:
        InvalidQuery: The pattern ends with a lone backslash.
    """
    # Between two `%` stands what is looked for from left to right; the first place where it is
    # found is as good as any other. Whoever tries the others too takes for ever.
    parts: list[list[str]] = [[]]
    letters = iter(node.pattern)
    for letter in letters:
        if letter == "\\":
            following = next(letters, None)
            if following is None:
                raise InvalidQuery(
                    f"{show_path(node.path)} like {node.pattern!r} ends with a backslash: "
                    "write two for one"
                )
            parts[-1].append(re.escape(following))
        elif letter == "%":
            parts.append([])
        else:
            parts[-1].append("." if letter == "_" else re.escape(letter))
    first, *others = ("".join(part) for part in parts)
    between = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    last = f".*{others[-1]}" if others else ""
    flags = re.DOTALL | (re.IGNORECASE if node.ignore_case else 0)
    return re.compile(f"{first}{between}{last}", flags)


def matches(node: Node, row: Row, reader: Callable[[Path], Callable[[Row], Any]]) -> bool:
    """Whether a row is meant; see `compiled`, which is for more than one row."""
    return compiled(node, reader)(row)


def compiled(node: Node, reader: Callable[[Path], Callable[[Row], Any]]) -> Callable[[Row], bool]:
    """Answer a function that says of a row whether it is meant.

    Args:
        node: The condition.
        reader: Answers, for a path, the function that answers what it leads to in a row, and
            `ABSENT` where there is nothing.
    """
    match node:
        case And(nodes):
            return _all([compiled(one, reader) for one in nodes])
        case Or(nodes):
            tests = [compiled(one, reader) for one in nodes]
            return lambda row: any(test(row) for test in tests)
        case Not(inner):
            test = compiled(inner, reader)
            return lambda row: not test(row)
        case Has(path):
            get = reader(path)
            return lambda row: get(row) is not ABSENT
        case Missing(path):
            get = reader(path)
            return lambda row: get(row) is ABSENT
        case Differs(path, value):
            return _present_and_not(reader(path), _equals(value))
        case NotIn(path, wanted):
            return _present_and_not(reader(path), _one_of(wanted))
        case Equals(path, value):
            return _present(reader(path), _equals(value))
        case In(path, wanted):
            return _present(reader(path), _one_of(wanted))
        case Contains(path, value):
            return _present(reader(path), _contains(value))
    return _present(reader(node.path), _any_item(_value_test(node)))  # type: ignore[attr-defined]


def _all(tests: list[Callable[[Row], bool]]) -> Callable[[Row], bool]:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        one, other = tests
        return lambda row: one(row) and other(row)
    return lambda row: all(test(row) for test in tests)


def _present(get: Callable[[Row], Any], test: Test) -> Callable[[Row], bool]:
    return lambda row: (value := get(row)) is not ABSENT and test(value)


def _present_and_not(get: Callable[[Row], Any], test: Test) -> Callable[[Row], bool]:
    return lambda row: (value := get(row)) is not ABSENT and not test(value)


def _any_item(test: Test) -> Test:
    return lambda value: any(map(test, value)) if type(value) is list else test(value)


def _equals(wanted: Any) -> Test:
    kind = kind_of(wanted)
    if kind == values.TEXT:  # what is asked most
        return lambda value: value == wanted or (type(value) is list and wanted in value)

    def test(value: Any) -> bool:
        if equal(value, wanted):
            return True
        return type(value) is list and any(equal(item, wanted) for item in value)

    return test


def _one_of(wanted: tuple[Any, ...]) -> Test:
    if all(type(one) is str for one in wanted):
        texts = frozenset(wanted)
        return _any_item(lambda value: type(value) is str and value in texts)
    tests = [_equals(one) for one in wanted]
    return lambda value: any(test(value) for test in tests)


def _contains(wanted: Any) -> Test:
    def test(value: Any) -> bool:
        if type(value) is list:
            return any(equal(item, wanted) for item in value)
        return type(value) is str and type(wanted) is str and wanted in value

    return test


def _value_test(node: Node) -> Test:
    match node:
        case Compares(_, op, wanted):
            return _compares(op, wanted)
        case Between(_, low, high):
            above, below = _compares("ge", low), _compares("le", high)
            return lambda value: above(value) and below(value)
        case Begins(_, text):
            return lambda value: type(value) is str and value.startswith(text)
        case Ends(_, text):
            return lambda value: type(value) is str and value.endswith(text)
        case Like():
            form = like_expression(node).fullmatch
            return lambda value: type(value) is str and form(value) is not None
        case Regex(_, pattern):
            search = re.compile(pattern).search
            return lambda value: type(value) is str and search(value) is not None
    raise TypeError(f"{type(node).__name__} is no condition")


def _compares(op: Ordering, wanted: Any) -> Test:
    kind = kind_of(wanted)
    if values.is_nan(wanted):
        return lambda _: False
    compare = _COMPARE[op]
    if kind == values.INSTANT:
        moment = values.plain(wanted)
        return lambda value: kind_of(value) == kind and compare(values.plain(value), moment)
    if kind != values.NUMBER:
        return lambda value: kind_of(value) == kind and compare(value, wanted)
    # A Decimal that is NaN raises when it is ordered; a float is just never before or after.
    return lambda value: (
        kind_of(value) == kind and not values.is_nan(value) and compare(value, wanted)
    )


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
}
