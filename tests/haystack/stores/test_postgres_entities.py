"""Entities in PostgreSQL: what others wrote, what happens at the same time, and what is told."""

from __future__ import annotations

import asyncio
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from msgspec.structs import replace

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    InvalidConfig,
    NotFound,
    PreconditionFailed,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.stores.entities import Add, Delete, Note, Put, Update
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.postgres import (
    PostgresEntities,
    PostgresHaystackSettings,
    committing,
    searching,
    writing,
)
from holdall.records.predicate import Equals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from serving.databases import PostgresServer

    Open = Callable[..., PostgresEntities]
    Ask = Callable[[str], list[tuple[Any, ...]]]

SEED = """
CREATE TABLE entities (id TEXT PRIMARY KEY, tags JSONB NOT NULL);
INSERT INTO entities VALUES
    ('s1', '{"id": {"_kind": "ref", "val": "s1"}, "site": {"_kind": "marker"},
             "area": {"_kind": "number", "val": 120, "unit": "m²"}}'),
    ('p1', '{"id": {"_kind": "ref", "val": "p1", "dis": "P"}, "point": {"_kind": "marker"},
             "siteRef": {"_kind": "ref", "val": "s1"}, "n": 5, "on": true}'),
    ('P2', '{"point": {"_kind": "marker"}, "siteRef": {"_kind": "ref", "val": "s1"}}');
"""


@pytest.fixture
def opened(postgres_place: PostgresHaystackSettings) -> Iterator[Open]:
    yield from _opening(postgres_place)


@pytest.fixture
def opened_anew(postgres_schema: PostgresHaystackSettings) -> Iterator[Open]:
    """The same in a schema without tables."""
    yield from _opening(postgres_schema)


def _opening(place: PostgresHaystackSettings) -> Iterator[Open]:
    stores: list[PostgresEntities] = []

    def open_it(**settings: Any) -> PostgresEntities:
        stores.append(PostgresEntities(replace(place, **settings), BlockingRuntime()))
        return stores[-1]

    yield open_it
    for store in stores:
        drive(store.close())


@pytest.fixture
def ask(postgres_server: PostgresServer, postgres_place: PostgresHaystackSettings) -> Ask:
    return _asking(postgres_server, postgres_place)


@pytest.fixture
def ask_anew(postgres_server: PostgresServer, postgres_schema: PostgresHaystackSettings) -> Ask:
    return _asking(postgres_server, postgres_schema)


def _asking(server: PostgresServer, place: PostgresHaystackSettings) -> Ask:
    def asked(statements: str) -> list[tuple[Any, ...]]:
        assert place.dsn is not None
        with psycopg.connect(place.dsn.reveal(), autocommit=True) as connection:
            connection.execute(f"SET search_path = {place.schema}".encode())
            cursor = connection.execute(statements.encode())
            return [] if cursor.description is None else cursor.fetchall()

    return asked


def found(store: PostgresEntities, text: str) -> list[str]:
    page = drive(store.find(parse_filter(text), limit=1000))
    return [str(one.entity["id"])[1:] for one in page.entities]


def entity(of: str, **tags: Any) -> dict[str, Any]:
    return {"id": Ref(of), **tags}


# Tables of others.


def test_rows_of_a_table_as_haystack_py_makes_it_are_found(
    opened_anew: Open, ask_anew: Ask
) -> None:
    ask_anew(SEED)
    store = opened_anew()
    drive(store.connect())
    assert found(store, "point and siteRef->area > 100") == ["P2", "p1"]
    assert found(store, "n==5 and on==true") == ["p1"]
    (got,) = drive(store.get(["P2"])).entities
    assert got is not None
    assert dict(got.entity) == entity("P2", point=MARKER, siteRef=Ref("s1"))


