"""Threads for what may wait long: a number for each kind, so that none takes those of another.

anyio lends 40 threads for everything. Were they all held by streams that wait for their store, a
store that needs one to go on would wait for them, and both for ever; and functions of others that
hang would keep everybody from being answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
MOST: Final = 40
"""Threads of one kind."""


class Threads:
    """Threads of one kind, in whichever loop.

    Args:
        kind: What they are for.
    """

    def __init__(self, kind: str) -> None:
        self._limiter: RunVar[CapacityLimiter] = RunVar(f"holdall threads of {kind}")

    async def run(self, function: Callable[..., T], *args: object) -> T:
        """Call a function in one of them, when one is free."""
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = CapacityLimiter(MOST)
            self._limiter.set(limiter)
        return await to_thread.run_sync(function, *args, limiter=limiter)


STREAMS: Final = Threads("streams")
ACTIONS: Final = Threads("actions")
LOADS: Final = Threads("loads")
