"""What a condition asks of one value, in SQL, for each kind that the value may have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdall.records import values
from holdall.records.encoding import EXACT, to_plain
from holdall.records.predicate import (
    Begins,
    Between,
    Compares,
    Contains,
    Ends,
    Equals,
    In,
    Like,
    Regex,
)
from holdall.records.values import is_nan, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.records.predicate import Node, Ordering

Asked: TypeAlias = "dict[int, Callable[[str], str]]"
"""For each kind of value that may be meant: from the value in SQL to a condition.

Parameters are added when a condition is made, since the database refuses one that stands nowhere.
"""

DOUBT: Final = "CAST(NULL AS BOOLEAN)"
"""A condition that only Python can tell."""

_OPERATORS: dict[Ordering, str] = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_WILD = re.compile(r"[%_\\]")


class Parameters(list[Any]):
    """The parameters of a statement, in order."""

    def add(self, value: Any) -> str:
        """Add one; answer what stands for it in the statement."""
        self.append(value)
        return f"${len(self)}"


def asked(node: Node, args: Parameters) -> Asked:
    """What a condition asks of a value that is no list."""
    match node:
        case Equals(_, value):
            return _equals(value, args)
        case In(_, wanted):
            return _one_of(wanted, args)
        case Compares(_, op, value):
            return _compares(op, value, args)
        case Between(_, low, high):
            return _both(_compares("ge", low, args), _compares("le", high, args))
        case Contains(_, value) if type(value) is str:
            return _of_text(value, args, "contains({},{})")
        case Begins(_, text):
            return _of_text(text, args, "starts_with({},{})")
        case Ends(_, text):
            return _of_text(text, args, "suffix({},{})")
        case Like():
            return _like(node, args)
        case Regex():
            return {values.TEXT: _doubtful}
    return {}


def texts_of(node: Node) -> list[str] | None:
    """The texts of which a list that is meant holds one; None where it may hold something else."""
    match node:
        case Equals(_, value) | Contains(_, value):
            wanted: tuple[Any, ...] = (value,)
        case In(_, wanted):
            pass
        case _:
            return None
    return list(wanted) if all(type(one) is str and fits(one) for one in wanted) else None


def fits(text: str) -> bool:
    """Whether a row that is not odd can hold a text."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def number_of(value: Any) -> float | None:
    """A number as a double holds it exactly; None when there is none that a plain row can hold."""
    if is_nan(value) or not -EXACT <= value <= EXACT:
        return None
    near = float(value)
    return near if near == value else None


def marker_text(value: Any) -> str:
    """The text in the marker of a value; its order is that of the values."""
    marker = to_plain(value)
    return str(marker[next(iter(marker))])


def _doubtful(_value: str) -> str:
    return DOUBT


def _equals(wanted: Any, args: Parameters) -> Asked:
    kind = kind_of(wanted)
    if kind == values.NULL:
        return {kind: lambda _: "TRUE"}
    if kind == values.BOOL:
        return {kind: lambda value: value if wanted else f"(NOT {value})"}
    if kind in {values.LIST, values.DICT}:
        return {kind: _doubtful}
    if kind == values.NUMBER:
        return _number("=", wanted, args)
    if kind == values.TEXT:
        return _of_text(wanted, args, "({}={})")
    text = marker_text(wanted)
    return {kind: lambda value: f"({value}={args.add(text)})"}


def _number(operator: str, wanted: Any, args: Parameters) -> Asked:
    if is_nan(wanted):
        return {}
    number = number_of(wanted)
    if number is None:  # a double stands for its neighbours too
        return {values.NUMBER: _doubtful}
    return {
        values.NUMBER: lambda value: f"({value}{operator}CAST({args.add(number)} AS DOUBLE))",
    }


def _of_text(text: str, args: Parameters, form: str) -> Asked:
    if not fits(text):
        return {values.TEXT: _doubtful}
    return {values.TEXT: lambda value: form.format(value, args.add(text))}


def _one_of(wanted: tuple[Any, ...], args: Parameters) -> Asked:
    texts = [one for one in wanted if type(one) is str and fits(one)]
    tests: dict[int, list[Callable[[str], str]]] = {}
    if texts:
        tests[values.TEXT] = [
            lambda value: f"list_contains(CAST({args.add(texts)} AS VARCHAR[]),{value})"
        ]
    for one in wanted:
        if type(one) is str and fits(one):
            continue
        for kind, test in _equals(one, args).items():
            tests.setdefault(kind, []).append(test)
    return {kind: _any_of(some) for kind, some in tests.items()}


def _any_of(tests: list[Callable[[str], str]]) -> Callable[[str], str]:
    return lambda value: f"({' OR '.join(test(value) for test in tests)})"


def _compares(op: Ordering, wanted: Any, args: Parameters) -> Asked:
    kind = kind_of(wanted)
    operator = _OPERATORS[op]
    if kind == values.NUMBER:
        return _number(operator, wanted, args)
    if kind == values.TEXT:
        return _of_text(wanted, args, f"({{}}{operator}{{}})")
    if kind == values.BOOL:
        return {kind: lambda value: f"({value}{operator}{'TRUE' if wanted else 'FALSE'})"}
    if kind == values.BYTES:  # base64 has another order
        return {kind: _doubtful}
    text = marker_text(wanted)
    return {kind: lambda value: f"({value}{operator}{args.add(text)})"}


def _both(one: Asked, other: Asked) -> Asked:
    return {
        kind: lambda value, kind=kind: f"({one[kind](value)} AND {other[kind](value)})"  # type: ignore[misc]
        for kind in one.keys() & other.keys()
    }


def _like(node: Like, args: Parameters) -> Asked:
    if not fits(node.pattern):
        return {values.TEXT: _doubtful}
    if not node.ignore_case and "\\" not in node.pattern:
        return _of_text(node.pattern, args, "({} LIKE {})")
    same = "" if node.ignore_case else _WILD.split(node.pattern, maxsplit=1)[0]
    return {
        values.TEXT: lambda value: (
            f"CASE WHEN starts_with({value},{args.add(same)}) THEN {DOUBT} ELSE FALSE END"
        ),
    }