def test_rows_of_such_a_table_are_updated_and_deleted(opened_anew: Open, ask_anew: Ask) -> None:
    ask_anew(SEED)
    store = opened_anew()
    drive(store.commit([Update("p1", {"n": Number(6)}), Delete("P2")]))
    assert found(store, "n==6") == ["p1"]
    assert found(store, "n==5") == []
    assert found(store, "point") == ["p1"]


def test_rows_of_such_a_table_are_told_to_watches(opened_anew: Open, ask_anew: Ask) -> None:
    ask_anew(SEED)
    changes = drive(opened_anew().changes(0, limit=10))
    assert [one.id for one in changes.changed] == ["P2", "p1", "s1"]


def test_a_row_that_others_add_later_is_found(opened: Open, ask: Ask) -> None:
    store = opened()
    number = drive(store.commit([Add(entity("a", n=Number(5)))]))
    ask("""INSERT INTO entities (id, tags) VALUES ('b', '{"n": 5}')""")
    assert found(store, "n==5") == ["a", "b"]
    assert [one.id for one in drive(store.changes(number, limit=10)).changed] == ["b"]


def test_a_row_that_others_add_is_read_however_it_is_asked_for(opened: Open, ask: Ask) -> None:
    store = opened()
    drive(store.connect())
    row = """INSERT INTO entities (id, tags) VALUES ('{}', '{{"l": [1, "x"]}}')"""
    ask(row.format("a"))
    (got,) = drive(store.get(["a"])).entities
    assert got is not None
    assert got.version == 1
    ask(row.format("b"))
    # SQL compares no lists.
    page = drive(store.find(Equals(("l",), [Number(1), "x"]), limit=10))
    assert [(one.entity["id"], one.version) for one in page.entities] == [
        (Ref("a"), 1),
        (Ref("b"), 2),
    ]


def test_a_row_that_others_change_is_found_as_it_is_now(opened: Open, ask: Ask) -> None:
    store = opened()
    number = drive(store.commit([Add(entity("a", n=Number(5), x=MARKER)), Add(entity("b"))]))
    assert found(store, "n==5") == ["a"]
    ask("""UPDATE entities SET tags = tags || '{"n": 6}' WHERE id = 'a'""")
    assert found(store, "n==5") == []
    assert found(store, "n==6 and x") == ["a"]
    changes = drive(store.changes(number, limit=10))
    assert [(one.id, one.entity and one.entity["n"]) for one in changes.changed] == [
        ("a", Number(6))
    ]


def test_a_row_that_others_delete_is_gone_and_watches_are_told(opened: Open, ask: Ask) -> None:
    store = opened()
    tags = {"n": Number(5), "s": "x", "r": Ref("a"), "big": Number(2**53 + 1)}
    number = drive(store.commit([Add(entity("a", **tags)), Add(entity("b", n=Number(5)))]))
    assert found(store, "n==5") == ["a", "b"]
    ask("DELETE FROM entities WHERE id = 'a'")
    ask("DELETE FROM entities WHERE id = 'never there'")
    assert found(store, "n==5") == ["b"]
    assert drive(store.get(["a"])).entities == [None]
    changes = drive(store.changes(number, limit=10))
    assert [(one.id, one.version, one.entity) for one in changes.changed] == [
        ("a", number + 1, None)
    ]
    assert [ask(f"SELECT count(*) FROM {name}") for name in writing.VALUES] == [
        [(1,)], [(0,)], [(1,)], [(0,)],
    ]  # fmt: skip
    assert drive(store.commit([Add(entity("a"))])) == number + 2


_POINT = {"id": Ref("p1"), "point": MARKER, "his": MARKER, "writable": MARKER}


