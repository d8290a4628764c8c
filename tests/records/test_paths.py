"""Paths to values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import InvalidQuery
from holdall.records.paths import ABSENT, descend, is_special, parse_path, show_path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b.0", ("a", "b", "0")),
        (r"a\.b", ("a.b",)),
        (r"a\\.b", ("a\\", "b")),
        ("metadata.owner", ("metadata", "owner")),
        ("metadata", ("metadata",)),
        (".metadata.owner", ("", "metadata", "owner")),
        (".id", ("", "id")),
        (".a", ("a",)),
        (("a.b",), ("a.b",)),
    ],
)
def test_a_text_is_a_path(text: str, path: tuple[str, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", "a..b", "..a", "a\\", (), ("",), ("a", ""), 1, None]
)
def test_a_text_that_names_nothing_is_refused(text: object) -> None:
    with pytest.raises(InvalidQuery):
        parse_path(text)


@given(st.lists(st.text(min_size=1), min_size=1).map(tuple))
def test_a_path_that_is_shown_is_read(path: tuple[str, ...]) -> None:
    assert parse_path(show_path(path)) == path


def test_what_is_special() -> None:
    special = [("id",), ("metadata", "x"), ("metadata", "x", "y")]
    plain = [("metadata",), ("id", "x"), ("", "id"), ("", "metadata", "x"), ("x",)]
    assert all(map(is_special, special))
    assert not any(map(is_special, plain))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a", "b"), 1),
        (("l", "0"), 1),
        (("l", "1", "c"), None),
        (("l", "2"), ABSENT),
        (("l", "-1"), ABSENT),
        (("l", "00"), ABSENT),
        (("l", "\u0661"), ABSENT),
        (("a", "b", "c"), ABSENT),
        (("x",), ABSENT),
        (("t", "0"), ABSENT),
    ],
)
def test_names_lead_into_dicts_and_lists(names: tuple[str, ...], found: object) -> None:
    value = descend({"a": {"b": 1}, "l": [1, {"c": None}], "t": "text"}, names)
    assert (type(value), value) == (type(found), found)
