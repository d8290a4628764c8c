"""What conditions ask of one value, as SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

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
    Node,
    Regex,
)
from holdall.records.values import is_nan, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.predicate import Ordering

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LIKE: Final = "holdall_like"
REGEX: Final = "holdall_regex"

_MOST_MEMBERS = 50
_OPERATORS: dict[Ordering, str] = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_NUMBERS = "('integer','real')"
_WILD = re.compile(r"[%_\\]")


class Leaf(Struct, frozen=True):
    """What is asked of one value that is no list.

    Args:
        render: Answers SQL for the expressions of the value and its type.
        args: Its parameters, in order.
    """

    render: Callable[[str, str], str]
    args: tuple[Any, ...] = ()


_NEVER: Final = Leaf(lambda _value, _kind: "0")


def leaf_of(node: Node) -> Leaf | None:
    """What a condition asks of one value; None where SQLite would answer something else."""
    match node:
        case Equals(_, value):
            return _equals(value)
        case In(_, wanted):
            return _one_of(wanted)
        case Compares(_, op, value):
            return _compares(op, value)
        case Between(_, low, high):
            above, below = _compares("ge", low), _compares("le", high)
            if above is None or below is None:
                return None
            return Leaf(
                lambda value, kind: (
                    f"({above.render(value, kind)}) AND ({below.render(value, kind)})"
                ),
                (*above.args, *below.args),
            )
        case Contains(_, wanted):
            if type(wanted) is not str or not _fits(wanted):
                return _NEVER
            return Leaf(lambda value, kind: f"{kind}='text' AND instr({value},?)>0", (wanted,))
        case Begins(_, text):
            return _begins(text) if _fits(text) else _NEVER
        case Ends(_, text):
            if not _fits(text):
                return _NEVER
            last = f"-{len(text)}"
            if not text:
                return Leaf(lambda _, kind: f"{kind}='text'")
            return Leaf(lambda value, kind: f"{kind}='text' AND substr({value},{last})=?", (text,))
        case Like():
            return _like(node)
        case Regex(_, pattern):
            if not _fits(pattern):
                return None
            return Leaf(lambda value, kind: f"{kind}='text' AND {REGEX}(?,{value})", (pattern,))
    return None


def moment_leaf(node: Node) -> Leaf | None:
    """What a condition asks of a column of moments."""
    match node:
        case Equals(_, value):
            return _moment("=", value)
        case Compares(_, op, value):
            return _moment(_OPERATORS[op], value)
        case Between(_, low, high):
            above, below = _moment(">=", low), _moment("<=", high)
            return Leaf(
                lambda value, kind: f"{above.render(value, kind)} AND {below.render(value, kind)}",
                (*above.args, *below.args),
            )
        case In(_, wanted):
            parts = [one for value in wanted if (one := _moment("=", value)) is not _NEVER]
            return _any_leaf(parts) if len(parts) <= _MOST_MEMBERS else None
    return _NEVER


def _moment(operator: str, value: Any) -> Leaf:
    if kind_of(value) != values.INSTANT:
        return _NEVER
    return Leaf(lambda column, _: f"{column}{operator}?", (microseconds(value),))


def microseconds(moment: datetime) -> int:
    """A moment as the columns hold it."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _any_leaf(parts: Sequence[Leaf]) -> Leaf:
    if len(parts) == 1:
        return parts[0]
    return Leaf(
        lambda value, kind: (
            " OR ".join(f"({part.render(value, kind)})" for part in parts) if parts else "0"
        ),
        tuple(arg for part in parts for arg in part.args),
    )


