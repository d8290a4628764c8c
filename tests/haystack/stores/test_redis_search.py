"""Entities that the module Search finds: what it is short of, cuts, or has not read yet."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from haystack.stores.test_redis_faults import ids_of, opened, pair_of
from holdall.core.errors import Corrupt, Unavailable, Unsupported
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.stores.entities import Delete, Put
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings, scripts
from holdall.haystack.stores.redis.lua import script
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
