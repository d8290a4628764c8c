"""Connections to the server: what those with an event loop and without one have in common.

psycopg's own pool tries again in the background, so that a wrong password shows only when all the
time is used up. Here who needs a connection makes it, and hears at once why it cannot be made.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper

from holdall.core.errors import PreconditionFailed, Timeout
from holdall.records.backends.postgres.faults import (
    is_duplicate,
    is_passing,
    translate,
)
from holdall.records.backends.postgres.settings import arguments
from holdall.records.backends.postgres.steps import Again, Mark, Reply

if TYPE_CHECKING:
    from holdall.records.backends.postgres.settings import PostgresSettings

NOTHING = Reply((), 0)
MARKS = {
    Mark.BEGIN: b"BEGIN",
    Mark.SNAPSHOT: b"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    Mark.END: b"COMMIT",
}
# Statements are planned for the values they come with, which is how an index of a path is found;
# so they also pass proxies that give each transaction another connection.
_OWN: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
HOLD, LET_GO = b"SAVEPOINT holdall_batch", b"RELEASE SAVEPOINT holdall_batch"
UNDO = b"ROLLBACK TO SAVEPOINT holdall_batch"


class Connections:
    """What both kinds have in common.

    Attributes:
        address: Where they lead, without secrets; known in full after the first one.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._seconds = None if settings.timeout is None else settings.timeout.total_seconds()
        self._idle: list[Any] = []
        self.address = address_of(
            {"host": settings.host, "port": settings.port, "dbname": settings.database}, settings
        )

    def _arguments(self) -> dict[str, Any]:
        """Looked up for each connection: a password may change."""
        found = arguments(self._settings)
        self.address = address_of(found, self._settings)
        return found | _OWN

    def _told(self, error: Exception, connection: Any, changing: bool, inside: bool) -> Exception:
        """What to raise for an exception of psycopg."""
        if changing and (is_duplicate(error) or (is_passing(error) and not inside)):
            return Again()
        return translate(error, self.address, lost=connection.closed, changing=changing)

    def _check_end(self, statement: bytes, told: str | None) -> None:
        if statement == b"COMMIT" and told != "COMMIT":
            raise PreconditionFailed(
                f"{self.address}: a statement of the transaction failed, so that nothing of it "
                "was written"
            )

    def _refuse(self) -> NoReturn:
        raise Timeout(
            f"{self.address}: all {self._settings.connections} connections were in use for "
            f"{self._seconds:g} s; see the settings 'connections' and 'timeout'"
        )


def address_of(found: dict[str, Any], settings: PostgresSettings) -> str:
    """Where a connection leads, without secrets."""
    host = found.get("host") or found.get("hostaddr") or ""
    port = f":{found['port']}" if found.get("port") else ""
    name = settings.table if settings.schema == "public" else f"{settings.schema}.{settings.table}"
    return f"postgresql://{host}{port}/{found.get('dbname') or ''}#{name}"


def alive(connection: Any) -> bool:
    """Whether an idle connection can be used: the server has not ended it."""
    poll = select.poll()
    try:
        poll.register(connection.pgconn.socket, select.POLLIN)
        while poll.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return False
    return not connection.closed


def _status(connection: Any) -> int:
    return int(connection.pgconn.transaction_status)


def usable(connection: Any) -> bool:
    """Whether a connection is open, and in no transaction."""
    return not connection.closed and _status(connection) == TransactionStatus.IDLE


def open_ended(connection: Any) -> bool:
    """Whether a connection is in a transaction that can be ended."""
    ended = {TransactionStatus.INTRANS, TransactionStatus.INERROR}
    return not connection.closed and _status(connection) in ended


def adapt(connection: Any, cursor_factory: type) -> Any:
    """Answer a connection that speaks as steps do."""
    connection.cursor_factory = cursor_factory
    # With its type: not every parameter stands in the statement.
    connection.adapters.register_dumper(str, StrDumper)
    return connection
