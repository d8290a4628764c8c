"""Entities on a Redis server that breaks, restarts, forgets, or is short of something."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    PreconditionFailed,
    Timeout,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.redis import RedisAdapter
from holdall.haystack.stores.entities import Add, Delete, Note, Put, Stored, Update
from holdall.haystack.stores.redis import RedisEntities, RedisHaystackSettings, scripts
from holdall.haystack.stores.redis.asking import Wide
from serving import caches
from serving.process import HOST
from serving.redis_proxy import RedisProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serving.caches import RedisServer


KINDS = ["sets", "search"]
_places = count()


def opened(
    server: RedisServer, prefix: str, port: int | None = None, cache: int = 1_000_000
) -> RedisEntities:
    settings = RedisHaystackSettings(
        host=HOST,
        port=port or server.running.port,
        password=Secret(server.password),
        prefix=prefix,
        cache=cache,
    )
    return RedisEntities(settings, BlockingRuntime())


def server_of(kind: str, request: pytest.FixtureRequest) -> RedisServer:
    name = "redis_server" if kind == "sets" else "redis_stack_server"
    found: RedisServer = request.getfixturevalue(name)
    return found


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> RedisServer:
    return server_of(request.param, request)


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisEntities]:
    made = opened(server, f"faults:{next(_places)}")
    drive(made.connect())
    yield made
    drive(made.close())


def ids_of(store: RedisEntities, text: str, limit: int = 1_000_000) -> list[str]:
    found = drive(store.find(parse_filter(text), limit=limit))
    return [str(one.entity["id"])[1:] for one in found.entities]


def kill(server: RedisServer) -> None:
    os.kill(server.running.pid, signal.SIGKILL)


def pair_of(at: int) -> list[Put]:
    return [Put({"id": Ref(f"p{at}-{half}"), "n": Number(at), "x": MARKER}) for half in "ab"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_killed_and_comes_back_has_all_that_it_answered(
    kind: str, tmp_path: Path
) -> None:
    run = caches.redis if kind == "sets" else caches.redis_stack
    told: list[int] = []
    numbers: list[int] = []
    errors: list[HoldallError] = []
    enough = threading.Event()

    def write(store: RedisEntities) -> None:
        try:
            for at in count():
                numbers.append(drive(store.commit(pair_of(at))))
                told.append(at)
                if at == 30:
                    enough.set()
        except HoldallError as error:
            errors.append(error)

    with run(tmp_path, durable=True) as first:
        store = opened(first, "killed")
        drive(store.connect())
        epoch = drive(store.get([])).state.epoch
        writer = threading.Thread(target=write, args=(store,))
        writer.start()
        enough.wait(60)
        kill(first)
        writer.join()
    assert [type(error) for error in errors] in ([Unavailable], [Timeout])
    with pytest.raises(Unavailable):
        drive(store.get([]))
    with run(tmp_path, durable=True, port=first.running.port):
        halves = [f"p{at}-{half}" for at in told for half in "ab"]
        got = drive(store.get(halves))  # the same store finds it again
        assert None not in got.entities
        assert got.state.epoch != epoch
        found = ids_of(store, "x")
        assert set(found) >= set(halves)
        assert len(found) in (2 * len(told), 2 * len(told) + 2)
        assert ids_of(store, f"n == {told[-1]}") == [f"p{told[-1]}-a", f"p{told[-1]}-b"]
        assert numbers == list(range(numbers[0], numbers[0] + len(told)))
        number = drive(store.commit(pair_of(len(told))))
        assert number > numbers[-1] + 1
        assert drive(store.commit(pair_of(len(told)))) == number + 1
        drive(store.close())


def commit_on_a_new_connection(store: RedisEntities, change: Update) -> None:
    """Commit; what breaks off first are the connections to the server that was killed."""
    for _ in range(10):
        with suppress(Unavailable):
            drive(store.commit([change]))
            return
    raise AssertionError("the server does not answer")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_lost_with_a_server_is_taken_for_nothing_that_is_there(
    kind: str, tmp_path: Path
) -> None:
    run = caches.redis if kind == "sets" else caches.redis_stack
    with run(tmp_path) as first:
        store = opened(first, "lost")
        drive(store.commit([Put({"id": Ref("a"), "n": Number(1)})]))
        first.ask("SAVE")
        lost = drive(store.commit([Update("a", {"n": Number(2)})]))
        assert drive(store.get(["a"])).entities == [Stored({"id": Ref("a"), "n": Number(2)}, lost)]
        kill(first)
    with run(tmp_path, port=first.running.port) as second:
        other = opened(second, "lost")
        assert drive(other.commit([Update("a", {"m": Number(3)})])) > lost
        with pytest.raises(PreconditionFailed):
            commit_on_a_new_connection(store, Update("a", {"x": MARKER}, lost))
        commit_on_a_new_connection(store, Update("a", {"x": MARKER}))
        (found,) = drive(other.get(["a"])).entities
        assert found is not None
        assert found.entity == {"id": Ref("a"), "n": Number(1), "m": Number(3), "x": MARKER}
        drive(store.close())
        drive(other.close())


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_goes_on_after_its_server_was_killed(kind: str, tmp_path: Path) -> None:
    run = caches.redis if kind == "sets" else caches.redis_stack

    async def work() -> None:
        with run(tmp_path, durable=True) as first:
            adapter = RedisAdapter(first.url)
            for at in range(20):
                await adapter.create({"id": Ref(f"s{at}"), "site": MARKER, "area": Number(at)})
            kill(first)
        with pytest.raises(Unavailable):
            await adapter.read("site")
        with run(tmp_path, durable=True, port=first.running.port):
            found = await adapter.read("site and area >= 10")
            assert len(found) == 10
            await adapter.update("s1", {"area": Number(50)})
            assert len(await adapter.read("area >= 10")) == 11
            await adapter.close()

    asyncio.run(work())


def test_a_server_that_comes_back_empty_is_a_new_place(
    server: RedisServer, store: RedisEntities
) -> None:
    drive(store.commit(pair_of(1)))
    before = drive(store.get(["p1-a"])).state
    server.make_empty()
    assert ids_of(store, "x") == []
    state = drive(store.get([])).state
    assert state.epoch != before.epoch
    assert drive(store.commit(pair_of(2))) == state.number + 1 > before.number + 1
    assert ids_of(store, "n > 1") == ["p2-a", "p2-b"]
    assert drive(store.get(["p1-a"])).entities == [None]


def test_a_place_of_which_all_keys_were_deleted_is_a_new_one(store: RedisEntities) -> None:
    tags = {f"t{at}": Number(at) for at in range(60)}
    number = drive(store.commit([*pair_of(1), Put({"id": Ref("many"), **tags})]))
    place = store._place
    [keys] = drive(place.ask(store, [[b"KEYS", place.key + b"*"]]))
    drive(place.ask(store, [[b"DEL", *keys]]))
    assert ids_of(store, "x") == []
    assert drive(store.commit([*pair_of(2), Put({"id": Ref("many"), **tags})])) > number + 1
    assert ids_of(store, "n > 1") == ["p2-a", "p2-b"]
    assert ids_of(store, "t59 == 59 and t0 == 0") == ["many"]


def test_scripts_that_the_server_forgot_are_sent_again(
    server: RedisServer, store: RedisEntities
) -> None:
    drive(store.commit(pair_of(1)))
    server.ask("SCRIPT FLUSH SYNC")
    drive(store.commit(pair_of(2)))
    server.ask("SCRIPT FLUSH SYNC")
    assert ids_of(store, "n == 2") == ["p2-a", "p2-b"]


def test_a_commit_whose_answer_is_lost_says_that_it_may_have_been_applied(
    server: RedisServer,
) -> None:
    prefix = f"faults:{next(_places)}"
    with RedisProxy(server.running.port) as proxy:
        store = opened(server, prefix, proxy.port)
        drive(store.connect())
        drive(store.commit(pair_of(1)))
        proxy.cut_before(command="EVALSHA")
        with pytest.raises(Unavailable, match="may have been applied") as caught:
            drive(store.commit([Put({"id": Ref("b")})]))
        assert caught.value.uncertain
        assert not caught.value.transient
        assert drive(store.get(["b"])).entities[0] is not None
        drive(store.close())


def test_what_only_reads_is_asked_again_when_a_connection_breaks(server: RedisServer) -> None:
    prefix = f"faults:{next(_places)}"
    with RedisProxy(server.running.port) as proxy:
        store = opened(server, prefix, proxy.port)
        drive(store.connect())
        drive(store.commit(pair_of(1)))
        assert ids_of(store, "x") == ["p1-a", "p1-b"]
        proxy.cut_before(command="EVALSHA")
        assert ids_of(store, "x") == ["p1-a", "p1-b"]
        drive(store.close())


def test_nobody_is_answered_when_nobody_is_there(server: RedisServer) -> None:
    with RedisProxy(server.running.port) as proxy:
        port = proxy.port
    store = opened(server, "nobody", port)
    with pytest.raises(Unavailable) as caught:
        drive(store.connect())
    assert caught.value.transient
    assert server.password not in str(caught.value)


def test_another_store_s_commit_is_seen_at_once(server: RedisServer, store: RedisEntities) -> None:
    other = opened(server, store.settings.prefix)  # type: ignore[attr-defined]
    drive(other.connect())
    for at in range(5):
        drive(other.commit([Put({"id": Ref("a"), "n": Number(at)})]))
        assert ids_of(store, f"n == {at}") == ["a"]
        stored = drive(store.find(parse_filter("n"), limit=1)).entities[0]
        assert stored.entity["n"] == Number(at)
    drive(other.commit([Delete("a")]))
    assert ids_of(store, "n") == []
    drive(other.close())


def test_threads_that_read_while_others_write_see_whole_commits(store: RedisEntities) -> None:
    pair = ["a", "b"]

    def write(at: int) -> None:
        drive(store.commit([Put({"id": Ref(of), "n": Number(at)}) for of in pair]))

    def read(_: int) -> bool:
        got = drive(store.get(pair)).entities
        found = drive(store.find(parse_filter("n"), limit=9)).entities
        return len({one and one.version for one in got}) == 1 and len(
            {one.version for one in found}
        ) in (0, 1)

    with ThreadPoolExecutor(6) as pool:
        writes = [pool.submit(write, at) for at in range(60)]
        assert all(pool.map(read, range(100)))
        for one in writes:
            one.result()


def test_a_search_that_others_write_into_finds_what_is_meant(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"faults:{next(_places)}"
    store, other = opened(server, prefix, cache=0), opened(server, prefix)
    drive(store.connect())
    drive(other.connect())
    ids = [f"e{at:02}" for at in range(60)]
    drive(other.commit([Put({"id": Ref(of), "n": Number(1)}) for of in ids]))
    run, turns = store._asking.run, count()

    async def disturbed(script: Any, args: Any, **more: Any) -> Any:
        if script is scripts.GET:  # the ids are known, and now the bodies are asked for
            await other.commit([Update(ids[next(turns)], {"n": Number(0)})])
        return await run(script, args, **more)

    monkeypatch.setattr(store._asking, "run", disturbed)
    found = drive(store.find(parse_filter("n == 1"), limit=100))
    assert next(turns) > 5  # it began anew, and gave up
    assert [str(one.entity["id"])[1:] for one in found.entities] == ids[6:]
    assert all(one.entity["n"] == Number(1) for one in found.entities)
    drive(store.close())
    drive(other.close())


def test_a_server_without_memory_refuses_a_commit_whole(
    server: RedisServer, store: RedisEntities
) -> None:
    number = drive(store.commit(pair_of(1)))
    server.ask("CONFIG SET maxmemory 1")
    try:
        with pytest.raises(Unavailable, match="memory") as caught:
            drive(store.commit(pair_of(2)))
        assert not caught.value.transient
        assert ids_of(store, "x") == ["p1-a", "p1-b"]
    finally:
        server.ask("CONFIG SET maxmemory 0")
    assert drive(store.commit(pair_of(2))) == number + 1


def test_two_who_update_one_entity_lose_nothing(store: RedisEntities) -> None:
    drive(store.commit([Add({"id": Ref("a")})]))

    def write(at: int) -> None:
        drive(store.commit([Update("a", {f"t{at}": MARKER})]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(40)))
    stored = drive(store.get(["a"])).entities[0]
    assert stored is not None
    assert set(stored.entity) == {"id", *(f"t{at}" for at in range(40))}


def test_removals_are_told_of_for_a_day_and_then_forgotten(
    store: RedisEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(store.commit([Add({"id": Ref("a")}), Add({"id": Ref("b")})]))
    number = drive(store.commit([Delete("a")]))
    told = drive(store.changes(number - 1, limit=10))
    assert [(one.id, one.entity) for one in told.changed] == [("a", None)]
    place = store._place
    drive(place.ask(store, [[b"ZADD", place.key + b"r", b"1", b"a"]]))  # long ago
    drive(store.commit([Update("b", {"x": MARKER})]))
    assert not drive(store.changes(number - 1, limit=10)).known
    left = drive(store.changes(number, limit=10))
    assert [one.id for one in left.changed] == ["b"]


def test_a_format_that_is_not_known_is_left_alone(store: RedisEntities) -> None:
    place = store._place
    drive(place.ask(store, [[b"HSET", place.key + b"m", b"format", b"9", b"ready", b""]]))
    with pytest.raises(Unsupported, match="format 9"):
        drive(store.get([]))
    with pytest.raises(Unsupported, match="format 9"):
        drive(store.commit([Note("a", b"b")]))


def test_a_key_of_somebody_else_s_is_left_alone(server: RedisServer) -> None:
    store = opened(server, f"faults:{next(_places)}")
    drive(store._place.enter(store))
    key = store._place.key + b"m"
    drive(store._place.ask(store, [[b"SET", key, b"mine"]]))
    with pytest.raises(Unsupported):
        drive(store.connect())
    assert drive(store._place.ask(store, [[b"GET", key]])) == [b"mine"]
    drive(store.close())


def test_a_server_that_keeps_nothing_on_disk_is_warned_of_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(server, f"faults:{next(_places)}")
    with caplog.at_level(logging.WARNING):
        drive(store.connect())
        drive(store.connect())
    assert caplog.text.count("keeps nothing on disk") == 1
    assert server.password not in caplog.text
    drive(store.close())


def test_a_server_that_only_saves_now_and_then_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caches.redis(tmp_path) as server:
        server.ask("CONFIG SET save '3600 1'")
        store = opened(server, "saved")
        with caplog.at_level(logging.WARNING):
            drive(store.connect())
        drive(store.close())
        server.ask("CONFIG SET save ''")
    assert caplog.text.count("all since its last save is gone") == 1


def test_a_server_that_keeps_all_is_not_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caches.redis(tmp_path, durable=True) as server:
        store = opened(server, "quiet")
        with caplog.at_level(logging.WARNING):
            drive(store.connect())
        drive(store.close())
    assert [one.getMessage() for one in caplog.records if one.name.startswith("holdall")] == []


def test_a_store_that_was_closed_says_so_and_opens_again(store: RedisEntities) -> None:
    drive(store.commit(pair_of(1)))
    drive(store.close())
    drive(store.close())
    with pytest.raises(Unavailable, match="closed"):
        drive(store.get([]))
    drive(store.connect())
    assert ids_of(store, "x") == ["p1-a", "p1-b"]


def test_an_entity_that_is_not_as_it_was_written_is_named(store: RedisEntities) -> None:
    drive(store.commit(pair_of(1)))
    place = store._place
    drive(place.ask(store, [[b"HSET", place.key + b"e", b"p1-b", b'1,{"id":']]))
    with pytest.raises(Corrupt, match="p1-b") as caught:
        drive(store.get(["p1-a", "p1-b"]))
    assert caught.value.reference == "p1-b"
    with pytest.raises(Corrupt, match="p1-b"):
        ids_of(store, "x")


def test_a_server_that_starts_again_and_again_is_told_of(
    store: RedisEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing() -> None:
        return None

    monkeypatch.setattr(store._asking, "prepare", nothing)
    place = store._place
    drive(place.ask(store, [[b"HSET", place.key + b"m", b"ready", b"earlier"]]))
    with pytest.raises(Unavailable, match="again and again"):
        drive(store.get([]))


def test_only_some_conditions_that_very_many_met_are_remembered() -> None:
    wide = Wide()
    for at in range(300):
        wide.add(b"%d" % at)
    assert b"0" not in wide
    assert b"299" in wide
    wide.discard(b"299")
    wide.discard(b"299")
    assert b"299" not in wide
