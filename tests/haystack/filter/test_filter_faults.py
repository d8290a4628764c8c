"""What other libraries are known to get wrong about filters."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from holdall.core.errors import InvalidQuery
from holdall.haystack import NA, REMOVE, Number, Ref, adopt
from holdall.haystack.filter import AnyUnit, matches, parse_filter
from holdall.records.predicate import Equals

ID = Ref("p")


@pytest.mark.parametrize(
    "text",
    ["", "a b", "a=5", "a->", "(a", "a==@", "a==2024-13-45", "a==M", "a==NA", "^site",
     "a *== @b", "site?", "ph::Site", "a==3x5", "n:", "n-foo", "n==\"..", "n=3x5"],
)  # fmt: skip
def test_a_filter_that_is_none_is_an_error_with_a_place(text: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse_filter(text)
    assert caught.value.line == 1


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("10_000", AnyUnit(10_000)),  # and no number 10 of the unit _000
        ("12:30", time(12, 30)),  # and no number 12 of the unit :30
        ("true", True),
        ("5EUR", Number(5, "EUR")),
        ("10.6EER", Number(10.6, "EER")),
    ],
)
def test_a_value_is_what_it_looks_like(literal: str, value: Any) -> None:
    assert parse_filter(f"a=={literal}") == Equals(("a",), value)


def test_a_thousand_terms_need_no_stack() -> None:
    assert matches(parse_filter("a and " * 1_000 + "a"), {"a": True})


@pytest.mark.parametrize(
    ("text", "tags", "answer"),
    [
        ("a==100", {"a": Number(100)}, True),
        ("a==100", {"a": 100}, True),
        ("a>99", {"a": 100}, True),
        ("area==100", {"area": Number(100, "ft²")}, True),
        ("area>99", {"area": Number(100, "ft²")}, True),
        ("area>99m", {"area": Number(100, "ft²")}, False),
        ("area>99ft²", {"area": Number(100, "ft²")}, True),
        ("a!=100", {}, False),
        ("a!=100", {"a": "text"}, True),
        ("a>5", {"a": "text"}, False),
        ("a>@b", {"a": Ref("c")}, False),
        ("a>2024-01-01", {"a": datetime(2024, 6, 1, tzinfo=ZoneInfo("UTC"))}, False),
        ("a>5", {"a": ["x", Ref("c")]}, False),
        ("a>0", {"a": True}, False),
        ("a==true", {"a": 1}, False),
        ("a==1", {"a": True}, False),
        ("a", {"a": None}, False),
        ("a", {"a": False}, True),
        ("a", {"a": NA}, True),
        ("a", {"a": REMOVE}, True),
        ("x->area", {"x": Ref("gone")}, False),
        ("not x->area", {"x": Ref("gone")}, True),
        ("x->n != 3", {"x": Ref("gone")}, False),
        ("nested->b==3", {"nested": {"b": 3}}, True),
        ("airRef==@ahu1", {"airRef": [Ref("ahu1"), Ref("ahu2")]}, True),
        ('airRef->dis=="AHU-1"', {"airRef": [Ref("ahu1"), Ref("ahu2")]}, True),
        ('airRef->dis=="AHU-2"', {"airRef": [Ref("ahu1"), Ref("ahu2")]}, True),
        ("siteRef->siteRef->siteRef->area>4", {"siteRef": Ref("s")}, True),
        ("equipRef==@x", {"equipRef": Ref("x", "Display Name")}, True),
        (
            "a==2024-01-31T12:00:00Z",
            {"a": datetime(2024, 1, 31, 7, tzinfo=ZoneInfo("America/New_York"))},
            True,
        ),
    ],
)
def test_a_filter_answers(text: str, tags: dict[str, Any], answer: bool) -> None:
    others: dict[str, dict[str, Any]] = {
        "ahu1": {"dis": "AHU-1"},
        "ahu2": {"dis": "AHU-2"},
        "s": {"siteRef": Ref("s"), "area": 5},
    }
    node = parse_filter(text)
    assert matches(node, tags, others.get) is answer
    adopted = {name: adopt(value) for name, value in tags.items()}
    assert matches(node, adopted, others.get) is answer
