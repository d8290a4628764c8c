"""A Redis store in many threads, tasks and processes at once."""

import asyncio
import gc
import json
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import holdall
from holdall.core.errors import AlreadyExists, Timeout, Unauthenticated, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.core.secrets import Secret
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.redis import RedisSettings, RedisStore
from holdall.objects.data_store import DataStore
from servers import RedisServer

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer


@pytest.fixture
def options(
    redis_server: RedisServer, others: Any, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    monkeypatch.setenv("HOLDALL_REDIS_PASSWORD", redis_server.password)
    return {"host": "127.0.0.1", "port": redis_server.running.port}


@pytest.fixture
def store(options: dict[str, Any]) -> Iterator[DataStore]:
    with DataStore(RedisStore(RedisSettings(**options), BlockingRuntime())) as store:
        yield store


# Threads


def test_one_of_64_threads_creates_an_object(store: DataStore) -> None:
    begin = threading.Barrier(64)

    def create(number: int) -> bool:
        begin.wait()
        try:
            store.write("a", b"%d" % number, if_none_match="*")
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(64) as pool:
        won = list(pool.map(create, range(64)))
    assert won.count(True) == 1
    assert store.read("a") == b"%d" % won.index(True)


# Processes


def in_child(store: DataStore, code: str) -> "subprocess.Popen[bytes]":
    """Run code in a new process, which gets the store by its pickle and calls it `store`."""
    begin = "import pickle, sys\nstore = pickle.load(sys.stdin.buffer)\n"
    child = subprocess.Popen([sys.executable, "-c", begin + code], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.write(pickle.dumps(store))
    child.stdin.close()
    return child


_COUNT = """
from holdall.core.errors import PreconditionFailed
done = 0
while done < 50:
    meta = store.stat("count")
    try:
        number = int(store.read("count", if_match=meta.etag))
        store.write("count", b"%d" % (number + 1), if_match=meta.etag)
    except PreconditionFailed:
        continue
    done += 1
store.close()
"""


def test_two_processes_count_to_100(store: DataStore) -> None:
    store.write("count", b"0")
    children = [in_child(store, _COUNT) for _ in range(2)]
    assert [child.wait() for child in children] == [0, 0]
    assert store.read("count") == b"100"


def test_a_store_goes_to_a_child_without_its_password(
    store: DataStore, options: dict[str, Any], redis_server: RedisServer
) -> None:
    given = RedisSettings(**options, password=Secret(redis_server.password), prefix="a")
    with DataStore(RedisStore(given, BlockingRuntime())) as known:
        known.write("b", b"data")
        shown = [known.config_json(), repr(known), repr(known.store.settings), str(known.root)]
        assert redis_server.password not in "".join(shown)
        assert redis_server.password.encode() not in pickle.dumps(known)
        child = in_child(known, "assert store.read('b') == b'data'\nstore.close()")
    assert child.wait() == 0


def test_a_password_in_an_address_is_used_and_not_told(
    redis_server: RedisServer, others: Any
) -> None:
    port, password = redis_server.running.port, redis_server.password
    with holdall.open(f"redis://:{password}@127.0.0.1:{port}/a?db=1") as store:
        store.write("b", b"data")
        assert store.read(f"redis://127.0.0.1:{port}/a/b") == b"data"
        shown = [store.config_json(), repr(store), str(store.reference("b")), str(store.root)]
        assert password not in "".join(shown)
        assert json.loads(store.config_json())["db"] == 1


def test_a_user_may_need_no_password(options: dict[str, Any], others: Any) -> None:
    others.execute_command("ACL", "SETUSER", "guest", "reset", "on", "nopass", "~*", "+@all")
    try:
        settings = RedisSettings(**options, username="guest")
        with DataStore(RedisStore(settings, BlockingRuntime())) as store:
            store.write("a", b"data")
            assert [known["user"] for known in others.client_list()].count("guest") == 1
    finally:
        others.acl_deluser("guest")


def test_the_place_of_a_password_is_told_and_the_password_is_not(
    options: dict[str, Any], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLDALL_REDIS_PASSWORD")
    monkeypatch.setenv("ANOTHER", redis_server.password)
    settings = RedisSettings(**options, password=Secret({"env": "ANOTHER"}))
    with DataStore(RedisStore(settings, BlockingRuntime())) as store:
        store.write("a", b"data")
        assert json.loads(store.config_json())["password"] == {"env": "ANOTHER"}
        child = in_child(store, "assert store.read('a') == b'data'\nstore.close()")
    assert child.wait() == 0


def test_a_child_without_a_password_is_told_so(
    options: dict[str, Any], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = RedisSettings(**options, password=Secret(redis_server.password))
    with DataStore(RedisStore(settings, BlockingRuntime())) as store:
        monkeypatch.delenv("HOLDALL_REDIS_PASSWORD")
        code = (
            "from holdall.core.errors import Unauthenticated\n"
            "try:\n    store.read('a')\nexcept Unauthenticated:\n    raise SystemExit(7)"
        )
        child = in_child(store, code)
    assert child.wait() == 7


def test_a_password_that_was_changed_is_looked_up_again(
    options: dict[str, Any], redis_server: RedisServer, others: Any, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    others.execute_command("ACL", "SETUSER", "app", "reset", "on", ">first", "~*", "+@all")
    try:
        settings = RedisSettings(**options, username="app", password=Secret({"file": str(file)}))
        with DataStore(RedisStore(settings, BlockingRuntime())) as store:
            store.write("a", b"data")
            others.execute_command("ACL", "SETUSER", "app", "resetpass", ">second")
            others.client_kill_filter(user="app")
            with pytest.raises(Unavailable):
                store.read("a")  # the connection of the first password
            file.write_text("second\n")
            assert store.read("a") == b"data"
    finally:
        others.acl_deluser("app")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_and_its_parent_have_connections_of_their_own(store: DataStore) -> None:
    store.write("a", LARGE)
    store.write("b", b"parent")
    child = os.fork()
    if child == 0:
        good = False
        try:
            for _ in range(20):
                store.write("c", b"child")
                good = store.read("a") == LARGE and store.read("c") == b"child"
        finally:
            os._exit(0 if good else 1)
    for _ in range(20):
        assert store.read("b") == b"parent"
        assert store.read("a") == LARGE
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.read("c") == b"child"


# Tasks


def test_more_tasks_than_connections_wait_for_one(options: dict[str, Any], others: Any) -> None:
    async def work() -> None:
        settings = RedisSettings(**options, connections=3)
        async with AsyncDataStore(RedisStore(settings, LoopRuntime())) as store:
            await asyncio.gather(*(store.write(f"a/{n}", b"%d" % n) for n in range(100)))
            read = await asyncio.gather(*(store.read(f"a/{n}") for n in range(100)))
            assert read == [b"%d" % n for n in range(100)]
            assert len(others.client_list()) <= 4

    asyncio.run(work())


def test_one_store_serves_one_loop_after_another(options: dict[str, Any]) -> None:
    store = AsyncDataStore(RedisStore(RedisSettings(**options), LoopRuntime()))

    async def work(number: int) -> None:
        await store.write("a", b"%d" % number)
        assert await store.read("a") == b"%d" % number
        await store.close()

    for number in range(3):
        asyncio.run(work(number))


def test_a_task_that_is_cancelled_leaves_no_answer_behind(options: dict[str, Any]) -> None:
    async def work() -> None:
        settings = RedisSettings(**options, connections=1)
        async with AsyncDataStore(RedisStore(settings, LoopRuntime())) as store:
            await store.write("a", b"a")
            await store.write("b", b"b" * 1_000_000)
            for _ in range(20):
                task = asyncio.create_task(store.read("b"))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                assert await store.read("a") == b"a"
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(work())


def left_open(work: Coroutine[Any, Any, None]) -> list[str]:
    """Run it on a loop of its own; answer what it left open."""
    gc.collect()  # what earlier tests left is not this one's
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(work)
        gc.collect()
    return [str(known.message) for known in caught if known.category is ResourceWarning]


@pytest.mark.parametrize("steps", range(6))
def test_a_request_that_ends_after_the_store_was_closed_leaves_no_connection(
    options: dict[str, Any], steps: int
) -> None:
    async def work() -> None:
        store = AsyncDataStore(RedisStore(RedisSettings(**options), LoopRuntime()))
        await store.write("a", LARGE)
        reading = asyncio.create_task(store.read("a"))
        for _ in range(steps):
            await asyncio.sleep(0)
        await store.close()
        assert await reading == LARGE

    assert left_open(work()) == []


def test_closing_that_is_cancelled_leaves_no_connection(options: dict[str, Any]) -> None:
    async def work() -> None:
        store = AsyncDataStore(RedisStore(RedisSettings(**options), LoopRuntime()))
        await asyncio.gather(*(store.write(f"{number}", b"x") for number in range(4)))
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing

    assert left_open(work()) == []


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_wrong_password_is_told_on_a_loop_too(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, password: str | None
) -> None:
    monkeypatch.delenv("HOLDALL_REDIS_PASSWORD")
    settings = RedisSettings(**options, password=Secret(password) if password else None)

    async def work() -> None:
        async with AsyncDataStore(RedisStore(settings, LoopRuntime())) as store:
            with pytest.raises(Unauthenticated):
                await store.read("a")

    asyncio.run(work())


@asynccontextmanager
async def no_answers(wait_for: bytes | None) -> AsyncIterator[int]:
    """A server that hangs up after it has read these bytes, or never; gives its port."""
    serving: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        await (reader.read() if wait_for is None else reader.readuntil(wait_for))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*filter(None, serving))


def test_the_lost_reply_of_a_conditional_write_on_a_loop_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HOLDALL_REDIS_PASSWORD", raising=False)

    async def work() -> None:
        async with no_answers(b"EVALSHA") as port:
            settings = RedisSettings(host="127.0.0.1", port=port, check=False)
            async with AsyncDataStore(RedisStore(settings, LoopRuntime())) as store:
                with pytest.raises(Unavailable, match="may have been applied") as caught:
                    await store.write("a", b"data", if_none_match="*")
                assert not caught.value.transient
                with pytest.raises(Unavailable) as caught:
                    await store.write("a", b"data")
                assert caught.value.transient

    asyncio.run(work())


@pytest.mark.parametrize("more", [{"check": False}, {"check": True}, {"password": Secret("pw")}])
def test_a_slow_server_on_a_loop_is_a_timeout_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    monkeypatch.delenv("HOLDALL_REDIS_PASSWORD", raising=False)

    async def work() -> None:
        limit = timedelta(milliseconds=100)
        async with no_answers(None) as port:
            settings = RedisSettings(
                host="127.0.0.1", port=port, timeout=limit, connect_timeout=limit, **more
            )
            async with AsyncDataStore(RedisStore(settings, LoopRuntime())) as store:
                with pytest.raises(Timeout, match="'timeout'"):
                    await store.read("a")

    asyncio.run(work())
