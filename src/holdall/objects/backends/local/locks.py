"""Every change of a key takes its lock: one of this process, then one between processes."""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
from typing import TYPE_CHECKING
from zlib import crc32

from holdall.core.errors import Timeout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from holdall.objects.backends.local.tree import Tree

_STRIPES = 64
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.01


class KeyLocks:
    """Locks for keys. Keys share 64 of them, so that no file is left for every key.

    Each has a descriptor of its own, which stays open: to open it again for every change would
    cost more than the lock. A forked child opens its own ones, since a lock of `flock` belongs
    to all who share the descriptor.

    Args:
        tree: Where the lock files are.
        patience: How many seconds to wait for another process.
    """

    def __init__(self, tree: Tree, patience: float) -> None:
        self._tree = tree
        self._patience = patience
        self._stripes = tuple(_Stripe(self, tree, number) for number in range(_STRIPES))

    def hold(self, key: str) -> _Stripe:
        """The lock of a key, for `with`."""
        return self._stripes[crc32(key.encode()) % _STRIPES]

    def hold_both(self, one: str, other: str) -> _Several:
        """The locks of two keys, for `with`."""
        stripes = {self.hold(one).number, self.hold(other).number}
        # One order for all, so that two who want the same two do not wait for each other.
        return _Several([self._stripes[number] for number in sorted(stripes)])

    def close(self) -> None:
        """Close the descriptors; they are opened again when needed."""
        for stripe in self._stripes:
            stripe.close()

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
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    __slots__ = ("_descriptor", "_generation", "_lock", "_locks", "_owner", "_tree", "number")

    def __init__(self, locks: KeyLocks, tree: Tree, number: int) -> None:
        self._locks = locks
        self._tree = tree
        self.number = number
        # Nobody takes it twice; but Ctrl-C may come when it was just taken, or just before it is
        # given back, and then the thread that has it must be able to go on.
        self._lock = threading.RLock()
        self._descriptor = -1
        self._owner = 0
        self._generation = 0

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._locks.acquire(self._lock)
        try:
            if self._owner != os.getpid() or self._generation != self._tree.generation:
                self._reopen()
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._locks.wait(self._descriptor)
        except BaseException:
            if self._owner == os.getpid():
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # Ctrl-C may come after it was taken
            self._release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._release()  # also when Ctrl-C comes just now

    def _release(self) -> None:
        try:
            while True:
                self._lock.release()
        except RuntimeError:
            return  # that was the last time it was taken

    def _reopen(self) -> None:
        self._drop()
        self._descriptor = self._locks.open(self.number)
        # Read after the opening, which may have made the workspace and its lock files again.
        self._generation = self._tree.generation
        self._owner = os.getpid()

    def _drop(self) -> None:
        if self._owner == os.getpid():
            os.close(self._descriptor)
        self._owner = 0

    def close(self) -> None:
        with self._lock:
            self._drop()


class _Several:
    __slots__ = ("_held", "_stripes")

    def __init__(self, stripes: Sequence[_Stripe]) -> None:
        self._stripes = stripes
        self._held: list[_Stripe] = []

    def __enter__(self) -> None:
        try:
            for stripe in self._stripes:
                stripe.__enter__()
                self._held.append(stripe)
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
