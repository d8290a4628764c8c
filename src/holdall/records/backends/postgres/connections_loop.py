"""Connections on an event loop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, final

import psycopg
from psycopg import AsyncRawCursor

from holdall.records.backends.postgres.connections import (
    HOLD,
    LET_GO,
    MARKS,
    NOTHING,
    UNDO,
    Connections,
    adapt,
    alive,
    open_ended,
    usable,
)
from holdall.records.backends.postgres.faults import translate_connecting
from holdall.records.backends.postgres.steps import Copy, Mark, Reply

if TYPE_CHECKING:
    from holdall.records.backends.postgres.settings import PostgresSettings
    from holdall.records.backends.postgres.steps import Step, Steps

T = TypeVar("T")


@final
class LoopConnections(Connections):
    """At most so many connections on an event loop; who finds none free waits for one.

    The methods are those of `BlockingConnections`.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__(settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: asyncio.Semaphore

    async def once(self, before: Steps[None] | None, steps: Steps[T], changing: bool) -> T:
        connection = await self._take(before)
        try:
            return await self._run(connection, steps, changing, inside=False)
        finally:
            await self._give(connection)

    async def begin(self, before: Steps[None] | None, statement: bytes) -> Any:
        connection = await self._take(before)
        try:
            await connection.execute(statement)
        except BaseException as error:
            await self._give(connection)
            if isinstance(error, psycopg.Error):
                raise self._told(error, connection, False, False) from error
            raise
        return connection

    async def within(self, connection: Any, steps: Steps[T], changing: bool) -> T:
        if not changing:
            return await self._run(connection, steps, changing, inside=True)
        try:
            await connection.execute(HOLD)
            answer = await self._run(connection, steps, changing, inside=True)
            await connection.execute(LET_GO)
        except BaseException as error:
            if open_ended(connection):
                with suppress(psycopg.Error):  # then the transaction cannot go on
                    await connection.execute(UNDO)
                    await connection.execute(LET_GO)
            if isinstance(error, psycopg.Error):
                raise self._told(error, connection, changing, True) from error
            raise
        return answer

    async def end(self, connection: Any, statement: bytes) -> None:
        try:
            told = (await connection.execute(statement)).statusmessage
        except psycopg.Error as error:
            raise self._told(error, connection, True, True) from error
        finally:
            await self._give(connection)
        self._check_end(statement, told)

    async def close(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            self._forget()
        while self._idle:
            await self._idle.pop().close()

    def _forget(self) -> None:
        """Close those of a loop that has ended."""
        while self._idle:
            connection = self._idle.pop()
            connection.pgconn.finish()

    async def _take(self, before: Steps[None] | None) -> Any:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._forget()
            self._loop, self._slots = loop, asyncio.Semaphore(self._settings.connections)
        try:
            async with asyncio.timeout(self._seconds):
                await self._slots.acquire()
        except TimeoutError:
            self._refuse()
        try:
            connection = await self._idle_one() or await self._connect()
        except BaseException:
            self._slots.release()
            raise
        if before is not None:
            try:
                await self._run(connection, before, False, inside=False)
            except BaseException:
                await self._give(connection)
                raise
        return connection

    async def _idle_one(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if alive(connection):
                return connection
            await connection.close()
        return None

    async def _give(self, connection: Any) -> None:
        kept = False
        try:
            if open_ended(connection):
                with suppress(psycopg.Error):
                    await connection.execute(b"ROLLBACK")
            if usable(connection):
                self._idle.append(connection)
                kept = True
        finally:
            self._slots.release()
            if not kept:
                await connection.close()

    async def _run(self, connection: Any, steps: Steps[T], changing: bool, *, inside: bool) -> T:
        reply: Any = None
        try:
            while True:
                reply = await self._done(connection, steps.send(reply), inside)
        except StopIteration as done:
            answer: T = done.value
            return answer
        except psycopg.Error as error:
            raise self._told(error, connection, changing, inside) from error
        finally:
            steps.close()

    async def _done(self, connection: Any, step: Step, inside: bool) -> Reply:
        if isinstance(step, Mark):
            if not inside:
                await connection.execute(MARKS[step])
            return NOTHING
        async with connection.cursor() as cursor:
            if isinstance(step, Copy):
                async with cursor.copy(step.sql.encode()) as copy:
                    for block in step.blocks:
                        await copy.write(block)
                return NOTHING
            await cursor.execute(step.sql.encode(), step.values, binary=step.binary)
            rows = () if cursor.description is None else await cursor.fetchall()
            return Reply(rows, cursor.rowcount)

    async def _connect(self) -> Any:
        found = await asyncio.to_thread(self._arguments)  # a password may be in a file
        try:
            return adapt(await psycopg.AsyncConnection.connect(**found), AsyncRawCursor)
        except (psycopg.Error, OSError) as error:
            raise translate_connecting(error, self.address) from error
