"""Every change of a key takes its lock: one of this process, then one between processes."""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

from holdall.core.errors import Timeout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from holdall.objects.backends.local.tree import Tree

_STRIPES = 64
_TAKE = fcntl.LOCK_EX | fcntl.LOCK_NB
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.01


class KeyLocks:
    """Locks for keys. Keys share 64 of them, so that no file is left for every key.

    Each has a descriptor of its own, which stays open: to open it again for every change would
    cost more than the lock. A forked child closes them and opens its own, since a lock of `flock`
    belongs to all who share the descriptor, and lives as long as one of them does.

    Args:
        tree: Where the lock files are.
        patience: How many seconds to wait for another process.
    """

    def __init__(self, tree: Tree, patience: float) -> None:
        self._tree = tree
        self._patience = patience
        self._stripes = tuple(_Stripe(self, tree, number) for number in range(_STRIPES))
        _all_locks.add(self)

    def hold(self, key: str) -> _Hold:
        """The lock of a key, for `with`, once."""
        use = _Hold()
        use.stripe = self._stripes[crc32(key.encode()) % _STRIPES]
        return use

    def hold_both(self, one: str, other: str) -> _Several:
        """The locks of two keys, for `with`, once."""
        keys = {crc32(key.encode()) % _STRIPES: key for key in (one, other)}
        # One order for all, so that two who want the same two do not wait for each other.
        return _Several([self.hold(keys[number]) for number in sorted(keys)])

    def close(self) -> None:
        """Close the descriptors; they are opened again when needed."""
        for stripe in self._stripes:
            stripe.close()

    def forked(self) -> None:
        """Go on in a forked child, where nobody has a lock."""
        for stripe in self._stripes:
            stripe.forked()

    def open(self, number: int) -> int:
        """Open a lock file; answer the descriptor."""
        try:
            return os.open(f"{number:02x}", _OPEN, 0o600, dir_fd=self._tree.workspace().locks)
        except FileNotFoundError:
            if not self._tree.renew_workspace():
                raise
        return self.open(number)

    def wait(self, descriptor: int) -> None:
        """Take a lock that another process has."""
        give_up = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            time.sleep(pause * random.random())
            try:
                fcntl.flock(descriptor, _TAKE)
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    raise self.impatient() from None
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def acquire(self, lock: threading.RLock) -> None:
        """Take a lock that another thread has."""
        if not lock.acquire(timeout=self._patience):
            raise self.impatient()

    def impatient(self) -> Timeout:
        """The error of somebody who has waited long enough."""
        return Timeout(
            f"another writer has held a lock of {self._tree.path} for {self._patience:g} s "
            "(the setting lock_timeout); is a process stopped there?"
        )


class _Stripe:
    """One of the locks: what the threads of this process share of it."""

    __slots__ = ("_number", "depth", "descriptor", "generation", "lock", "locks", "tree")

    def __init__(self, locks: KeyLocks, tree: Tree, number: int) -> None:
        self.locks = locks
        self.tree = tree
        self._number = number
        # A signal handler may write while the thread that it interrupts has the lock.
        self.lock = threading.RLock()
        self.depth = 0  # how many have it: a thread, and handlers that interrupted it
        self.descriptor = -1
        self.generation = -1

    def reopen(self) -> None:
        opened = self.locks.open(self._number)
        # Read after the opening, which may have made the workspace and its lock files again.
        self._replace(opened, self.tree.generation)

    def close(self) -> None:
        with self.lock:
            if not self.depth:  # else a handler closes what it has interrupted
                self._replace(-1, -1)

    def forked(self) -> None:
        # Closed and not unlocked, which would unlock it for the parent.
        self.lock = threading.RLock()
        self.depth = 0
        self._replace(-1, -1)

    def _replace(self, descriptor: int, generation: int) -> None:
        old, self.descriptor = self.descriptor, descriptor
        self.generation = generation
        if old >= 0:
            os.close(old)


class _Use:
    """One use of a lock, of which `stripe` is set right after it is made: `__init__` is felt here.

    Ctrl-C and signal handlers come between two instructions: after a call, and where a function
    begins. So what is counted is counted where there is neither between the call and the counting.
    """

    __slots__ = ("_lock", "stripe")

    stripe: _Stripe
    _lock: threading.RLock | None

    def __enter__(self) -> None:
        stripe = self.stripe
        lock = stripe.lock
        try:
            if not lock.acquire(False):
                stripe.locks.acquire(lock)
        except BaseException:
            with suppress(RuntimeError):  # it was not taken
                lock.release()
            raise
        stripe.depth += 1
        self._lock = lock
        try:
            # A handler keeps the descriptor of the one it has interrupted.
            if stripe.generation != stripe.tree.generation and (
                stripe.depth == 1 or stripe.descriptor < 0
            ):
                stripe.reopen()
            try:
                fcntl.flock(stripe.descriptor, _TAKE)
            except BlockingIOError:
                stripe.locks.wait(stripe.descriptor)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lock, self._lock = self._lock, None
        self.__class__ = _Use
        stripe = self.stripe
        if lock is not stripe.lock:
            return  # never taken, or taken before a fork, and then it is the parent's
        stripe.depth -= 1
        try:
            if not stripe.depth and stripe.descriptor >= 0:
                fcntl.flock(stripe.descriptor, fcntl.LOCK_UN)
        finally:
            lock.release()  # also when Ctrl-C comes just now


class _Hold(_Use):
    """A use that gives the lock back also when Ctrl-C comes where `__exit__` begins.

    Python drops an exception in `__del__`, and with it a Ctrl-C that comes where that begins. So
    a use that has ended is of the other class, and has none.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if getattr(self, "_lock", None) is not None:  # Ctrl-C may come before it is entered
            self.__exit__(None, None, None)


class _Several:
    __slots__ = ("_held", "_holds")

    def __init__(self, holds: Sequence[_Hold]) -> None:
        self._holds = holds
        self._held: list[_Hold] = []

    def __enter__(self) -> None:
        try:
            for hold in self._holds:
                hold.__enter__()
                self._held.append(hold)
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._held:
            self._held.pop().__exit__(kind, error, traceback)


_all_locks: weakref.WeakSet[KeyLocks] = weakref.WeakSet()


def _forked() -> None:
    for locks in _all_locks:
        locks.forked()


os.register_at_fork(after_in_child=_forked)
