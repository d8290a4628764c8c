"""Rows, conditions and orders that mix what databases confuse."""

# ruff: noqa: DTZ001 - a datetime without a zone is a kind of its own

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from holdall.records.predicate import (
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
    Or,
    between,
    comparison,
    like,
    regex,
)
from holdall.records.query import Sort
from holdall.records.stored import Write
from holdall.records.values import kind_of, ordered

EAST = timezone(timedelta(hours=5, minutes=30))

NAMES = ["a", "b", "c'd", "e f", 'g"h', "i\\j", "k.l", "é", "0", "$m", "offset", "metadata", "id"]

TEXTS = [
    "",
    "a",
    "ab",
    "abc",
    "b",
    "A",
    "é",
    "É",
    "ß",
    "\U0001f600",
    "\uffff",
    "'",
    '"',
    "\\",
    "%",
    "_",
    "a%b",
    "1",
    "true",
    "null",
    "[]",
    '["a"]',
    "{}",
    '{"$date":"2024-01-01"}',
    "2024-01-01",
    "a\nb",
    "\x01",
    "x' OR '1'='1",
    "nul\0",
    "\ud800",
]
NUMBERS: list[Any] = [
    0,
    1,
    -1,
    2,
    1.0,
    0.0,
    -0.0,
    0.1,
    0.1 + 0.2,
    0.3,
    1.5,
    1e-7,
    5e-324,
    123456.123456789,
    2**53 - 1,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    10**30,
    1e16,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
    Decimal(1),
    Decimal("0.1"),
    Decimal("1.50"),
    Decimal("1E+40"),
    Decimal("NaN"),
]
OTHERS: list[Any] = [
    None,
    True,
    False,
    b"",
    b"a",
    b"\xff\x00",
    b"ab",
    date(2024, 1, 1),
    date(999, 12, 31),
    datetime(2024, 1, 1),
    datetime(2024, 1, 1, fold=1),
    datetime(2024, 1, 1, 12, 30, 0, 1),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(2024, 1, 1, 5, 30, tzinfo=EAST),
    datetime(2024, 1, 1, 5, 30, 0, 1, tzinfo=EAST),
    time(9, 30),
    time(9, 30, 0, 1),
    UUID(int=1),
    UUID(int=2**127),
]

# Mostly the same ones, so that what is asked for is often there.
names = st.sampled_from(["a"] * 10 + ["b"] * 4 + NAMES)
texts = st.one_of(
    st.sampled_from(TEXTS), st.text(max_size=4), st.text(alphabet='ab"\\é%_', max_size=3)
)
numbers = st.one_of(
    st.sampled_from(NUMBERS),
    st.integers(-5, 5),
    st.floats(),
    st.decimals(allow_nan=False, places=2, min_value=-3, max_value=3),
)
scalars = st.one_of(st.sampled_from(OTHERS), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
fields = st.dictionaries(names, values, max_size=5)
writes = st.builds(
    Write,
    st.sampled_from(["1", "10", "2", "a", "é", "x'y", '"', "\U0001f600", "\uffff"]),
    fields,
    st.dictionaries(st.sampled_from(["a", "owner", "$m", "id", "created_at"]), scalars, max_size=2),
    st.just("upsert"),
)

paths = st.one_of(
    names.map(lambda name: (name,)),
    st.tuples(names, names),
    st.sampled_from(
        [
            ("id",),
            ("metadata", "id"),
            ("metadata", "created_at"),
            ("metadata", "updated_at"),
            ("metadata", "owner"),
            ("metadata", "a"),
            ("", "id"),
            ("", "metadata", "a"),
            ("a", "b", "é"),
        ]
    ),
)
orderables = scalars.filter(lambda value: ordered(kind_of(value)))
pairs = st.tuples(orderables, orderables).filter(lambda pair: kind_of(pair[0]) == kind_of(pair[1]))
members = st.lists(values, max_size=4).map(tuple)
patterns = st.text(alphabet="aAbé%_.1", max_size=4)

leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Has, paths),
    st.builds(Missing, paths),
    st.builds(Equals, paths, values),
    st.builds(Differs, paths, values),
    st.builds(comparison, paths, st.sampled_from(["lt", "le", "gt", "ge"]), orderables),
    st.builds(lambda path, pair: between(path, *pair), paths, pairs),
    st.builds(In, paths, members),
    st.builds(NotIn, paths, members),
    st.builds(Contains, paths, values),
    st.builds(Begins, paths, texts),
    st.builds(Ends, paths, texts),
    st.builds(
        lambda path, pattern, ignore: like(path, pattern, ignore_case=ignore),
        paths,
        patterns,
        st.booleans(),
    ),
    st.builds(regex, paths, st.sampled_from(["a", "^a", "b$", "(?i)É", ".", "", "[0-9]"])),
)
predicates: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=3).map(lambda nodes: And(tuple(nodes))),
        st.lists(inner, max_size=3).map(lambda nodes: Or(tuple(nodes))),
    ),
    max_leaves=4,
)
sorts = st.lists(st.builds(Sort, paths, st.booleans(), st.booleans()), max_size=3).map(tuple)
