"""The bytes of a part, while they gather and while they are sent."""

from __future__ import annotations

import hashlib
import mmap
import threading
from contextlib import suppress
from typing import final

_STEP_BYTES = 1024 * 1024  # what one thread hashes before another one may go on
_LARGE_BYTES = 1024 * 1024  # what is smaller takes no more memory than it needs


@final
class Gathering:
    """Memory for one part, which can be filled again.

    Bytes are copied into it, so that those who gave them may change them, and so that their own
    memory is free for what comes next: new memory costs more than the copy. It is taken from the
    system as it is filled, so that a small object takes little.

    Args:
        size: How many bytes fit in.
    """

    __slots__ = ("_hashed", "_hashing", "_memory", "_sha256", "filled", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.filled = 0
        self._memory = memoryview(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._sha256 = hashlib.sha256()
        self._hashed = 0
        self._hashing = threading.Lock()

    def add(self, data: memoryview) -> int:
        """Append as many bytes as there is room for; answer how many."""
        start = self.filled
        taken = data[: self.size - start]
        end = start + len(taken)
        if start < _LARGE_BYTES <= end:
            self._take_large_pages()
        self._memory[start:end] = taken
        self.filled = end
        return len(taken)

    def _take_large_pages(self) -> None:
        """Let the rest of the memory come in large pages, which saves a tenth of an upload."""
        if hasattr(mmap, "MADV_HUGEPAGE"):
            with suppress(OSError):  # a kernel that has none
                self._memory.obj.madvise(mmap.MADV_HUGEPAGE)  # type: ignore[attr-defined]

    def data(self) -> memoryview:
        """The bytes; they are others once it was cleared."""
        return self._memory[: self.filled]

    def clear(self) -> None:
        """Make it empty."""
        self.filled = self._hashed = 0
        self._sha256 = hashlib.sha256()

    def release(self) -> None:
        """Give its memory back, once nobody sends it any more; it is of no use then."""
        self._memory.release()

    def hash_ahead(self, *, once: bool = False) -> None:
        """Do a part of what `sha256` will have to do, from any thread; nothing if another does it.

        Args:
            once: Do one step, and do not go on with what comes meanwhile.
        """
        if self._hashing.acquire(blocking=False):
            try:
                while self.filled - self._hashed >= _STEP_BYTES:
                    self._hash(self._hashed + _STEP_BYTES)
                    if once:
                        return
            finally:
                self._hashing.release()

    def sha256(self) -> str:
        """The SHA-256 of the bytes, hexadecimal, once all of them are there."""
        with self._hashing:
            self._hash(self.filled)
            return self._sha256.hexdigest()

    def _hash(self, end: int) -> None:
        self._sha256.update(self._memory[self._hashed : end])
        self._hashed = end
