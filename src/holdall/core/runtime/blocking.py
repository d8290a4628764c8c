"""The runtime that never suspends, and how its coroutines are driven."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextvars import ContextVar, Token, copy_context
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from types import CoroutineType
from types import coroutine as coroutine_of_generator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from msgspec import Struct

from holdall.core.errors import Timeout
from holdall.core.runtime import CLEANING_SECONDS, DEADLINE, Runtime, iterate
from holdall.core.runtime.flights import BlockingSingleFlight

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Generator,
        Iterable,
        Iterator,
    )
    from types import TracebackType
    from typing import TypeVarTuple, Unpack

    Ts = TypeVarTuple("Ts")

T = TypeVar("T")
R = TypeVar("R")
A = TypeVar("A")
B = TypeVar("B")

_FOREVER = float("inf")
# Nothing waits longer than this at once. A signal that comes just before a wait begins does not
# end it, so that Ctrl-C would be lost; and who waits must see that a `map` around has ended.
_PIECE_SECONDS = 0.2


def drive(coroutine: Coroutine[Any, Any, T] | Done[T]) -> T:
    """Run a coroutine that never suspends, and answer its result.

    Raises:
        RuntimeError: It did suspend: it waits on something of an event loop.
    """
    if isinstance(coroutine, Done):
        return coroutine.value
    if type(coroutine) is not CoroutineType:
        return _step(coroutine)
    try:
        driver = _drivers.pop()
    except IndexError:
        driver = _driving()
        driver.send(None)
    answer = driver.send(coroutine)
    if coroutine.cr_frame is not None:
        raise _waited(coroutine)
    _drivers.append(driver)
    return answer  # type: ignore[no-any-return]


def _step(coroutine: Coroutine[Any, Any, T]) -> T:
    """The same for other awaitables, such as those of asynchronous generators."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise _waited(coroutine)


def _waited(coroutine: Coroutine[Any, Any, Any]) -> RuntimeError:
    coroutine.close()
    return RuntimeError(
        f"{coroutine!r} waited for an event loop in blocking mode; "
        "open the store with holdall.open_async to use it with asyncio"
    )


@coroutine_of_generator
def _driving() -> Generator[Any, Any, None]:
    """Run one coroutine after the other, and yield what each answers.

    Asked for its answer directly, a coroutine raises it inside of a `StopIteration`, which takes
    as long as half of a read from memory. One that raises an error ends its driver too.
    """
    coroutine = yield
    while True:
        coroutine = yield (yield from coroutine)


# Those that drive nothing now; nested calls and other threads take one each.
_drivers: deque[Generator[Any, Any, None]] = deque(maxlen=64)


def drive_iterator(items: AsyncIterator[T]) -> Iterator[T]:
    """Go through an asynchronous iterator that never suspends; close it at the end."""
    try:
        while True:
            try:
                item = drive(_next(items))
            except StopAsyncIteration:
                return
            yield item
            del item  # it may be a large chunk, and the next one is about to be read
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            drive(close())


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


class Done(Struct, Generic[T], gc=False):
    """What a call that is over answers, for `await`; `drive` takes the value out directly.

    A coroutine that only carries a value costs as much as a small system call.

    Args:
        value: The answer.
    """

    value: T

    def __await__(self) -> Generator[Any, Any, T]:
        return self.value
        yield  # type: ignore[unreachable]


_NOTHING: Coroutine[Any, Any, None] = Done(None)  # type: ignore[assignment]


class _Interrupted(BaseException):
    """Ends the threads of a `map` whose caller is gone."""


