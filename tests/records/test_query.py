"""Queries and conditions, and the errors of those that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest

from holdall import F, Query
from holdall.core.errors import InvalidQuery
from holdall.records.predicate import ALL, And, Equals, Not, Or


def test_a_query_is_never_changed() -> None:
    query = Query()
    for other in (
        query.filter("a", "=", 1),
        query.sort("a"),
        query.limit(1),
        query.offset(1),
        query.select("a"),
        query.distinct("a"),
    ):
        assert other != query
    assert query == Query()


def test_filters_join_as_and() -> None:
    query = Query().filter("a", "=", 1).filter(F("b") == 2).filter("c", "=", 3)
    assert query.predicate == And((Equals(("a",), 1), Equals(("b",), 2), Equals(("c",), 3)))
    assert Query().predicate == ALL


def test_conditions_join_with_operators() -> None:
    a, b, c = F("a") == 1, F("b") == 2, F("c") == 3
    assert (a & b & c) == And((a, b, c))
    assert (a | b | c) == Or((a, b, c))
    assert ((a & b) | c) == Or((And((a, b)), c))
    assert ~a == Not(a)
    assert ~~a == a


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (F("a") != 1, ("a", "!=", 1)),
        (F("a") < 1, ("a", "<", 1)),
        (F("a") <= 1, ("a", "<=", 1)),
        (F("a") > 1, ("a", ">", 1)),
        (F("a") >= 1, ("a", ">=", 1)),
        (F("a").is_in([1]), ("a", "in", (1,))),
        (F("a").not_in([1]), ("a", "NOT  IN", [1])),
        (F("a").like("x"), ("a", "like", "x")),
        (F("a").ilike("x"), ("a", "ILIKE", "x")),
        (F("a").regex("x"), ("a", "regex", "x")),
        (F("a").startswith("x"), ("a", "startswith", "x")),
        (F("a").endswith("x"), ("a", "endswith", "x")),
        (F("a").contains("x"), ("a", "contains", "x")),
        (F("a").between(1, 2), ("a", "between", [1, 2])),
        (F("a").exists(), ("a", "exists")),
        (F("a").missing(), ("a", "missing")),
        (F("a").is_null(), ("a", "is null")),
    ],
)
def test_a_field_and_a_filter_say_the_same(one: Any, other: Any) -> None:
    assert Query().filter(one) == Query().filter(*other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "~", 1), "'~' is no operator; there are =, "),
        (("a", "statswith", "x"), "Did you mean 'startswith'"),
        (("a", "="), "takes a value"),
        (("a", "exists", 5), "takes no value"),
        (("a", "in", "text"), "sequence"),
        (("a", "in", 5), "sequence"),
        (("a", "between", [1]), "two values, and 1"),
        (("a", "between", [1, "b"]), "one is a number and the other text"),
        (("a", "<", None), "null has no order"),
        (("a", "<", [1]), "a list has no order"),
        (("a", ">=", {"b": 1}), "a dict has no order"),
        (("a", "=", {1}), "a holds a set"),
        (("a", "regex", "("), r"regex '\('"),
        (("a", "regex", 5), "takes text"),
        (("a", "like", 5), "takes text"),
        (("a", "like", "x\\"), "backslash"),
        (("a", "startswith", None), "takes text"),
        (("", "=", 1), "names no field"),
        ((5, "=", 1), "names no field"),
    ],
)
def test_a_filter_that_means_nothing_says_why(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        Query().filter(*arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Query().sort("a", "sideways"),
        lambda: Query().sort("a", missing="middle"),  # type: ignore[arg-type]
        lambda: Query().sort(""),
        lambda: Query().limit(-1),
        lambda: Query().limit(True),
        lambda: Query().limit(1.5),  # type: ignore[arg-type]
        lambda: Query().offset(-1),
        lambda: Query().distinct(),
        lambda: Query().filter(F("a") == 1, "="),
    ],
)
def test_a_query_that_means_nothing_is_refused(make: Any) -> None:
    with pytest.raises(InvalidQuery):
        make()


def test_python_words_do_not_join_conditions() -> None:
    with pytest.raises(TypeError, match=r"& \| ~"):
        bool(F("a") == 1)
    with pytest.raises(TypeError, match="no condition"):
        bool(F("a"))
