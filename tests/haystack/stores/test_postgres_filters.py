"""Entities in PostgreSQL: every filter finds what it finds in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from haystack.filter.generated import IDS, question
from haystack.stores.filter_facts import HARD, answers, commit, comparisons, kept
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref, Uri
from holdall.haystack.filter import AnyUnit, matches, parse_filter
from holdall.haystack.stores.entities import Change, Delete, EntityStore, Put
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.postgres import (
    PostgresEntities,
    PostgresHaystackSettings,
    searching,
)
from holdall.haystack.stores.postgres.conditions import compile_condition
from holdall.haystack.stores.postgres.database import Place
from holdall.records.predicate import (
    And,
    Compares,
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

pytestmark = pytest.mark.untraced

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
INDEXES = "?options=-c%20enable_seqscan%3Doff"


@pytest.fixture(autouse=True)
def by_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few entities would be looked at here, and no path would be asked of PostgreSQL."""
    monkeypatch.setattr(searching, "_FEW", 0)


@pytest.fixture
def postgres(postgres_place: PostgresHaystackSettings) -> Iterator[PostgresEntities]:
    store = PostgresEntities(postgres_place, BlockingRuntime())
    yield store
    drive(store.close())


@pytest.fixture
def stores(postgres: PostgresEntities) -> list[EntityStore]:
    return [postgres, memory()]


def memory() -> MemoryEntities:
    return MemoryEntities(MemoryEntitySettings(), BlockingRuntime())


def emptied(store: EntityStore) -> None:
    found = drive(store.find(parse_filter("id"), limit=1000)).entities
    drive(store.commit([Delete(str(one.entity["id"])[1:]) for one in found]))


def disagreements(random: Random, store: EntityStore) -> list[Any]:
    """Ask both stores after each of some changes."""
    emptied(store)
    stores = [store, memory()]
    wrong: list[Any] = []
    now: set[str] = set()
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
        for asked in (node, *(question(random)[1] for _ in range(4))):
            limit, after = random.choice([1, 2, 100]), random.choice([None, None, "e1"])
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(searching, "_LONG", random.choice([0, 1_000]))
                patch.setattr(searching, "_FEW", random.choice([0, 0, 100]))
                patch.setattr(searching, "_LOOKED_AT", random.choice([1, 8]))
                one, other = answers(stores, asked, limit=limit, after=after)
            if one != other:
                wrong.append((asked, graph, limit, after, one, other))
    return wrong


