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
    from types import TracebackType

    from holdall.objects.backends.local.tree import Tree

_STRIPES = 256
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.01


class KeyLocks:
    """Locks for keys. Keys share 256 of them, so that no file is left for every key.

    `flock` is taken on a descriptor opened for the purpose: descriptors that were duplicated by
    a fork would share one lock.

    Args:
        tree: Where the lock files are.
        patience: How many seconds to wait for another process.
    """

    def __init__(self, tree: Tree, patience: float) -> None:
        self._tree = tree
        self._patience = patience
        self._threads = tuple(threading.Lock() for _ in range(_STRIPES))

    def hold(self, *keys: str) -> _Held:
        """Take the locks of some keys, for `with`."""
        stripes = {crc32(key.encode()) % _STRIPES for key in keys}
        # One order for all, so that two who want the same two do not wait for each other.
        return _Held(self, sorted(stripes))

    def _take(self, stripe: int) -> int:
        lock = self._threads[stripe]
        if not lock.acquire(timeout=self._patience):
            raise self._impatient()
        try:
            descriptor = os.open(f"{stripe:02x}", _OPEN, 0o600, dir_fd=self._tree.workspace().locks)
            try:
                self._wait(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        except BaseException:
            lock.release()
            raise
        return descriptor

    def _wait(self, descriptor: int) -> None:
        give_up = None
        pause = _FIRST_PAUSE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                give_up = give_up or now + self._patience
                if now >= give_up:
                    raise self._impatient() from None
                time.sleep(pause * random.random())
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def _give(self, stripe: int, descriptor: int) -> None:
        os.close(descriptor)
        self._threads[stripe].release()

    def _impatient(self) -> Timeout:
        return Timeout(
            f"another writer has held a lock of {self._tree.path} for {self._patience:g} s "
            "(the setting lock_timeout); is a process stopped there?"
        )


class _Held:
    __slots__ = ("_descriptors", "_locks", "_stripes")

    def __init__(self, locks: KeyLocks, stripes: list[int]) -> None:
        self._locks = locks
        self._stripes = stripes
        self._descriptors: list[int] = []

    def __enter__(self) -> None:
        try:
            for stripe in self._stripes:
                self._descriptors.append(self._locks._take(stripe))
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stripe, descriptor in zip(self._stripes, self._descriptors, strict=False):
            self._locks._give(stripe, descriptor)
        self._descriptors.clear()
