"""The layer `cache`: many readers of one object at one time."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdall.core.errors import (
    Timeout,
)
from holdall.core.runtime.blocking import drive
from holdall.objects.options import (
    GET,
    WRITE,
)
from holdall.objects.results import ObjectStream
from objects.layers.scripted import Mode
from objects.layers.shelf import Shelf


class Gate:
    """A get of the store inside that has its answer, and waits until it is let through."""

    def __init__(self, shelf: Shelf) -> None:
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self._shelf = shelf
        shelf.inner.script.append(self._wait)

    async def _wait(self) -> ObjectStream:
        stream = await self._shelf.inner.inner.get(self._shelf.ref(), GET)
        self.entered.set()
        await self.open.wait()
        return stream


@pytest.fixture
def on_loop() -> Mode:
    return Mode(blocking=False)


def test_a_hundred_tasks_that_read_one_object_fetch_it_once(on_loop: Mode) -> None:
    shelf = Shelf(on_loop)
    shelf.put(b"one")

    async def run() -> list[bytes | None]:
        gate = Gate(shelf)
        readers = [asyncio.create_task(shelf.cache.get(shelf.ref(), GET)) for _ in range(100)]
        await gate.entered.wait()
        gate.open.set()
        return [stream.whole for stream in await asyncio.gather(*readers)]

    assert asyncio.run(run()) == [b"one"] * 100
    assert (shelf.sent, shelf.stats.hits, shelf.stats.misses) == (["get"], 99, 1)


def test_a_hundred_threads_that_read_one_object_fetch_it_once() -> None:
    shelf = Shelf(Mode(blocking=True))
    shelf.put(b"one")
    begun = threading.Barrier(100)

    def read(_: int) -> bytes:
        begun.wait()
        return shelf.read()

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(read, range(100))) == [b"one"] * 100
    assert (shelf.sent, shelf.stats.hits, shelf.stats.misses) == (["get"], 99, 1)


def test_a_cancelled_reader_fails_no_other(on_loop: Mode) -> None:
    shelf = Shelf(on_loop)
    shelf.put(b"one")

    async def run() -> bytes | None:
        gate = Gate(shelf)
        first, second = [asyncio.create_task(shelf.cache.get(shelf.ref(), GET)) for _ in "12"]
        await gate.entered.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.open.set()
        return (await second).whole

    assert (asyncio.run(run()), shelf.sent) == (b"one", ["get"])


def test_what_is_read_while_all_is_forgotten_is_not_kept(on_loop: Mode) -> None:
    shelf = Shelf(on_loop)
    shelf.put(b"one")

    async def run() -> None:
        gate = Gate(shelf)
        reader = asyncio.create_task(shelf.cache.get(shelf.ref(), GET))
        await gate.entered.wait()
        shelf.cache.clear()
        gate.open.set()
        assert (await reader).whole == b"one"

    asyncio.run(run())
    assert shelf.stats.entries == 0


def test_a_request_that_a_write_overtook_does_not_part_those_who_came_later(
    on_loop: Mode,
) -> None:
    shelf = Shelf(on_loop)
    shelf.put(b"old")

    async def run() -> list[bytes | None]:
        before = Gate(shelf)
        first = asyncio.create_task(shelf.cache.get(shelf.ref(), GET))
        await before.entered.wait()
        await shelf.cache.put(shelf.ref(), b"new", WRITE)
        after = Gate(shelf)
        readers = [asyncio.create_task(shelf.cache.get(shelf.ref(), GET))]
        await after.entered.wait()
        before.open.set()
        assert (await first).whole == b"old"
        readers.append(asyncio.create_task(shelf.cache.get(shelf.ref(), GET)))
        await asyncio.sleep(0)
        after.open.set()
        return [stream.whole for stream in await asyncio.gather(*readers)]

    assert asyncio.run(run()) == [b"new", b"new"]
    assert shelf.sent == ["get", "get"]


def test_a_reader_joins_no_request_from_before_its_own_write(on_loop: Mode) -> None:
    shelf = Shelf(on_loop)
    shelf.put(b"old")

    async def run() -> bytes | None:
        gate = Gate(shelf)
        first = asyncio.create_task(shelf.cache.get(shelf.ref(), GET))
        await gate.entered.wait()
        await shelf.cache.put(shelf.ref(), b"new", WRITE)
        second = await shelf.cache.get(shelf.ref(), GET)
        gate.open.set()
        await first
        return second.whole

    assert asyncio.run(run()) == b"new"
    assert shelf.read() == b"new"


def test_at_a_time_to_live_of_zero_no_answer_is_older_than_its_call(on_loop: Mode) -> None:
    shelf = Shelf(on_loop, ttl=0)
    shelf.put(b"old")

    async def run() -> list[bytes | None]:
        gate = Gate(shelf)
        first = asyncio.create_task(shelf.cache.get(shelf.ref(), GET))
        await gate.entered.wait()
        await shelf.inner.inner.put(shelf.ref(), b"new", WRITE)
        shelf.wait(0.001)
        later = [asyncio.create_task(shelf.cache.get(shelf.ref(), GET)) for _ in range(50)]
        await asyncio.sleep(0)
        shelf.wait(0.001)
        gate.open.set()
        await first
        return [stream.whole for stream in await asyncio.gather(*later)]

    assert asyncio.run(run()) == [b"new"] * 50
    assert shelf.sent == ["get", "head", "get"]


def test_a_large_body_is_read_by_each_of_many_readers(on_loop: Mode) -> None:
    shelf = Shelf(on_loop, max_bytes=1600)
    shelf.put(b"x" * 1000)
    shelf.inner.bodies.extend([[400, 400], [100]])

    async def read() -> bytes:
        return await (await shelf.cache.get(shelf.ref(), GET)).read_all()

    async def run() -> list[bytes]:
        return [*await asyncio.gather(read(), read())]

    assert asyncio.run(run()) == [b"x" * 1000] * 2
    assert shelf.sent == ["get", "get"]


def test_a_deadline_of_the_caller_that_sent_a_request_fails_no_other() -> None:
    shelf = Shelf(Mode(blocking=True))
    shelf.put(b"one")
    sent, joined = threading.Event(), threading.Event()
    flight = shelf.cache._flights._flight
    run = flight.run

    def joining(*args: Any) -> Any:
        if sent.is_set():
            joined.set()
        return run(*args)

    shelf.cache._flights._flight = cast("Any", SimpleNamespace(run=joining))

    async def slow() -> ObjectStream:
        sent.set()
        joined.wait(60)
        async with shelf.mode.runtime.deadline(0, "the inner one"):
            await shelf.mode.runtime.sleep(0)
        raise AssertionError

    async def hurried() -> None:
        async with shelf.mode.runtime.deadline(0):
            await shelf.cache.get(shelf.ref(), GET)

    shelf.inner.script.append(slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: drive(hurried()))
        sent.wait(60)
        second = pool.submit(shelf.read)
        with pytest.raises(Timeout):
            first.result(60)
        assert second.result(60) == b"one"
