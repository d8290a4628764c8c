"""The body of a file too large to come with the answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, final

from holdall.core.errors import Corrupt
from holdall.objects.backends.local.faults import translate
from holdall.objects.options import PART_BYTES
from holdall.objects.results import ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from holdall.core.runtime import Runtime


@final
class FileStream(ObjectStream):
    """Reads an open file, whose descriptor is its own, at most a part in one request."""

    __slots__ = ("_descriptor", "_end", "_position", "_runtime")

    def __init__(
        self, meta: ObjectMeta, start: int, length: int, descriptor: int, runtime: Runtime
    ) -> None:
        super().__init__(meta, start, length)
        self._position = start
        self._end = start + length
        self._descriptor: int | None = descriptor
        self._runtime = runtime

    async def read(self, size: int) -> bytes:
        size = min(size, self._end - self._position, PART_BYTES)
        if size <= 0:
            return b""
        chunk = await self._runtime.call(self._pread, None, size)
        self._position += len(chunk)
        return chunk

    async def read_all(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def close(self) -> None:
        self._release()

    def _pread(self, size: int) -> bytes:
        if self._descriptor is None:
            raise ValueError(f"the stream of {self.meta.ref} is closed")
        try:
            chunk = os.pread(self._descriptor, size, self._position)
        except OSError as error:
            raise translate(error, self.meta.ref) from error
        if not chunk:
            raise shortened(self.meta)
        return chunk

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        # A read that ended with an error before the constructor has no descriptor yet.
        if hasattr(self, "_descriptor"):
            self._release()


def shortened(meta: ObjectMeta) -> Corrupt:
    """Another program cut the file while it was read."""
    return Corrupt(
        f"{meta.ref} had {meta.size} bytes and has fewer now: another program changed the file "
        "in place; read it again",
        reference=meta.ref,
    )
