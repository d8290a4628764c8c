"""Connections without an event loop."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, final

import psycopg
from psycopg import RawCursor

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
class BlockingConnections(Connections):
    """One connection for each thread that waits; those that are idle are used again."""

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__(settings)
        self._inherited: list[Any] = []
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._owner = os.getpid()
        self._slots = threading.Semaphore(self._settings.connections)
        self._idle = []

    def once(self, before: Steps[None] | None, steps: Steps[T], changing: bool) -> T:
        """Do steps on any connection.

        Args:
            before: What is done first; None when that was done.
            steps: What is done.
            changing: Whether they change something.
        """
        connection = self._take(before)
        try:
            return self._run(connection, steps, changing, inside=False)
        finally:
            self._give(connection)

    def begin(self, before: Steps[None] | None, statement: bytes) -> Any:
        """Begin a transaction on a connection that is for it alone until `end`."""
        connection = self._take(before)
        try:
            connection.execute(statement)
        except BaseException as error:
            self._give(connection)
            if isinstance(error, psycopg.Error):
                raise self._told(error, connection, False, False) from error
            raise
        return connection

    def within(self, connection: Any, steps: Steps[T], changing: bool) -> T:
        """Do steps in a transaction; when they fail it is as if they had not begun."""
        if not changing:
            return self._run(connection, steps, changing, inside=True)
        try:
            connection.execute(HOLD)
            answer = self._run(connection, steps, changing, inside=True)
            connection.execute(LET_GO)
        except BaseException as error:
            if open_ended(connection):
                with suppress(psycopg.Error):  # then the transaction cannot go on
                    connection.execute(UNDO)
                    connection.execute(LET_GO)
            if isinstance(error, psycopg.Error):
                raise self._told(error, connection, changing, True) from error
            raise
        return answer

    def end(self, connection: Any, statement: bytes) -> None:
        """End a transaction.

        Raises:
            PreconditionFailed: It could not be committed.
        """
        try:
            told = connection.execute(statement).statusmessage
        except psycopg.Error as error:
            raise self._told(error, connection, True, True) from error
        finally:
            self._give(connection)
        self._check_end(statement, told)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _take(self, before: Steps[None] | None) -> Any:
        if self._owner != os.getpid():
            # After a fork they are the parent's, and closing them here would end them there.
            self._inherited += self._idle
            self._begin_anew()
        if not self._slots.acquire(timeout=self._seconds):
            self._refuse()
        try:
            connection = self._idle_one() or self._connect()
        except BaseException:
            self._slots.release()
            raise
        if before is not None:
            try:
                self._run(connection, before, False, inside=False)
            except BaseException:
                self._give(connection)
                raise
        return connection

    def _idle_one(self) -> Any:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if alive(connection):
                return connection
            connection.close()

    def _give(self, connection: Any) -> None:
        try:
            if open_ended(connection):
                with suppress(psycopg.Error):
                    connection.execute(b"ROLLBACK")
            if usable(connection):
                self._idle.append(connection)
            else:
                connection.close()
        finally:
            self._slots.release()

    def _run(self, connection: Any, steps: Steps[T], changing: bool, *, inside: bool) -> T:
        reply: Any = None
        try:
            while True:
                reply = self._done(connection, steps.send(reply), inside)
        except StopIteration as done:
            answer: T = done.value
            return answer
        except psycopg.Error as error:
            raise self._told(error, connection, changing, inside) from error
        finally:
            steps.close()

    def _done(self, connection: Any, step: Step, inside: bool) -> Reply:
        if isinstance(step, Mark):
            if not inside:
                connection.execute(MARKS[step])
            return NOTHING
        with connection.cursor() as cursor:
            if isinstance(step, Copy):
                with cursor.copy(step.sql.encode()) as copy:
                    for block in step.blocks:
                        copy.write(block)
                return NOTHING
            cursor.execute(step.sql.encode(), step.values, binary=step.binary)
            rows = () if cursor.description is None else cursor.fetchall()
            return Reply(rows, cursor.rowcount)

    def _connect(self) -> Any:
        found = self._arguments()
        try:
            return adapt(psycopg.connect(**found), RawCursor)
        except (psycopg.Error, OSError) as error:
            raise translate_connecting(error, self.address) from error