class _End(threading.Event):
    """The end of a `map`: it was set, or the block that holds `going` is over.

    Ctrl-C can come before any call, also before the one that sets it. The lock is released as its
    block ends, with nothing in between, so that no item begins after that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.going = threading.Lock()
        self._over = False

    def set(self) -> None:
        self._over = True
        super().set()

    def is_set(self) -> bool:
        return self._over or not self.going.locked()


class _Crew:
    """The threads of a `map`: a pool that waits for each of them when its block ends.

    The pool of the standard library forgets the thread that it was starting when Ctrl-C came, and
    does not wait for it. So each one enlists itself.
    """

    def __init__(self, workers: int) -> None:
        self._threads: list[threading.Thread] = []
        self._pool = ThreadPoolExecutor(workers, "holdall", initializer=self._enlist)

    def _enlist(self) -> None:
        self._threads.append(threading.current_thread())

    def __enter__(self) -> ThreadPoolExecutor:
        return self._pool

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        for thread in self._threads:
            thread.join()


class _Scope(Struct):
    """A deadline, or the life of a `map`, for `async with`; the ones around it count too.

    Args:
        parent: The one around it; None for the outermost.
        expires: When it is over, by the monotonic clock.
        seconds: How long that is from its beginning.
        what: What the error calls it.
        ended: Set when the `map` has ended; a deadline has that of the one around.
    """

    parent: _Scope | None
    expires: float
    seconds: float
    what: str
    ended: threading.Event | None
    token: Token[_Scope | None] | None = None

    def __aenter__(self) -> Coroutine[Any, Any, None]:
        self.token = _scope.set(self)
        return _NOTHING

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:
        assert self.token is not None
        _scope.reset(self.token)
        return _NOTHING

    def end(self) -> None:
        assert self.ended is not None
        self.ended.set()

    def check(self) -> None:
        now, ended = monotonic(), None
        scope: _Scope | None = self
        while scope is not None:
            if scope.ended is not ended:
                ended = scope.ended
                if ended is not None and ended.is_set():
                    raise _Interrupted
            if now >= scope.expires:
                raise Timeout(f"{scope.what} of {scope.seconds:g} s has passed")
            scope = scope.parent

    def remaining(self) -> float:
        around = _FOREVER if self.parent is None else self.parent.remaining()
        return min(self.expires - monotonic(), around)

    def sleep(self, seconds: float) -> None:
        end = monotonic() + seconds
        self.check()
        while (left := min(end - monotonic(), self.remaining())) > 0:
            wait = time.sleep if self.ended is None else self.ended.wait
            wait(min(left, _PIECE_SECONDS))
            self.check()
        self.check()


_scope: ContextVar[_Scope | None] = ContextVar("holdall_scope", default=None)


def _until(seconds: float, what: str) -> _Scope:
    parent = _scope.get()
    ended = None if parent is None else parent.ended
    return _Scope(parent, monotonic() + seconds, seconds, what, ended)


def begin_deadline(seconds: float, what: str) -> Token[_Scope | None]:
    """Begin what `deadline` begins, in a fourth of the time, for who counts microseconds.

    Args:
        seconds: How long, from now.
        what: What its error calls it.

    Returns:
        What `end_deadline` must be given in any case.
    """
    parent = _scope.get()  # as in `_until`, without a call that would be felt in every read
    ended = None if parent is None else parent.ended
    return _scope.set(_Scope(parent, monotonic() + seconds, seconds, what, ended))


end_deadline = _scope.reset
"""Ends what `begin_deadline` began."""


def _piece() -> float:
    """How long to wait at once, in seconds."""
    scope = _scope.get()
    return _PIECE_SECONDS if scope is None else max(0.0, min(_PIECE_SECONDS, scope.remaining()))


def _check() -> None:
    scope = _scope.get()
    if scope is not None:
        scope.check()


def _answer(future: Future[R]) -> R:
    """Wait for what a future will answer."""
    while not future.done():
        try:
            return future.result(_piece())
        except FutureTimeout:
            if not future.done():
                _check()
    return future.result()  # or its own error, which may be a TimeoutError too


class BlockingRuntime(Runtime):
    """Waits by blocking the thread, so that no coroutine ever suspends."""

    blocking: ClassVar[bool] = True

    def call(
        self,
        function: Callable[[Unpack[Ts]], T],
        async_function: Callable[[Unpack[Ts]], Awaitable[T]] | None,
        *args: *Ts,
    ) -> Coroutine[Any, Any, T]:
        scope = _scope.get()
        if scope is not None and (
            # The most frequent scope, looked at here: a limit of one call, and nothing around it.
            scope.parent is not None or scope.ended is not None or monotonic() >= scope.expires
        ):
            scope.check()
        return Done(function(*args))  # type: ignore[return-value]

    def call_two(
        self,
        function: Callable[[A, B], T],
        async_function: Callable[[A, B], Awaitable[T]] | None,
        first: A,
        second: B,
    ) -> Coroutine[Any, Any, T]:
        scope = _scope.get()
        if scope is not None and (
            scope.parent is not None or scope.ended is not None or monotonic() >= scope.expires
        ):
            scope.check()
        # Packing arguments and unpacking them takes 3 us where the processor has to look that up.
        return Done(function(first, second))  # type: ignore[return-value]

    async def sleep(self, seconds: float) -> None:
        scope = _scope.get()
        if seconds <= 0:
            # The kernel would let the thread sleep 50 us and more.
            if scope is not None:
                scope.check()
        elif scope is None:
            time.sleep(seconds)
        else:
            scope.sleep(seconds)

    def lock(self) -> _Gate:
        return _Gate(threading.Lock())

    def semaphore(self, slots: int) -> _Slots:
        return _Slots(slots)

    def single_flight(self) -> BlockingSingleFlight:
        return BlockingSingleFlight(_answer)

    async def map(
        self,
        function: Callable[[T], Awaitable[R]],
        items: Iterable[T] | AsyncIterable[T],
        workers: int,
    ) -> AsyncIterator[R]:
        if workers <= 1:
            async for item in iterate(items):
                yield await function(item)
            return
        end = _End()
        scope = _Scope(_scope.get(), _FOREVER, _FOREVER, "", end)
        pending: deque[Future[R]] = deque()
        failures: list[BaseException] = []
        # A pool of its own for each call: nested calls cannot wait for one another's threads.
        with _Crew(workers) as pool, end.going:
            try:
                async for item in iterate(items):
                    if len(pending) >= 2 * workers:
                        yield _answer(pending.popleft())
                    context = copy_context()
                    pending.append(pool.submit(context.run, _work, scope, failures, function, item))
                while pending:
                    yield _answer(pending.popleft())
            except (Exception, _Interrupted) as error:
                # Those before the one that failed first were stopped on its account, and may
                # have failed from that. What caused it stays with it.
                if not failures or error is failures[0]:
                    raise
                raise failures[0] from failures[0].__cause__
            finally:
                scope.end()
                for future in pending:
                    future.cancel()

    def deadline(self, seconds: float, what: str = DEADLINE) -> _Scope:
        return _until(seconds, what)

    def cleaning(self) -> _Scope:
        until = monotonic() + CLEANING_SECONDS
        return _Scope(None, until, CLEANING_SECONDS, "the time for a clean-up", None)


def _work(
    scope: _Scope,
    failures: list[BaseException],
    function: Callable[[T], Awaitable[R]],
    item: T,
) -> R:
    _scope.set(scope)
    scope.check()
    try:
        return drive(function(item))  # type: ignore[arg-type]
    except _Interrupted:
        raise
    except BaseException as error:
        failures.append(error)
        scope.end()
        raise


class _Gate:
    """A lock of `threading`, entered by `async with`."""

    def __init__(self, primitive: threading.Lock) -> None:
        self._primitive = primitive

    async def __aenter__(self) -> None:
        while not self._primitive.acquire(timeout=_piece()):
            _check()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._primitive.release()


class _Slots:
    """A semaphore: a queue that holds what may be taken, which costs a tenth of `threading`'s."""

    def __init__(self, slots: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(slots):
            self._free.put(None)
        self.release: Callable[[], None] = partial(self._free.put, None)

    def take(self) -> bool:
        try:
            self._free.get_nowait()
        except Empty:
            return False
        return True

    async def acquire(self) -> Literal[True]:
        while True:
            try:
                self._free.get(timeout=_piece())
            except Empty:
                _check()
            else:
                return True

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
