"""A store that does what a script says, and runtimes that wait for nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.layers import Call, Layer, Send
from holdall.objects.layers.breaker import Breaker, BreakerSettings, BreakerStats
from holdall.objects.options import LIST
from holdall.objects.results import ObjectStream
from holdall.objects.router import Router, RouterSettings

if TYPE_CHECKING:
    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime

T = TypeVar("T")

Act = BaseException | Callable[[], Any] | None


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class QuickBlockingRuntime(BlockingRuntime):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self._clock.passes(seconds)
        await super().sleep(0)


class QuickLoopRuntime(LoopRuntime):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        if seconds:
            self._clock.passes(seconds)
        await super().sleep(0)


class Mode:
    """One of the two ways of waiting, with a clock of its own."""

    def __init__(self, blocking: bool) -> None:
        self.clock = Clock()
        self.blocking = blocking
        self.runtime: Runtime = (
            QuickBlockingRuntime(self.clock) if blocking else QuickLoopRuntime(self.clock)
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return drive(coroutine) if self.blocking else asyncio.run(coroutine)


class NoSettings(Struct, frozen=True):
    pass


class Scripted(Layer):
    """Raises what the script says: one act for each call, None for a call that goes well.

    An exception is raised instead of the call; a function is called instead of it, and answers.
    Where the script is over, everything goes well. One that is `terse` tells less by a get than by
    a head.
    """

    name: ClassVar[str] = "scripted"
    settings_type = NoSettings
    steps: ClassVar[bool] = True

    def __init__(self, runtime: Runtime, *script: Act, terse: bool = False) -> None:
        super().__init__(
            Router(RouterSettings(primary={"type": "memory"}), runtime)
            if terse
            else MemoryStore(MemorySettings(), runtime)
        )
        self.script = deque(script)
        self.bodies: deque[list[int | BaseException]] = deque()
        self.calls: list[Call[Any]] = []
        self.closed = 0

    def ref(self, key: str) -> Reference:
        return self.root.child(key)

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    async def around(self, call: Call[T], send: Send[T]) -> T:
        self.calls.append(call)
        act = self.script.popleft() if self.script else None
        if isinstance(act, BaseException):
            raise act
        if act is not None:
            given = act()
            return await given if isinstance(given, Awaitable) else given  # type: ignore[no-any-return]
        answer: Any = await send(call)
        if call.operation == "get" and not self.capabilities.told_by_get:
            known = answer.meta
            modified_ns = known.modified_ns // 1_000_000_000 * 1_000_000_000
            answer.meta = replace(known, modified_ns=modified_ns, storage_class=None)
        if call.operation == "get" and self.bodies:
            answer = ScriptedStream(answer, self.bodies.popleft())
        return answer  # type: ignore[no-any-return]

    async def close(self) -> None:
        self.closed += 1
        await super().close()


class ScriptedStream(ObjectStream):
    """A body that comes in pieces: how many bytes each has at most, or what is raised instead."""

    __slots__ = ("_body", "_came", "_pieces")

    def __init__(self, body: ObjectStream, pieces: list[int | BaseException]) -> None:
        super().__init__(body.meta, body.start, body.length)
        self._body = body
        self._pieces = pieces
        self._came = b""  # before a `read_all` that failed, which may be asked for again

    async def read(self, size: int) -> bytes:
        if self._came:
            chunk, self._came = self._came[:size], self._came[size:]
            return chunk
        piece = self._pieces.pop(0) if self._pieces else size
        if isinstance(piece, BaseException):
            raise piece
        return await self._body.read(min(piece, size))

    async def read_all(self) -> bytes:
        whole = b""
        try:
            while chunk := await self.read(1 << 20):
                whole += chunk
        except BaseException:
            self._came = whole
            raise
        return whole

    async def close(self) -> None:
        await self._body.close()


class Bench:
    """A breaker around a scripted store."""

    def __init__(self, mode: Mode, *script: Act, on_change: Any = None, **settings: Any) -> None:
        self.mode = mode
        self.store = Scripted(mode.runtime, *script)
        self.breaker = Breaker(
            self.store, BreakerSettings(**settings), on_change=on_change, clock=mode.clock
        )

    @property
    def stats(self) -> BreakerStats:
        return self.breaker.circuit_breaker_stats()

    @property
    def state(self) -> str:
        return self.stats.state

    @property
    def sent(self) -> int:
        return len(self.store.calls)

    def call(self, act: Act = None) -> BaseException | None:
        """Make one call that ends in this way, and answer what it raises."""
        before = len(self.store.script)
        self.store.script.appendleft(act)
        try:
            self.mode.run(self.breaker.list(self.breaker.root, LIST))
        except BaseException as error:  # noqa: BLE001 - any of them may be the one in question
            if len(self.store.script) > before:
                self.store.script.popleft()  # it was refused, and never sent
            return error
        return None

    def open(self) -> None:
        for _ in range(self.stats.max_failures):
            self.call(Unavailable("the service is down"))

    def wait(self, seconds: float = 30) -> None:
        self.mode.clock.now += seconds
