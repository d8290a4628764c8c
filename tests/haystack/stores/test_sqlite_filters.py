"""Entities in a file of SQLite: every filter finds what it finds in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haystack.filter.generated import IDS, question
from haystack.stores.filter_facts import HARD, answers, commit, comparisons, kept
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import MARKER, Number, Ref, Uri
from holdall.haystack.filter import AnyUnit, matches, parse_filter
from holdall.haystack.stores.entities import Change, Delete, EntityStore, Put
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.sqlite import SqliteEntities, SqliteHaystackSettings, searching
from holdall.haystack.stores.sqlite.conditions import compile_condition
from holdall.haystack.stores.sqlite.snapshot import Snapshot
from holdall.records.predicate import (
    And,
    Differs,
    Equals,
    Has,
    In,
    Missing,
    Node,
    Not,
    Or,
)
from holdall.testing.haystack.strategies import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random
    from sqlite3 import Connection

pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
WAYS = ["few", "some", "many"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the three ways to find entities, for however few there are."""
    if request.param != "few":
        monkeypatch.setattr(searching, "_FEW", -1)
    if request.param == "many":
        monkeypatch.setattr(searching, "_MANY", 0)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[EntityStore]]:
    both = opened(tmp_path)
    yield both
    drive(both[0].close())


def opened(folder: Path, cache: int = 1000) -> list[EntityStore]:
    file = SqliteHaystackSettings(str(folder / "a.db"), durable=False, cache=cache)
    return [
        SqliteEntities(file, BlockingRuntime()),
        MemoryEntities(MemoryEntitySettings(), BlockingRuntime()),
    ]


def disagreements(random: Random, folder: Path) -> list[Any]:
    """Ask both stores after each of some changes."""
    stores = opened(folder, random.choice([0, 1000, 1_000_000]))
    wrong: list[Any] = []
    now: set[str] = set()
    try:
        for _ in range(3):
            graph, node = question(random)
            changes: list[Change] = []
            for of in IDS:
                chance = random.random()
                if chance < 0.6 or of not in now:
                    changes.append(Put(kept(of, graph[of])))
                    now.add(of)
                elif chance < 0.8:
                    changes.append(Delete(of))
                    now.discard(of)
            commit(stores, *changes)
            for asked in (node, question(random)[1], question(random)[1]):
                limit, after = random.choice([1, 2, 100]), random.choice([None, None, "e1"])
                one, other = answers(stores, asked, limit=limit, after=after)
                if one != other:
                    wrong.append((asked, graph, limit, after, one, other))
    finally:
        drive(stores[0].close())
    return wrong