@settings(max_examples=25, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_a_filter_finds_what_it_finds_in_memory(postgres: PostgresEntities, random: Random) -> None:
    assert disagreements(random, postgres) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
@settings(max_examples=700, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
@pytest.mark.parametrize("options", ["", INDEXES])
def test_a_filter_finds_what_it_finds_in_memory_for_long(
    postgres_place: PostgresHaystackSettings, options: str, random: Random
) -> None:
    assert postgres_place.dsn is not None
    dsn = Secret(postgres_place.dsn.reveal() + options)
    store = PostgresEntities(replace(postgres_place, dsn=dsn), BlockingRuntime())
    try:
        assert disagreements(random, store) == []
    finally:
        drive(store.close())


@settings(max_examples=15, suppress_health_check=QUIET)
@given(st.lists(kinds(), min_size=1, max_size=4), st.lists(kinds(), max_size=2))
def test_every_kind_is_compared_as_in_memory(
    postgres: PostgresEntities, held: list[Any], more: list[Any]
) -> None:
    emptied(postgres)
    stores = [postgres, memory()]
    entities = [kept(f"e{at}", {"v": value}) for at, value in enumerate([*held, held])]
    commit(stores, *map(Put, entities))
    for value in [*held, *more]:
        for node in comparisons(value):
            one, other = answers(stores, node)
            assert one == other, node


def test_hard_values_are_compared_as_in_python(stores: list[EntityStore]) -> None:
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


@pytest.mark.parametrize("left_out", ["beyond 64 bits", "below 64 bits", "beyond doubles"])
def test_numbers_that_doubles_hold_are_compared_exactly(
    stores: list[EntityStore], left_out: str
) -> None:
    numbers = [
        value for value in HARD.values() if isinstance(value, Number) and value != HARD[left_out]
    ]
    entities = [kept(f"e{at:02}", {"v": value}) for at, value in enumerate(numbers)]
    commit(stores, *map(Put, entities))
    for value in HARD.values():
        for node in comparisons(value):
            one, other = answers(stores, node)
            assert one == other, node


def test_hard_values_come_back_as_they_were(stores: list[EntityStore]) -> None:
    commit(stores, *(Put(kept(f"e{at}", {"v": value})) for at, value in enumerate(HARD.values())))
    ids = [f"e{at}" for at in range(len(HARD))]
    one, other = [drive(store.get(ids)).entities for store in stores]
    for mine, meant in zip(one, other, strict=True):
        assert mine is not None
        assert meant is not None
        assert repr(mine.entity["v"]) == repr(meant.entity["v"])


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
        "r->a->b->c->d == 1",
        "r->r->l->n != 1",
        "l->n == 1",
        "l->l->a->b",
        "not (l->n == 1 or r->n > 0)",
        "l == @v and not (r->l == @v)",
        "a->b == @w or c->d == 1",
    ],
)
def test_a_path_leads_where_it_leads_in_memory(stores: list[EntityStore], text: str) -> None:
    commit(
        stores,
        Put(kept("u", {"a": {"b": {"c": {"d": 1}}}, "n": 5, "l": [Ref("w"), "x"]})),
        Put(kept("v", {"a": {"b": Ref("w")}, "n": 1, "l": [Ref("u"), Ref("nowhere")]})),
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
        Or(tuple(Equals(("n",), AnyUnit(at)) for at in range(150))),
        And(tuple(Differs(("n",), AnyUnit(at)) for at in range(1, 40))),
        And(tuple(Compares(("n",), "gt", AnyUnit(at)) for at in range(40))),
        In(("n",), tuple(Number(at) for at in range(5_000))),
        In(("r",), tuple(Ref(f"x{at}") for at in range(5_000))),
        In(("s",), tuple(f"x{at}" for at in range(5_000))),
        In(("s",), ()),
        And(tuple(Missing((f"x{at}",)) for at in range(1_000))),
        parse_filter("not (" * 90 + "n==7" + ")" * 90),
        Or(()),
        Not(Or(())),
        And(()),
    ],
    ids=[
        "or", "small or", "and not", "and", "numbers", "refs", "texts", "no value", "many",
        "deep", "nobody", "not nobody", "every",
    ],
)  # fmt: skip
def test_a_large_condition_is_answered(stores: list[EntityStore], node: Node) -> None:
    tags = [{"n": at, "r": Ref(f"x{at}"), "s": f"x{at}"} for at in range(20)]
    commit(stores, *(Put(kept(f"e{at:02}", one)) for at, one in enumerate(tags)))
    one, other = answers(stores, node)
    assert one == other


