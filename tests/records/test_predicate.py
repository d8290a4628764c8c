"""What conditions mean, written down row by row: tests of backends compare with that meaning."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from holdall import F, Query
from holdall.records.predicate import (
    ALL,
    And,
    Between,
    Compares,
    In,
    Like,
    Node,
    Not,
    NotIn,
    Or,
    like,
    matches,
)
from holdall.records.stored import Stored, reader

NAN = float("nan")
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "one": 1,
    "one_and_a_bit": 1.5,
    "two": Decimal(2),
    "nan": NAN,
    "decimal_nan": Decimal("NaN"),
    "true": True,
    "none": None,
    "abc": "abc",
    "ABC": "ABC",
    "lines": "a\nc",
    "percent": "a%c",
    "empty": "",
    "digit": "1",
    "bytes": b"abc",
    "day": date(2024, 6, 1),
    "noon": NOON,
    "noon_there": NOON.astimezone(timezone(timedelta(hours=2))),
    "noon_somewhere": NOON.replace(tzinfo=None),
    "none_of_them": [],
    "list": [1, "abc", None],
    "list_of_lists": [[1], [2]],
    "dict": {"y": 1},
}
TIME = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = [Stored(id_, {"x": value}, {"owner": id_}, TIME, TIME, "v") for id_, value in VALUES.items()]
ROWS.append(Stored("absent", {}, {}, TIME, TIME, "v"))
EVERY = {row.id for row in ROWS}
PRESENT = EVERY - {"absent"}
NUMBERS = {"one", "one_and_a_bit", "two"}
x = F("x")

MEANT: list[tuple[Node, set[str]]] = [
    (ALL, EVERY),
    (Or(), set()),
    (And((x == 1,)), {"one", "list"}),
    (And((x == 1, F("id") == "one")), {"one"}),
    (And((x >= 1, x <= 2, F("id") != "two")), {"one", "one_and_a_bit", "list"}),
    (And((x >= 1, x <= 2, F("id") == "none")), set()),
    (Or((x == 1, x == 2)), {"one", "list", "two"}),
    (Not(x == 1), EVERY - {"one", "list"}),
    (~x.exists(), {"absent"}),
    (x.exists(), PRESENT),
    (x.missing(), {"absent"}),
    (x.is_null(), {"none", "list"}),
    (x == 1.0, {"one", "list"}),
    (x == 2, {"two"}),
    (x == True, {"true"}),  # noqa: E712
    (x == NAN, set()),
    (x != NAN, PRESENT),
    (x == "abc", {"abc", "list"}),
    (x == b"abc", {"bytes"}),
    (x == NOON, {"noon", "noon_there"}),
    (x == NOON.replace(tzinfo=None), {"noon_somewhere"}),
    (x == date(2024, 6, 1), {"day"}),
    (x == [1], {"list_of_lists"}),
    (x == [1, "abc", None], {"list"}),
    (x == [], {"none_of_them"}),
    (x == {"y": 1}, {"dict"}),
    (x == {"y": 2}, set()),
    (x != 1, PRESENT - {"one", "list"}),
    (x != "abc", PRESENT - {"abc", "list"}),
    (x.is_in(["abc", "1"]), {"abc", "list", "digit"}),
    (x.is_in([1, "1"]), {"one", "list", "digit"}),
    (x.is_in([]), set()),
    (x.not_in([1, "1"]), PRESENT - {"one", "list", "digit"}),
    (x.not_in(["abc", "1"]), PRESENT - {"abc", "list", "digit"}),
    (x.not_in([]), PRESENT),
    (x < 1, set()),
    (x <= 1, {"one", "list"}),
    (x > 1, {"one_and_a_bit", "two"}),
    (x > 1.5, {"two"}),
    (x >= 1.5, {"one_and_a_bit", "two"}),
    (x < 1.5, {"one", "list"}),
    (x <= NAN, set()),
    (x >= NAN, set()),
    (x >= Decimal("-Infinity"), NUMBERS | {"list"}),
    (x <= Decimal("Infinity"), NUMBERS | {"list"}),
    (x < "abc", {"ABC", "lines", "percent", "empty", "digit"}),
    (x <= "abc", {"ABC", "lines", "percent", "empty", "digit", "abc", "list"}),
    (x > "abc", set()),
    (x >= False, {"true"}),
    (x < True, set()),
    (x >= b"", {"bytes"}),
    (x <= NOON, {"noon", "noon_there"}),
    (x < NOON, set()),
    (x >= NOON.astimezone(timezone(timedelta(hours=-5))), {"noon", "noon_there"}),
    (x >= datetime(2024, 1, 1), {"noon_somewhere"}),  # noqa: DTZ001
    (x.between(1.5, 2), {"one_and_a_bit", "two"}),
    (x.between(1, 1), {"one", "list"}),
    (x.between(2, 1), set()),
    (x.like("a%"), {"abc", "lines", "percent", "list"}),
    (x.like("a_c"), {"abc", "lines", "percent", "list"}),
    (x.like(r"a\%c"), {"percent"}),
    (x.like("b"), set()),
    (x.like("%b"), set()),
    (x.like("abc"), {"abc", "list"}),
    (x.like(""), {"empty"}),
    (x.ilike("aBc"), {"abc", "ABC", "list"}),
    (x.regex("b"), {"abc", "list"}),
    (x.regex("^.$"), {"digit"}),
    (x.startswith("ab"), {"abc", "list"}),
    (x.startswith("bc"), set()),
    (x.startswith(""), {"abc", "ABC", "lines", "percent", "empty", "digit", "list"}),
    (x.endswith("bc"), {"abc", "list"}),
    (x.endswith("ab"), set()),
    (x.contains("b"), {"abc"}),
    (x.contains("abc"), {"abc", "list"}),
    (x.contains(1), {"list"}),
    (x.contains(None), {"list"}),
    (x.contains([2]), {"list_of_lists"}),
    (x.contains(b"b"), set()),
    (F("x.y") == 1, {"dict"}),
    (F("x.0") == 1, {"list", "list_of_lists"}),
    (F("x.0.0") == 1, {"list_of_lists"}),
    (F("x.2").exists(), {"list"}),
    (F("x.3").exists(), set()),
    (F("id").startswith("list"), {"list", "list_of_lists"}),
    (F("metadata.owner") == "one", {"one"}),
    (F("metadata.owner").missing(), {"absent"}),
    (F("metadata.created_at") == TIME, EVERY),
    (F("metadata.updated_at") > TIME, set()),
]


def _shown(one: object) -> str:
    # A set prints itself in another order in each process.
    return str(sorted(one) if isinstance(one, set) else one)[:70]


@pytest.mark.parametrize(("node", "meant"), MEANT, ids=_shown)
def test_a_condition_means_these_rows(node: Node, meant: set[str]) -> None:
    assert {row.id for row in ROWS if matches(node, row, reader)} == meant


@pytest.mark.parametrize(("node", "meant"), MEANT, ids=_shown)
def test_the_opposite_means_all_others(node: Node, meant: set[str]) -> None:
    assert {row.id for row in ROWS if matches(~node, row, reader)} == EVERY - meant


def test_letters_count_unless_they_are_to_be_ignored() -> None:
    assert like(("x",), "a") == Like(("x",), "a", False) == Like(("x",), "a")
    assert like(("x",), "a", ignore_case=True) == Like(("x",), "a", True)
    assert Query().filter("x", "like", "a").predicate != Query().filter("x", "ilike", "a").predicate


def test_joined_conditions_are_flat_only_where_they_mean_the_same() -> None:
    one, two, three = x == 1, x == 2, x == 3
    assert (one & two) & three == And((one, two, three)) == one & (two & three)
    assert (one | two) | three == Or((one, two, three)) == one | (two | three)
    assert (one & two) | three == Or((And((one, two)), three))
    assert (one | two) & three == And((Or((one, two)), three))
    assert ~(one & two) & three == And((Not(And((one, two))), three))


def test_values_are_kept_as_rows_hold_them() -> None:
    given = [1]
    nodes: list[Any] = [x == given, x.is_in([given]), x.not_in([given])]
    given.append(2)
    assert nodes[0].value == [1]
    assert nodes[1] == In(("x",), ([1],))
    assert nodes[2] == NotIn(("x",), ([1],))
    assert (x.between(1, 2), x < 1) == (Between(("x",), 1, 2), Compares(("x",), "lt", 1))
