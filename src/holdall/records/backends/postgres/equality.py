"""Equality as SQL: what is this value, or a list that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdall.records import values
from holdall.records.backends.postgres.literals import comparable_text, exact_number, json_of
from holdall.records.backends.postgres.pieces import (
    NESTED,
    ODD,
    PLAIN,
    STRUCTURE,
    Condition,
    any_item,
    joined,
)
from holdall.records.backends.postgres.terms import (
    MARKS,
    ColumnTerm,
    Declined,
    JsonTerm,
    Params,
    number,
    rank,
    term,
    text,
)
from holdall.records.encoding import to_plain
from holdall.records.values import equal, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

_FEW = 8


def is_one_of(path: tuple[str, ...], wanted: tuple[Any, ...], params: Params) -> Condition:
    """It is one of these values, or a list that holds one."""
    found = term(path, params)
    if isinstance(found, ColumnTerm):
        return _column_is(found, wanted, params)
    plain = [one for one in wanted if kind_of(one) not in NESTED]
    parts = [_equal_nested(found, one, params) for one in wanted if kind_of(one) in NESTED]
    if len(plain) <= _FEW:
        parts += [equals(found, one, params) for one in plain]
    else:
        parts += _among(found, plain, params)
    return joined(parts, "OR", "FALSE")


def _column_is(found: ColumnTerm, wanted: tuple[Any, ...], params: Params) -> Condition:
    same = []
    for one in wanted:
        if kind_of(one) == found.kind:
            try:
                same.append(column_value(found, one))
            except Declined:  # no row holds it
                continue
    listed = params.add(same, "text[]" if found.kind == values.TEXT else "timestamptz[]")
    return Condition(f"({found.sql} = ANY({listed}))", STRUCTURE)


def column_value(found: ColumnTerm, value: Any) -> Any:
    """A value of the kind of a column, as it is sent.

    Raises:
        Declined: PostgreSQL holds no such text.
    """
    return comparable_text(value) if found.kind == values.TEXT else value


def equals(found: JsonTerm, value: Any, params: Params) -> Condition:
    """It is this value, which is neither a list nor a dict, or a list that holds it."""
    kind = kind_of(value)
    reach = PLAIN if kind == values.NUMBER else ODD
    try:
        if kind == values.NUMBER:
            written = exact_number(value)
            if written is None:
                return Condition("FALSE", reach)
            plain = str(written)
        elif kind in MARKS:
            plain = _json({MARKS[kind]: _marked_text(kind, value)})
        else:
            plain = _json(None if kind == values.NULL else _sent(value))
    except Declined:  # no row that is not odd holds it
        return Condition("FALSE", PLAIN)
    if found.names is None:
        one, many = (params.add(sent, "jsonb") for sent in (plain, f"[{plain}]"))
        return Condition(f"({found.sql} @> {one} OR {found.sql} @> {many})", reach)
    # What the index of `data` finds.
    one, many = (params.add(_under(found.names, sent), "jsonb") for sent in (plain, f"[{plain}]"))
    return Condition(f"(data @> {one} OR data @> {many})", reach)


def _marked_text(kind: int, value: Any) -> str:
    if kind == values.INSTANT:
        return comparable_text(value)
    written: str = to_plain(value)[MARKS[kind]]
    return written


def _sent(value: Any) -> Any:
    return comparable_text(value) if type(value) is str else value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _under(names: tuple[str, ...], plain: str) -> str:
    for name in reversed(names):
        plain = f"{{{_json(name)}:{plain}}}"
    return plain


def _equal_nested(found: JsonTerm, value: Any, params: Params) -> Condition:
    try:
        plain = json_of(value)
    except Declined:
        if not equal(value, value):  # there is a NaN in it
            return Condition("FALSE", PLAIN)
        raise
    wanted = params.add(plain, "jsonb")
    return Condition(any_item(found.sql, lambda item: f"{item} = {wanted}"), PLAIN)


def _among(found: JsonTerm, wanted: list[Any], params: Params) -> list[Condition]:
    """It is one of many values: compared with all of a kind at once."""
    kinds: dict[int, list[Any]] = {}
    for one in wanted:
        kinds.setdefault(kind_of(one), []).append(one)
    parts = []
    for kind, same in kinds.items():
        if kind == values.NULL:
            parts.append(equals(found, None, params))
        elif kind == values.NUMBER:
            written = [one for one in map(exact_number, same) if one is not None]
            listed = params.add(written, "numeric[]")
            sql = any_item(found.sql, _number_in(listed))
            parts.append(Condition(sql, PLAIN))
        else:
            texts = []
            for one in same:
                try:
                    texts.append(comparable_text(one))
                except Declined:  # no row that is not odd holds it
                    continue
            listed = params.add(texts, "text[]")
            reach = ODD if len(texts) == len(same) else PLAIN
            parts.append(Condition(any_item(found.sql, _text_in(kind, listed)), reach))
    return parts


def _number_in(listed: str) -> Callable[[str], str]:
    return lambda item: f"{number(item)} = ANY({listed})"


def _text_in(kind: int, listed: str) -> Callable[[str], str]:
    return lambda item: f"({rank(item)} = {kind} AND {text(item)} = ANY({listed}))"
