"""Tags as they are kept: the quick way for those that are ready, and the other, take the same."""

from __future__ import annotations

from collections import UserDict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter import taking
from holdall.haystack.adapter.taking import adopted, tags_of
from holdall.haystack.kinds import MARKER, NA, REMOVE, Number, Ref

if TYPE_CHECKING:
    import pytest

NAMES = ["id", "dis", "n", "siteRef", "_kind", "Upper", "", "a b"]
VALUES: list[Any] = [
    MARKER,
    NA,
    REMOVE,
    None,
    True,
    7,
    1.5,
    Number(1, "kW"),
    Ref("a"),
    "text",
    "dict",
    [1],
    {},
]


def outcome(tags: Any) -> Any:
    try:
        taken = tags_of(tags)
    except InvalidValue as error:
        return str(error)
    return [(name, type(value), value) for name, value in taken.items()]


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)))
def test_ready_tags_are_taken_as_others_are(tags: dict[str, Any]) -> None:
    tags_of({"id": Ref("a"), "dis": "", "n": 1, "siteRef": Ref("b")})  # so that names are known
    # What is no dict goes the other way.
    expected = outcome(UserDict(tags))
    if not isinstance(expected, str):
        assert outcome(tags) == expected
    else:
        assert isinstance(outcome(tags), str)


def test_what_is_taken_is_a_copy() -> None:
    tags = {"id": Ref("a"), "dis": "one"}
    tags_of(tags)
    taken = tags_of(tags)
    tags["dis"] = "two"
    assert taken == {"id": Ref("a"), "dis": "one"}


def test_a_name_of_a_subclass_is_kept_as_text() -> None:
    class Name(StrEnum):
        DIS = "dis"

    for _ in range(2):
        assert [type(name) for name in adopted({"id": Ref("a"), Name.DIS: "one"})] == [str, str]


def test_any_number_of_names_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "_MOST_NAMES", 3)
    monkeypatch.setattr(taking, "_names", set())
    many = {f"tag{at}": MARKER for at in range(10)}
    for _ in range(2):
        assert tags_of(many) == many
    assert len(taking._names) <= 3
