"""Doing a step of an upload again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, final

from holdall.core.errors import CircuitOpen

if TYPE_CHECKING:
    from holdall.core.errors import HoldallError
    from holdall.core.runtime import Runtime

TRIES = 4
"""How often a step is done at most before its error counts."""

PAUSE_SECONDS = 0.1
"""The longest wait before the second try; doubled for each one after it."""

_LONGEST_PAUSE_SECONDS = 5.0


@final
class Tries:
    """The tries of one step."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._made = 0

    async def again(self, error: HoldallError) -> None:
        """Wait for the next try, after the error of this one.

        Raises:
            HoldallError: That error, when it would come again, or after the last try.
        """
        self._made += 1
        if self._made >= TRIES or not error.transient or isinstance(error, CircuitOpen):
            raise error
        pause = min(_LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2.0 ** (self._made - 1))
        # Not sooner than the service asked, and all workers not at once.
        await self._runtime.sleep((error.retry_after or 0.0) + random.random() * pause)
