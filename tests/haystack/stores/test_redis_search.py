"""Entities that the module Search finds: what it is short of, cuts, or has not read yet."""

from __future__ import annotations

from hashlib import sha1
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from haystack.stores.test_redis_faults import ids_of, opened, pair_of
from holdall.core.errors import Corrupt, Unavailable, Unsupported
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.stores.entities import Delete, Put, Update
from holdall.haystack.stores.redis import (
    RedisEntities,
    RedisHaystackSettings,
    scripts,
    scripts_finding,
)
from holdall.haystack.stores.redis import (
    searching as finding,
)
from holdall.haystack.stores.redis.asking import Orders
from holdall.haystack.stores.redis.lua import script
from holdall.objects.backends.redis.lua import Script
from serving.process import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.caches import RedisServer


_places = count()


def again(store: RedisEntities) -> None:
    """Let the store look anew whether all is ready."""
    ask(store, "HSET", store._place.key + b"m", "ready", "")


def test_an_index_that_lacks_entities_is_not_asked(searching: RedisEntities) -> None:
    drive(searching.commit(pair_of(1)))
    ask(searching, "DEL", searching._place.key + b"x:p1-a")
    again(searching)
    with pytest.raises(Corrupt, match="1 of 2"):
        ids_of(searching, "x")


def test_nobody_is_answered_before_search_has_read_all(
    searching: RedisEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(searching.commit(pair_of(1)))
    again(searching)
    reading = script("return {'1', '1', '2', '0'}", {})
    with monkeypatch.context() as patch:
        patch.setattr(scripts, "INDEXED", reading)
        patch.setattr(searching._place, "timeout", 0.01)
        with pytest.raises(Unavailable, match="has read 1 of 2") as caught:
            ids_of(searching, "x")
    assert caught.value.transient
    assert ids_of(searching, "x") == ["p1-a", "p1-b"]


@pytest.fixture
def searching(redis_stack_server: RedisServer) -> Iterator[RedisEntities]:
    made = opened(redis_stack_server, f"search:{next(_places)}")
    drive(made.connect())
    assert made._asking.index == "search"
    yield made
    drive(made.close())


def ask(store: RedisEntities, *command: str | bytes) -> Any:
    words = [one.encode() if isinstance(one, str) else one for one in command]
    [reply] = drive(store._place.ask(store, [words]))
    return reply


def test_an_index_that_was_dropped_is_made_anew(searching: RedisEntities) -> None:
    drive(searching.commit([one for at in range(100) for one in pair_of(at)]))
    assert ask(searching, "FT.DROPINDEX", searching._place.key + b"s") == b"OK"
    assert ids_of(searching, "n == 7") == ["p7-a", "p7-b"]
    assert len(ids_of(searching, "x")) == 200


def test_more_than_ten_thousand_are_found_however_short_the_time_out_of_search_is(
    searching: RedisEntities,
) -> None:
    ids = [f"e{at:05}" for at in range(10_500)]
    for at in range(0, len(ids), 2_100):
        some = ids[at : at + 2_100]
        drive(searching.commit([Put({"id": Ref(of), "x": MARKER, "n": Number(at)}) for of in some]))
    assert ask(searching, "FT.CONFIG", "SET", "TIMEOUT", "1") == b"OK"
    try:
        assert ids_of(searching, "x and not (n > 1000000)") == ids
        assert ids_of(searching, "x and n < 8000") == ids[:8_400]
    finally:
        ask(searching, "FT.CONFIG", "SET", "TIMEOUT", "500")


def test_a_server_that_answers_few_results_cuts_none(searching: RedisEntities) -> None:
    drive(searching.commit([one for at in range(150) for one in pair_of(at)]))
    assert ask(searching, "FT.CONFIG", "SET", "MAXSEARCHRESULTS", "20") == b"OK"
    try:
        assert len(ids_of(searching, "x")) == 300
        assert len(ids_of(searching, "n >= 100")) == 100
        assert ids_of(searching, "n >= 100", 3) == ["p100-a", "p100-b", "p101-a"]
        assert len(ids_of(searching, "n >= 100", 60)) == 60
    finally:
        ask(searching, "FT.CONFIG", "SET", "MAXSEARCHRESULTS", "1000000")


def changed(source: bytes, other: bytes) -> Script:
    """The script that finds, with another text in the place of one."""
    known = scripts_finding.FIND_SEARCH
    assert known.source.count(source) == 1
    text = known.source.replace(source, other)
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode(), known.keys)


