"""Every change of a key takes its lock: one of this process, then one between processes."""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
import weakref
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
        self._stripes = _new_stripes()
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
        what is counted is counted where neither is between the call and the counting. In a child
        that a handler forks meanwhile this goes on by itself, and leaves the parent's lock alone.

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
        # Here and below as `_stripe_of` and `_take` do it, whose calls would be felt.
        stripe = self._stripes[crc32(key.encode()) % _STRIPES]
        lock = stripe.lock
        try:
            taken = lock.acquire(False) or lock.acquire(True, self._patience)
        except BaseException:
            try:  # noqa: SIM105 - a second signal comes where `suppress` begins
                lock.release()
            except RuntimeError:
                pass  # it was not taken
            raise
        if not taken:
            raise self._impatient()
        stripe.depth += 1
        try:
            # A handler keeps the descriptor of the one it has interrupted.
            if stripe.generation != self._tree.generation and (
                stripe.depth == 1 or stripe.descriptor < 0
            ):
                self._reopen(stripe)
            try:
                fcntl.flock(stripe.descriptor, _TAKE)
            except (BlockingIOError, ValueError):  # there is no descriptor in a new child
                self._wait(stripe)
            answer = function(first, second, third, fourth)
        finally:
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
            # A thread that has it may wait for something that a handler, which closes the store,
            # has interrupted. That one's is closed when it is opened anew, or with the store.
            if _take(stripe.lock, self._patience):
                try:
                    if not stripe.depth:  # else a handler closes what it has interrupted
                        stripe.drop()
                finally:
                    stripe.lock.release()

    def forked(self) -> None:
        """Go on in a forked child, where nobody has a lock."""
        # Who has one goes on with the old ones, which have no part in the parent's any more.
        old, self._stripes = self._stripes, _new_stripes()
        for stripe in old:
            stripe.drop()

    def _reopen(self, stripe: _Stripe) -> None:
        # Read before the opening: when the workspace is made again just then, the next one who
        # takes the lock opens it anew.
        stripes, generation = self._stripes, self._tree.generation
        opened = self._open(stripe.number)
        if stripes is not self._stripes:
            # A handler forked, and this is its parent's open file: a lock of it would be shared.
            os.close(opened)
            self._reopen(stripe)
            return
        old, stripe.descriptor, stripe.generation = stripe.descriptor, opened, generation
        if old >= 0:
            os.close(old)

    def _open(self, number: int) -> int:
        try:
            return os.open(f"{number:02x}", _OPEN, 0o600, dir_fd=self._tree.workspace().locks)
        except FileNotFoundError:
            if not self._tree.renew_workspace():
                raise
        return self._open(number)

    def _wait(self, stripe: _Stripe) -> None:
        """Take a lock that another process has."""
        give_up = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            time.sleep(pause * random.random())
            if stripe.descriptor < 0:  # a handler forked, and this is the child
                self._reopen(stripe)
            try:
                fcntl.flock(stripe.descriptor, _TAKE)
            except (BlockingIOError, ValueError):
                if time.monotonic() >= give_up:
                    raise self._impatient() from None
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

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

    def drop(self) -> None:
        """Close the descriptor, without unlocking: in a child that would unlock the parent's."""
        old, self.descriptor, self.generation = self.descriptor, -1, -1
        if old >= 0:
            os.close(old)


def _new_stripes() -> tuple[_Stripe, ...]:
    return tuple(_Stripe(number) for number in range(_STRIPES))


def _take(lock: threading.RLock, patience: float) -> bool:
    """Take a lock between threads, or give up after so many seconds."""
    try:
        taken = lock.acquire(True, patience)
    except BaseException:
        try:  # noqa: SIM105 - a second signal comes where `suppress` begins
            lock.release()
        except RuntimeError:
            pass  # it was not taken
        raise
    return taken


def _stripe_of(key: str) -> int:
    return crc32(key.encode()) % _STRIPES


_all_locks: weakref.WeakSet[KeyLocks] = weakref.WeakSet()


def _forked() -> None:
    for locks in _all_locks:
        locks.forked()


os.register_at_fork(after_in_child=_forked)
