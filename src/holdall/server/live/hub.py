"""The connections of a process, and the watches that they are told of.

One task looks what changed, for all of them; each connection sends what it is told by itself, so
that no client waits for another.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.core.errors import HoldallError, LimitExceeded
from holdall.server.errors import HttpFault
from holdall.server.live.pushing import push_of_end
from holdall.server.live.watching import Watching
from holdall.server.logs import LOG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.server.config import ServerConfig
    from holdall.server.live.connection import Connection
    from holdall.server.live.pushing import Told
    from holdall.server.live.source import Source

MOST_IDS: Final = 1_000_000
"""Entities in the watches of one account, over the WebSockets of a process."""
_ROUND: Final = 2.0  # seconds after which it is looked again who may stay, and what leases need
RESTART: Final = 1012
TOO_SLOW: Final = 1008


class _User(Struct):
    """What an account has here."""

    connections: int = 0
    watches: int = 0
    ids: int = 0


class Hub:
    """The connections of a process.

    Args:
        source: What knows what changed.
        config: The settings.
    """

    def __init__(self, source: Source, config: ServerConfig) -> None:
        self._source = source
        self._config = config
        self._connections: dict[Connection, None] = {}
        self._users: dict[str, _User] = {}
        self._watches: dict[str, Watching] = {}
        self._closing: dict[str, set[str]] = {}
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._round = 0.0
        source.tell, source.end = self._tell, self._end

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def watches(self) -> int:
        """How many watches they are told of."""
        return len(self._watches)

    async def run(self) -> None:
        """Tell what changes, until it is cancelled."""
        while True:
            if not self._connections and not self._closing:
                self._wake.clear()
                await self._wake.wait()
            pause = self._config.push_interval
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 (the store is asked again, from where it was)
                trace = None if isinstance(error, (HoldallError, HttpFault)) else error
                LOG.error("what changed cannot be told: %s", error, exc_info=trace)
                pause = max(pause, _ROUND)
            await asyncio.sleep(pause)

    async def end(self) -> None:
        """Close every connection, and the watches that were theirs alone."""
        for connection in list(self._connections):
            connection.end(RESTART, "the server ends")
        for connection in list(self._connections):
            await connection.gone.wait()
        with suppress(HoldallError):  # their leases end them
            await self._close_watches()

    def enter(self, connection: Connection) -> None:
        """Take a connection in.

        Raises:
            HttpFault: There are too many.
        """
        user = self._users.get(connection.name, _User())
        if 0 < self._config.max_user_connections <= user.connections:
            raise HttpFault(
                429,
                f"{connection.name} has {user.connections:,} WebSockets here, and "
                "max_user_connections allows no more: close some",
                {"Retry-After": "10"},
            )
        if 0 < self._config.max_connections <= len(self._connections):
            raise HttpFault(
                503,
                f"there are {len(self._connections):,} WebSockets, and max_connections allows no "
                "more",
                {"Retry-After": "10"},
            )
        self._users.setdefault(connection.name, user).connections += 1
        self._connections[connection] = None
        self._wake.set()

    def leave(self, connection: Connection) -> None:
        """Let a connection go, and the watches that nobody else is told of."""
        for watch in list(connection.watches):
            self.forget(connection, watch)
        del self._connections[connection]
        user = self._users[connection.name]
        user.connections -= 1
        if not user.connections:
            del self._users[connection.name]
        self._wake.set()

    def check_room(self, connection: Connection, ids: int, *, new: bool) -> None:
        """Refuse what would be more watches than an account may have.

        Args:
            connection: Who asks for it.
            ids: How many entities more are to be watched.
            new: Whether it is to be another watch.

        Raises:
            LimitExceeded: It would be more.
        """
        user = self._users[connection.name]
        if new and 0 < self._config.max_watches <= user.watches:
            raise LimitExceeded(
                f"{connection.name} has {user.watches:,} watches here, and max_watches allows no "
                "more: close some"
            )
        if user.ids + ids > MOST_IDS:
            raise LimitExceeded(
                f"{connection.name} would watch more than {MOST_IDS:,} entities: close watches"
            )

    def claim(
        self, connection: Connection, watch_id: str, ids: Sequence[str], *, new: bool
    ) -> None:
        """Note that a connection opened a watch, or added to it; it is not told of it yet."""
        watch = self._watches.get(watch_id)
        if watch is None:
            watch = self._watches[watch_id] = Watching(watch_id, opened=new)
        watch.added.update(ids)
        watch.holders.add(connection)
        user = self._users[connection.name]
        user.watches += watch not in connection.watches
        user.ids += len(ids)
        connection.watches[watch] = connection.watches.get(watch, 0) + len(ids)

    async def now(self) -> int:
        """A number for this moment, before a connection asks for entities that it will watch."""
        return await self._source.now()

    async def join(
        self, connection: Connection, watch_id: str, ids: Sequence[str], since: int
    ) -> None:
        """Tell a connection of a watch from now on: of all that its answer did not say yet.

        Args:
            connection: Which one.
            watch_id: Which watch.
            ids: The entities that its answer told.
            since: The number of a moment before that.
        """
        watch = self._watches.get(watch_id)
        if watch is None or watch not in connection.watches:
            return  # it went meanwhile
        watch.connections[connection] = None
        async with self._turn:
            await self._source.join(watch, ids, since)
        counted = connection.watches.get(watch, 0)
        if counted > len(watch.ids):  # some were in it before
            self._users[connection.name].ids -= counted - len(watch.ids)
            connection.watches[watch] = len(watch.ids)

    async def taken(
        self, connection: Connection, watch_id: str, ids: Sequence[str], *, closed: bool
    ) -> None:
        """Take note that a connection took entities out of a watch, or closed it."""
        watch = self._watches.get(watch_id)
        if watch is None:
            return
        watch.added.difference_update(ids)
        if closed:
            watch.opened = False
            if watch in connection.watches:
                self.forget(connection, watch)
        if watch.connections:
            async with self._turn:
                await self._source.keep([watch])

    def forget(self, connection: Connection, watch: Watching) -> None:
        """Tell a connection of a watch no longer."""
        user = self._users[connection.name]
        user.watches -= 1
        user.ids -= connection.watches.pop(watch)
        connection.outbox.forget(watch.opening)
        watch.connections.pop(connection, None)
        watch.holders.discard(connection)
        if not watch.holders:
            del self._watches[watch.id]
            self._source.leave(watch)
            if watch.opened:
                self._closing[watch.id] = watch.added

    def _tell(self, watch: Watching, changed: Told) -> None:
        for connection in list(watch.connections):
            if not connection.outbox.tell(watch.opening, changed):
                connection.end(TOO_SLOW, "too slow: more waits than is kept for one client")

    def _end(self, watch: Watching, why: str) -> None:
        watch.opened = False  # there is nothing to close
        for connection in list(watch.holders):
            self.forget(connection, watch)
            connection.outbox.put(push_of_end(watch.id, why))

    async def _step(self) -> None:
        if time.monotonic() >= self._round:
            await self._go_round()
            self._round = time.monotonic() + _ROUND
        if self._watches:
            async with self._turn:
                await self._source.look()

    async def _go_round(self) -> None:
        """See who may stay, what leases need, and what others did with the watches."""
        if self._closing:
            await self._close_watches()
        by_credential: dict[str, list[Connection]] = {}
        for connection in list(self._connections):
            by_credential.setdefault(connection.credential, []).append(connection)
        for several in by_credential.values():
            if not await several[0].may_stay():
                for connection in several[1:]:
                    await connection.may_stay()
        told_of = [watch for watch in self._watches.values() if watch.connections]
        async with self._turn:
            await self._source.keep(told_of)

    async def _close_watches(self) -> None:
        closing, self._closing = self._closing, {}
        try:
            await self._source.close(closing)
        except HoldallError:
            self._closing |= closing
            raise
