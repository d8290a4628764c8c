"""The runtime that waits on an asyncio event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from holdall.core.errors import Timeout
from holdall.core.runtime import DEADLINE, Runtime, iterate

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
    from typing import TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")

T = TypeVar("T")
R = TypeVar("R")


class LoopRuntime(Runtime):
    """Waits on the running event loop; blocking functions run in the loop's threads."""

    blocking: ClassVar[bool] = False

    async def call(
        self,
        function: Callable[[Unpack[Ts]], T],
        async_function: Callable[[Unpack[Ts]], Awaitable[T]] | None,
        *args: *Ts,
    ) -> T:
        if async_function is not None:
            return await async_function(*args)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(None, copy_context().run, function, *args)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            # A thread cannot be stopped. Were it left alone, the caller's clean-up could close
            # a file that it still writes to.
            await _settle(done)
            raise

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    def semaphore(self, slots: int) -> _LoopSlots:
        return _LoopSlots(slots)

    def single_flight(self) -> _LoopSingleFlight:
        return _LoopSingleFlight()

    async def map(
        self,
        function: Callable[[T], Awaitable[R]],
        items: Iterable[T] | AsyncIterable[T],
        workers: int,
    ) -> AsyncIterator[R]:
        slots = asyncio.Semaphore(workers)
        pending: deque[asyncio.Task[R]] = deque()
        failures: list[Exception] = []

        async def work(item: T) -> R:
            async with slots:
                try:
                    return await function(item)
                except Exception as error:
                    failures.append(error)
                    for task in pending:
                        if task is not asyncio.current_task():
                            task.cancel()
                    raise

        try:
            async for item in iterate(items):
                if len(pending) >= 2 * workers:
                    # Shielded: a caller that is cancelled must first cancel all of them, or the
                    # slot of the one awaited would let the next one begin.
                    yield await asyncio.shield(pending[0])
                    pending.popleft()
                pending.append(asyncio.create_task(work(item)))
            while pending:
                yield await asyncio.shield(pending[0])
                pending.popleft()
        except asyncio.CancelledError:
            # Those before the one that failed were cancelled on its account.
            caller = asyncio.current_task()
            if failures and not (caller and caller.cancelling()):
                raise failures[0] from failures[0].__cause__
            raise
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    @asynccontextmanager
    async def deadline(self, seconds: float, what: str = DEADLINE) -> AsyncIterator[None]:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                if seconds <= 0:
                    await asyncio.sleep(0)  # or what is inside would begin before it is cancelled
                yield
        except TimeoutError as error:
            if limit.expired() and not isinstance(error, Timeout):
                raise Timeout(f"{what} of {seconds:g} s has passed") from error
            raise

    def cleaning(self) -> nullcontext[None]:
        return nullcontext()


class _LoopSlots(asyncio.Semaphore):
    """A semaphore of which a slot can be had without a coroutine."""

    def take(self) -> bool:
        if self.locked():
            return False
        self._value -= 1
        return True


async def _settle(done: asyncio.Future[Any]) -> None:
    """Wait until it is done, whatever comes of it and however often the waiter is cancelled."""
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            continue
    if not done.cancelled():
        done.exception()  # or asyncio would report it as never seen


class _LoopSingleFlight:
    def __init__(self) -> None:
        self._flights: dict[object, tuple[asyncio.Task[Any], list[None]]] = {}

    async def run(self, key: object, function: Callable[[], Awaitable[R]]) -> R:
        task, waiting = self._flights.get(key, (None, []))
        if task is None:
            # A task of its own outlives the caller that began it, for the others' sake.
            task = asyncio.create_task(_finish(function))
            self._flights[key] = (task, waiting)
            task.add_done_callback(lambda done: self._land(key, done))
        waiting.append(None)
        try:
            answer: R = await asyncio.shield(task)
            return answer
        finally:
            waiting.pop()
            if not waiting and not task.done():
                self._land(key, task)
                task.cancel()

    def _land(self, key: object, task: asyncio.Task[Any]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight[0] is task:
            del self._flights[key]


async def _finish(function: Callable[[], Awaitable[R]]) -> R:
    return await function()
