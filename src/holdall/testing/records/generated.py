"""Hypothesis strategies for records and queries that meet one another often.

Values come from a small stock, so that a generated condition is true of some generated rows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from holdall.records.paths import parse_path
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
    Node,
    Not,
    NotIn,
    Or,
    Regex,
)
from holdall.records.query import Query, Sort
from holdall.records.values import kind_of, ordered

_NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
_TWICE = datetime(2024, 10, 27, 1, 30, tzinfo=UTC)
_STOCK: list[Any] = [
    None, True, False, 0, 1, -1, 2, 10, 1.0, 1.5, -0.0, 0.1, 9, 2**53, 2**53 + 1, -(2**70), 1e16,
    float("inf"), float("-inf"), float("nan"), Decimal(1), Decimal("1.50"), Decimal("1e30"),
    "", "a", "A", "b", "ab", "a%b", "a_b", "a\\b", "it's", '"', "10", "9", "true", "null",
    "\u00e9", "e\u0301", "\u00df", "\u017f", "\u212a", "\uffff", "\U0001f511", "a\0b", "a\ud800",
    "a\nb", b"", b"a", b"\xff", b"ab", date(2024, 1, 1), date(1, 1, 1), time(0), time(12, 0, 0, 1),
    _NOON, _NOON + timedelta(microseconds=1), _NOON.replace(tzinfo=None),
    _NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
    _NOON.astimezone(ZoneInfo("Europe/Berlin")), UUID(int=1), UUID(int=2**127), _TWICE,
    _TWICE.astimezone(ZoneInfo("Europe/Berlin")), _TWICE.astimezone(ZoneInfo("Europe/Paris")),
]  # fmt: skip
_TEXTS = [value for value in _STOCK if isinstance(value, str)]
_NAMES = ["x", "y", "z", "a b", "x.y", 'q"uote', "it's", "$x", "metadata", "\u00e9", "0"]
_PATHS = [
    "x", "y", "z", "x.x", "x.y", "y.0", "y.-1", "y.1.x", "x.0.x", r"x\.y", "a b", 'q"uote', "it's",
    "$x", ".metadata", "metadata.x", "metadata.y", "metadata.id", "id", "\u00e9", "z.$instant",
    "none",
]  # fmt: skip

scalars = st.sampled_from(_STOCK)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner),
    max_leaves=4,
)
fields = st.dictionaries(st.sampled_from(_NAMES), values, max_size=5)
ids = st.sampled_from(["a", "b", "B", "a/b", "ab", "\u00e9", "it's", "10", "9", "\U0001f511"])
paths = st.sampled_from(_PATHS).map(parse_path)
_ordered = st.sampled_from([one for one in _STOCK if ordered(kind_of(one))])


@st.composite
def _betweens(draw: st.DrawFn) -> Node:
    low = draw(_ordered)
    alike = [one for one in _STOCK if kind_of(one) == kind_of(low)]
    return Between(draw(paths), low, draw(st.sampled_from(alike)))


_leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Has, paths),
    st.builds(Missing, paths),
    st.builds(Equals, paths, values),
    st.builds(Equals, paths, scalars),
    st.builds(Differs, paths, values),
    st.builds(Compares, paths, st.sampled_from(["lt", "le", "gt", "ge"]), _ordered),
    _betweens(),
    st.builds(In, paths, st.lists(values, max_size=4).map(tuple)),
    st.builds(NotIn, paths, st.lists(scalars, max_size=4).map(tuple)),
    st.builds(Contains, paths, values),
    st.builds(Begins, paths, st.sampled_from(_TEXTS)),
    st.builds(Ends, paths, st.sampled_from(_TEXTS)),
    st.builds(
        Like,
        paths,
        st.sampled_from(["%", "_", "a%", "%b", "a_b", r"a\%b", "%\\\\%", "\u00e9", "", "A%", "K"]),
        st.booleans(),
    ),
    st.builds(Regex, paths, st.sampled_from(["^a", "b$", r"\d", "(?i)A", "", "a.b", "[^a]"])),
)
conditions: st.SearchStrategy[Node] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
sorts = st.lists(st.builds(Sort, paths, st.booleans(), st.booleans()), max_size=3).map(tuple)
queries: st.SearchStrategy[Query] = st.builds(
    Query,
    predicate=conditions,
    sorts=sorts,
    maximum=st.none() | st.integers(0, 6),
    skipped=st.sampled_from([0, 0, 0, 1, 3]),
)
