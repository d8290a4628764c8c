"""Facts about how many calls are under way at once."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdall.core.errors import Timeout, Unavailable
from holdall.core.runtime import Runtime
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.contract import Upload
from holdall.objects.layers.concurrency import Concurrency, ConcurrencySettings
from holdall.objects.layers.retry import Retry
from holdall.objects.options import GET, HEAD, WRITE
from objects.layers.scripted import Clock, QuickBlockingRuntime, Scripted


class _Crowd:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.inside = self.most = 0

    def enter(self) -> None:
        with self.guard:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def leave(self) -> None:
        with self.guard:
            self.inside -= 1


@pytest.mark.parametrize("runtime", [BlockingRuntime(), LoopRuntime()])
def test_a_slot_is_taken_at_once_or_not_at_all(runtime: Runtime) -> None:
    async def take() -> list[bool]:
        slots = runtime.semaphore(2)
        taken = [slots.take() for _ in range(3)]
        slots.release()
        return [*taken, slots.take()]

    assert asyncio.run(take()) == [True, True, False, True]


def test_no_more_tasks_than_slots_are_inside() -> None:
    async def run() -> None:
        crowd = _Crowd()

        async def visit() -> None:
            crowd.enter()
            await asyncio.sleep(0)
            crowd.leave()

        inner = Scripted(LoopRuntime(), *[visit] * 100)
        store = Concurrency(inner, ConcurrencySettings(slots=7))
        await asyncio.gather(*(store.head(inner.ref("a"), HEAD) for _ in range(100)))
        assert crowd.most == 7

    asyncio.run(run())


def test_no_more_threads_than_slots_are_inside() -> None:
    crowd = _Crowd()
    full = threading.Barrier(3, timeout=30)

    def visit() -> None:
        crowd.enter()
        full.wait()
        crowd.leave()

    inner = Scripted(BlockingRuntime(), *[visit] * 30)
    store = Concurrency(inner, ConcurrencySettings(slots=3))
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: drive(store.head(inner.ref("a"), HEAD)), range(30)))
    assert crowd.most == 3


def _body(store: Scripted) -> None:
    """Make the next get answer a body that is read piece by piece."""
    store.bodies.append([10])


@pytest.mark.parametrize("end", ["read", "read_all", "close", "drop"])
def test_an_open_body_has_its_slot_until_it_is_over(end: str) -> None:
    inner = Scripted(BlockingRuntime())
    ref = inner.ref("a")
    drive(inner.put(ref, b"x" * 20, WRITE))
    store = Concurrency(inner, ConcurrencySettings(slots=1))
    _body(inner)
    stream = drive(store.get(ref, GET))
    assert stream.whole is None
    with pytest.raises(Timeout):
        drive(_within(store))
    if end == "read":
        assert len(drive(stream.read(20))) == 10
        with pytest.raises(Timeout):
            drive(_within(store))
        assert len(drive(stream.read(20))) == 10
    elif end == "read_all":
        drive(stream.read_all())
    elif end == "close":
        drive(stream.close())
        drive(stream.close())
    else:
        del stream
        gc.collect()
    drive(_within(store))
    drive(_within(store))


async def _written_within(upload: Upload) -> None:
    async with BlockingRuntime().deadline(0.005):
        await upload.write(b"too late")


async def _within(store: Concurrency) -> None:
    async with store.runtime.deadline(0.005):
        await store.head(store.root.child("a"), HEAD)


def test_a_body_gives_one_slot_back_however_often_it_is_over() -> None:
    inner = Scripted(BlockingRuntime())
    ref = inner.ref("a")
    drive(inner.put(ref, b"x" * 20, WRITE))
    store = Concurrency(inner, ConcurrencySettings(slots=1))
    _body(inner)
    stream = drive(store.get(ref, GET))
    assert drive(stream.read_all()) == b"x" * 20
    drive(stream.close())
    drive(stream.close())
    del stream
    _body(inner)
    other = drive(store.get(ref, GET))
    with pytest.raises(Timeout):
        drive(_within(store))
    drive(other.close())


def test_a_body_that_is_shorter_than_announced_gives_its_slot_back_at_its_end() -> None:
    inner = Scripted(BlockingRuntime())
    ref = inner.ref("a")
    drive(inner.put(ref, b"x" * 20, WRITE))
    store = Concurrency(inner, ConcurrencySettings(slots=1))
    inner.bodies.append([10, 0])
    stream = drive(store.get(ref, GET))
    assert len(drive(stream.read(20))) == 10
    assert drive(stream.read(20)) == b""
    drive(_within(store))


def test_a_body_dropped_by_another_thread_gives_its_slot_back_on_the_loop() -> None:
    async def run() -> None:
        inner = Scripted(LoopRuntime())
        ref = inner.ref("a")
        await inner.put(ref, b"x" * 20, WRITE)
        store = Concurrency(inner, ConcurrencySettings(slots=1))
        _body(inner)
        held = [await store.get(ref, GET)]
        waiting = asyncio.create_task(store.head(ref, HEAD))
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(held.clear)
        assert (await waiting).size == 20

    asyncio.run(run(), debug=True)  # which refuses calls of another thread


def test_an_error_gives_the_slot_back() -> None:
    inner = Scripted(BlockingRuntime(), Unavailable("once"))
    store = Concurrency(inner, ConcurrencySettings(slots=1))
    with pytest.raises(Unavailable):
        drive(store.head(inner.ref("a"), HEAD))
    drive(store.put(inner.ref("a"), b"", WRITE))


def test_who_waits_and_is_cancelled_takes_no_slot() -> None:
    async def run() -> None:
        gate = asyncio.Event()
        inner = Scripted(LoopRuntime(), gate.wait)
        store = Concurrency(inner, ConcurrencySettings(slots=1))
        first = asyncio.create_task(store.head(inner.ref("a"), HEAD))
        await asyncio.sleep(0)
        second = asyncio.create_task(store.head(inner.ref("a"), HEAD))
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        await first
        await store.put(inner.ref("a"), b"", WRITE)

    asyncio.run(run())


def test_no_slot_is_held_through_a_back_off() -> None:
    clock = Clock()
    runtime = QuickBlockingRuntime(clock)
    inner = Scripted(runtime, Unavailable("once"))
    ref = inner.ref("a")
    drive(inner.inner.put(ref, b"data", WRITE))
    slots = Concurrency(inner, ConcurrencySettings(slots=1))
    free: list[bool] = []
    passes = clock.passes

    def look(seconds: float) -> None:
        drive(_within(slots))
        free.append(True)
        passes(seconds)

    clock.passes = look  # type: ignore[method-assign]
    assert drive(Retry(slots, clock=clock, chance=lambda: 1.0).head(ref, HEAD)).size == 4
    assert free == [True]


def test_the_steps_of_an_upload_take_a_slot_each() -> None:
    inner = Scripted(BlockingRuntime())
    store = Concurrency(inner, ConcurrencySettings(slots=1))
    upload = drive(store.upload(inner.ref("a"), WRITE, None))
    other = drive(store.upload(inner.ref("b"), WRITE, None))
    drive(inner.put(inner.ref("c"), b"x" * 20, WRITE))
    _body(inner)
    stream = drive(store.get(inner.ref("c"), GET))
    with pytest.raises(Timeout):
        drive(_written_within(upload))
    drive(stream.close())
    drive(upload.write(b"data"))
    drive(other.write(b"data"))
    assert drive(upload.commit(4)).size == 4
    drive(other.abort())


def test_there_is_at_least_one_slot() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ConcurrencySettings(slots=0)
