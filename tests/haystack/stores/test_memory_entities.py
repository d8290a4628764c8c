"""Entities in memory: the indexes answer what the filter means, whatever happened before."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haystack.filter.generated import IDS, question
from haystack.filter.judge import means
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import Number, Ref, adopt
from holdall.haystack.filter import parse_filter
from holdall.haystack.stores import memory_index, memory_values
from holdall.haystack.stores.entities import Delete, Put, Update
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings

if TYPE_CHECKING:
    from random import Random

    from holdall.records.predicate import Node

pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def opened() -> MemoryEntities:
    return MemoryEntities(MemoryEntitySettings(), BlockingRuntime())


def kept(of: str, tags: dict[str, Any]) -> dict[str, Any]:
    """Tags as a store keeps them, without those that it would refuse."""
    entity: dict[str, Any] = {"id": Ref(of)}
    for name, value in tags.items():
        with suppress(ValueError):
            adopted = adopt(value)
            if adopted is not None:
                entity[name] = adopted
    return entity


def found(store: MemoryEntities, node: Node, *, limit: int = 100) -> list[str]:
    return [str(one.entity["id"])[1:] for one in drive(store.find(node, limit=limit)).entities]


@pytest.fixture(params=["pyroaring", "sets", "small"])
def kind_of_set(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "small":
        make_small(monkeypatch)
    if request.param == "sets":
        monkeypatch.setattr(memory_values, "_Slots", set)
        monkeypatch.setattr(memory_values, "NO_SLOTS", set())
        monkeypatch.setattr(memory_index, "NO_SLOTS", set())
    else:
        pytest.importorskip("pyroaring")


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have few entities arranged, and few numbers in blocks, as many are."""
    monkeypatch.setattr("holdall.haystack.stores.memory_table._FEW", 1)
    monkeypatch.setattr(memory_values, "_BLOCK", 2)


def disagreements(random: Random) -> list[Any]:
    """Ask again after each change, so that indexes that were made are kept true."""
    store = opened()
    graph, node = question(random)
    now: dict[str, dict[str, Any]] = {}
    wrong = []
    for _ in range(3):
        for of in IDS:
            chance = random.random()
            if chance < 0.5 or of not in now:
                now[of] = kept(of, graph[of])
                drive(store.commit([Put(now[of])]))
            elif chance < 0.7:
                del now[of]
                drive(store.commit([Delete(of)]))
        expected = sorted(of for of, one in now.items() if means(node, one, now.get))
        answer = found(store, node)
        if answer != expected:
            wrong.append((node, now, answer, expected))
        graph, other = question(random)
        node = random.choice([node, other])
    return wrong


