"""Connections to a file of SQLite, kept for the next who needs one.

A connection serves one caller at a time, in any thread. A process must not carry one over a fork:
so those that nobody uses are closed before it, and when somebody uses one then, the child refuses.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import stat
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, final
from weakref import WeakSet, finalize

from holdall.core.errors import Unavailable
from holdall.records.backends.sqlite.faults import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdall.records.backends.sqlite.settings import SqliteRecordSettings

_PAUSE_SECONDS = 0.01
_KEPT = 8
_STATEMENTS = 256


def use_log(connection: sqlite3.Connection, timeout: float) -> None:
    """Let readers go on while somebody writes; a file that cannot be written stays as it is.

    Args:
        connection: To the file.
        timeout: How many seconds to wait for others.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code == sqlite3.SQLITE_READONLY:
                return
            # Two who open a new file at once are told so without waiting.
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


class Connection(sqlite3.Connection):
    """A connection that may keep what was found out over it.

    Attributes:
        known: What it keeps; None when there is nothing.
    """

    known: Any = None


@final
class Connections:
    """The connections of one store.

    Args:
        settings: Which file, and how it is written.
        prepare: Called with each new connection; makes it ready.
    """

    def __init__(
        self, settings: SqliteRecordSettings, prepare: Callable[[Connection], None]
    ) -> None:
        self._settings = settings
        self._prepare = prepare
        self._guard = threading.Lock()
        self._idle: list[Connection] = []
        self._used: set[Connection] = set()
        self._closed = False
        _all.add(self)
        # Who forgets to close a store leaves no log beside the file.
        finalize(self, _close, self._idle)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection, for `with`; what is not committed then is undone.

        Raises:
            HoldallError: The file cannot be opened; also for SQLite's errors inside.
        """
        with translated(self._settings):
            connection = self.take()
            try:
                yield connection
            finally:
                self.give_back(connection)

    def check(self) -> None:
        """Refuse where there can be no connection.

        Raises:
            Unavailable: The store was closed, or the process forked while one was used.
        """
        refuse_orphan(self._settings)
        if self._closed:
            raise Unavailable(f"{self._settings.address} was closed", transient=False)

    def take(self) -> Connection:
        """Take a connection out, for `give_back` later.

        Raises:
            Unavailable: The store was closed, or the process forked while one was used.
            sqlite3.Error: The file cannot be opened.
        """
        with self._guard:
            self.check()
            if self._idle:
                connection = self._idle.pop()
                self._used.add(connection)
                return connection
            # Opened under the lock, so that no fork comes between; it takes microseconds.
            connection = self._open()
            self._used.add(connection)
        try:
            self._prepare(connection)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """Take a connection in again; what it did not commit is undone."""
        if _is_orphan(self._settings):
            return  # it is the parent's
        try:
            if connection.in_transaction:
                connection.rollback()
        except sqlite3.Error:
            self._drop(connection)
            return
        with self._guard:
            self._used.discard(connection)
            kept = not self._closed and len(self._idle) < _KEPT
            if kept:
                self._idle.append(connection)
        if not kept:
            connection.close()

    def close(self) -> None:
        """Close what nobody uses; the others are closed when they are given back."""
        with self._guard:
            self._closed = True
            idle = self._idle[:]
            self._idle.clear()
        _close(idle)

    def _open(self) -> Connection:
        settings = self._settings
        # SQLite would make it readable to all; its other files take after this one. It is not
        # opened here: closing it would let go of all locks that this process has on it.
        with suppress(OSError):
            os.mknod(settings.path, stat.S_IFREG | 0o600)
        return sqlite3.connect(
            settings.path,
            timeout=settings.timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
            factory=Connection,
        )

    def _drop(self, connection: Connection) -> None:
        with self._guard:
            self._used.discard(connection)
        connection.close()

    def _before_fork(self) -> None:
        self._guard.acquire()
        _close(self._idle)

    def _after_fork_in_parent(self) -> None:
        self._guard.release()

    def _after_fork_in_child(self) -> None:
        for connection in self._used:
            # Counted once too often, it is never closed, which would let go of the parent's locks.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
            _orphaned.add(os.path.realpath(self._settings.path))
        self._guard.release()


def _close(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def refuse_orphan(settings: SqliteRecordSettings) -> None:
    """Refuse a file that the parent of this process used as it forked.

    SQLite keeps what it knows of a file once a process, so that no new connection helps.

    Raises:
        Unavailable: It is such a file.
    """
    if _is_orphan(settings):
        raise Unavailable(
            f"this process was forked while {settings.address} was used in another thread or a "
            "transaction, and SQLite cannot work with it here. Start workers with "
            "multiprocessing's 'spawn' or 'forkserver'",
            transient=False,
        )


def _is_orphan(settings: SqliteRecordSettings) -> bool:
    return bool(_orphaned) and os.path.realpath(settings.path) in _orphaned


_orphaned: set[str] = set()
_all: WeakSet[Connections] = WeakSet()
_forking: list[Connections] = []
_fork_guard = threading.Lock()


def _before() -> None:
    _fork_guard.acquire()
    _forking[:] = list(_all)
    for connections in _forking:
        connections._before_fork()


def _in_parent() -> None:
    for connections in _forking:
        connections._after_fork_in_parent()
    _forking.clear()
    _fork_guard.release()


def _in_child() -> None:
    for connections in _forking:
        connections._after_fork_in_child()
    _forking.clear()
    _fork_guard.release()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
