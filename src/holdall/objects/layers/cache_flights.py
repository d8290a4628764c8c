"""Requests of a cache that several calls share."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast, final
from weakref import ref as weak

from holdall.core.errors import HoldallError, Timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

    from holdall.core.reference import Reference
    from holdall.core.runtime import Runtime
    from holdall.objects.layers.cache_entries import Entries, Fill
    from holdall.objects.layers.cache_filling import Filling
    from holdall.objects.results import ObjectMeta, ObjectStream

R = TypeVar("R")


@final
class Flights:
    """The requests that are under way.

    Args:
        entries: Knows them, so that a change of the object drops them.
        runtime: How it waits.
        clock: Seconds that only grow.
        ttl: For how many seconds an answer is recent enough.
    """

    def __init__(
        self, entries: Entries, runtime: Runtime, clock: Callable[[], float], ttl: float
    ) -> None:
        self._entries = entries
        self._runtime = runtime
        self._clock = clock
        self._ttl = ttl
        self._flight = runtime.single_flight()

    async def shared(
        self,
        what: Hashable,
        ref: Reference,
        arrived: float,
        request: Callable[[Fill], Coroutine[Any, Any, R]],
    ) -> R | None:
        """Send a request, or share one that was sent recently enough.

        One that was sent too long before this call may not know what this call must see. It is
        waited for, and the answer is None: by then there may be an entry, to be checked.
        """
        now = self._clock()
        fill = self._entries.flight(what, ref, now)
        recent = fill.begun >= now or arrived - fill.begun < self._ttl
        sent: list[Fill] = []
        try:
            answer: R = await self._flight.run(fill, partial(self._fly, fill, request, sent))
        except HoldallError:
            if sent or (recent and not fill.expired):
                raise
            return None
        return answer if sent or recent else None

    async def _fly(
        self,
        fill: Fill,
        request: Callable[[Fill], Coroutine[Any, Any, R]],
        sent: list[Fill],
    ) -> R:
        """Send a request for all who share it; `sent` tells the caller that it was this one."""
        sent.append(fill)
        if fill.answer is not None:
            return cast("R", fill.answer)  # it ended just before this call joined
        try:
            answer = fill.answer = await request(fill)
        except Timeout:
            if self._runtime.blocking:
                try:
                    await self._runtime.sleep(0)
                except Timeout:
                    fill.expired = True  # a deadline of this caller, which says nothing to others
            raise
        finally:
            self._entries.end(fill)
        return answer


@final
class Taken:
    """What a request for a body gave to all who share it.

    Args:
        meta: Of the object.
        data: The bytes; None for a large body.
        stream: The body, for the first who takes it.
        filling: Lets the others read it too; None where they cannot.
    """

    __slots__ = ("_filling", "_streams", "data", "meta")

    def __init__(
        self, meta: ObjectMeta, data: bytes | None, stream: ObjectStream, filling: Filling | None
    ) -> None:
        self.meta = meta
        self.data = data
        # Weak, for this may outlive all readers: a task keeps its answer for a while.
        self._filling = None if filling is None else weak(filling)
        self._streams = [stream]

    def first(self) -> ObjectStream | None:
        """The body, for the first who asks; None for the others."""
        try:
            return self._streams.pop()
        except IndexError:
            return None

    def filling(self) -> Filling | None:
        """What lets the others read it too; None where they cannot, or nobody reads any more."""
        return None if self._filling is None else self._filling()
