"""Filters read: text becomes the tree of conditions.

    filter  =  terms joined with "and" and "or"; "and" binds closer
    term    =  path | path sign value | "not" path | "not" "(" filter ")" | "(" filter ")"
    path    =  name ("->" name)*
    sign    =  "==" | "!=" | "<" | "<=" | ">" | ">="
    value   =  "true" | "false" | any scalar of Zinc but N, M, R, NA, T and F

This is the grammar of the standard's chapter Filters, and `not (…)` besides, so that every tree
has a text. No word is kept from being a name: `not` alone asks for the tag `not`. Blanks and new
lines may stand between any two parts. Names of types (`Meter`, `ph::Meter`) need definitions to
say what is one, and are refused.

`and` and `or` take any number of terms, and parentheses that change nothing leave no trace in the
tree. A number without a unit becomes `AnyUnit`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from holdall.core.errors import InvalidQuery
from holdall.haystack.codecs.scalars import Misread, scalar_at, shown
from holdall.haystack.filter.comparing import AnyUnit
from holdall.haystack.kinds import Number, Ref
from holdall.records.predicate import And, Compares, Differs, Equals, Has, Missing, Node, Not, Or

if TYPE_CHECKING:
    from holdall.records.paths import Path
    from holdall.records.predicate import Ordering

MAX_NESTING: Final = 100
"""How many parentheses may stand in one another."""

# So that what is kept is bounded: the tree of a text is up to twenty times as large as that.
_KEPT: Final = 512
_LONGEST_KEPT: Final = 1024

_BLANK = r"[ \t\r\n]*+"
_NAME = "[a-z][a-zA-Z0-9_]*+"
_TERM = re.compile(
    rf"{_BLANK}(?:({_NAME}(?:{_BLANK}->{_BLANK}{_NAME})*+){_BLANK}(==|!=|<=?|>=?)?|\()"
)
_JOINT = re.compile(rf"{_BLANK}(?:(and|or)(?![a-zA-Z0-9_])|(\))|\Z)")
# The values that are asked for most; any other is left to the reader of scalars.
_VALUE = re.compile(
    rf"""{_BLANK}(?:
      @([a-zA-Z0-9_:\-.~]++)(?!\ *")
    | "([^"\\\x00-\x1f]*+)"
    | ([0-9]{{1,15}}+)(?![a-zA-Z0-9_%/$.:+\-\u0080-\U0010ffff])
    | (true|false)(?![a-zA-Z0-9_])
    )?""",
    re.VERBOSE,
)
_TYPE = re.compile(rf"(?:{_NAME}(?:\.{_NAME})*+::)?[A-Z][a-zA-Z0-9_]*+|\^[a-zA-Z0-9_:\-.~]++")
_KEYWORD = re.compile(r"(?:N|M|R|NA|T|F)(?![a-zA-Z0-9_(])")
_ARROW = re.compile(rf"->{_BLANK}")
_BLANKS = re.compile(r"[ \t\r\n]*")

_ORDERINGS: Final[dict[str, Ordering]] = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def parse_filter(text: str) -> Node:
    """Read a filter.

    The last 512 texts of up to 1,024 characters are kept with their trees.

    Raises:
        InvalidQuery: It is none; says where (line and column, from 1) and what was expected.
    """
    return _kept(text) if len(text) <= _LONGEST_KEPT else _parse(text)


def _parse(text: str) -> Node:
    # What the parentheses around the current place have brought so far, outermost first.
    around: list[tuple[list[Node], list[Node], bool, int]] = []
    ors: list[Node] = []
    ands: list[Node] = []
    at = 0
    while True:
        found = _TERM.match(text, at)
        if found is None:
            _no_term(text, at)
        path, sign = found.groups()
        at = found.end()
        negated = path == "not" and sign is None and text[at : at + 1] == "("
        if path is None or negated:
            at += negated
            if len(around) == MAX_NESTING:
                _refuse(text, at - 1, f"more than {MAX_NESTING} parentheses in one another")
            around.append((ors, ands, negated, at - 1))
            ors, ands = [], []
            continue
        if sign is not None:
            value, at = _value(text, at)
            ands.append(_comparison(_path(path), sign, value))
        elif path == "not" and (found := _TERM.match(text, at)) is not None:
            at = found.end()
            if found[2] is not None:
                _refuse(text, found.start(2), "'not' takes a tag or parentheses: not (a == b)")
            ands.append(Missing(_path(found[1])))
        elif path == "not" and _TYPE.match(text, at) is not None:
            _no_types(text, at)
        else:
            ands.append(Has(_path(path)))
        while (joint := _JOINT.match(text, at)) is not None and joint[2] is not None:
            if not around:
                _refuse(text, joint.start(2), "expected 'and', 'or' or the end, and found ')'")
            node = _joined(ors, ands)
            ors, ands, negated, _ = around.pop()
            _add(ands, And, Not(node) if negated else node)
            at = joint.end()
        if joint is None:
            _no_joint(text, at, closes=bool(around))
        if joint[1] is None:
            if around:
                _refuse(text, around[-1][3], "this parenthesis has no end: expected ')'")
            return _joined(ors, ands)
        if joint[1] == "or":
            _add(ors, Or, ands[0] if len(ands) == 1 else And(tuple(ands)))
            ands = []
        at = joint.end()


_kept = lru_cache(_KEPT)(_parse)


def _joined(ors: list[Node], ands: list[Node]) -> Node:
    node = ands[0] if len(ands) == 1 else And(tuple(ands))
    if not ors:
        return node
    _add(ors, Or, node)
    return Or(tuple(ors))


def _add(nodes: list[Node], kind: type[And | Or], node: Node) -> None:
    if isinstance(node, (And, Or)) and type(node) is kind:
        nodes.extend(node.nodes)
    else:
        nodes.append(node)


def _path(text: str) -> Path:
    if "-" not in text:
        return (text,)
    return tuple([name.strip(" \t\r\n") for name in text.split("->")])


def _comparison(path: Path, sign: str, value: Any) -> Node:
    if sign == "==":
        return Equals(path, value)
    if sign == "!=":
        return Differs(path, value)
    return Compares(path, _ORDERINGS[sign], value)


def _value(text: str, at: int) -> tuple[Any, int]:
    found = _VALUE.match(text, at)
    assert found is not None  # it matches nothing, too
    at = found.end()
    match found.lastindex:
        case 1:
            return Ref(found[1]), at
        case 2:
            return found[2], at
        case 3:
            return AnyUnit(int(found[3])), at
        case 4:
            return found[4] == "true", at
    word = _KEYWORD.match(text, at)
    if word is not None:
        _refuse(text, at, f"{word[0]} is no value of a filter: bools are written true and false")
    value: Any
    try:
        value, end = scalar_at(text, at)
    except Misread as error:
        raise _refused(text, error.at, str(error)) from error
    if type(value) is Number and value.unit is None:
        value = AnyUnit(value.val)
    return value, end


# What is wrong, for whoever wrote it.


def _no_term(text: str, at: int) -> NoReturn:
    at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
    if _TYPE.match(text, at) is not None:
        _no_types(text, at)
    _refuse(text, at, f"expected a tag, 'not' or '(', and found {shown(text, at)}")


def _no_joint(text: str, at: int, *, closes: bool) -> NoReturn:
    at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
    arrow = _ARROW.match(text, at)
    if arrow is not None:
        at = arrow.end()
        _refuse(text, at, f"expected the name of a tag after '->', and found {shown(text, at)}")
    if text.startswith("=", at):
        _refuse(text, at, "expected '==', and found '='")
    if text.startswith("::", at) or (text.startswith(".", at) and "::" in text[at : at + 100]):
        _no_types(text, at)
    last = "')'" if closes else "the end"
    _refuse(text, at, f"expected 'and', 'or' or {last}, and found {shown(text, at)}")


def _no_types(text: str, at: int) -> NoReturn:
    _refuse(
        text,
        at,
        "a filter by type, such as Meter or ph::Meter, needs definitions, which are not known "
        "here: ask for the tags that make the type",
    )


def _refuse(text: str, at: int, message: str) -> NoReturn:
    raise _refused(text, at, message)


def _refused(text: str, at: int, message: str) -> InvalidQuery:
    line = text.count("\n", 0, at) + 1
    return InvalidQuery(message, line=line, column=at - text.rfind("\n", 0, at))
