"""How a coroutine waits: the contract that stores and layers are written against.

Stores and layers are written once, as coroutines that wait only through the `Runtime` they were
given. `LoopRuntime` waits on an asyncio event loop. `BlockingRuntime` does not suspend at all: it
blocks the thread, so that `drive` runs such a coroutine to its end with one step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType
    from typing import TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")

DEADLINE = "the deadline"
"""What an error calls a deadline that has no other name."""

CLEANING_SECONDS = 30.0
"""How long a clean-up may take in blocking mode; what one request may take, unless that is set."""


class SingleFlight(Protocol):
    """Lets one caller do what many ask for at the same time."""

    async def run(self, key: object, function: Callable[[], Awaitable[R]]) -> R:
        """Answer what `function` answers, called once for all who wait under this key.

        An error goes to all of them. When the caller that runs it is interrupted or cancelled,
        the others still get an answer.
        """


class Semaphore(Protocol):
    """Slots that are taken and given back: by `async with`, or one call each."""

    def take(self) -> bool:
        """Take a slot if there is one at once; answer whether there was."""

    async def acquire(self) -> Literal[True]:
        """Take a slot; waits until there is one."""

    def release(self) -> None:
        """Give a slot back, in the thread of the loop where there is one."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Runtime(ABC):
    """How to wait. One runtime serves one store and everything around it."""

    blocking: ClassVar[bool]

    @abstractmethod
    async def call(
        self,
        function: Callable[[Unpack[Ts]], T],
        async_function: Callable[[Unpack[Ts]], Awaitable[T]] | None,
        *args: *Ts,
    ) -> T:
        """Call a driver.

        Args:
            function: The driver's blocking function. In blocking mode it is called here; on a
                loop it runs in a thread, where there is no asynchronous one.
            async_function: The driver's coroutine function; None where it has none.
            args: The arguments, the same for both.

        Raises:
            Timeout: The deadline has passed; checked before the call.
        """

    async def call_two(
        self,
        function: Callable[[A, B], T],
        async_function: Callable[[A, B], Awaitable[T]] | None,
        first: A,
        second: B,
    ) -> T:
        """As `call`, of two arguments, for who counts microseconds."""
        if async_function is None:
            return await self.call(function, None, first, second)
        return await async_function(first, second)

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait. A deadline that falls into the wait ends it with `Timeout`."""

    @abstractmethod
    def lock(self) -> AbstractAsyncContextManager[object]:
        """A new lock, for `async with`."""

    @abstractmethod
    def semaphore(self, slots: int) -> Semaphore:
        """A new semaphore with so many slots."""

    @abstractmethod
    def single_flight(self) -> SingleFlight:
        """A new single flight."""

    @abstractmethod
    def map(
        self,
        function: Callable[[T], Awaitable[R]],
        items: Iterable[T] | AsyncIterable[T],
        workers: int,
    ) -> AsyncIterator[R]:
        """Call a coroutine function for every item, at most `workers` at a time.

        Answers come in the order of the items, which are taken only a little ahead. The first
        error ends it: what has begun is cancelled or awaited before the error is raised. Context
        variables are carried into each call, and calls of `map` may be nested.
        """

    @abstractmethod
    def deadline(self, seconds: float, what: str = DEADLINE) -> AbstractAsyncContextManager[object]:
        """Limit what happens inside, for `async with`; the tightest of nested ones counts.

        Args:
            seconds: How long, from now.
            what: What its error calls it; names the setting that it comes from.

        On a loop the body is cancelled. In blocking mode the deadline is checked before each
        call, each chunk and each sleep, and a call that has begun ends by its own time-out.

        Raises:
            Timeout: The time was used up.
        """

    @abstractmethod
    def cleaning(self) -> AbstractAsyncContextManager[object]:
        """Let what was begun be cleaned up inside, for `async with`, also when time is up.

        In blocking mode the deadlines around do not count inside, nor does the end of a `map`
        around; `CLEANING_SECONDS` do. On a loop this changes nothing: who was cancelled may wait.
        """


async def iterate(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Go through items of either kind."""
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
