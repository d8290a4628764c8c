"""How many workers are of use, by how long their requests take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FEW = 6
"""So many workers always go on."""
_LEAST = 64


class Pace:
    """Tells workers that they are too many.

    Where a service answers at once, requests wait for the processor, and workers for one another:
    sixteen of them take a tenth longer than six. Where it is far away each one counts. What tells
    them apart is the quickest request, which waited for nobody: as many workers are of use as
    requests end during it, and a few.

    Args:
        clock: Answers the time, in seconds.

    Attributes:
        done: About how many requests of all workers have ended; they count it up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._quickest = float("inf")
        self.done = 0

    def is_crowded(self, number: int, seconds: float) -> bool:
        """Whether the others do as well without this worker.

        Args:
            number: The worker's, from 0; not one of the first `FEW`.
            seconds: How long its last request took.
        """
        self._quickest = min(self._quickest, seconds)
        if self.done < _LEAST:
            return False
        each = (self._clock() - self._began) / self.done
        return number >= self._quickest / max(each, 1e-9) + FEW
