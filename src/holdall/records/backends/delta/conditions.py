"""Conditions as SQL, with parameters for every value.

A condition answers true and false only where it means what `predicate.matches` means. NULL says
that Python has to look: at a row that is odd (see `holdall.records.encoding`), at a list, at what
the database would compare in another way. AND, OR and NOT of SQL carry that on as it must be: what
is doubtful stays so only where it decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from holdall.records import values
from holdall.records.backends.delta.asking import DOUBT, Parameters, asked, texts_of
from holdall.records.backends.delta.layout import micros
from holdall.records.backends.delta.places import MARKS, place_of
from holdall.records.predicate import (
    And,
    Between,
    Compares,
    Differs,
    Equals,
    Has,
    In,
    Missing,
    Node,
    Not,
    NotIn,
    Or,
)
from holdall.records.values import kind_of

if TYPE_CHECKING:
    from holdall.records.backends.delta.asking import Asked
    from holdall.records.backends.delta.layout import Layout
    from holdall.records.backends.delta.places import Json, Place

NUMBERS: Final = "('BIGINT','UBIGINT','HUGEINT','UHUGEINT','DOUBLE')"

_MOST_NODES = 200


@final
class Compiler:
    """From conditions to SQL.

    Args:
        layout: The columns of the table.
        args: Takes the parameters.

    Attributes:
        doubtful: Whether what was compiled may answer NULL.
    """

    def __init__(self, layout: Layout, args: Parameters) -> None:
        self._layout = layout
        self._args = args
        self._left = _MOST_NODES
        self.doubtful = False

    def compile(self, node: Node) -> str:
        """A condition as SQL."""
        self._left -= 1
        if self._left < 0:  # the database refuses an expression that is too deep
            return self.doubt()
        match node:
            case And(nodes):
                return _joined("AND", [self.compile(one) for one in nodes], "TRUE")
            case Or(nodes):
                return _joined("OR", [self.compile(one) for one in nodes], "FALSE")
            case Not(inner):
                return f"(NOT {self.compile(inner)})"
        place = place_of(node.path, self._layout)  # type: ignore[attr-defined]
        if place is None:
            return self.doubt()
        match node:
            case Has():
                return self._present(place)
            case Missing():
                return f"(NOT {self._present(place)})"
            case Differs(path, value):
                return (
                    f"({self._present(place)} AND NOT {self._tested(place, Equals(path, value))})"
                )
            case NotIn(path, wanted):
                return f"({self._present(place)} AND NOT {self._tested(place, In(path, wanted))})"
        return self._tested(place, node)

    def doubt(self) -> str:
        """A condition that only Python can tell."""
        self.doubtful = True
        return DOUBT

    def _present(self, place: Place) -> str:
        if place.moment is not None:
            return "TRUE"
        within = "FALSE"
        if place.json is not None:
            self.doubtful = True
            within = f"(CASE WHEN odd THEN {DOUBT} ELSE {place.json.kind} IS NOT NULL END)"
        if place.typed is None:
            return within
        return f"(({place.typed.sql} IS NOT NULL) OR {within})"

    def _tested(self, place: Place, node: Node) -> str:
        if place.moment is not None:
            return self._moment(place.moment, node)
        ask = asked(node, self._args)
        within = "FALSE" if place.json is None else self._in_json(place.json, ask, node)
        typed = place.typed
        if typed is None:
            return within
        if typed.kind is None:
            self.doubtful = True
            test = DOUBT
        else:
            test = ask[typed.kind](typed.value) if typed.kind in ask else "FALSE"
            if DOUBT in test:
                self.doubtful = True
            elif typed.doubt is None and place.json is None:
                # The plain form lets the database skip whole files.
                return f"({typed.sql} IS NOT NULL AND {test})" if test != "FALSE" else "FALSE"
        doubted = ""
        if typed.doubt is not None:
            self.doubtful = True
            doubted = f" WHEN {typed.doubt} THEN {DOUBT}"
        return f"(CASE WHEN {typed.sql} IS NULL THEN {within}{doubted} ELSE {test} END)"

    def _in_json(self, place: Json, ask: Asked, node: Node) -> str:
        self.doubtful = True
        value, kind = place.value, place.kind
        forms = {
            values.TEXT: (f"{kind}='VARCHAR'", value),
            values.NUMBER: (f"{kind} IN {NUMBERS}", f"TRY_CAST({value} AS DOUBLE)"),
            values.BOOL: (f"{kind}='BOOLEAN'", f"({value}='true')"),
            values.NULL: (f"{kind}='NULL'", value),
        }
        branches = [
            f"WHEN {is_kind} THEN {ask[one](what)}"
            for one, (is_kind, what) in forms.items()
            if one in ask
        ]
        marks = [
            f"coalesce({ask[one](place.marked(mark))},CASE WHEN {place.marked(mark)} IS NULL "
            f"THEN FALSE END)"
            for mark, one in MARKS.items()
            if one in ask
        ]
        if values.DICT in ask:
            marks.append(ask[values.DICT](value))
        if marks:
            branches.append(f"WHEN {kind}='OBJECT' THEN {_joined('OR', marks, 'FALSE')}")
        return (
            f"(CASE WHEN odd THEN {DOUBT} WHEN {kind} IS NULL THEN FALSE "
            f"WHEN {kind}='ARRAY' THEN {self._in_list(place, node)} "
            f"{' '.join(branches)} ELSE FALSE END)"
        )

    def _in_list(self, place: Json, node: Node) -> str:
        texts = texts_of(node)
        if texts is None:
            return DOUBT
        some = f"CAST({self._args.add(texts)} AS VARCHAR[])"
        return f"list_has_any({place.items},list_transform({some},lambda one: to_json(one)))"

    def _moment(self, column: str, node: Node) -> str:
        match node:
            case Equals(_, value):
                return self._moment_test(column, "=", value)
            case In(_, wanted):
                tests = [self._moment_test(column, "=", one) for one in wanted]
                return _joined("OR", tests, "FALSE")
            case Compares(_, op, value):
                operator = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}[op]
                return self._moment_test(column, operator, value)
            case Between(_, low, high):
                bounds = [self._moment_test(column, *one) for one in ((">=", low), ("<=", high))]
                return _joined("AND", bounds, "TRUE")
        return "FALSE"

    def _moment_test(self, column: str, operator: str, value: object) -> str:
        if kind_of(value) != values.INSTANT:
            return "FALSE"
        return f"({column}{operator}{self._args.add(micros(value))})"  # type: ignore[arg-type]


def _joined(word: str, parts: list[str], empty: str) -> str:
    return f"({f' {word} '.join(parts)})" if parts else empty
