"""Conditions as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall import F
from holdall.core.errors import InvalidQuery
from holdall.records.predicate import ALL
from holdall.records.text import parse_condition


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", ALL),
        ("  \n ", ALL),
        ("age >= 30", F("age") >= 30),
        ("age>=-30.5", F("age") >= -30.5),
        ("age < 1e3", F("age") < 1000.0),
        ("name = 'it\\'s'", F("name") == "it's"),
        ('name != "a\\\\b"', F("name") != "a\\b"),
        ("name == 'x'", F("name") == "x"),
        ("name <> 'x'", F("name") != "x"),
        ("done = TRUE", F("done") == True),  # noqa: E712
        ("done = null", F("done").is_null()),
        ("a.b.0 = 1", F("a.b.0") == 1),
        (r"a\.b = 1", F(("a.b",)) == 1),
        ("`a b, c` = 1", F(("a b, c",)) == 1),
        ("`and` = 1", F(("and",)) == 1),
        ("and-then = 1", F("and-then") == 1),
        ("gr\u00f6\u00dfe = 1", F("gr\u00f6\u00dfe") == 1),
        ("born = 2024-02-29", F("born") == date(2024, 2, 29)),
        ("at < 2024-01-31T12:00:00Z", F("at") < datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("at < 2024-01-31t12:00", F("at") < datetime(2024, 1, 31, 12)),  # noqa: DTZ001
        ("at < 2024-01-31T13:00+01:00", F("at") < datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("a like 'x%' and b ILIKE 'y'", F("a").like("x%") & F("b").ilike("y")),
        ("a regex '^x' or b contains 1", F("a").regex("^x") | F("b").contains(1)),
        ("a startswith 'x' and b endswith 'y'", F("a").startswith("x") & F("b").endswith("y")),
        ("a between 1 and 2 and b = 3", F("a").between(1, 2) & (F("b") == 3)),
        ("a in (1, 'b', null,)", F("a").is_in([1, "b", None])),
        ("a not in ()", F("a").not_in([])),
        ("a exists and b missing", F("a").exists() & F("b").missing()),
        ("a is null", F("a").is_null()),
        ("a is not null", F("a").exists() & ~F("a").is_null()),
        ("a = 1 or b = 2 and c = 3", (F("a") == 1) | ((F("b") == 2) & (F("c") == 3))),
        ("(a = 1 or b = 2) and c = 3", ((F("a") == 1) | (F("b") == 2)) & (F("c") == 3)),
        ("not a = 1 and b = 2", ~(F("a") == 1) & (F("b") == 2)),
        ("not (not a = 1)", F("a") == 1),
        ("metadata.owner = 'x'", F("metadata.owner") == "x"),
    ],
)
def test_a_text_is_a_condition(text: str, node: Any) -> None:
    assert parse_condition(text) == node


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("age", 4, "expected an operator"),
        ("age >=", 7, "expected a value.*found the end"),
        ("age ~ 5", 5, "nothing known"),
        ("age = 'x", 7, "no end"),
        ("age = x", 7, "expected a value.*found 'x'"),
        ("age = 5 name = 6", 9, "'and', 'or' or the end"),
        ("(age = 5", 9, r"expected '\)'"),
        ("age = 5)", 8, "the end"),
        ("and = 5", 1, "expected a field"),
        ("= 5", 1, "expected a field"),
        ("a in 5", 6, r"'\('"),
        ("a in (5 6)", 9, r"',' or '\)'"),
        ("a between 1 or 2", 13, "'and'"),
        ("a is 5", 6, "'null' or 'not null'"),
        ("a not like 5", 7, "'in'"),
        ("a = 2024-13-01", 5, "calendar"),
        ("b = 1 and a < null", 11, "no order"),
        ("a regex '('", 1, "regex"),
        ("a = 1x", 5, "nothing known"),
        ("not " * 300 + "a = 1", 801, "levels"),
        ("(" * 300, 201, "levels"),
    ],
)
def test_an_error_says_where(text: str, column: int, message: str) -> None:
    with pytest.raises(InvalidQuery, match=message) as caught:
        parse_condition(text)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_an_error_knows_its_line() -> None:
    with pytest.raises(InvalidQuery, match="line 2, column 5"):
        parse_condition("a = 1 and\nb = ?")


@given(st.text())
def test_any_text_is_a_condition_or_an_error_with_a_place(text: str) -> None:
    error: InvalidQuery | None = None
    try:
        parse_condition(text)
    except InvalidQuery as raised:
        error = raised
    assert error is None or error.line is not None
