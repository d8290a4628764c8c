"""One flight for many callers, in blocking mode."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

R = TypeVar("R")


@final
class BlockingSingleFlight:
    """Lets one thread do what many ask for at the same time; see `SingleFlight`.

    Args:
        wait: Answers what a future will answer, unless a deadline passes before.
    """

    def __init__(self, wait: Callable[[Future[Any]], Any]) -> None:
        self._wait = wait
        self._guard = threading.Lock()
        self._flights: dict[object, Future[Any]] = {}

    async def run(self, key: object, function: Callable[[], Awaitable[R]]) -> R:
        """Answer what `function` answers, called once for all who wait under this key."""
        while True:
            with self._guard:
                flight = self._flights.get(key)
                if flight is None:
                    mine = self._flights[key] = Future()
                    break
            try:
                answer: R = self._wait(flight)
            except _Abandoned:
                continue
            return answer
        try:
            answer = await function()
        except Exception as error:
            mine.set_exception(error)
            raise
        except BaseException:
            mine.set_exception(_Abandoned())
            raise
        else:
            mine.set_result(answer)
            return answer
        finally:
            with self._guard:
                del self._flights[key]


class _Abandoned(Exception):
    """The caller that ran it was interrupted; another one of those who wait runs it."""
