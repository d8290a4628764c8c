"""What waits to be sent to one client: its answers, and of each watch what changed last.

Of an entity that changes again before it was sent, the client is told the last state only, as by a
poll; so what waits is never more than the entities that it watches. A client for which more waits
than the bounds allow is cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from holdall.server.live.pushing import push

if TYPE_CHECKING:
    from holdall.server.live.pushing import Told

MOST_BYTES: Final = 64 * 2**20
"""Of what changed and waits for one client."""
_FULL: Final = 2**20
_PUSH: Final = 256 * 1024  # bytes of rows in one push, about: clients refuse larger messages


class Outbox:
    """What waits for one client."""

    def __init__(self) -> None:
        self._answers: deque[bytes] = deque()
        self._answer_bytes = 0
        self._pushes: dict[bytes, dict[str, Told]] = {}
        self._push_bytes = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._is_open = True

    @property
    def is_open(self) -> bool:
        """Whether anything is still sent."""
        return self._is_open

    async def answer(self, text: bytes) -> None:
        """Put an answer in, when there is room for it."""
        while not self._room.is_set() and self._is_open:
            await self._room.wait()
        self.put(text)

    def put(self, text: bytes) -> None:
        """Put a small text in, whatever else waits."""
        if self._is_open:
            self._answers.append(text)
            self._answer_bytes += len(text)
            if self._answer_bytes > _FULL:
                self._room.clear()
            self._filled.set()

    def tell(self, opening: bytes, changed: Told) -> bool:
        """Put in what changed in a watch; False where more waits than may.

        Args:
            opening: What pushes of this watch begin with.
            changed: What changed.
        """
        if not self._is_open:
            return True
        waiting = self._pushes.get(opening)
        if waiting is None:
            waiting = self._pushes[opening] = {}
        former = waiting.pop(changed.id, None)
        waiting[changed.id] = changed
        self._push_bytes += len(changed.row) - (0 if former is None else len(former.row))
        self._filled.set()
        return self._push_bytes <= MOST_BYTES

    def forget(self, opening: bytes, of: str | None = None) -> None:
        """Take out what waits of a watch, or of an entity of it."""
        waiting = self._pushes.get(opening)
        if waiting is None:
            return
        gone = list(waiting) if of is None else [of]
        for one in gone:
            former = waiting.pop(one, None)
            self._push_bytes -= 0 if former is None else len(former.row)
        if not waiting:
            del self._pushes[opening]

    async def next(self) -> bytes:
        """The text to send next, when there is one; the answers first."""
        while not self._answers and not self._pushes:
            self._filled.clear()
            await self._filled.wait()
        if self._answers:
            text = self._answers.popleft()
            self._answer_bytes -= len(text)
            if self._answer_bytes <= _FULL:
                self._room.set()
            return text
        opening, waiting = next(iter(self._pushes.items()))
        size = 0
        chosen: list[Told] = []
        for one in waiting.values():
            if chosen and size + len(one.row) > _PUSH:
                break
            size += len(one.row)
            chosen.append(one)
        self._push_bytes -= size
        del self._pushes[opening]
        for one in chosen:
            del waiting[one.id]
        if waiting:
            self._pushes[opening] = waiting  # behind those of other watches
        return push(opening, chosen)

    def close(self) -> None:
        """Let go of everything, and take nothing any more."""
        self._is_open = False
        self._answers.clear()
        self._pushes.clear()
        self._answer_bytes = self._push_bytes = 0
        self._room.set()
