"""Whether what a server stands on answers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from holdall.core.errors import HoldallError
from holdall.server.logs import LOG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

SECONDS: Final = 3.0
"""How long each of them may take to answer."""
FRESH: Final = 1.0
"""For how many seconds an answer counts, so that nobody loads the stores by asking."""


class Readiness:
    """What failed of the things that a server needs.

    Args:
        questions: A cheap question to each, by its name.
        seconds: How long each may take.
    """

    def __init__(
        self, questions: Mapping[str, Callable[[], Awaitable[object]]], seconds: float = SECONDS
    ) -> None:
        self._questions = questions
        self._seconds = seconds
        self._known: tuple[float, list[str]] | None = None
        self._told: list[str] = []
        self._asking = asyncio.Lock()  # whoever comes meanwhile takes the same answer

    async def failing(self) -> list[str]:
        """The names of those that do not answer, as of at most a second ago."""
        async with self._asking:
            if self._known is None or time.monotonic() >= self._known[0]:
                names = list(self._questions)
                answers = await asyncio.gather(*map(self._answers, names))
                found = [name for name, fine in zip(names, answers, strict=True) if not fine]
                self._known, self._told = (time.monotonic() + FRESH, found), found
            return self._known[1]

    async def _answers(self, name: str) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                await self._questions[name]()
        except HoldallError as error:
            if not error.transient:
                return True  # a refusal is an answer, too
            self._tell(name, error)
        except Exception as error:  # noqa: BLE001 (an adapter of others raises anything)
            self._tell(name, error)
        else:
            return True
        return False

    def _tell(self, name: str, error: Exception) -> None:
        """Log why something does not answer, once until it does."""
        if name not in self._told:
            LOG.error("%s does not answer", name, exc_info=error)