def test_what_others_deleted_leaves_nothing_to_a_new_entity(
    postgres_place: PostgresHaystackSettings, ask: Ask
) -> None:
    async def work() -> None:
        adapter = TimescaleAdapter(postgres_place.dsn, schema=postgres_place.schema)
        async with adapter:
            await adapter.load([_POINT, {**_POINT, "id": Ref("p2")}])
            await adapter.point_write("p1", 5, 1)
            await adapter.point_write("p2", 5, 2)
            for of in ("p1", "p2"):
                await adapter.his_write(of, Samples(array("q", [1]), array("d", [1.0])))
            ask("DELETE FROM entities WHERE id = 'p1'")
            await adapter.create(_POINT)
            assert await adapter.his_read("p1") == []
            assert not [row for row in await adapter.point_array("p1") if row["val"] is not None]
            await adapter.point_write("p1", 10, 7)
            (found,) = await adapter.read("writeVal==7")
            assert found["writeLevel"] == Number(10)
            assert len(await adapter.his_read("p2")) == 1
            assert [one["id"] for one in await adapter.read("writeVal==2")] == [Ref("p2")]

    asyncio.run(work())


def test_tables_of_a_former_version_are_told_of_what_others_delete(
    opened_anew: Open, ask_anew: Ask
) -> None:
    store = opened_anew()
    drive(store.commit([Add(entity("a")), Note("array/a", b"{}")]))
    ask_anew("UPDATE hs_parts SET format = 1 WHERE name = 'entities'")
    ask_anew("DROP TRIGGER hs_foreign_gone ON entities")
    store = opened_anew()
    drive(store.connect())
    ask_anew("DELETE FROM entities")
    notes = drive(store.get((), ["array/a", "left/a"])).notes
    assert [note is not None for note in notes] == [False, True]


def test_an_entity_that_others_changed_is_updated_from_there(opened: Open, ask: Ask) -> None:
    store = opened()
    drive(store.commit([Add(entity("a", n=Number(5)))]))
    ask("""UPDATE entities SET tags = tags || '{"m": 6}'""")
    drive(store.commit([Update("a", {"n": Number(7)})]))
    assert found(store, "n==7 and m==6") == ["a"]
    assert found(store, "n==5") == []
    assert ask("SELECT tag, val FROM hs_numbers ORDER BY tag") == [("m", 6.0), ("n", 7.0)]


def test_the_id_of_a_row_counts_and_not_that_in_its_tags(opened: Open, ask: Ask) -> None:
    store = opened()
    drive(store.connect())
    ask("""INSERT INTO entities (id, tags) VALUES ('a', '{"id": {"_kind": "ref", "val": "b"}}')""")
    assert found(store, "id") == ["a"]
    drive(store.commit([Update("a", {"n": Number(1)})]))
    assert ask("SELECT id, tags->'id'->>'val' FROM entities") == [("a", "a")]


