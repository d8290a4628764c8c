"""How steps get to the server: on any connection, or within a transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final

from holdall.core.errors import InvalidConfig, NotFound, PreconditionFailed, Unsupported
from holdall.records.backends.postgres.steps import Again

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.runtime import Runtime
    from holdall.records.backends.postgres.settings import PostgresSettings
    from holdall.records.backends.postgres.steps import Steps

T = TypeVar("T")

_TRIES = 5


class Making(Protocol):
    """Tables that are looked at before the first call."""

    def made(self) -> Steps[None]:
        """Look at them, and make what is not there."""


class Line(ABC):
    """What steps go over."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the records are, without secrets."""

    @abstractmethod
    async def ask(self, steps: Steps[T]) -> T:
        """Do steps that change nothing."""

    async def change(self, make: Callable[[int], Steps[T]]) -> T:
        """Do steps as a whole or not at all, again when somebody else was faster.

        Args:
            make: Makes them, given how often that was tried before.

        Raises:
            PreconditionFailed: Somebody else was faster, every time.
        """
        for attempt in range(_TRIES):
            try:
                return await self._change(make(attempt))
            except Again:
                continue
        raise PreconditionFailed(
            f"{self.address}: others wrote the same records at the same time, {_TRIES} times in a "
            "row; do it again",
            transient=True,
        )

    @abstractmethod
    async def _change(self, steps: Steps[T]) -> T: ...


@final
class Server(Line):
    """The server: each call goes over any connection.

    Args:
        settings: How it is reached.
        runtime: How a call waits.
        tables: What is looked at before the first call.

    Raises:
        InvalidConfig: The driver is not installed.
    """

    def __init__(self, settings: PostgresSettings, runtime: Runtime, tables: Making) -> None:
        try:
            from holdall.records.backends.postgres.connections_blocking import (
                BlockingConnections,
            )
            from holdall.records.backends.postgres.connections_loop import LoopConnections
        except ImportError as error:
            raise InvalidConfig(
                f"{error.name or 'libpq'} is not installed: pip install 'holdall[postgres]'"
            ) from error
        self._blocking = BlockingConnections(settings)
        self._loop = LoopConnections(settings)
        self._runtime = runtime
        self._tables = tables
        self._ready = False

    @property
    def address(self) -> str:
        return (self._blocking if self._runtime.blocking else self._loop).address

    async def ask(self, steps: Steps[T]) -> T:
        return await self._once(steps, False)

    async def _change(self, steps: Steps[T]) -> T:
        return await self._once(steps, True)

    async def _once(self, steps: Steps[T], changing: bool, *, apart: bool = False) -> T:
        blocking, loop = self._blocking.once, None if apart else self._loop.once
        try:
            answer: T = await self._runtime.call(blocking, loop, self._before(), steps, changing)
        except NotFound:
            self._ready = False  # somebody removed the table
            raise
        self._ready = True
        return answer

    async def apart(self, make: Callable[[int], Steps[T]]) -> T:
        """As `change`, for steps that compute for long: in a thread where there is a loop."""
        return await _Apart(self).change(make)

    async def begin(self, statement: bytes) -> Transaction:
        """Begin a transaction with this statement."""
        begin = self._blocking.begin, self._loop.begin
        connection = await self._runtime.call(*begin, self._before(), statement)
        self._ready = True
        return Transaction(self, connection)

    def _before(self) -> Steps[None] | None:
        return None if self._ready else self._tables.made()

    async def within(self, connection: Any, steps: Steps[T], changing: bool) -> T:
        """Do steps in the transaction of a connection."""
        within = self._blocking.within, self._loop.within
        return await self._runtime.call(*within, connection, steps, changing)

    async def end(self, connection: Any, statement: bytes) -> None:
        """End the transaction of a connection, which others may use then."""
        # Not by way of the runtime, which does nothing more after a deadline: what is not ended
        # would keep its locks.
        if self._runtime.blocking:
            self._blocking.end(connection, statement)
        else:
            await self._loop.end(connection, statement)

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        self._blocking.close()
        if not self._runtime.blocking:
            await self._loop.close()


@final
class _Apart(Line):
    """The server, by way of a thread."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def address(self) -> str:
        return self._server.address

    async def ask(self, steps: Steps[T]) -> T:
        return await self._server._once(steps, False, apart=True)

    async def _change(self, steps: Steps[T]) -> T:
        return await self._server._once(steps, True, apart=True)


@final
class Transaction(Line):
    """A transaction on a connection of its own."""

    def __init__(self, server: Server, connection: Any) -> None:
        self._server = server
        self._connection = connection

    @property
    def address(self) -> str:
        return self._server.address

    async def ask(self, steps: Steps[T]) -> T:
        return await self._server.within(self._open(), steps, False)

    async def _change(self, steps: Steps[T]) -> T:
        return await self._server.within(self._open(), steps, True)

    def _open(self) -> Any:
        if self._connection is None:
            raise Unsupported(f"{self.address}: the transaction has ended; begin another one")
        return self._connection

    async def end(self, statement: bytes) -> None:
        """End it."""
        connection, self._connection = self._open(), None
        await self._server.end(connection, statement)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._connection is None