@settings(max_examples=60, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_a_filter_finds_what_it_finds_in_memory(way: None, random: Random) -> None:
    with TemporaryDirectory() as folder:
        assert disagreements(random, Path(folder)) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=4_000, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_a_filter_finds_what_it_finds_in_memory_for_long(way: None, random: Random) -> None:
    with TemporaryDirectory() as folder:
        assert disagreements(random, Path(folder)) == []


@settings(max_examples=60, suppress_health_check=QUIET)
@given(st.lists(kinds(), min_size=1, max_size=4), st.lists(kinds(), max_size=2))
def test_every_kind_is_compared_as_in_memory(way: None, held: list[Any], more: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        stores = opened(Path(folder))
        entities = [kept(f"e{at}", {"v": value}) for at, value in enumerate([*held, held])]
        commit(stores, *map(Put, entities))
        for value in [*held, *more]:
            for node in comparisons(value):
                one, other = answers(stores, node)
                assert one == other, node
        drive(stores[0].close())


def test_hard_values_are_compared_as_in_python(way: None, stores: list[EntityStore]) -> None:
    entities = [kept(f"e{at:02}", {"v": value}) for at, value in enumerate(HARD.values())]
    commit(stores[:1], *map(Put, entities))
    wrong = []
    for name, value in HARD.items():
        for node in comparisons(value):
            meant = [str(one["id"]) for one in entities if matches(node, one)]
            [(found, _)] = answers(stores[:1], node)
            if found != meant:
                wrong.append((name, node, found, meant))
    assert wrong == []


@pytest.mark.parametrize("name", HARD)
def test_a_hard_value_comes_back_as_it_was(stores: list[EntityStore], name: str) -> None:
    commit(stores, Put(kept("a", {"v": HARD[name]})))
    one, other = [drive(store.get(["a"])).entities[0] for store in stores]
    assert one is not None
    assert other is not None
    assert repr(one.entity["v"]) == repr(other.entity["v"])


@pytest.mark.parametrize(
    "text",
    [
        "a->b",
        "a->b->c",
        "a->b->c->d",
        "a->b->c->d->e",
        "not a->b->c",
        "a->b->c == 1",
        "a->b->c != 1",
        "a->b->c->d > 0",
        "a->b == @y",
        "r->a->b->c",
        "r->r->a->b == @y",
        "l->n > 1",
        "l->l->n",
        "l->a->b",
    ],
)
def test_paths_lead_through_dicts_refs_and_lists_of_refs(
    way: None, stores: list[EntityStore], text: str
) -> None:
    commit(
        stores,
        Put(kept("v", {"a": {"b": Ref("y")}, "n": 3, "l": [Ref("w"), {"n": 9}, Ref("nowhere")]})),
        Put(kept("w", {"a": {"b": {"c": 1}}, "n": 1, "r": Ref("v"), "l": [Ref("v"), Ref("v")]})),
        Put(kept("x", {"a": {"b": {"c": {"d": {"e": MARKER}}}}, "r": Ref("w")})),
        Put(kept("y", {"a": Ref("x"), "c": {"d": 1, "n": [1, 2]}, "r": Ref("y"), "l": Ref("v")})),
        Put(kept("z", {"a": {"b": [Ref("y"), Ref("w")]}, "c": 1, "l": [{"n": 5}, "w"]})),
    )
    one, other = answers(stores, parse_filter(text))
    assert one == other


def test_a_name_that_holds_a_dot_is_not_the_way_into_a_dict(stores: list[EntityStore]) -> None:
    commit(stores, Put(kept("x", {"a": {"b": MARKER}})))
    assert answers(stores[:1], Has(("a.b",))) == [([], False)]


@pytest.mark.parametrize(
    "node",
    [
        Or(tuple(Equals(("n",), AnyUnit(at)) for at in range(5_000))),
        In(("n",), tuple(Number(at) for at in range(5_000))),
        In(("r",), tuple(Ref(f"x{at}") for at in range(5_000))),
        In(("s",), tuple(f"x{at}" for at in range(5_000))),
        And(tuple(Missing((f"x{at}",)) for at in range(1_000))),
        parse_filter("not (" * 90 + "n==7" + ")" * 90),
        Or(()),
        Not(Or(())),
        And(()),
    ],
    ids=["or", "numbers", "refs", "texts", "and", "deep", "nobody", "not nobody", "every"],
)
def test_a_large_condition_is_answered(way: None, stores: list[EntityStore], node: Node) -> None:
    tags = [{"n": at, "r": Ref(f"x{at}"), "s": f"x{at}"} for at in range(20)]
    commit(stores, *(Put(kept(f"e{at:02}", one)) for at, one in enumerate(tags)))
    one, other = answers(stores, node)
    assert one == other


def test_a_comparison_that_sql_can_make_is_made_there() -> None:
    class Names:
        def tag(self, name: str) -> int | None:
            return 1 if "." not in name else None

        def is_odd(self, tag: int) -> bool:
            return False

    declined = [
        text
        for text in (
            "point and temp and equipRef==@x",
            "area > 100",
            "area > 100kW or not area",
            "siteRef->area > 100",
            'dis != "x" and built < 2000-01-01',
            "not (a->b->c or a->b==true)",
            "at >= 2024-01-01T00:00:00Z",
        )
        if not compile_condition(parse_filter(text), Names()).exact
    ]
    assert declined == []


@pytest.mark.parametrize(
    "text",
    [
        "point and temp and equipRef==@x",
        "area > 100",
        "area > 100kW and point",
        'dis=="x" or dis > "y"',
        "siteRef->area > 100",
        "siteRef->area == 100 and not point",
        "equipRef->siteRef->dis != 7",
    ],
)
def test_sql_finds_entities_by_its_indexes_alone(stores: list[EntityStore], text: str) -> None:
    tags = {"point": MARKER, "temp": MARKER, "dis": "x", "area": 1, "siteRef": Ref("a")}
    commit(stores, Put(kept("a", {**tags, "equipRef": Ref("a")})))
    store = stores[0]
    assert isinstance(store, SqliteEntities)

    def plans(connection: Connection) -> list[str]:
        condition = compile_condition(parse_filter(text), Snapshot(connection, store._kept))
        assert condition.sources
        return [
            step[3]
            for source in condition.sources
            for step in connection.execute(
                f"EXPLAIN QUERY PLAN SELECT e.n FROM ({source.select}) e WHERE {source.rest or 1}",
                (*source.params, *source.rest_params),
            )
        ]

    steps = drive(store._file.read(store, plans))
    assert [step for step in steps if step.startswith("SCAN hs_")] == []
    assert any(step.startswith("SEARCH hs_") for step in steps)


@pytest.mark.parametrize(
    "text",
    ["'; DROP TABLE hs_meta; --", '" OR 1=1 --', "?", "%", "\\", "x' AND '1'='1", "$.a", "*", ")"],
)
def test_text_that_looks_like_sql_is_text(stores: list[EntityStore], text: str) -> None:
    commit(stores, Put(kept("a", {"s": text, "u": Uri(text)})), Put(kept("b", {"s": "x"})))
    for node in (Equals(("s",), text), Equals(("u",), Uri(text)), Differs(("s",), text)):
        one, other = answers(stores, node)
        assert one == other


def test_an_unusual_name_in_a_condition_finds_nothing(stores: list[EntityStore]) -> None:
    commit(stores, Put(kept("a", {"s": "x"})))
    for name in ("'; DROP TABLE hs_names; --", "", "s.x", "é", "s\0"):
        assert answers(stores[:1], Has((name,))) == [([], False)]