def test_many_rows_of_others_are_taken_over(
    opened: Open, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_ADOPTED", 2)
    store = opened()
    drive(store.connect())
    ask("""INSERT INTO entities (id, tags) SELECT 'e' || n, '{"x": true}'
        FROM generate_series(1, 5) AS n""")
    assert found(store, "x==true") == ["e1", "e2", "e3", "e4", "e5"]


def test_a_row_of_others_that_is_no_entity_is_named(opened: Open, ask: Ask) -> None:
    store = opened()
    drive(store.connect())
    ask("""INSERT INTO entities (id, tags) VALUES ('bad', '{"n": {"_kind": "nothing"}}')""")
    with pytest.raises(Corrupt, match="@bad"):
        found(store, "n")


def test_a_ref_in_the_tags_is_found_as_haystack_py_finds_it(opened: Open, ask: Ask) -> None:
    drive(opened().commit([Add(entity("a", siteRef=Ref("s1", "Site"), s='x"\\\0\ud800'))]))
    assert ask("SELECT id FROM entities WHERE tags->'siteRef'->>'val' = 's1'") == [("a",)]


@pytest.mark.parametrize(
    "table", ["entities (id uuid, tags jsonb)", "entities (id text, tags text)", "entities (x int)"]
)
def test_a_table_of_something_else_is_left_alone(
    opened_anew: Open, ask_anew: Ask, table: str
) -> None:
    ask_anew(f"CREATE TABLE {table}")
    with pytest.raises(InvalidConfig, match="something else"):
        drive(opened_anew().connect())
    assert len(ask_anew("SELECT * FROM entities")) == 0


def test_tables_of_a_later_version_are_left_alone(opened_anew: Open, ask_anew: Ask) -> None:
    drive(opened_anew().connect())
    ask_anew("UPDATE hs_parts SET format = 99 WHERE name = 'entities'")
    with pytest.raises(Unsupported, match="later version"):
        drive(opened_anew().connect())


def test_a_schema_that_is_not_there_is_named(opened: Open) -> None:
    with pytest.raises(InvalidConfig, match="no schema 'nowhere'"):
        drive(opened(schema="nowhere").connect())


def test_a_schema_may_have_any_name(opened: Open, ask: Ask) -> None:
    name = """it's "so"; DROP"""
    quoted = name.replace('"', '""')
    ask(f'CREATE SCHEMA "{quoted}"')
    store = opened(schema=name)
    drive(store.commit([Add(entity("a", siteRef=Ref("a"), n=Number(1), s="x"))]))
    assert found(store, 'siteRef->n==1 and s=="x"') == ["a"]
    ask(f'DROP SCHEMA "{quoted}" CASCADE')


# At the same time.


def test_those_who_connect_to_an_empty_database_at_once_make_its_tables_once(
    opened_anew: Open,
) -> None:
    stores = [opened_anew() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(
            pool.map(lambda at: drive(stores[at].commit([Add(entity(f"e{at}"))])), range(4))
        )
    assert numbers == [1, 2, 3, 4]


def test_a_watch_misses_no_commit_that_began_before_another_and_ended_after_it(
    opened: Open, ask: Ask, postgres_place: PostgresHaystackSettings
) -> None:
    first, second, watching = opened(), opened(), opened()
    start = drive(first.commit([Add(entity("a")), Add(entity("b"))]))
    assert postgres_place.dsn is not None
    waits = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN ({_OTHERS})"
    with (
        psycopg.connect(postgres_place.dsn.reveal()) as holding,
        ThreadPoolExecutor(1) as pool,
    ):
        name = f'"{postgres_place.schema}".entities'
        holding.execute(f"SELECT FROM {name} WHERE id = 'a' FOR UPDATE".encode())
        # It has begun, and waits for the row.
        slow = pool.submit(lambda: drive(first.commit([Update("a", {"n": Number(1)})])))
        while ask(waits) == [(0,)]:
            pass
        drive(second.commit([Update("b", {"n": Number(1)})]))
        early = drive(watching.changes(start, limit=10))
        assert [one.id for one in early.changed] == ["b"]
        holding.rollback()
        slow.result()
    late = drive(watching.changes(early.upto, limit=10))
    assert [one.id for one in late.changed] == ["a"]


_OTHERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"


def test_of_those_who_add_one_entity_at_once_one_succeeds(opened: Open) -> None:
    stores = [opened() for _ in range(4)]

    def add(at: int) -> bool:
        try:
            drive(stores[at].commit([Add(entity("a", n=Number(at)))]))
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(4))) == [False, False, False, True]


def test_of_those_who_write_a_new_note_at_once_one_succeeds(opened: Open) -> None:
    stores = [opened() for _ in range(4)]
    start = threading.Barrier(4)

    def write(at: int) -> int:
        kept = 0
        for round_ in range(10):
            start.wait()
            try:
                drive(stores[at].commit([Note(f"n{round_}", b"x", 0)]))
                kept += 1
            except PreconditionFailed:
                continue
        return kept

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 10


def test_the_first_change_that_cannot_be_is_the_one_that_is_told(opened: Open) -> None:
    store = opened()
    drive(store.commit([Note("n", b"")]))
    with pytest.raises(NotFound):
        drive(store.commit([Delete("gone"), Note("n", b"", 0)]))
    with pytest.raises(PreconditionFailed):
        drive(store.commit([Note("n", b"", 0), Delete("gone")]))


