"""Ids and the names of objects."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import InvalidKey
from holdall.core.reference import is_key
from holdall.records.backends.objects.keys import BEHIND_FRONT, id_of, ids_of, name_of
from holdall.records.record import check_id

_IDS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)


@given(_IDS)
@example("a/b")
@example("..")
@example(".holdall")
@example("50%25")
@example("a\\b\n\ufffe")
@example("!a")
@example(" ")
def test_an_id_comes_back_from_its_name(id_: str) -> None:
    check_id(id_)
    name = name_of(id_)
    assert is_key(name)
    assert "/" not in name
    assert id_of(name) == id_
    assert name > BEHIND_FRONT


@given(st.lists(_IDS | st.sampled_from(["", "a", "!", "a/b", " a", "50%"]), min_size=1))
@example(["a", "b"])
def test_many_names_are_read_as_each_is(ids: list[str]) -> None:
    for names in ([f"{id_}.json" for id_ in ids], [f"{id_}.jso" for id_ in ids]):
        found = ids_of(names)
        assert found is None or found == [id_of(name) for name in names]
    names = [name_of(id_) for id_ in ids if id_]
    if names and all(name.isascii() and name.isalnum() for name in filter(None, ids)):
        assert ids_of(names) == [id_ for id_ in ids if id_]


def test_plain_names_are_read_at_once() -> None:
    assert ids_of(["a-1.json", "b 2.json"]) == ["a-1", "b 2"]


@given(st.text(max_size=20))
@example("%61.json")
@example("a%2fb.json")
@example("%2.json")
@example("%FF.json")
@example("%00.json")
@example(".json")
@example("a/b.json")
def test_a_name_is_of_one_id_or_of_none(text: str) -> None:
    for name in (text, f"{text}.json"):
        id_ = id_of(name)
        assert id_ is None or name_of(id_) == name


@pytest.mark.parametrize(
    "name", ["a.txt", "a.JSON", ".json", "%61.json", "a%2fb.json", "%00.json", "!a.json", " a.json"]
)
def test_other_names_are_none_of_records(name: str) -> None:
    assert id_of(name) is None


def test_an_id_that_makes_a_long_name_is_refused() -> None:
    assert len(name_of("x" * 245)) == 250
    for id_ in ("x" * 246, "/" * 82, "\u00e9" * 123):
        with pytest.raises(InvalidKey, match="250 are allowed"):
            name_of(id_)