def test_a_search_that_always_counts_finds_the_same(
    searching: RedisEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(searching.commit([one for at in range(150) for one in pair_of(at)]))
    # What is refused is named by the server, as it names WITHOUTCOUNT where it does not know it.
    old = changed(b"'WITHOUTCOUNT', 'NOCONTENT'", b"'WITHOUTCOUNT of before', 'NOCONTENT'")
    monkeypatch.setattr(finding, "FIND_SEARCH", old)
    assert len(ids_of(searching, "n >= 100")) == 100
    assert ids_of(searching, "n >= 100", 3) == ["p100-a", "p100-b", "p101-a"]


@pytest.mark.parametrize("most", [99, 100, 101])
def test_about_as_many_as_are_sought_at_once_are_all_found(
    searching: RedisEntities, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    drive(searching.commit([one for at in range(150) for one in pair_of(at)]))
    few = changed(b"'search', 10000, 20\n", b"'search', %d, 20\n" % most)
    monkeypatch.setattr(finding, "FIND_SEARCH", few)
    assert len(ids_of(searching, "n >= 100")) == 100


@pytest.mark.parametrize("targets", [19, 20, 21])
def test_a_path_to_about_as_many_as_are_followed_finds_all(
    searching: RedisEntities, monkeypatch: pytest.MonkeyPatch, targets: int
) -> None:
    drive(searching.commit([one for at in range(30) for one in pair_of(at)]))
    refs = [Put({"id": Ref(f"r{at}"), "to": Ref(f"p{at}-a")}) for at in range(10, 30)]
    drive(searching.commit(refs))
    few = changed(b"found(inner, 1000)", b"found(inner, %d)" % targets)
    monkeypatch.setattr(finding, "FIND_SEARCH", few)
    # Twenty entities have such a number, and ten of them are referred to.
    assert ids_of(searching, "to->n >= 20") == [f"r{at}" for at in range(20, 30)]


def test_an_answer_of_the_same_ids_shows_what_changed_in_their_entities(
    searching: RedisEntities,
) -> None:
    drive(searching.commit([one for at in range(150) for one in pair_of(at)]))
    before = ids_of(searching, "x")
    drive(searching.commit([Update("p7-a", {"y": Number(3)})]))
    found = drive(searching.find(parse_filter("x"), limit=1_000))
    shown = {one.entity["id"].val: one.entity.get("y") for one in found.entities}  # type: ignore[union-attr]
    assert list(shown) == before
    assert shown["p7-a"] == Number(3)


def test_an_answer_of_other_ids_is_another_one(searching: RedisEntities) -> None:
    drive(searching.commit([one for at in range(150) for one in pair_of(at)]))
    before = ids_of(searching, "x")
    drive(searching.commit([Delete("p7-a"), *pair_of(777)]))
    assert ids_of(searching, "x") == sorted({*before, "p777-a", "p777-b"} - {"p7-a"})


def ids_text(count: int) -> bytes:
    return b" ".join(b"{a}:x:e%07d" % at for at in range(count, 0, -1))


def test_the_order_of_an_answer_is_remembered_for_its_condition() -> None:
    orders = Orders(b"{a}:x:")
    ids = orders.of(b"c", ids_text(200))
    assert ids == [f"e{at:07}" for at in range(1, 201)]
    assert orders.of(b"c", ids_text(200)) is ids
    assert orders.of(b"d", ids_text(200)) is not ids


def test_few_orders_are_remembered() -> None:
    orders = Orders(b"{a}:x:")
    every = [orders.of(b"%d" % at, ids_text(200)) for at in range(17)]
    assert orders.of(b"16", ids_text(200)) is every[16]
    assert orders.of(b"0", ids_text(200)) is not every[0]


@pytest.mark.parametrize("count", [1, 40_000])
def test_answers_that_are_short_or_very_long_are_not_remembered(count: int) -> None:
    orders = Orders(b"{a}:x:")
    assert orders.of(b"c", ids_text(count)) is not orders.of(b"c", ids_text(count))


def test_more_tags_of_numbers_than_an_index_has_are_found(searching: RedisEntities) -> None:
    tags = [[f"t{at * 10 + one}" for one in range(10)] for at in range(56)]
    for at, some in enumerate(tags):
        numbers = {tag: Number(at) for tag in some}
        drive(searching.commit([Put({"id": Ref(f"e{at:02}"), **numbers})]))
    assert int(ask(searching, "HLEN", searching._place.key + b"f")) == scripts.FIELDS
    for at, some in enumerate(tags):
        assert ids_of(searching, f"{some[3]} == {at}") == [f"e{at:02}"]
        assert ids_of(searching, f"{some[3]} > {at}") == []
    drive(searching.commit([Delete(f"e{at:02}") for at in range(56)]))
    assert ids_of(searching, "id") == []
    assert int(ask(searching, "HLEN", searching._place.key + b"o")) == 0


def test_what_was_kept_without_search_stays_so(redis_stack_server: RedisServer) -> None:
    prefix = f"search:{next(_places)}"
    settings = RedisHaystackSettings(
        host=HOST,
        port=redis_stack_server.running.port,
        password=Secret(redis_stack_server.password),
        prefix=prefix,
        search=False,
    )
    without = RedisEntities(settings, BlockingRuntime())
    drive(without.connect())
    drive(without.commit(pair_of(1)))
    store = opened(redis_stack_server, prefix)
    drive(store.connect())
    drive(store.commit(pair_of(2)))
    assert ids_of(store, "n > 1") == ids_of(without, "n > 1") == ["p2-a", "p2-b"]
    assert ids_of(store, "n == 1") == ["p1-a", "p1-b"]
    drive(store.close())
    drive(without.close())


def test_a_database_that_search_does_not_know_is_found_by_sets(
    redis_stack_server: RedisServer,
) -> None:
    settings = RedisHaystackSettings(
        host=HOST,
        port=redis_stack_server.running.port,
        password=Secret(redis_stack_server.password),
        prefix=f"search:{next(_places)}",
        db=1,
    )
    store = RedisEntities(settings, BlockingRuntime())
    drive(store.connect())
    drive(store.commit(pair_of(1)))
    assert store._asking.index == "sets"
    assert ids_of(store, "n == 1") == ["p1-a", "p1-b"]
    drive(store.close())


def test_what_search_finds_needs_search(redis_server: RedisServer) -> None:
    store = opened(redis_server, f"search:{next(_places)}")
    drive(store._place.enter(store))
    drive(store._place.run(store, scripts.MAKE, [b"epoch", b"search"]))
    with pytest.raises(Unsupported, match="the module Search"):
        drive(store.connect())
    drive(store.close())


def test_a_server_that_lets_no_script_search_is_used_without(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(redis_server, f"search:{next(_places)}")
    drive(store._place.enter(store))
    store._place.search = True  # it says that it could, and does not
    drive(store._asking.prepare())
    assert store._asking.index == "sets"
    assert "cannot be used" in caplog.text
    drive(store.close())