def _fits(text: str) -> bool:
    """Whether a row that is not odd can hold a text."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def number_of(value: Any) -> int | float | None:
    """A number as SQLite holds it exactly; None when there is none that a plain row can hold."""
    if is_nan(value) or not -EXACT <= value <= EXACT:
        return None
    if value == int(value):
        return int(value)
    near = float(value)
    return near if near == value else None


def _equals(wanted: Any) -> Leaf | None:
    kind = kind_of(wanted)
    if kind == values.TEXT:
        if not _fits(wanted):
            return _NEVER
        if wanted[:1] in {"[", "{"}:  # lists and dicts are such texts too
            return Leaf(lambda value, kind: f"{value}=? AND {kind}='text'", (wanted,))
        return Leaf(lambda value, _: f"{value}=?", (wanted,))
    if kind == values.NUMBER:
        number = number_of(wanted)
        if number is None:
            return _NEVER
        if number in {0, 1}:  # bools are such numbers too
            return Leaf(lambda value, kind: f"{value}=? AND {kind} IN {_NUMBERS}", (number,))
        return Leaf(lambda value, _: f"{value}=?", (number,))
    if kind == values.BOOL:
        name = "true" if wanted else "false"
        return Leaf(lambda value, kind: f"{value}={int(wanted)} AND {kind}='{name}'")
    if kind == values.NULL:
        return Leaf(lambda _, kind: f"{kind}='null'")
    if kind in {values.LIST, values.DICT}:
        return None
    return _marked(wanted, "ge", "le")


def _one_of(wanted: tuple[Any, ...]) -> Leaf | None:
    texts = [one for one in wanted if type(one) is str and one[:1] not in {"[", "{"}]
    texts = list(filter(_fits, texts))
    others = [_equals(one) for one in wanted if type(one) is not str or one[:1] in {"[", "{"}]
    parts = [one for one in others if one is not None and one is not _NEVER]
    if None in others or len(parts) + len(texts) > _MOST_MEMBERS:
        return None
    if len(texts) == 1:
        parts.append(Leaf(lambda value, _: f"{value}=?", (texts[0],)))
    elif texts:
        marks = ",".join("?" * len(texts))
        parts.append(Leaf(lambda value, _: f"{value} IN ({marks})", tuple(texts)))
    return _any_leaf(parts)


def _compares(op: Ordering, wanted: Any) -> Leaf | None:
    kind = kind_of(wanted)
    operator = _OPERATORS[op]
    if kind == values.TEXT:
        if not _fits(wanted):
            return None
        return Leaf(lambda value, kind: f"{value}{operator}? AND {kind}='text'", (wanted,))
    if kind == values.NUMBER:
        return _compares_number(op, wanted)
    if kind == values.BOOL:
        names = [
            name
            for name, one in (("'false'", False), ("'true'", True))
            if {"lt": one < wanted, "le": one <= wanted, "gt": one > wanted, "ge": one >= wanted}[
                op
            ]
        ]
        return Leaf(lambda _, kind: f"{kind} IN ({','.join(names)})")
    if kind == values.BYTES:  # base64 has another order
        return None
    return _marked(wanted, op if op in {"gt", "ge"} else None, op if op in {"lt", "le"} else None)


def _compares_number(op: Ordering, wanted: Any) -> Leaf | None:
    if is_nan(wanted):
        return _NEVER
    if abs(wanted) > EXACT:  # no number of a plain row lies there
        every = (wanted > 0) == (op in {"lt", "le"})
        return Leaf(lambda _, kind: f"{kind} IN {_NUMBERS}") if every else _NEVER
    number = number_of(wanted)
    if number is None:  # between two floats
        return None
    operator = _OPERATORS[op]
    # Texts come after all numbers; this bound is for the index.
    bound = "" if op in {"lt", "le"} else " AND {}<''"
    return Leaf(
        lambda value, kind: f"{value}{operator}?{bound.format(value)} AND {kind} IN {_NUMBERS}",
        (number,),
    )


def _marked(wanted: Any, low: Ordering | None, high: Ordering | None) -> Leaf:
    """A range of the text of markers, whose order is that of what they hold."""
    marker = to_plain(wanted)
    mark = next(iter(marker))
    # Markers may go on after the text, with a zone: `"` ends the text, and `#` follows `"`.
    start = f'{{"{mark}":'
    text = f'{start}"{marker[mark]}'
    args = (
        {"ge": text, "gt": f"{text}#", None: f'{start}"'}[low],
        {"lt": text, "le": f"{text}#", None: f"{start}#"}[high],
    )
    return Leaf(lambda value, kind: f"{value}>=? AND {value}<? AND {kind}='object'", args)


def _begins(text: str) -> Leaf:
    end = _next_text(text)
    if end is None:
        return Leaf(lambda value, kind: f"{value}>=? AND {kind}='text'", (text,))
    return Leaf(lambda value, kind: f"{value}>=? AND {value}<? AND {kind}='text'", (text, end))


def _next_text(text: str) -> str | None:
    """The first text after all that begin with this one; None when there is none."""
    kept = text.rstrip(chr(0x10FFFF))
    if not kept:
        return None
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if code == 0xD800 else code)


def _like(node: Like) -> Leaf | None:
    if not _fits(node.pattern):
        return _NEVER if "\\" not in node.pattern else None
    ignore = int(node.ignore_case)
    same = _WILD.split(node.pattern, maxsplit=1)[0]
    if ignore or not same:
        return Leaf(
            lambda value, kind: f"{kind}='text' AND {LIKE}(?,{ignore},{value})", (node.pattern,)
        )
    begins = _begins(same)
    return Leaf(
        lambda value, kind: f"{begins.render(value, kind)} AND {LIKE}(?,{ignore},{value})",
        (*begins.args, node.pattern),
    )