def test_those_who_put_the_same_entities_in_another_order_do_not_block_each_other(
    opened: Open,
) -> None:
    stores = [opened() for _ in range(3)]
    ids = [f"e{at}" for at in range(20)]

    def put(at: int) -> None:
        for round_ in range(5):
            some = ids if (at + round_) % 2 else list(reversed(ids))
            drive(stores[at].commit([Put(entity(of, n=Number(round_))) for of in some]))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(put, range(3)))
    assert drive(stores[0].get([])).state.number == 15
    assert found(stores[0], "n==4") == sorted(ids)


def test_what_is_ready_in_memory_is_never_older_than_the_answer(opened: Open) -> None:
    reading, writing_ = opened(), opened()
    drive(writing_.commit([Add(entity(f"e{at}", n=Number(0))) for at in range(5)]))
    for at in range(1, 20):
        drive(writing_.commit([Update(f"e{at % 5}", {"n": Number(at)})]))
        page = drive(reading.find(parse_filter("n"), limit=10))
        assert max(one.entity["n"].val for one in page.entities) == at  # type: ignore[union-attr]


def test_readers_see_whole_commits_while_others_write(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(), opened(cache=0)
    pair = ["a", "b"]

    def write(at: int) -> None:
        drive(other.commit([Put(entity(of, n=Number(at))) for of in pair]))

    def read(at: int) -> bool:
        asked = store if at % 2 else other
        got = drive(asked.get(pair)).entities
        page = drive(asked.find(parse_filter("n"), limit=9)).entities
        return len({one and one.version for one in got}) == 1 and len(
            {one.version for one in page}
        ) in (0, 1)

    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(write, at) for at in range(30)]
        assert all(pool.map(read, range(60)))
        for one in writes:
            one.result()


# What is kept, and what is told.


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE hs_notes; --", "$1", "%s", "\\x41", "a\0b", "\ud800"]
)
def test_a_note_may_have_any_name(opened: Open, name: str) -> None:
    store = opened()
    drive(store.commit([Note(name, b"1", 0), Note("other", b"2")]))
    drive(store.commit([Note(name, name.encode("utf-8", "surrogatepass"), 1)]))
    note, other = drive(store.get([], [name, "other"])).notes
    assert note is not None
    assert (note.value, note.version) == (name.encode("utf-8", "surrogatepass"), 2)
    assert other is not None
    drive(store.commit([Note(name, None, 2)]))
    assert [one is None for one in drive(store.get([], [name, "other"])).notes] == [True, False]


