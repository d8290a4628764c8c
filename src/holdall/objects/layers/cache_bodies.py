"""The bodies that a cache answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from msgspec.structs import replace

from holdall.core.errors import HoldallError
from holdall.objects.layers.cache_disk import Damaged
from holdall.objects.options import PART_BYTES
from holdall.objects.results import ObjectMeta, ObjectStream

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from holdall.core.runtime import Runtime
    from holdall.objects.layers.cache_disk import DiskFile


def handed_out(meta: ObjectMeta, tags: bool) -> ObjectMeta:
    """What is known of an object, with pairs that its receiver may change.

    Args:
        meta: What is kept.
        tags: Whether they were asked for.
    """
    own = dict(meta.tags) if tags and meta.tags is not None else None
    return replace(meta, metadata=dict(meta.metadata), tags=own)


@final
class CachedBytes(ObjectStream):
    """A body in memory, whose `meta` is made when it is asked for.

    Args:
        meta: What is kept of the object.
        start: Where in the object it begins.
        data: The bytes.
        tags: Whether tags were asked for.
    """

    __slots__ = ("_kept", "_known", "_position", "_tags")
    whole: bytes

    def __init__(self, meta: ObjectMeta, start: int, data: bytes, tags: bool) -> None:
        self.start = start
        self.length = len(data)
        self.whole = data
        self._kept = meta
        self._known: ObjectMeta | None = None
        self._tags = tags
        self._position = 0

    @property
    def meta(self) -> ObjectMeta:  # type: ignore[override]
        """What is known of the object."""
        if self._known is None:
            self._known = handed_out(self._kept, self._tags)
        return self._known

    async def read(self, size: int) -> bytes:
        chunk = self.whole[self._position : self._position + size]
        self._position += len(chunk)
        return chunk

    async def read_all(self) -> bytes:
        rest = self.whole[self._position :]
        self._position = self.length
        return rest

    async def close(self) -> None:
        self._position = self.length


@final
class DiskStream(ObjectStream):
    """A body that lies on the disk. Where it turns out to be damaged, the store goes on with it.

    Args:
        meta: What is known of the object.
        start: The first byte.
        end: The byte after the last one.
        file: The open file; closed with it.
        runtime: How it waits.
        instead: Opens the rest in the store inside, and removes the file.
    """

    __slots__ = ("_end", "_file", "_instead", "_position", "_rest", "_runtime")

    def __init__(
        self,
        meta: ObjectMeta,
        start: int,
        end: int,
        file: DiskFile,
        runtime: Runtime,
        instead: Callable[[int, int], Coroutine[Any, Any, ObjectStream]],
    ) -> None:
        super().__init__(meta, start, end - start)
        self._position = start
        self._end = end
        self._file = file
        self._runtime = runtime
        self._instead = instead
        self._rest: ObjectStream | None = None

    async def read(self, size: int) -> bytes:
        if self._rest is not None:
            return await self._rest.read(size)
        stop = min(self._position + min(size, PART_BYTES), self._end)
        if stop <= self._position:
            return b""
        try:
            data = await self._runtime.call(self._file.read, None, self._position, stop)
        except HoldallError:
            raise  # a time-out, which is an OSError too, and says nothing of the file
        except (Damaged, OSError):
            self._file.close()
            self._rest = await self._instead(self._position, self._end)
            return await self._rest.read(size)
        self._position = stop
        return data

    async def read_all(self) -> bytes:
        parts = []
        try:
            while self._rest is None and (part := await self.read(PART_BYTES)):
                parts.append(part)
            if self._rest is not None:
                parts.append(await self._rest.read_all())
        finally:
            await self.close()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def close(self) -> None:
        self._position = self._end
        self._file.close()
        if self._rest is not None:
            await self._rest.close()