@settings(max_examples=100, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_indexes_answer_what_a_filter_means(kind_of_set: None, random: Random) -> None:
    assert disagreements(random) == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_indexes_answer_what_a_filter_means_for_long(kind_of_set: None, random: Random) -> None:
    assert disagreements(random) == []


@pytest.mark.parametrize("small", [False, True])
def test_ids_stay_in_order_through_adds_and_deletes(
    small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small:
        make_small(monkeypatch)
    store = opened()
    everything = parse_filter("n")
    ids = [f"e{at:03}" for at in range(300)]
    drive(store.commit([Put(kept(of, {"n": 1})) for of in ids[::2]]))
    assert found(store, everything, limit=1000) == ids[::2]
    for of in ids[1::2]:
        drive(store.commit([Put(kept(of, {"n": 1}))]))
    assert found(store, everything, limit=1000) == ids
    for of in ids[::3]:
        drive(store.commit([Delete(of)]))
    rest = [of for at, of in enumerate(ids) if at % 3]
    assert found(store, everything, limit=1000) == rest
    drive(store.commit([Put(kept("a", {"n": 1}))]))
    assert found(store, everything, limit=1000) == ["a", *rest]
    page = drive(store.find(everything, limit=2, after="e002"))
    assert [one.entity["id"] for one in page.entities] == [Ref("e004"), Ref("e005")]


def test_a_page_goes_on_among_ids_in_order_and_others() -> None:
    store = opened()
    # The first half comes in order, and the other one between, before and after it.
    ids = [f"e{at:03}" for at in range(100)]
    for of in [*ids[10:60:2], "e005", "e099", *ids[11:60:6], "e000"]:
        drive(store.commit([Put(kept(of, {"n": 1}))]))
    drive(store.commit([Delete("e020"), Delete("e017")]))
    every = found(store, parse_filter("n"))
    assert every == sorted(every)
    for at, of in enumerate(["", *ids]):
        page = drive(store.find(parse_filter("n"), limit=3, after=of))
        rest = [one for one in every if one > of]
        assert [str(one.entity["id"])[1:] for one in page.entities] == rest[:3], at


def test_a_filter_of_ten_thousand_terms_and_one_of_a_hundred_levels_are_answered() -> None:
    store = opened()
    drive(store.commit([Put(kept(f"e{at}", {"n": Number(at)})) for at in range(50)]))
    many = parse_filter(" or ".join(f"n=={at}" for at in range(10_000)))
    assert len(found(store, many)) == 50
    deep = parse_filter("not (" * 90 + "n==7" + ")" * 90)
    assert found(store, deep) == ["e7"]


def test_removals_beyond_those_kept_are_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdall.haystack.stores.memory_table._KEPT_REMOVALS", 2)
    store = opened()
    drive(store.commit([Put(kept(of, {})) for of in "abcd"]))
    for of in "abc":
        drive(store.commit([Delete(of)]))
    assert not drive(store.changes(1, limit=10)).known
    changes = drive(store.changes(2, limit=10))
    assert changes.known
    assert [one.id for one in changes.changed] == ["b", "c"]


def test_values_that_are_no_more_leave_nothing_in_an_index() -> None:
    store = opened()
    drive(store.commit([Put(kept("a", {"n": Number(0)}))]))
    assert found(store, parse_filter("n==0")) == ["a"]
    for at in range(1, 50):
        drive(store.commit([Put(kept("a", {"n": Number(at)}))]))
    values = store._table._index.values("n")
    assert (len(values._slots), len(values._by_number)) == (1, 1)


def test_an_order_that_was_made_outlives_changes_of_other_tags() -> None:
    store = opened()
    drive(store.commit([Put(kept("a", {"n": Number(1), "m": Number(1)}))]))
    assert found(store, parse_filter("n > 0")) == ["a"]
    made = store._table._index._numbers["n"]._sorted.copy()
    drive(store.commit([Update("a", {"m": Number(2), "x": Number(3)})]))
    assert store._table._index._numbers["n"]._sorted == made != {}
    assert found(store, parse_filter("n > 0 and m==2 and x")) == ["a"]


def test_removals_are_forgotten_after_one_of_a_commit_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("holdall.haystack.stores.memory_table._KEPT_REMOVALS", 1)
    store = opened()
    drive(store.commit([Put(kept(of, {})) for of in "ab"]))
    drive(store.commit([Delete("a")]))
    drive(store.commit([Put(kept("a", {})), Delete("a")]))
    drive(store.commit([Delete("b")]))
    assert [one.id for one in drive(store.changes(2, limit=10)).changed] == ["b"]


def test_an_entity_that_is_there_again_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdall.haystack.stores.memory_table._KEPT_REMOVALS", 1)
    store = opened()
    drive(store.commit([Put(kept(of, {})) for of in "ab"]))
    drive(store.commit([Delete("a")]))
    drive(store.commit([Put(kept("a", {}))]))
    drive(store.commit([Delete("b")]))
    changes = drive(store.changes(1, limit=10))
    assert changes.known
    assert [one.id for one in changes.changed] == ["a", "b"]


def test_an_id_that_takes_the_place_of_a_smaller_one_is_in_order() -> None:
    store = opened()
    drive(store.commit([Put(kept(of, {"n": 1})) for of in "abc"]))
    drive(store.commit([Delete("a")]))
    drive(store.commit([Put(kept("d", {"n": 1}))]))
    assert found(store, parse_filter("n")) == ["b", "c", "d"]


def test_few_among_many_are_found_in_pages() -> None:
    store = opened()
    tags: dict[str, Any]
    for at in range(100):
        tags = {"n": 1} if at % 30 == 0 else {}
        drive(store.commit([Put(kept(f"e{at:02}", tags))]))
    pages, after = [], None
    while after != "e90":
        page = drive(store.find(parse_filter("n"), limit=1, after=after))
        after = str(page.entities[0].entity["id"])[1:]
        pages.append((after, page.more))
    assert pages == [("e00", True), ("e30", True), ("e60", True), ("e90", False)]


@pytest.mark.parametrize("block", [1, 7, 1000])
@pytest.mark.parametrize("changed", [3, 150])
def test_numbers_stay_in_order_through_changes(
    changed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_values, "_BLOCK", block)
    store = opened()
    units = [None, "kW", "m"]

    def put(at: int, n: Any) -> None:
        drive(store.commit([Put(kept(f"e{at:03}", {} if n is None else {"n": n}))]))

    now: dict[int, Any] = {at: Number(at % 7, units[at % 3]) for at in range(200)}
    for at, n in now.items():
        put(at, n)
    texts = {
        "n > 3": (None, "kW", "m"),
        "n >= 3kW": ("kW",),
        "n < 2m": ("m",),
        "n <= 2": tuple(units),
    }
    for _ in range(2):
        for text, of in texts.items():
            op, bound = text.split()[1], int(text.split()[2].rstrip("kWm"))
            meant = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__}[op]
            expected = [
                f"e{at:03}"
                for at, n in now.items()
                if any(
                    one.unit in of and meant(one.val, bound)
                    for one in (n if type(n) is list else [n])
                    if one
                )
            ]
            assert found(store, parse_filter(text), limit=1000) == expected
        for at in range(changed):
            now[at] = [None, Number(5, "kW"), [Number(1, "m"), Number(5), Number(5)]][at % 3]
            put(at, now[at])
