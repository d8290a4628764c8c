"""Callers that go away in the middle: what they leave, and what they may ask again."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest

from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.layers import Call, Layer, Send
from holdall.objects.layers.breaker import Breaker, BreakerSettings
from holdall.objects.layers.cache import Cache, CacheSettings
from holdall.objects.layers.concurrency import Concurrency, ConcurrencySettings
from holdall.objects.layers.metrics import Metrics
from holdall.objects.layers.rate import Rate, RateSettings
from holdall.objects.layers.retry import Retry, RetrySettings
from holdall.objects.layers.timeout import Timeout as TimeLimit
from holdall.objects.options import COPY, DELETE, GET, HEAD, WRITE, CopyOptions
from holdall.testing.layers.witness import Witness, WitnessSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import ObjectStore

T = TypeVar("T")

DATA = bytes(range(256)) * 40


class Steps(Layer):
    """Asks before each call whether it is to go on, and once more when it has its answer."""

    name: ClassVar[str] = "steps"
    settings_type = WitnessSettings
    steps: ClassVar[bool] = True

    def __init__(self, inner: ObjectStore, ask: Callable[[], Awaitable[None]]) -> None:
        super().__init__(inner)
        self.ask = ask

    async def around(self, call: Call[T], send: Send[T]) -> T:
        await self.ask()
        answer = await send(call)
        await self.ask()
        return answer


class AskingRuntime(BlockingRuntime):
    """Asks too, before and after each call of a blocking function."""

    def __init__(self, ask: Callable[[], Awaitable[None]]) -> None:
        self._ask = ask

    async def call(self, function: Any, async_function: Any, *args: Any) -> Any:  # type: ignore[override]
        await self._ask()
        answer = await super().call(function, async_function, *args)
        await self._ask()
        return answer


class Stack:
    """All layers, one slot and one probe, around a store that can be interrupted anywhere."""

    def __init__(
        self, runtime: Runtime, ask: Callable[[], Awaitable[None]], folder: Path | None = None
    ) -> None:
        self.now = 0.0
        self.witness = Witness(runtime)
        self.steps = Steps(self.witness, ask)
        store: ObjectStore = TimeLimit(self.steps)
        store = Concurrency(store, ConcurrencySettings(slots=1))
        store = Rate(store, RateSettings(calls=1e6))
        self.breaker = Breaker(
            store,
            BreakerSettings(max_failures=1, half_open_max_requests=1),
            clock=lambda: self.now,
        )
        store = Retry(self.breaker, RetrySettings(max_retries=1, delay=timedelta(0)))
        # Larger ones stream through.
        self.folder = folder
        settings = CacheSettings(
            max_bytes=100_000, ttl=timedelta(hours=1), disk="" if folder is None else str(folder)
        )
        self.cache = Cache(store, settings)
        self.store = Metrics(self.cache)
        self.ref = self.store.root.child("k")
        self.other = self.store.root.child("other")

    async def prepare(self, size: int, half_open: bool) -> None:
        await self.witness.inner.put(self.ref, (DATA * 2)[:size], WRITE)
        if half_open:
            self.witness.fail("sign", Unavailable("down"))
            with pytest.raises(Unavailable):
                await self.breaker.sign(self.ref, None)  # type: ignore[arg-type]
            self.now += 60


async def _read(stack: Stack) -> None:
    stream = await stack.store.get(stack.ref, GET)
    await stream.read(100)
    await stream.read_all()


async def _put(stack: Stack) -> None:
    await stack.store.put(stack.ref, b"new", WRITE)


async def _upload(stack: Stack) -> None:
    upload = await stack.store.upload(stack.ref, WRITE, None)
    await upload.write(b"new")
    await upload.commit(3)


async def _head(stack: Stack) -> None:
    await stack.store.head(stack.ref, HEAD)


async def _delete(stack: Stack) -> None:
    await stack.store.delete([stack.ref, stack.other], DELETE)


async def _copy(stack: Stack) -> None:
    await stack.store.copy(stack.ref, stack.other, COPY)


async def _move(stack: Stack) -> None:
    await stack.store.copy(stack.ref, stack.other, CopyOptions(move=True))


async def _nothing_is_held(stack: Stack) -> None:
    """The slot and the probe are free, no body is open, and what is there is what is read."""
    assert stack.witness.open_bodies == 0
    for ref in (stack.ref, stack.other):
        try:
            async with await stack.witness.inner.get(ref, GET) as body:
                there = await body.read_all()
        except FileNotFoundError:
            with pytest.raises(FileNotFoundError):
                await stack.store.get(ref, GET)
        else:
            async with await stack.store.get(ref, GET) as body:
                assert await body.read_all() == there
    assert stack.breaker.circuit_breaker_stats().state == "closed"
    await stack.store.put(stack.ref, b"last", WRITE)
    async with await stack.store.get(stack.ref, GET) as body:
        assert await body.read_all() == b"last"
    assert not stack.cache._entries._fills
    assert not stack.cache._entries._flights
    if stack.folder is not None:
        await stack.store.put(stack.ref, DATA, WRITE)
        async with await stack.store.get(stack.ref, GET) as body:
            assert await body.read_all() == DATA
        assert [path.suffix for path in stack.folder.iterdir()].count(".part") == 0


OPERATIONS = [_read, _put, _upload, _head, _delete, _copy, _move]


@pytest.mark.parametrize("half_open", [False, True], ids=["closed", "half-open"])
@pytest.mark.parametrize("size", [100, len(DATA)], ids=["small", "large"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_task_that_is_cancelled_anywhere_holds_nothing(
    operation: Callable[[Stack], Awaitable[None]], size: int, half_open: bool
) -> None:
    async def cancelled_after(pauses: int) -> bool:
        stack = Stack(LoopRuntime(), lambda: asyncio.sleep(0))
        await stack.prepare(size, half_open)
        task = asyncio.ensure_future(operation(stack))
        for _ in range(pauses):
            await asyncio.sleep(0)
        done = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        del task
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await _nothing_is_held(stack)
        return done

    pauses = 0
    while not asyncio.run(cancelled_after(pauses)):
        pauses += 1
    assert pauses > 2


@pytest.mark.parametrize("half_open", [False, True], ids=["closed", "half-open"])
@pytest.mark.parametrize("kept", ["small", "large", "on the disk"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_thread_that_is_interrupted_anywhere_holds_nothing(
    operation: Callable[[Stack], Awaitable[None]], kept: str, half_open: bool, tmp_path: Path
) -> None:
    size = 100 if kept == "small" else len(DATA)

    def done_before(number: int) -> bool:
        asked = 0
        interrupting = True

        async def ask() -> None:
            nonlocal asked
            asked += 1
            if interrupting and asked == number:
                raise KeyboardInterrupt

        async def use() -> bool:
            nonlocal asked, interrupting
            interrupting = False
            folder = tmp_path / str(number) if kept == "on the disk" else None
            stack = Stack(AskingRuntime(ask), ask, folder)
            await stack.prepare(size, half_open)
            asked, interrupting = 0, True
            try:
                await operation(stack)
            except KeyboardInterrupt as error:
                del error
                interrupted = True
            else:
                interrupted = False
            interrupting = False
            async with stack.store.runtime.deadline(30):
                await _nothing_is_held(stack)
            return not interrupted

        return drive(use())

    number = 1
    while not done_before(number):
        number += 1
    assert number > 2
