"""Tokens of pages."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from holdall import F, Query
from holdall.core.errors import InvalidQuery
from holdall.records.paging import after, read_token, token_after
from holdall.records.paths import ABSENT
from holdall.records.stored import Stored
from holdall.testing.records.samples import VALUES

TIME = datetime(2024, 1, 1, tzinfo=UTC)
QUERY = Query().filter("a", ">", 1).sort("x").sort("y")


def row(**fields: Any) -> Stored:
    return Stored("id-1", fields, {}, TIME, TIME, "v")


@pytest.mark.parametrize("name", VALUES)
def test_a_token_holds_what_was_sorted_by(name: str) -> None:
    whole = row(x=VALUES[name], z=3)
    read = read_token(QUERY, token_after(QUERY, whole))
    assert read == after(QUERY, whole) == (VALUES[name], ABSENT, "id-1")
    assert type(read[0]) is type(VALUES[name])


def test_none_is_not_absent_in_a_token() -> None:
    assert read_token(QUERY, token_after(QUERY, row(x=None))) == (None, ABSENT, "id-1")


@pytest.mark.parametrize(
    "other",
    [
        QUERY.filter("b", "=", 1),
        Query().filter("a", ">", 2).sort("x").sort("y"),
        Query().filter("a", ">", True).sort("x").sort("y"),
        Query().filter("a", ">=", 1).sort("x").sort("y"),
        Query().filter("a", ">", 1).sort("y").sort("x"),
        Query().filter("a", ">", 1).sort("x", "desc").sort("y"),
        Query().filter("a", ">", 1).sort("x", missing="first").sort("y"),
        Query().filter("a", ">", 1).sort("x"),
    ],
    ids=lambda query: f"{query.predicate} {query.sorts}"[:80],
)
def test_a_token_of_another_query_is_refused(other: Query) -> None:
    with pytest.raises(InvalidQuery, match="another query"):
        read_token(other, token_after(QUERY, row(x=1)))


@pytest.mark.parametrize("op", ["in", "not in"])
@pytest.mark.parametrize("kind", [set, frozenset])
def test_a_token_is_good_for_equal_sets(op: str, kind: type) -> None:
    # They are gone through as they were made, as sets of text are in other processes.
    members: list[Any] = [0, 8, 16, "a", b"a", None, True]
    one, other = (Query().filter("a", op, kind(some)) for some in (members, members[::-1]))
    assert read_token(other, token_after(one, row())) == ("id-1",)
    assert one == other


def test_a_token_is_good_for_another_selection_of_fields() -> None:
    other = QUERY.select("x").offset(3)
    assert read_token(other, token_after(QUERY, row(x=1, y=2))) == (1, 2, "id-1")


@pytest.mark.parametrize("junk", ["!", " ", "\n", "=", "é", "+", "/"])
@pytest.mark.parametrize("at", [0, 5])
def test_a_token_with_something_strange_in_it_is_none(junk: str, at: int) -> None:
    token = token_after(QUERY, row(x=1))
    with pytest.raises(InvalidQuery, match="no token"):
        read_token(QUERY, token[:at] + junk + token[at:])


def _forged(query: Query, values: list[Any]) -> str:
    body = base64.urlsafe_b64decode(token_after(query, row(x=1)) + "===")
    digest = msgspec.msgpack.decode(body)[0]
    whole = msgspec.msgpack.encode([digest, values])
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


@pytest.mark.parametrize(
    "values",
    [
        [],
        [["id-1"]],
        [[1], [2], ["id-1"], ["more"]],
        [[1], [2], None],
        [[1], [2], [3]],
        [[1], [2], "id-1"[:0]],
        [[], [2], ["id-1"]],
        [[{"$none": 1}], [2], ["id-1"]],
        [[{"$instant": "x"}], [2], ["id-1"]],
    ],
    ids=str,
)
def test_a_token_that_somebody_made_up_is_refused(values: list[Any]) -> None:
    with pytest.raises(InvalidQuery):
        read_token(QUERY, _forged(QUERY, values))


def test_conditions_that_differ_in_nothing_take_one_another_tokens() -> None:
    one, other = (Query().filter((F("a") == 1) & (F("b") == 2)) for _ in range(2))
    assert read_token(other, token_after(one, row())) == ("id-1",)
