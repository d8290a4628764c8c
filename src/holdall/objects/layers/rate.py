"""A limit for how many calls begin in a second."""

from __future__ import annotations

import threading
import time
from heapq import heappop, heappush
from typing import TYPE_CHECKING, ClassVar, TypeVar, final

from msgspec import Struct

from holdall.objects.layers.layer import OPENING, Call, Layer, Send

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.contract import ObjectStore

T = TypeVar("T")

_GRAIN = 1e-6  # no sleep is as short, and sums of floats differ by less


class RateSettings(Struct, frozen=True, kw_only=True):
    """Settings of the layer `rate`.

    Args:
        calls: How many calls may begin in a second, in the long run.
        burst: How many may begin at once after a rest; as many as in a second when None.
    """

    calls: float
    burst: int | None = None

    def __post_init__(self) -> None:
        if not self.calls > 0:
            raise ValueError(f"calls is {self.calls:g}: it must be above 0")
        if self.burst is not None and self.burst < 1:
            raise ValueError(f"burst is {self.burst}: it must be at least 1")


@final
class Rate(Layer):
    """Lets so many calls a second begin; the others wait for their turn, in the order they came.

    A token bucket, kept as one number: when the next call may begin. Steps of uploads count,
    since they send requests; the chunks of an open body do not. `retry` stands outside, so that
    each try counts. Who goes away while it waits gives its turn to the next one who comes.

    Args:
        inner: The store.
        settings: The limit.
        clock: Seconds that only grow.
    """

    name: ClassVar[str] = "rate"
    settings_type = RateSettings

    def __init__(
        self,
        inner: ObjectStore,
        settings: RateSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner, settings)
        self._clock = clock
        self._interval = 1 / settings.calls
        burst = max(1, int(settings.calls)) if settings.burst is None else settings.burst
        self._ahead = (burst - 1) * self._interval
        self._next = clock() - self._ahead
        self._given_back: list[float] = []
        self._guard = threading.Lock()

    async def around(self, call: Call[T], send: Send[T]) -> T:
        if call.operation != "read":
            with self._guard:
                now = self._clock()
                turn = self._turn(now)
            if turn - now > _GRAIN:
                try:
                    await self._runtime.sleep(turn - now)
                except BaseException:
                    # Or who comes next would wait for all the turns of those who are gone.
                    with self._guard:
                        heappush(self._given_back, turn)
                    raise
        answer = await send(call)
        return self.with_steps(call, answer) if call.operation in OPENING else answer

    def _turn(self, now: float) -> float:
        """When a call that came now may begin. Called with the guard."""
        while self._given_back:
            turn = heappop(self._given_back)
            if turn >= now:
                return turn
        turn = max(self._next, now - self._ahead)
        self._next = turn + self._interval
        return turn
