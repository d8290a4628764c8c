"""A limit for how many calls are under way at once."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, final

from msgspec import Struct

from holdall.core.runtime.blocking import drive
from holdall.objects.layers.layer import Call, Layer, Send, Way
from holdall.objects.results import ObjectStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.contract import ObjectStore

T = TypeVar("T")


class ConcurrencySettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `concurrency`.

    Args:
        slots: How many calls may be under way at once, open bodies counted among them.
    """

    slots: int = 32

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"slots is {self.slots}: there must be at least one")


@final
class Concurrency(Layer):
    """Lets so many calls at a time go to the store inside; the others wait for a slot.

    A body that is read piece by piece keeps its slot until it was read to its end, closed or
    dropped, since its connection is in use until then. So who holds more open bodies than there
    are slots, and opens one more, waits for himself: on an event loop until the task is
    cancelled, in blocking mode until the deadline, if there is one. The steps of an upload take a
    slot each. `retry` stands outside, so that no slot is held through a back-off.
    """

    name: ClassVar[str] = "concurrency"
    settings_type = ConcurrencySettings

    def __init__(self, inner: ObjectStore, settings: ConcurrencySettings | None = None) -> None:
        super().__init__(inner, settings)
        assert isinstance(self._settings, ConcurrencySettings)
        self._slots = self._runtime.semaphore(self._settings.slots)

    def at_once(self, way: Way, call: Call[Any]) -> Any:
        if not self._slots.take():
            drive(self._slots.acquire())
        try:
            answer = way(call)
        except BaseException:
            self._slots.release()
            raise
        if call.operation == "get" and answer.whole is None:
            return _Held(answer, self._slots.release)
        self._slots.release()
        return self.with_steps(call, answer) if call.operation == "upload" else answer

    async def around(self, call: Call[T], send: Send[T]) -> T:
        if not self._slots.take():
            await self._slots.acquire()
        try:
            answer = await send(call)
        except BaseException:
            self._slots.release()
            raise
        if call.operation == "get" and getattr(answer, "whole", None) is None:
            give = self._slots.release if self._runtime.blocking else _in_loop(self._slots.release)
            return cast("T", _Held(cast("ObjectStream", answer), give))
        self._slots.release()
        return self.with_steps(call, answer) if call.operation == "upload" else answer


class _Held(ObjectStream):
    """An open body that has a slot until it is at its end.

    Args:
        inner: The body.
        give: Gives the slot back.
    """

    __slots__ = ("_give", "_inner", "_left")

    def __init__(self, inner: ObjectStream, give: Callable[[], object]) -> None:
        super().__init__(inner.meta, inner.start, inner.length)
        self._inner = inner
        self._left = inner.length
        self._give: Callable[[], object] | None = give

    async def read(self, size: int) -> bytes:
        chunk = await self._inner.read(size)
        self._left -= len(chunk)
        if self._left <= 0 or (size and not chunk):
            self._let_go()
        return chunk

    async def read_all(self) -> bytes:
        try:
            return await self._inner.read_all()
        finally:
            self._let_go()

    async def close(self) -> None:
        try:
            await self._inner.close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        give, self._give = self._give, None
        if give is not None:
            give()

    def __del__(self) -> None:
        self._let_go()


def _in_loop(give: Callable[[], object]) -> Callable[[], object]:
    """Give a slot back from whichever thread: a body may be dropped in another one's."""
    loop = asyncio.get_running_loop()
    thread = threading.get_ident()

    def there() -> None:
        if threading.get_ident() == thread:
            give()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(give)

    return there
