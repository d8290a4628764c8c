"""Where the hub learns what changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from holdall.server.live.pushing import Told
    from holdall.server.live.watching import Watching


class Source(ABC):
    """Where the hub learns what changed in the watches that it is told of.

    Attributes:
        tell: Takes what changed in a watch.
        end: Takes a watch that ended, and why.
    """

    tell: Callable[[Watching, Told], None]
    end: Callable[[Watching, str], None]

    @abstractmethod
    async def now(self) -> int:
        """A number for this moment: whoever asks for entities from here on can join by it."""

    @abstractmethod
    async def join(self, watch: Watching, ids: Collection[str], since: int) -> None:
        """Follow a watch, and tell of some entities in it what changed since a moment.

        Others may have been told of that already, and are told of it again.

        Args:
            watch: The watch.
            ids: Those whom somebody asked for.
            since: What `now` answered before they were asked for.
        """

    @abstractmethod
    def leave(self, watch: Watching) -> None:
        """Follow it no longer."""

    @abstractmethod
    async def look(self) -> None:
        """Tell what changed since the last look."""

    @abstractmethod
    async def keep(self, watches: Collection[Watching]) -> None:
        """Renew the leases of watches, and see what others did with them."""

    @abstractmethod
    async def close(self, watches: Mapping[str, set[str]]) -> None:
        """Close watches in which there is nothing but these entities.

        What somebody else added to is left to its lease.
        """
