"""Every change of a key takes its lock: one of this process, then one between processes."""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from holdall.core.errors import Timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.backends.local.tree import Tree

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

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
        self._stripes = tuple(_Stripe(number) for number in range(_STRIPES))
        _all_locks.add(self)

    def run(
        self,
        key: str,
        function: Callable[[A, B, C, D], T],
        first: A,
        second: B,
        third: C,
        fourth: D,
    ) -> T:
        """Call a function while nobody else has the lock of a key.

        Ctrl-C and signal handlers come between two instructions: after a call, and where a
        function begins. So the lock is taken and given back in one function, around a call, and
        what is counted is counted where neither is between the call and the counting.

        Args:
            key: Which lock.
            function: Takes four arguments: packing them would be felt in each write.
            first: The first of them.
            second: The second.
            third: The third.
            fourth: The fourth.

        Raises:
            Timeout: Another thread or process has had it for longer than `patience`.
        """
        stripe = self._stripes[crc32(key.encode()) % _STRIPES]
        lock = stripe.lock
        try:
            if not lock.acquire(False):
                self._acquire(lock)
        except BaseException:
            with suppress(RuntimeError):  # it was not taken
                lock.release()
            raise
        stripe.depth += 1
        try:
            # A handler keeps the descriptor of the one it has interrupted.
            if stripe.generation != self._tree.generation and (
                stripe.depth == 1 or stripe.descriptor < 0
            ):
                self._reopen(stripe)
            try:
                fcntl.flock(stripe.descriptor, _TAKE)
            except BlockingIOError:
                self._wait(stripe.descriptor)
            answer = function(first, second, third, fourth)
        finally:
            if lock is stripe.lock:  # else it was taken before a fork, and is the parent's
                stripe.depth -= 1
                try:
                    if not stripe.depth and stripe.descriptor >= 0:
                        fcntl.flock(stripe.descriptor, fcntl.LOCK_UN)
                finally:
                    lock.release()  # also when Ctrl-C comes just now
        return answer

    def run_both(
        self,
        one: str,
        other: str,
        function: Callable[[A, B, C, D], T],
        first: A,
        second: B,
        third: C,
        fourth: D,
    ) -> T:
        """The same under the locks of two keys, which may be one lock."""
        # One order for all, so that two who want the same two do not wait for each other.
        outer, inner = sorted((one, other), key=_stripe_of)
        within = partial(self.run, inner, function)
        return self.run(outer, within, first, second, third, fourth)

    def close(self) -> None:
        """Close the descriptors; they are opened again when needed."""
        for stripe in self._stripes:
            stripe.close()

    def forked(self) -> None:
        """Go on in a forked child, where nobody has a lock."""
        for stripe in self._stripes:
            stripe.forked()

    def _reopen(self, stripe: _Stripe) -> None:
        opened = self._open(stripe.number)
        # Read after the opening, which may have made the workspace and its lock files again.
        stripe.replace(opened, self._tree.generation)

    def _open(self, number: int) -> int:
        try:
            return os.open(f"{number:02x}", _OPEN, 0o600, dir_fd=self._tree.workspace().locks)
        except FileNotFoundError:
            if not self._tree.renew_workspace():
                raise
        return self._open(number)

    def _wait(self, descriptor: int) -> None:
        """Take a lock that another process has."""
        give_up = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            time.sleep(pause * random.random())
            try:
                fcntl.flock(descriptor, _TAKE)
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    raise self._impatient() from None
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def _acquire(self, lock: threading.RLock) -> None:
        """Take a lock that another thread has."""
        if not lock.acquire(timeout=self._patience):
            raise self._impatient()

    def _impatient(self) -> Timeout:
        return Timeout(
            f"another writer has held a lock of {self._tree.path} for {self._patience:g} s "
            "(the setting lock_timeout); is a process stopped there?"
        )


class _Stripe:
    """One of the locks: what the threads of this process share of it."""

    __slots__ = ("depth", "descriptor", "generation", "lock", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        # A signal handler may write while the thread that it interrupts has the lock.
        self.lock = threading.RLock()
        self.depth = 0  # how many have it: a thread, and handlers that interrupted it
        self.descriptor = -1
        self.generation = -1

    def close(self) -> None:
        with self.lock:
            if not self.depth:  # else a handler closes what it has interrupted
                self.replace(-1, -1)

    def forked(self) -> None:
        # Closed and not unlocked, which would unlock it for the parent.
        self.lock = threading.RLock()
        self.depth = 0
        self.replace(-1, -1)

    def replace(self, descriptor: int, generation: int) -> None:
        old, self.descriptor = self.descriptor, descriptor
        self.generation = generation
        if old >= 0:
            os.close(old)


def _stripe_of(key: str) -> int:
    return crc32(key.encode()) % _STRIPES


_all_locks: weakref.WeakSet[KeyLocks] = weakref.WeakSet()


def _forked() -> None:
    for locks in _all_locks:
        locks.forked()


os.register_at_fork(after_in_child=_forked)
