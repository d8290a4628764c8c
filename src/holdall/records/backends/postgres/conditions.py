"""From conditions to SQL that answers the same, or `Declined`; see `pieces`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.records import values
from holdall.records.backends.postgres.equality import column_value, equals, is_one_of
from holdall.records.backends.postgres.literals import (
    SIGNS,
    bound,
    comparable_text,
    json_of,
)
from holdall.records.backends.postgres.pieces import (
    NESTED,
    ODD,
    PLAIN,
    STRUCTURE,
    Condition,
    any_item,
    joined,
    opposite,
    some_item,
)
from holdall.records.backends.postgres.terms import (
    ColumnTerm,
    Declined,
    Params,
    Term,
    number,
    rank,
    short,
    term,
    text,
)
from holdall.records.predicate import (
    And,
    Begins,
    Between,
    Compares,
    Contains,
    Differs,
    Ends,
    Equals,
    Has,
    In,
    Like,
    Missing,
    Not,
    NotIn,
    Or,
)
from holdall.records.values import is_nan, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.records.predicate import Node, Ordering


def split(node: Node, params: Params) -> tuple[list[Condition], bool]:
    """Answer the parts of a condition that SQL can say, and whether those are all."""
    parts: list[Condition] = []
    whole = True
    for one in node.nodes if isinstance(node, And) else (node,):
        taken = len(params.values)
        try:
            parts.append(condition(one, params))
        except Declined:
            params.forget(taken)
            whole = False
    return parts, whole


def condition(node: Node, params: Params) -> Condition:
    """Answer a condition as SQL.

    Raises:
        Declined: SQL cannot say it exactly.
    """
    match node:
        case And(nodes):
            return joined([condition(one, params) for one in nodes], "AND", "TRUE")
        case Or(nodes):
            return joined([condition(one, params) for one in nodes], "OR", "FALSE")
        case Not(inner):
            return opposite(condition(inner, params))
        case Differs(path, value):
            return joined(
                [_has(path, params), opposite(is_one_of(path, (value,), params))], "AND", ""
            )
        case NotIn(path, wanted):
            return joined(
                [_has(path, params), opposite(is_one_of(path, wanted, params))], "AND", ""
            )
        case Equals(path, value):
            return is_one_of(path, (value,), params)
        case In(path, wanted):
            return is_one_of(path, wanted, params)
        case Has(path):
            return _has(path, params)
        case Missing(path):
            return opposite(_has(path, params))
        case Compares(path, op, value):
            return _ordered(term(path, params), [(op, value)], params)
        case Between(path, low, high):
            return _ordered(term(path, params), [("ge", low), ("le", high)], params)
        case Contains(path, value):
            return _contains(term(path, params), value, params)
        case Begins() | Ends() | Like():
            return _texts(term(node.path, params), node, params)
    raise Declined(type(node).__name__)


def _has(path: tuple[str, ...], params: Params) -> Condition:
    found = term(path, params)
    if isinstance(found, ColumnTerm):
        return Condition("TRUE", STRUCTURE)
    return Condition(f"({found.sql} IS NOT NULL)", ODD)


# Order


def _ordered(found: Term, limits: list[tuple[Ordering, Any]], params: Params) -> Condition:
    kind = kind_of(limits[0][1])
    if isinstance(found, ColumnTerm):
        if kind != found.kind:
            return Condition("FALSE", STRUCTURE)
        cast = "text" if kind == values.TEXT else "timestamptz"
        parts = [
            f"{found.sql} {SIGNS[op]} {params.add(column_value(found, value), cast)}"
            for op, value in limits
        ]
        return Condition(f"({' AND '.join(parts)})", STRUCTURE)
    if any(is_nan(value) for _, value in limits):
        return Condition("FALSE", STRUCTURE)
    if kind == values.NUMBER:
        test = _number_test(limits, params)
    else:
        test = _text_test(kind, limits, params)
    reach = PLAIN if kind in {values.NUMBER, values.TEXT} else ODD
    return Condition(any_item(found.sql, test), reach)


def _number_test(limits: list[tuple[Ordering, Any]], params: Params) -> Callable[[str], str]:
    compared = []
    for op, value in limits:
        sign_and_number = bound(op, value)
        assert sign_and_number is not None
        sign, written = sign_and_number
        compared.append((sign, params.add(written, "numeric")))

    def test(item: str) -> str:
        parts = [f"{number(item)} {sign} {wanted}" for sign, wanted in compared]
        return f"({' AND '.join([f'{rank(item)} = {values.NUMBER}', *parts])})"

    return test


def _text_test(
    kind: int, limits: list[tuple[Ordering, Any]], params: Params
) -> Callable[[str], str]:
    compared = [(SIGNS[op], params.text(comparable_text(value))) for op, value in limits]

    def test(item: str) -> str:
        # What an index knows of the number and the beginning of the text finds it faster.
        parts = [f"{rank(item)} = {kind}", f"{number(item)} IS NULL"]
        for sign, wanted in compared:
            parts += [
                f"{short(text(item))} {sign[0]}= {short(wanted)}",
                f"{text(item)} {sign} {wanted}",
            ]
        return f"({' AND '.join(parts)})"

    return test


# Texts


def _contains(found: Term, value: Any, params: Params) -> Condition:
    kind = kind_of(value)
    if isinstance(found, ColumnTerm):
        if kind != values.TEXT or found.kind != values.TEXT:
            return Condition("FALSE", STRUCTURE)
        return Condition(f"(strpos({found.sql}, {params.text(value)}) > 0)", STRUCTURE)
    if kind in NESTED:
        wanted = params.add(json_of(value), "jsonb")
        return Condition(some_item(found.sql, lambda item: f"{item} = {wanted}"), PLAIN)
    held = equals(found, value, params)
    item = f"({rank(found.sql)} = {values.LIST} AND {held.sql})"
    if kind != values.TEXT:
        return Condition(item, held.reach)
    within = f"strpos({text(found.sql)}, {params.text(value)}) > 0"
    return Condition(f"({item} OR ({rank(found.sql)} = {values.TEXT} AND {within}))", PLAIN)


def _texts(found: Term, node: Begins | Ends | Like, params: Params) -> Condition:
    if isinstance(node, Begins):
        test = _test("starts_with({0}, {1})", params.text(node.text))
    elif isinstance(node, Ends):
        test = _test("right({0}, char_length({1})) = {1}", params.text(node.text))
    elif node.ignore_case:  # Unicode knows more of that than PostgreSQL does
        raise Declined("ilike")
    else:
        test = _test("{0} LIKE {1}", params.text(node.pattern))
    if isinstance(found, ColumnTerm):
        is_text = found.kind == values.TEXT
        return Condition(f"({test(found.sql)})" if is_text else "FALSE", STRUCTURE)
    return Condition(
        any_item(found.sql, lambda item: f"({rank(item)} = {values.TEXT} AND {test(text(item))})"),
        PLAIN,
    )


def _test(form: str, sent: str) -> Callable[[str], str]:
    return lambda tested: form.format(tested, sent)