def test_what_is_filtered_in_python_goes_through_all_pages(
    stores: list[EntityStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdall.haystack.stores.postgres.searching._AT_ONCE", 2)
    monkeypatch.setattr("holdall.haystack.stores.postgres.searching._AT_MOST", 3)
    tags = [{"n": [at % 5, "x"], "r": Ref(f"e{at + 1:02}")} for at in range(20)]
    commit(stores, *(Put(kept(f"e{at:02}", one)) for at, one in enumerate(tags)))
    for node in (
        Equals(("n",), [Number(2), "x"]),
        Equals(("r", "r", "n"), [Number(2), "x"]),
        Not(Equals(("r", "n"), [Number(2), "x"])),
    ):
        for limit in (1, 2, 3, 4, 16, 17, 100):
            for after in (None, "e07", "a\0b", "e\ud800", "\uffff"):
                one, other = answers(stores, node, limit=limit, after=after)
                assert one == other, (node, limit, after)


def test_a_comparison_that_sql_can_make_is_made_there() -> None:
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
        if not compile_condition(parse_filter(text), Place(PostgresHaystackSettings())).exact
    ]
    assert declined == []


CORPUS = [
    "'; DROP TABLE hs_meta; --",
    '" OR 1=1 --',
    "$1",
    "$$; SELECT 1; $$",
    "%s",
    "%(x)s",
    "\\",
    "\\'; SELECT pg_sleep(9)",
    "x' AND '1'='1",
    "E'\\x41'",
    "{a,b}",
    '{"a"}',
    "NULL",
    "\t",
    "$.a",
    "?",
    "a' COLLATE \"C",
    "1::int",
    "/* x */",
    "🙂'\"",
]


@pytest.mark.parametrize("text", CORPUS)
def test_text_that_looks_like_sql_is_text(stores: list[EntityStore], text: str) -> None:
    commit(
        stores,
        Put(kept("a", {"s": text, "u": Uri(text), "r": Ref("b", text), "l": [text], "d": {}})),
        Put(kept("b", {"s": "x"})),
    )
    nodes = (
        Equals(("s",), text), Equals(("u",), Uri(text)), Differs(("s",), text),
        In(("l",), (text, "y")), Compares(("s",), "ge", text), Equals(("r", "s"), text),
    )  # fmt: skip
    for node in nodes:
        one, other = answers(stores, node)
        assert one == other
    assert answers(stores[:1], Has(("s",)), after=text) == answers(
        stores[1:], Has(("s",)), after=text
    )


@pytest.mark.parametrize("name", [*CORPUS, "", "s.x", "é", "s\0", "\ud800"])
def test_an_unusual_name_in_a_condition_finds_nothing(stores: list[EntityStore], name: str) -> None:
    commit(stores, Put(kept("a", {"s": "x"})))
    for path in ((name,), ("s", name), (name, "s")):
        assert answers(stores[:1], Has(path)) == [([], False)]


@pytest.mark.parametrize(
    ("text", "indexes"),
    [
        ("point and temp and equipRef==@a", {"hs_refs_found"}),
        ("area > 100", {"hs_numbers_found"}),
        ("area > 100kW and point", {"hs_numbers_found"}),
        ('dis=="x" or dis > "y"', {"hs_values_found"}),
        ('dis=="x" or equipRef==@a', {"hs_values_found", "hs_refs_found"}),
        ("siteRef->area > 100", {"hs_numbers_found", "hs_refs_found"}),
        ("siteRef->area == 100 and not point", {"hs_numbers_found", "hs_refs_found"}),
        ("equipRef->siteRef->dis != 7", {"hs_refs_found"}),
        ("ahu", {"hs_entities_names"}),
        ("ahu or vav", {"hs_entities_names"}),
    ],
)
def test_sql_finds_entities_by_indexes_alone(
    postgres: PostgresEntities, text: str, indexes: set[str]
) -> None:
    tags = {"point": MARKER, "temp": MARKER, "dis": "x", "area": 1, "siteRef": Ref("a")}
    drive(postgres.commit([Put(kept(f"e{at}", {**tags, "equipRef": Ref("a")})) for at in range(9)]))
    place = postgres._place
    condition = compile_condition(parse_filter(text), place)
    assert condition.exact
    assert place.settings.dsn is not None
    options = "-c enable_seqscan=off"
    with psycopg.connect(
        place.settings.dsn.reveal(), options=options, cursor_factory=psycopg.RawCursor
    ) as connection:
        asked = f"EXPLAIN SELECT e.n FROM {place.table('entities')} AS e WHERE {condition.sql}"
        rows = connection.execute(asked.encode(), condition.params.values).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert indexes <= set(re.findall(r"(?:using|on) (hs_\w+)", plan))


@pytest.mark.parametrize("limit", [1, 3, 10, 40])
@pytest.mark.parametrize("hits", ["first", "last", "each", "none"])
def test_a_few_hits_of_a_path_are_those_of_memory(
    stores: list[EntityStore], monkeypatch: pytest.MonkeyPatch, hits: str, limit: int
) -> None:
    monkeypatch.setattr(searching, "_FEW", 100)
    large = {"first": range(20), "last": range(130, 150), "each": range(150), "none": range(0)}
    areas: Iterator[dict[str, Any]] = (
        {"id": Ref(f"s{at}"), "site": MARKER, "area": Number(200 if at else 50)} for at in (0, 1)
    )
    points: Iterator[dict[str, Any]] = (
        {"id": Ref(f"p{at:03}"), "point": MARKER, "siteRef": Ref(f"s{int(at in large[hits])}")}
        for at in range(150)
    )
    commit(stores, *map(Put, [*areas, *points]))
    node = parse_filter("siteRef->area > 100")
    after: str | None = None
    while True:
        one, other = answers(stores, node, limit=limit, after=after)
        assert one == other
        found = drive(stores[0].find(node, limit=limit, after=after))
        if not found.more:
            break
        after = str(found.entities[-1].entity["id"])[1:]
    assert after is not None or limit >= len(large[hits])


def test_a_few_hits_of_a_path_are_found_among_the_first_entities(
    postgres: PostgresEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit([postgres], Put({"id": Ref("s"), "site": MARKER, "area": Number(200)}))
    commit([postgres], *(Put({"id": Ref(f"p{at:04}"), "siteRef": Ref("s")}) for at in range(900)))
    monkeypatch.setattr(searching, "_FEW", 100)
    monkeypatch.delattr(searching.Search, "_asked")  # which finds all hits
    node = parse_filter("siteRef->area > 100")
    assert len(drive(postgres.find(node, limit=10)).entities) == 10