def test_large_and_small_commits_write_the_same(
    opened: Open, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    one = entity(
        "a", n=Number(1, "kW"), big=Number(10**30 + 1), s="ü", r=Ref("b"), d={"x": MARKER}, e=None
    )
    drive(store.commit([Add(one), Add(entity("empty"))]))
    tables = ["entities", *writing.VALUES]
    rows = [
        ask(f"SELECT to_jsonb(t) - 'n' - 'version' FROM {name} t ORDER BY 1") for name in tables
    ]
    drive(store.commit([Delete("a"), Delete("empty")]))
    assert [ask(f"SELECT * FROM {name}") for name in tables] == [[]] * 5
    monkeypatch.setattr(writing, "_FEW", 0)
    drive(store.commit([Add(one), Add(entity("empty"))]))
    assert rows == [
        ask(f"SELECT to_jsonb(t) - 'n' - 'version' FROM {name} t ORDER BY 1") for name in tables
    ]


def test_what_many_new_entities_hold_is_counted_by_postgresql(
    opened_anew: Open, ask_anew: Ask
) -> None:
    counted = """SELECT count(*) FROM pg_stats WHERE schemaname = current_schema()
        AND tablename = 'hs_numbers' AND attname = 'tag'"""
    store = opened_anew()
    drive(store.connect())
    ask_anew("ALTER TABLE hs_numbers SET (autovacuum_enabled = off)")
    drive(store.commit([Add(entity(f"e{at}", n=Number(at))) for at in range(999)]))
    assert ask_anew(counted) == [(0,)]
    drive(store.commit([Add(entity("more"))]))
    assert ask_anew(counted) == [(1,)]


def test_an_update_writes_only_the_values_that_changed(opened: Open, ask: Ask) -> None:
    store = opened()
    drive(store.commit([Add(entity("a", n=Number(1), m=Number(2), s="x"))]))
    before = ask("SELECT ctid, val FROM hs_numbers WHERE tag = 'm'")
    drive(store.commit([Update("a", {"n": Number(3)})]))
    assert ask("SELECT ctid, val FROM hs_numbers WHERE tag = 'm'") == before
    assert ask("SELECT val FROM hs_numbers WHERE tag = 'n'") == [(3.0,)]


def test_a_removal_of_long_ago_is_forgotten_and_older_numbers_are_unknown(
    opened: Open, ask: Ask
) -> None:
    store = opened()
    start = drive(store.commit([Add(entity("a")), Add(entity("b"))]))
    gone = drive(store.commit([Delete("a")]))
    ask("UPDATE hs_removed SET at = at - 26 * 3600 * 1000000::bigint")
    drive(store.commit([Put(entity("b"))]))
    assert not drive(store.changes(start, limit=10)).known
    assert [one.id for one in drive(store.changes(gone, limit=10)).changed] == ["b"]


def test_what_is_searched_while_it_changes_is_searched_again(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = opened(cache=0), opened()
    drive(other.commit([Add(entity("a", n=Number(1)))]))
    done: list[Any] = []

    def whole(hits: Any) -> bool:
        if not done:
            drive(other.commit([Update("a", {"n": Number(2)})]))
            done.append(hits)
            return False
        return True

    monkeypatch.setattr(searching, "_is_whole", whole)
    assert found(store, "n==1") == []
    assert found(store, "n==2") == ["a"]


def test_a_wrong_password_is_told_and_not_shown(
    opened: Open, postgres_server: PostgresServer, postgres_database: str
) -> None:
    dsn = postgres_server.dsn(postgres_database, password="not-this-secret")
    store = opened(dsn=Secret(dsn))
    with pytest.raises(Unauthenticated) as caught:
        drive(store.connect())
    assert "not-this-secret" not in f"{caught.value}{store.address}{store.settings}"


def test_who_waits_too_long_for_a_row_is_told(
    opened: Open, postgres_place: PostgresHaystackSettings
) -> None:
    store = opened(timeout=timedelta(milliseconds=50))
    drive(opened().commit([Add(entity("a"))]))
    assert postgres_place.dsn is not None
    with psycopg.connect(postgres_place.dsn.reveal()) as holding:
        name = f'"{postgres_place.schema}".entities'
        holding.execute(f"SELECT FROM {name} WHERE id = 'a' FOR UPDATE".encode())
        with pytest.raises(Timeout, match="'timeout'"):
            drive(store.commit([Update("a", {"n": Number(1)})]))


def test_a_store_that_was_closed_says_so_until_it_connects_again(opened: Open) -> None:
    store = opened()
    drive(store.connect())
    drive(store.close())
    with pytest.raises(Unavailable, match="was closed"):
        drive(store.get([]))
    drive(store.connect())
    drive(store.get([]))


@pytest.mark.parametrize(
    "settings", [{"cache": -1}, {"connections": 0}, {"port": 0, "dsn": None}, {"schema": ""}]
)
def test_a_setting_that_cannot_be_is_refused(
    postgres_place: PostgresHaystackSettings, settings: dict[str, Any]
) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(settings))):
        PostgresEntities(replace(postgres_place, **settings), BlockingRuntime())
