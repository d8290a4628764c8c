"""The text form of conditions, for command lines and configurations.

    department = "Engineering" and (age >= 30 or not tags contains 'left')
    name like 'A%' and id not in ('a', 'b') and born between 1970-01-01 and 1979-12-31
    left missing and metadata.owner is not null and `a field, with a comma` exists

A field is a word or a path (`address.city`); any other name stands in backquotes. A value is text
in quotes, with `\\` before a quote or backslash in it; a number; `true`, `false`, `null`; a date
(`2024-01-31`) or a datetime (`2024-01-31T12:00:00Z`; without a zone it is one without a zone).
`not` binds closer than `and`, and `and` closer than `or`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.core.errors import InvalidQuery
from holdall.records.paths import parse_path
from holdall.records.predicate import And, Node, Or
from holdall.records.query import condition

if TYPE_CHECKING:
    from holdall.records.paths import Path

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | `(?P<name>[^`]+)`
    | (?P<time>\d{4}-\d\d-\d\d
        (?:[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:[Zz]|[+-]\d\d:?\d\d)?)?(?![\w.-]))
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
    | (?P<word>[^\W\d](?:\w|[.$-](?=\w)|\\.)*)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS: Final = {"=", "==", "!=", "<>", "<", "<=", ">", ">="}
_WORDS: Final = {"like", "ilike", "regex", "startswith", "endswith", "contains"}
_VALUES: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_KEPT: Final = {"and", "or", "not"}
_DEEPEST: Final = 200


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int


def parse_condition(text: str) -> Node:
    """Read a condition; an empty text is true of every record.

    Raises:
        InvalidQuery: It means nothing; says where (line and column, from 1) and what was expected.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._token = self._read()

    def whole(self) -> Node:
        if self._token.kind == "end":
            return And()
        node = self._or()
        if self._token.kind != "end":
            raise self._expected("'and', 'or' or the end")
        return node

    def _read(self) -> _Token:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            at = len(self._text) - len(self._text[self._at :].lstrip())
            quote = self._text[at] in "'\"`"
            raise self._error(at, "the text has no end" if quote else "this is nothing known here")
        self._at = match.end()
        kind = match.lastgroup
        return _Token(kind, match[kind], match.start(kind))

    def _next(self) -> _Token:
        token = self._token
        self._token = self._read()
        return token

    def _is(self, word: str) -> bool:
        return self._token.kind == "word" and self._token.text.lower() == word

    def _took(self, word: str) -> bool:
        if self._is(word):
            self._next()
            return True
        return False

    def _sign(self, sign: str) -> None:
        if self._token.kind != "sign" or self._token.text != sign:
            raise self._expected(repr(sign))
        self._next()

    def _or(self) -> Node:
        nodes = [self._and()]
        while self._took("or"):
            nodes.append(self._and())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _and(self) -> Node:
        nodes = [self._unary()]
        while self._took("and"):
            nodes.append(self._unary())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _unary(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(self._token.at, "more than 200 levels of parentheses and 'not'")
        try:
            if self._took("not"):
                return ~self._unary()
            if self._token.kind == "sign" and self._token.text == "(":
                self._next()
                node = self._or()
                self._sign(")")
                return node
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Node:
        begun = self._token.at
        path = self._field()
        try:
            return self._rest(path)
        except InvalidQuery as error:
            if error.line is not None:
                raise
            raise self._error(begun, str(error)) from error

    def _field(self) -> Path:
        token = self._token
        if token.kind == "name":
            self._next()
            return (token.text,)
        if token.kind != "word" or token.text.lower() in _KEPT:
            raise self._expected("a field")
        self._next()
        return parse_path(token.text)

    def _rest(self, path: Path) -> Node:
        if self._token.kind == "sign" and self._token.text in _SIGNS:
            return condition(path, self._next().text, self._value())
        for word in _WORDS:
            if self._took(word):
                return condition(path, word, self._value())
        if self._took("between"):
            low = self._value()
            if not self._took("and"):
                raise self._expected("'and'")
            return condition(path, "between", (low, self._value()))
        if self._took("in"):
            return condition(path, "in", self._values())
        if self._took("not"):
            if not self._took("in"):
                raise self._expected("'in'")
            return condition(path, "not in", self._values())
        for word in ("exists", "missing"):
            if self._took(word):
                return condition(path, word)
        if self._took("is"):
            negated = self._took("not")
            if not self._took("null"):
                raise self._expected("'null'" if negated else "'null' or 'not null'")
            return condition(path, "is not null" if negated else "is null")
        raise self._expected(
            "an operator: =, !=, <, <=, >, >=, in, like, between, exists, is null, …"
        )

    def _values(self) -> list[Any]:
        self._sign("(")
        values = []
        while self._token.text != ")" or self._token.kind != "sign":
            values.append(self._value())
            if self._token.kind == "sign" and self._token.text == ",":
                self._next()
            elif self._token.kind != "sign" or self._token.text != ")":
                raise self._expected("',' or ')'")
        self._next()
        return values

    def _value(self) -> Any:
        token = self._token
        if token.kind == "text":
            value: Any = re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL)
        elif token.kind == "number":
            value = self._number(token)
        elif token.kind == "time":
            value = self._time(token)
        elif token.kind == "word" and token.text.lower() in _VALUES:
            value = _VALUES[token.text.lower()]
        else:
            raise self._expected("a value: 'text' in quotes, a number, a date, true, false or null")
        self._next()
        return value

    def _number(self, token: _Token) -> int | float:
        if not token.text.lstrip("+-").isdecimal():
            return float(token.text)
        try:
            return int(token.text)
        except ValueError as error:  # Python reads only so many digits
            raise self._error(token.at, f"this number has {len(token.text):,} digits") from error

    def _time(self, token: _Token) -> date | datetime:
        try:
            if len(token.text) == len("2024-01-31"):
                return date.fromisoformat(token.text)
            moment = datetime.fromisoformat(token.text.upper())
        except ValueError as error:
            raise self._error(
                token.at, f"{token.text} is no day of the calendar: {error}"
            ) from error
        return moment.replace(tzinfo=UTC) if token.text[-1] in "zZ" else moment

    def _expected(self, expected: str) -> InvalidQuery:
        found = "the end" if self._token.kind == "end" else repr(self._token.text)
        return self._error(self._token.at, f"expected {expected}, and found {found}")

    def _error(self, at: int, message: str) -> InvalidQuery:
        line = self._text.count("\n", 0, at) + 1
        column = at - self._text.rfind("\n", 0, at)
        return InvalidQuery(message, line=line, column=column)
